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

    def new_cell(self, value):
        return [value]

    def set_cell(self, cell, value):
        cell[0] = value


class CopiedCells(Cells):
    copies_cells = True

    def __reduce__(self):
        return "COPIED"


COPIED = CopiedCells()


def test_a_change_reaches_the_cells_of_all_frameworks():
    lam, one, two = revgrad.LambdaVariable(0.5), Cells(), Cells()
    assert lam.cell(one) is lam.cell(one)
    assert lam.cell(one) is not lam.cell(two)
    lam.value = 2
    assert (lam.value, lam.cell(one), lam.cell(two)) == (2.0, [2.0], [2.0])
    assert type(lam.value) is float


def test_a_cell_that_was_made_is_found_without_a_lock():
    lam, native = revgrad.LambdaVariable(0.5), Cells()
    cell = lam.cell(native)
    with ThreadPoolExecutor(1) as pool, lam._lock:
        assert pool.submit(lam.cell, native).result(30) is cell


@pytest.mark.parametrize("bad", [-1, float("nan"), "1", True, [1.0], None])
def test_a_bad_value_is_rejected_and_changes_nothing(bad):
    with pytest.raises(revgrad.InvalidLambdaError):
        revgrad.LambdaVariable(bad)
    lam, native = revgrad.LambdaVariable(0.5), Cells()
    cell = lam.cell(native)
    with pytest.raises(revgrad.InvalidLambdaError):
        lam.value = bad
    assert lam.value == 0.5 and cell == [0.5]


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_has_the_value_and_cells_of_its_own(twin):
    lam, native = revgrad.LambdaVariable(0.5), Cells()
    cell = lam.cell(native)
    other = twin(lam)
    assert repr(other) == "LambdaVariable(0.5)"
    other.value = 3.0
    assert cell == [0.5] and other.cell(native) == [3.0]


@pytest.mark.parametrize("twin", [copy.deepcopy, pickled])
def test_a_program_that_is_copied_along_keeps_its_variable(twin):
    lam = revgrad.LambdaVariable(0.5)
    cell = lam.cell(COPIED)
    copied, copied_cell = twin((lam, cell))
    copied.value = 3.0
    assert copied_cell == [3.0] and copied.cell(COPIED) is copied_cell
    assert cell == [0.5] and lam.value == 0.5


def test_a_cell_that_fails_leaves_every_cell_as_it_was():
    class Failing(Cells):
        def set_cell(self, cell, value):
            super().set_cell(cell, value)
            if value == 2:
                raise OSError("device lost")

    lam, adapters = revgrad.LambdaVariable(0.5), [Cells(), Failing(), Cells()]
    cells = [lam.cell(each) for each in adapters]
    with pytest.raises(OSError, match="device lost"):
        lam.value = 2
    assert lam.value == 0.5 and cells == [[0.5], [0.5], [0.5]]
    lam.value = 3
    assert cells == [[3.0], [3.0], [3.0]]


def test_storing_a_value_may_ask_for_a_cell():
    class Asking(Cells):
        def set_cell(self, cell, value):
            super().set_cell(cell, value)
            lam.cell(native)

    lam, native = revgrad.LambdaVariable(0.5), Cells()
    lam.cell(Asking())
    setting = threading.Thread(target=setattr, args=(lam, "value", 2), daemon=True)
    setting.start()
    setting.join(30)
    assert not setting.is_alive() and lam.value == 2.0


def test_it_is_0_at_first_and_a_number_where_numbers_are_wanted():
    assert revgrad.LambdaVariable().value == 0.0
    lam = revgrad.LambdaVariable(0.125)
    assert float(lam) == 0.125 and f"{lam:.2f} {lam}" == "0.12 LambdaVariable(0.125)"


def test_a_framework_without_cells_says_what_to_do():
    with pytest.raises(revgrad.InvalidLambdaError, match="Native takes no LambdaVariable: .*Pass"):
        revgrad.LambdaVariable().cell(Native())


def test_threads_see_one_cell_and_the_last_value():
    lam, native = revgrad.LambdaVariable(), Cells()
    barrier = threading.Barrier(32)

    def work(number):
        barrier.wait()
        cell = lam.cell(native)
        lam.value = number
        return cell

    with ThreadPoolExecutor(32) as pool:
        cells = list(pool.map(work, range(32)))
    assert len({id(cell) for cell in cells}) == 1
    assert cells[0] == [lam.value]
