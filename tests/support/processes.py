"""Fresh interpreters, what they can import, and `revgrad` in one, run as a user does."""

import importlib.util
import os
import subprocess
import sys
import textwrap

from support.pages import ROOT


def installed(module):
    """Say whether a module can be imported from a file."""
    try:  # of a package that is not there, a submodule raises
        found = importlib.util.find_spec(module)
    except ImportError:
        return False
    # A folder of tests that is named like the package has no file.
    return found is not None and found.origin is not None


def python(*arguments, code="", check=True, cwd=None, **environment):
    """Return the finished process of an interpreter; `check` asserts that it succeeded."""
    arguments = [*(["-c", textwrap.dedent(code)] if code else []), *arguments]
    done = _run([sys.executable, *arguments], cwd, os.environ, **environment)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def check_prints(page, *backends, **environment):
    """Assert that `revgrad check` passes, and prints what a page of the docs shows."""
    done = python("-m", "revgrad", "check", *backends, **environment)
    assert done.stdout == (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    return done.stderr


def call(*command, cwd, code=0):
    """Return what a command prints; it does not see what is on this path."""
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = _run(command, cwd, environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _run(command, cwd, environment, **changes):
    env = {**environment, "PYTHONIOENCODING": "utf-8", **changes}
    text = {"encoding": "utf-8", "errors": "replace"}
    return subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, **text)
