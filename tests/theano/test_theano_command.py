"""`revgrad` and `revgrad check`, run as a user does, on the real Theano and Lasagne."""

import json

import pytest
from support.processes import check_prints, python


@pytest.mark.slow
def test_check_prints_the_table_of_the_docs():
    # The docs hold the table of a revgrad with its extra for testing, as the tests have it.
    progress = check_prints("check.txt", "theano", "lasagne")
    assert "theano: 39 passed" in progress and "lasagne: 41 passed" in progress


def test_the_doctor_knows_what_theano_needs_here():
    """It loads a backend as the docs tell users to, and says what that takes."""
    found = json.loads(python("-m", "revgrad", "--json", check=False).stdout)
    states = {entry["backend"]: entry for entry in found["backends"]}
    assert states["numpy"]["state"] == "ok"
    # What a user's process does that imports theano as it is.
    plain = python(code="import theano", check=False)
    for name in ("theano", "lasagne"):
        entry = states[name]
        assert entry["distribution"] == "revgrad" and entry["framework"]
        assert entry["state"] == "ok", entry
        if plain.returncode != 0:
            assert entry["advice"] == f"It needs `import revgrad_theano.compat` before {name}."
