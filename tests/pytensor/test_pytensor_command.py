import pytest
from support.processes import check_prints


@pytest.mark.slow
def test_check_prints_the_table_of_the_docs():
    pytest.importorskip("jax.numpy")
    pytest.importorskip("flatbuffers")  # without it JAX exports and cannot save
    check_prints("check-jax-pytensor.txt", "jax", "pytensor")
