"""`revgrad` and `revgrad check`, run as a user does, on the real Theano and Lasagne."""

import json
import os
import pathlib
import subprocess
import sys

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "check.txt"


def revgrad(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "revgrad", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


def test_check_prints_the_table_of_the_docs():
    code, printed, progress = revgrad("check", "theano", "lasagne")
    assert code == 0, printed
    # The docs hold the table of a revgrad with its extra for testing, as the tests have it.
    assert printed == PAGE.read_text(encoding="utf-8")
    assert "theano: 39 passed" in progress and "lasagne: 41 passed" in progress


def test_the_doctor_knows_what_theano_needs_here():
    """It loads a backend as the docs tell users to, and says what that takes."""
    _, printed, _ = revgrad("--json")
    states = {entry["backend"]: entry for entry in json.loads(printed)["backends"]}
    assert states["numpy"]["state"] == "ok"
    # What a user's process does that imports theano as it is.
    plain = subprocess.run([sys.executable, "-c", "import theano"], stderr=subprocess.DEVNULL)
    for name in ("theano", "lasagne"):
        entry = states[name]
        assert entry["distribution"] == "revgrad" and entry["framework"]
        assert entry["state"] == "ok", entry
        if plain.returncode != 0:
            assert entry["advice"] == f"It needs `import revgrad_theano.compat` before {name}."
