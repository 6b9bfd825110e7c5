"""The checkpoints of the examples: a damaged file, and a disk that is full."""

import numpy as np
import pytest
import support.programs  # noqa: F401  it puts the examples on the path
import checkpoints


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "folder" / "a.checkpoint"
    checkpoints.save(str(path), {"weights": np.arange(20.0), "steps": 3})
    return path


def test_a_checkpoint_that_is_cut_short_anywhere_is_an_error(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(SystemExit, match="a.checkpoint is not a whole checkpoint"):
            checkpoints.load(saved)


def test_a_full_disk_leaves_the_previous_checkpoint(saved):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(SystemExit, match="was not saved: .*The previous checkpoint is as it"):
            checkpoints.save(str(saved), {"weights": np.zeros(10**5)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoints.load(saved)["steps"] == 3
    assert list(saved.parent.iterdir()) == [saved]
