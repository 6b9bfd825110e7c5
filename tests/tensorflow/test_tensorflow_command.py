import pytest
from support.processes import check_prints

# The contract is tested in this process, too; here it is the table.
pytestmark = pytest.mark.slow


def test_check_prints_the_table_of_the_docs():
    check_prints("check-tensorflow-keras.txt", "tensorflow", "keras", KERAS_BACKEND="tensorflow")
