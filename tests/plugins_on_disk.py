"""Plugins as code, one that works and one of each kind that is broken, and how to install them."""

import contextlib
import io
import os
import textwrap
from importlib import metadata

from revgrad._cli.main import main

PLUGINS = [
    each.name for each in metadata.distribution("revgrad").entry_points if each.group == "revgrad"
]
"""The plugins of this repository, which tests of others leave out."""

GOOD = """
import revgrad

@revgrad.hookimpl
def revgrad_backends():
    return [revgrad.BackendSpec("good", ("good_plugin:Tensor",), "good_plugin:GoodBackend")]

class Tensor:
    pass

class GoodBackend(revgrad.Backend):
    def multiply_gradient(self, x, factor):
        return "reversed by good"

    reverse = multiply_gradient
"""


def hook(body, name="revgrad_backends", arguments=""):
    """Return the code of a plugin by the body of its hook."""
    return f"import revgrad\n\n@revgrad.hookimpl\ndef {name}({arguments}):\n    {body}\n"


def spec(name, claim="a:B"):
    return f'revgrad.BackendSpec("{name}", ("{claim}",), "a:C")'


UNSPEAKABLE = """
class {name}({base}):
    def {method}(self):
        raise RuntimeError("no words")
"""
SPEECHLESS = UNSPEAKABLE.format(name="Speechless", base="Exception", method="__str__")
SHY = UNSPEAKABLE.format(name="Shy", base="", method="__repr__")
# By stage and kind: the code, and the words of the error.
_BY_STAGE = {
    "import": {
        "import": ("raise RuntimeError('no such driver')", "RuntimeError: no such driver"),
        "exit": ("import sys; sys.exit('bye')", "SystemExit: bye"),
        "skip": ("raise type('Skipped', (BaseException,), {})('no device')", "Skipped: no device"),
        "speechless": (f"{SPEECHLESS}raise Speechless()", "Speechless. The other backends work on"),
    },
    "registration": {
        "registration": (hook("return []", arguments="session"), "PluginValidationError"),
        "no hook": (
            hook("return []", name="revgrad_backend"),
            "implements no hook of revgrad; decorate a function named revgrad_backends with",
        ),
        "unhashable": (
            "import sys\nsys.modules[__name__] = {}",
            "ValueError: {} implements no hook of revgrad",
        ),
    },
    "hook": {
        "hook": (hook("raise KeyError('version')"), "KeyError: 'version'"),
        "result": (hook("return 3"), "revgrad_backends must return specs; got 3 (int)"),
        "text": (hook("return 'theano'"), "revgrad_backends must return specs; got 'theano' (str)"),
        "nothing": (hook(f"[{spec('forgotten')}]"), "returned None; return its specs"),
    },
    "spec": {
        "shy spec": (hook("return [Shy()]") + SHY, "got an object without a repr (Shy)"),
        "spec": (
            hook(f"return [{spec('beside')}, {spec('bad', 'theano.Variable')}]"),
            "ValueError: the spec of backend 'bad': a claim must read 'module:qualname'",
        ),
        "not a spec": (hook("return ['theano']"), "a revgrad.BackendSpec; got 'theano' (str)"),
        "name": (
            hook(f"return [{spec('numpy')}]"),
            "the name is taken by the backend of revgrad.reference:NumpyBackend",
        ),
    },
}
BROKEN = {kind: each for kinds in _BY_STAGE.values() for kind, each in kinds.items()}
STAGE = {kind: stage for stage, kinds in _BY_STAGE.items() for kind in kinds}


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
    path = [*map(str, folders), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **variables}


def command(*arguments):
    """Run a command in this process; return exit code, standard output and standard error."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        try:
            main(arguments)
        except SystemExit as exited:
            return exited.code, printed.getvalue(), errors.getvalue()
    raise AssertionError("main() returned")
