"""Plugins as code, one that works and one of each kind that is broken, and how to install them."""

import contextlib
import io
import os
import re
import textwrap
from importlib import metadata

import pytest

from revgrad import BackendSpec
from revgrad._cli.main import main

PLUGINS = [
    each.name for each in metadata.distribution("revgrad").entry_points if each.group == "revgrad"
]
"""The plugins of this repository, which tests of others leave out."""


def hook(body, name="revgrad_backends", arguments=""):
    """Return the code of a plugin by the body of its hook."""
    return f"import revgrad\n\n@revgrad.hookimpl\ndef {name}({arguments}):\n    {body}\n"


def spec(name, claim="a:B", factory="a:C", **more):
    """Return a spec as code."""
    return f"revgrad.{BackendSpec(name, (claim,), factory, **more)!r}"


GOOD = f"""
{hook(f"return {spec('good', 'good_plugin:Tensor', 'good_plugin:Backend')}")}

class Tensor:
    pass

class Backend(revgrad.Backend):
    def multiply_gradient(self, x, factor):
        return "reversed by good"

    reverse = multiply_gradient
"""
_NO_WORDS = "{'__str__': lambda self: 1 / 0, '__repr__': lambda self: 1 / 0}"
# Plugins that raise: when they are imported, and in their hook.
BROKEN_IMPORT = "raise OSError('no such driver')"
RAISES = hook("raise KeyError('version')")
# By the name of the plugin: the stage that fails, the code, and the words of the error.
BROKEN = {
    "broken-import": ("import", BROKEN_IMPORT, "OSError: no such driver"),
    "broken-exit": ("import", "import sys; sys.exit('bye')", "SystemExit: bye"),
    "broken-skip": ("import", "raise type('Skip', (BaseException,), {})('no GPU')", "Skip: no GPU"),
    "broken-shy": ("import", f"raise type('Shy', (Exception,), {_NO_WORDS})", "Shy. The other"),
    "broken-arguments": ("registration", hook("return []", arguments="x"), "PluginValidationError"),
    "broken-no-hook": (
        "registration",
        hook("return []", name="revgrad_backend"),
        "implements no hook of revgrad; decorate a function named revgrad_backends with",
    ),
    "broken-dict": (
        "registration",
        "import sys\nsys.modules[__name__] = {}",  # which cannot be hashed
        "ValueError: {} implements no hook of revgrad",
    ),
    "broken-hook": ("hook", RAISES, "KeyError: 'version'"),
    "broken-number": ("hook", hook("return 3"), "revgrad_backends must return specs; got 3 (int)"),
    "broken-text": ("hook", hook("return 'theano'"), "must return specs; got 'theano' (str)"),
    "broken-none": ("hook", hook(f"[{spec('forgotten')}]"), "returned None; return its specs"),
    "broken-shy-spec": ("spec", hook(f"return [type('Shy', (), {_NO_WORDS})()]"), "repr (Shy)"),
    "broken-spec": (
        "spec",
        hook(f"return [{spec('beside')}, {spec('bad', 'theano.Variable')}]"),
        "ValueError: the spec of backend 'bad': a claim must read 'module:qualname'",
    ),
    "broken-kind": ("spec", hook("return ['theano']"), "a revgrad.BackendSpec; got 'theano' (str)"),
    "broken-name": ("spec", hook(f"return {spec('numpy')}"), "the name is taken by the backend of"),
}


def install(site, name, code, **modules):
    """Install a distribution with one plugin, and modules beside it, into a folder."""
    info = site / f"{name}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    plugin = name.replace("-", "_")
    (info / "entry_points.txt").write_text(f"[revgrad]\n{name} = {plugin}\n")
    for module, text in {plugin: code, **modules}.items():
        (site / f"{module}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def environment(*folders, **variables):
    """Return the environment variables of a process that has folders first on its path."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **variables}


def command(*arguments):
    """Run a command in this process; return exit code, standard output and standard error."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        with pytest.raises(SystemExit) as exited:
            main(arguments)
    return exited.value.code, printed.getvalue(), errors.getvalue()


def rows_of(table):
    """Return the cells of a table that a command prints where there is no terminal."""
    return [re.split("  +", line) for line in table.splitlines()]
