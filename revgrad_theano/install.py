"""Install Theano, and Lasagne if asked, on every Python from 3.8 to 3.13: one command.

``python -m revgrad_theano.install [--lasagne]``

Up to Python 3.11 this is what ``pip install Theano`` does. From 3.12 on, pip cannot build Theano
1.0.5 from source: its setup asks for ``configparser.SafeConfigParser``, which is gone. There this
command builds the wheel with the name supplied, in a temporary folder, and has pip install it.
pip's own configuration applies, its environment variables included (``PIP_INDEX_URL``,
``PIP_CONSTRAINT``, ...).
"""

from __future__ import annotations

import argparse
import glob
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from typing import Dict, List, Optional

__all__ = ["LASAGNE", "THEANO", "main"]

THEANO = "Theano>=1.0.5"
LASAGNE = "Lasagne>=0.1"

# Runs at the start of every Python process of the build, in place of the user's sitecustomize,
# which it runs afterwards.
_SITECUSTOMIZE = """
import configparser, importlib.machinery, importlib.util, os, sys
if not hasattr(configparser, "SafeConfigParser"):  # removed in Python 3.12
    configparser.SafeConfigParser = configparser.ConfigParser
    configparser.ConfigParser.readfp = configparser.ConfigParser.read_file
here = os.path.dirname(os.path.abspath(__file__))
path = [each for each in sys.path if os.path.abspath(each) != here]
spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
if spec is not None:
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


def main(arguments: Optional[List[str]] = None) -> None:
    """Install what is asked for into the environment of the running interpreter.

    Parameters
    ----------
    arguments : list of str, optional
        ``--lasagne`` or nothing; by default those of the process.

    Raises
    ------
    SystemExit
        With pip's exit status if pip fails, with a message if there is no pip.
    """
    parser = argparse.ArgumentParser(
        prog="python -m revgrad_theano.install",
        description=f"Install {THEANO} for the running Python, {sys.version.split()[0]}.",
        epilog="pip's configuration and environment variables apply.",
    )
    parser.add_argument("--lasagne", action="store_true", help=f"install {LASAGNE} too")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("pip") is None:
        sys.exit(
            f"There is no pip in the environment of {sys.executable}. Run "
            f"{sys.executable} -m ensurepip first, then this command again."
        )
    wanted = [THEANO, LASAGNE] if options.lasagne else [THEANO]
    if _is_installed("Theano-PyMC"):  # the same import name: the one would overwrite the other
        print("Theano-PyMC is installed, and serves as Theano.")
        wanted = wanted[1:]
    if not wanted:
        return
    if sys.version_info < (3, 12) or _is_installed("Theano") or THEANO not in wanted:
        _pip("install", *wanted)
        return
    with tempfile.TemporaryDirectory() as folder:
        _pip("install", *wanted[1:], _build_theano(folder))


def _build_theano(folder: str) -> str:
    """Build Theano's wheel in a folder and return its path."""
    # Not in the user's environment, where they need not be afterwards.
    tools = os.path.join(folder, "tools")
    _pip("install", "--quiet", "--target", tools, "setuptools", "wheel")
    with open(os.path.join(tools, "sitecustomize.py"), "w", encoding="utf-8") as file:
        file.write(_SITECUSTOMIZE)
    path = os.pathsep.join(filter(None, [tools, os.environ.get("PYTHONPATH")]))
    wheels = os.path.join(folder, "wheels")
    # Without isolation, else pip hides the folder of the tools from the build.
    command = ["wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", wheels, THEANO]
    _pip(*command, environment={**os.environ, "PYTHONPATH": path})
    (wheel,) = glob.glob(os.path.join(wheels, "*.whl"))
    return wheel


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _pip(*arguments: str, environment: Optional[Dict[str, str]] = None) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    status = subprocess.run(command, env=environment).returncode
    if status:
        shown = " ".join(command)
        print(f"This command failed; what it printed says why: {shown}", file=sys.stderr)
        sys.exit(status)


if __name__ == "__main__":
    main()
