"""The checkpoints of the examples: a damaged file, and a disk that is full."""

from pathlib import Path

import numpy as np
import pytest
import support.programs  # noqa: F401  it puts the examples on the path
import checkpoints

STATE = {"weights": np.arange(20.0), "steps": 3}


def test_a_checkpoint_that_is_cut_short_anywhere_is_an_error(tmp_path):
    path = str(tmp_path / "folder" / "a.checkpoint")
    checkpoints.save(path, STATE)
    assert checkpoints.load(path)["steps"] == 3
    content = Path(path).read_bytes()
    for length in range(len(content)):
        Path(path).write_bytes(content[:length])
        with pytest.raises(SystemExit, match="a.checkpoint is not a whole checkpoint"):
            checkpoints.load(path)


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    resource = pytest.importorskip("resource")
    path = str(tmp_path / "a.checkpoint")
    checkpoints.save(path, STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(SystemExit, match="was not saved: .*The previous checkpoint is as it"):
            checkpoints.save(path, {"weights": np.zeros(10**5)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoints.load(path)["steps"] == 3
    assert [each.name for each in tmp_path.iterdir()] == ["a.checkpoint"]
