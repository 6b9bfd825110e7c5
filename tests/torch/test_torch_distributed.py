"""Two processes on the loopback address: sharded training gives what one process gives."""

import os
import pathlib
import subprocess
import sys

import pytest
from sharded import SCENARIOS

WORKER = pathlib.Path(__file__).with_name("sharded.py")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run both processes once, through all the scenarios."""
    file = tmp_path_factory.mktemp("rendezvous") / "file"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    options["env"] = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    commands = [[sys.executable, str(WORKER), str(rank), str(file)] for rank in range(2)]
    processes = [subprocess.Popen(command, **options) for command in commands]
    try:
        return [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_processes(outputs, scenario):
    for output in outputs:
        assert f"{scenario}: passed" in output, output[-5000:]
