"""`LambdaVariable`."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import revgrad
from revgrad.backend import Native


class Cells(Native):
    """An adapter whose cells are lists of one number: all that a variable asks of a framework."""

    def __init__(self, stored=lambda value: None):
        self.stored = stored

    def new_cell(self, value):
        return [value]

    def set_cell(self, cell, value):
        cell[0] = value
        self.stored(value)


class CopiedCells(Cells):
    copies_cells = True

    def __reduce__(self):
        return "COPIED"


NATIVE, COPIED = Cells(), CopiedCells()


@pytest.fixture
def lam():
    return revgrad.LambdaVariable(0.5)


def test_a_change_reaches_the_cells_of_all_frameworks(lam):
    one, two = lam.cell(NATIVE), lam.cell(COPIED)
    assert lam.cell(NATIVE) is one is not two
    lam.value = 2
    assert (lam.value, one, two) == (2.0, [2.0], [2.0])
    assert type(lam.value) is float


def test_a_cell_that_was_made_is_found_without_a_lock(lam):
    cell = lam.cell(NATIVE)
    with ThreadPoolExecutor(1) as pool, lam._lock:
        assert pool.submit(lam.cell, NATIVE).result(30) is cell


@pytest.mark.parametrize("bad", [-1, float("nan"), "1", True, [1.0], None])
def test_a_bad_value_is_rejected_and_changes_nothing(lam, bad):
    cell = lam.cell(NATIVE)
    for store in (revgrad.LambdaVariable, lambda value: setattr(lam, "value", value)):
        with pytest.raises(revgrad.InvalidLambdaError):
            store(bad)
    assert lam.value == 0.5 and cell == [0.5]


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("native", [NATIVE, COPIED])
@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_has_the_value_and_cells_of_its_own(lam, twin, native):
    cell, other = lam.cell(native), twin(lam)
    assert repr(other) == "LambdaVariable(0.5)"
    other.value = 3.0
    assert cell == [0.5] and other.cell(native) == [3.0]


@pytest.mark.parametrize("twin", [copy.deepcopy, pickled])
def test_a_program_that_is_copied_along_keeps_its_variable(lam, twin):
    cell = lam.cell(COPIED)
    copied, copied_cell = twin((lam, cell))
    copied.value = 3.0
    assert copied_cell == [3.0] and copied.cell(COPIED) is copied_cell
    assert cell == [0.5] and lam.value == 0.5


def test_a_cell_that_fails_leaves_every_cell_as_it_was(lam):
    def fail_at_2(value):
        if value == 2:
            raise OSError("device lost")

    cells = [lam.cell(each) for each in (NATIVE, Cells(fail_at_2), COPIED)]
    with pytest.raises(OSError, match="device lost"):
        lam.value = 2
    assert lam.value == 0.5 and cells == [[0.5], [0.5], [0.5]]
    lam.value = 3
    assert cells == [[3.0], [3.0], [3.0]]


def test_storing_a_value_may_ask_for_a_cell(lam):
    lam.cell(Cells(lambda value: lam.cell(NATIVE)))
    setting = threading.Thread(target=setattr, args=(lam, "value", 2), daemon=True)
    setting.start()
    setting.join(30)
    assert not setting.is_alive() and lam.value == 2.0


def test_it_is_0_at_first_and_a_number_where_numbers_are_wanted():
    assert revgrad.LambdaVariable().value == 0.0
    lam = revgrad.LambdaVariable(0.125)
    assert float(lam) == 0.125 and f"{lam:.2f} {lam}" == "0.12 LambdaVariable(0.125)"


def test_threads_see_one_cell_and_the_last_value(lam):
    barrier = threading.Barrier(32)

    def work(number):
        barrier.wait()
        cell = lam.cell(NATIVE)
        lam.value = number
        return cell

    with ThreadPoolExecutor(32) as pool:
        cells = list(pool.map(work, range(32)))
    assert all(cell is cells[0] for cell in cells) and cells[0] == [lam.value]
