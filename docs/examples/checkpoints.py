"""Save a checkpoint so that the previous one survives a crash and a full disk, and load one."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any, Dict


def save(path: str, checkpoint: Dict[str, Any]) -> None:
    """Write a checkpoint to another file, then give it the name of the previous one.

    Parameters
    ----------
    path : str
        The file; its folder is made if it does not exist.
    checkpoint : dict
        What pickle can write.

    Raises
    ------
    SystemExit
        If the file cannot be written: the disk is full, say. The previous one is as it was.
    """
    new = path + ".new"
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(new, "wb") as file:
            pickle.dump(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty file with the name
        os.replace(new, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(new)
        sys.exit(f"error: {path} was not saved: {error}. The previous checkpoint is as it was.")


def load(path: str) -> Dict[str, Any]:
    """Read a checkpoint. pickle runs what a file says: load none of unknown origin.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    dict
        What was saved.

    Raises
    ------
    SystemExit
        If the file is not a whole checkpoint.
    """
    try:
        with open(path, "rb") as file:
            checkpoint: Dict[str, Any] = pickle.load(file)
    except Exception as error:  # which one depends on where the file is damaged
        sys.exit(
            f"error: {path} is not a whole checkpoint ({type(error).__name__}: {error}). Restore "
            "it, or remove it to start from the beginning."
        )
    return checkpoint
