"""Run the tests of published reversals for Theano and TensorFlow, unchanged, on ours.

Run ``python benchmarks/published_graph_tests.py treeano=PATH tfu=PATH tensorflow-models=PATH`` with
checkouts of github.com/diogo149/treeano, diogo149/tfu and tensorflow/models (of the last one, a
folder that has research/domain_adaptation will do). None is on an index, and none runs on a current
framework as a whole, so only the module of the reversal and its test are loaded. The test runs with
their reversal, with ours under its name, and with the identity, which shows whether it would detect
a missing reversal. The op of tensorflow-models is written in C++ for TensorFlow 1 and is not built.
The test of `grad_scale` in the installed Theano runs in the same way, with `scale_gradient`, where
what it imports is installed: pynose and parameterized.
The exit code is 1 if ours fails a test that theirs passes, or any test where theirs does not run.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import types
import unittest
from typing import Any, Callable, Dict, NamedTuple, Optional

SHOWN = ("theirs", "ours", "identity")


class Package(NamedTuple):
    """Where the reversal and its test are, and the framework."""

    framework: str
    module: str  # as the test imports it
    source: Optional[str]  # None: it cannot be built
    test: str
    function: str = "gradient_reversal"
    only: str = "test"  # what the names of the tests begin with


PACKAGES = {
    "treeano": Package(
        "theano",
        "treeano.theano_extensions.gradient",
        "treeano/theano_extensions/gradient.py",
        "treeano/theano_extensions/tests/gradient_test.py",
    ),
    "tfu": Package(
        "tensorflow",
        "tfu.sandbox.gradient",
        "tfu/sandbox/gradient.py",
        "tfu/sandbox/tests/gradient_test.py",
    ),
    "tensorflow-models": Package(
        "tensorflow",
        "grl_ops",
        None,
        "research/domain_adaptation/domain_separation/grl_ops_test.py",
    ),
    "Theano": Package(
        "theano", "theano.gradient", "", "tests/test_gradient.py", "grad_scale", "test_grad_scale"
    ),
}


def main() -> int:
    """Run each package in a process of its own and print the table."""
    print(f"{'the tests of, with':28}", *(f"{each:20}" for each in SHOWN))
    failed = False
    theano = ["Theano="] if importlib.util.find_spec("parameterized") else []
    for argument in [*sys.argv[1:], *theano]:
        name, path = argument.split("=", 1)
        command = [sys.executable, "-W", "ignore", __file__, "--in", name, path]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{name:28}", *(f"{found[each]:20}" for each in SHOWN), flush=True)
        wanted = found["ours"] if PACKAGES[name].source is None else found["theirs"]
        failed |= found["ours"] != wanted or "passed" not in found["ours"]
    return int(failed)


def in_process(name: str, path: str) -> Dict[str, str]:
    """Run the test of a package with each reversal."""
    package = PACKAGES[name]
    prepare(package.framework)
    if name == "Theano":
        module: Any = importlib.import_module("theano.gradient")
        path = os.path.dirname(str(importlib.import_module("theano").__file__))
    else:
        module = stub(package.module)
    if package.source:
        source = pathlib.Path(path, package.source)
        exec(compile(source.read_text(), str(source), "exec"), vars(module))
    elif package.module == "grl_ops":
        stub("grl_op_grads")
    found = {}
    for which, reversal in reversals(module, package.function).items():
        calls = []

        def counted(*arguments: Any, reversal: Any = reversal, calls: Any = calls) -> Any:
            calls.append(arguments)
            return reversal(*arguments)

        setattr(module, package.function, counted if reversal else None)
        test = pathlib.Path(path, package.test)
        found[which] = run(test, package.only) if reversal else "-"
        if reversal and not calls:
            raise SystemExit(f"the test of {name} never called the reversal")
    return found


def prepare(framework: str) -> None:
    """Import TensorFlow as version 1, which the tests want, or Theano without a compiler."""
    if framework == "theano":
        os.environ["THEANO_FLAGS"] = f"{os.environ.get('THEANO_FLAGS', '')},cxx=".strip(",")
        import revgrad_theano.compat  # noqa: F401
    else:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        import revgrad_tensorflow.backend  # noqa: F401  with TensorFlow under its own name

        tf.compat.v1.disable_resource_variables()
        sys.modules["tensorflow"] = tf.compat.v1
    if importlib.util.find_spec("nose") is None:
        stub("nose.tools").assert_equal = unittest.TestCase().assertEqual


def stub(name: str) -> Any:
    """Put an empty module, and the packages that it is in, among the imported ones."""
    parent = None
    for end in [*(each.start() for each in re.finditer(r"\.", name)), len(name)]:
        module = sys.modules.setdefault(name[:end], types.ModuleType(name[:end]))
        module.__path__ = []
        if parent is not None:
            setattr(parent, name[:end].rpartition(".")[2], module)
        parent = module
    return parent


def reversals(module: Any, name: str) -> Dict[str, Optional[Callable[..., Any]]]:
    """Return the three functions; None for theirs where it is not built."""
    import revgrad

    def ours(x: Any, factor: float = -1.0) -> Any:
        return revgrad.scale_gradient(x, factor) if factor != -1 else revgrad.reverse(x, 1.0)

    return {
        "theirs": getattr(module, name, None),
        "ours": ours,
        "identity": lambda x, *factor: x,
    }


def run(test: pathlib.Path, only: str) -> str:
    """Run the tests of a file and return the counts."""
    spec = importlib.util.spec_from_file_location("published_test", test)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    suite = unittest.TestSuite()
    for value in vars(module).values():
        if isinstance(value, types.FunctionType) and value.__name__.startswith(only):
            suite.addTest(unittest.FunctionTestCase(value))
        elif isinstance(value, type) and issubclass(value, unittest.TestCase) and only == "test":
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(value))
    with contextlib.redirect_stdout(io.StringIO()):
        result = unittest.TextTestRunner(sys.stderr, verbosity=0).run(suite)
    bad = len(result.failures) + len(result.errors)
    passed = result.testsRun - bad - len(result.skipped)
    return ", ".join(f"{n} {word}" for n, word in ((passed, "passed"), (bad, "failed")) if n)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in"]:
        print(json.dumps(in_process(*sys.argv[2:])))
    else:
        sys.exit(main())
