"""`LambdaVariable`."""

import copy
import gc
import pickle
import threading

import pytest

import revgrad


class Cells(revgrad.Backend):
    """A backend whose cells are lists of one number: all that a variable asks of a backend."""

    def reverse(self, x, lam):
        return x

    def new_cell(self, value):
        return [value]

    def set_cell(self, cell, value):
        cell[0] = value


class MoreCells(Cells):
    pass


class NoCells(revgrad.Backend):
    def reverse(self, x, lam):
        return x


def test_a_change_reaches_the_cells_of_all_backends():
    lam, one, two = revgrad.LambdaVariable(0.5), Cells(), MoreCells()
    assert lam.cell(one) is lam.cell(one)
    assert lam.cell(one) is not lam.cell(two)
    lam.value = 2
    assert (lam.value, lam.cell(one), lam.cell(two)) == (2.0, [2.0], [2.0])
    assert type(lam.value) is float
    assert lam.cell(Cells()) == [2.0]


def test_a_cell_outlives_its_backend():
    # What was compiled with it goes on, after the backend was unregistered or made anew.
    lam = revgrad.LambdaVariable(0.5)
    cell = lam.cell(Cells())
    gc.collect()
    lam.value = 3
    assert cell == [3.0] and lam.cell(Cells()) is cell


def test_a_cell_that_was_made_is_found_without_a_lock():
    lam, backend = revgrad.LambdaVariable(0.5), Cells()
    cell = lam.cell(backend)
    with lam._lock:  # not to be taken twice: this would hang
        assert lam.cell(backend) is cell


@pytest.mark.parametrize("bad", [-1, float("nan"), "1", True, [1.0], None])
def test_a_bad_value_is_refused_and_changes_nothing(bad):
    with pytest.raises(revgrad.InvalidLambdaError):
        revgrad.LambdaVariable(bad)
    lam, backend = revgrad.LambdaVariable(0.5), Cells()
    cell = lam.cell(backend)
    with pytest.raises(revgrad.InvalidLambdaError):
        lam.value = bad
    assert lam.value == 0.5 and cell == [0.5]


def test_it_holds_one_number():
    import numpy as np

    with pytest.raises(revgrad.InvalidLambdaError, match="One single number is needed here"):
        revgrad.LambdaVariable(np.ones(3))


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda lam: pickle.loads(pickle.dumps(lam))]
)
def test_a_copy_has_the_value_and_cells_of_its_own(twin):
    lam, backend = revgrad.LambdaVariable(0.5), Cells()
    cell = lam.cell(backend)
    other = twin(lam)
    assert repr(other) == "LambdaVariable(0.5)"
    other.value = 3.0
    assert cell == [0.5] and other.cell(backend) == [3.0]


def test_a_backend_without_cells_says_what_to_do():
    with pytest.raises(revgrad.InvalidLambdaError, match="NoCells takes no LambdaVariable: .*Pass"):
        revgrad.LambdaVariable().cell(NoCells())


def test_threads_see_one_cell_and_the_last_value():
    lam, backend, cells = revgrad.LambdaVariable(), Cells(), []

    def work(number):
        cells.append(lam.cell(backend))
        lam.value = number

    threads = [threading.Thread(target=work, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(cell) for cell in cells}) == 1
    assert cells[0] == [lam.value]
