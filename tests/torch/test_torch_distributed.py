"""Two processes on the loopback address: sharded training gives what one process gives."""

import pathlib

import pytest
from sharded import SCENARIOS
from support.processes import python

WORKER = pathlib.Path(__file__).with_name("sharded.py")


@pytest.fixture(scope="module")
def output():
    """Run both processes once, through all the scenarios."""
    launch = "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"
    return python(*launch, WORKER, check=False, GLOO_SOCKET_IFNAME="lo").stdout


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_processes(output, scenario):
    for rank in range(2):
        assert f"{scenario}: passed in {rank}" in output, output[-5000:]
