"""Mutation testing: change one thing in the code, and see whether a test fails.

Run ``tox run -e mutation``, or ``python benchmarks/mutation.py`` where cosmic-ray, pytest and
hypothesis are installed; ``python benchmarks/mutation.py revgrad/_lambda.py "schedules/*.py"`` for
some of the files in TARGETS, ``--sample 20`` for so many mutants of each, drawn with a fixed seed,
``--minutes 10`` to stop then, ``--jobs 2`` to test so many at once. ``--again TABLE`` tests those
that survived in a table that was printed before and are not in the list, and prints the table with
what they did now.

cosmic-ray makes the mutants; each is tested in a forked process that has imported everything else,
in a copy of the repository. mutation.txt lists mutants that cannot be told from the original, or
that no test is meant to kill, grouped by reason.
Prints a table and every mutant that survives; the exit code is 1 if there is one, or if one of the
list is killed.
"""

import argparse
import difflib
import importlib.util
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

from theano_own_tests import read_known

ROOT = pathlib.Path(__file__).resolve().parent.parent
KNOWN = pathlib.Path(__file__).with_suffix(".txt")
LAMBDA = "test_lambda test_reference test_variable test_mistakes"
RAMPS = "test_schedules test_schedule_backend test_scheduler test_migration test_mistakes"
# Of test_mistakes.py those tests start processes, which kill no mutant of λ or of a schedule.
PROCESSES = "cannot_be_checked or an_unknown_name or missing or mistyped"


def core(names: str, without: str = f"not ({PROCESSES})") -> List[str]:
    """Return the paths of tests of the core; those that are quick and likely to fail come first."""
    paths = [f"tests/core/{name}.py" for name in names.split()]
    return ["--hypothesis-profile=mutation", "-k", without, *paths]


def testing(names: str) -> List[str]:
    """Return the paths of tests of the suite."""
    return [f"tests/testing/{name}.py" for name in names.split()]


def of(backend: str, names: str) -> Tuple[str, List[str]]:
    """Return a backend's framework, and the paths of its tests."""
    return backend, [f"tests/{backend}/{name}.py" for name in names.split()]


# Those start processes, or pytest, for what the other tests do as well.
HEAVY = "under_pytest or hypothesis or 64_threads or soak or not_light"
SUITE = ["-k", f"not ({HEAVY})", *testing("test_cases test_bites test_suite")]
# What only a framework with in-graph values runs: the toy of the suite's tests has them.
TOY = [*core(LAMBDA, f"not ({PROCESSES} or {HEAVY})"), *SUITE[2:]]
COMMAND = core("test_mistakes test_command test_doctor", "")
FLOW = testing("test_flow_parts test_flow")
# Of each file the tests that may kill a mutant of it, and the framework that they import.
TARGETS: Dict[str, Tuple[str, List[str]]] = {
    "revgrad/_lambda.py": ("", core(LAMBDA)),
    "revgrad/_variable.py": ("", core("test_variable test_lambda test_scheduler test_mistakes")),
    "revgrad/_native.py": ("", [*TOY, "tests/autograd"]),
    "revgrad/reference.py": ("", TOY),
    "revgrad/backend.py": (
        "",
        [*core("test_registry test_mistakes test_plugins"), *SUITE[2:], "tests/autograd"],
    ),
    "revgrad/_reverse.py": (
        "",
        [*core("test_registry test_mistakes test_import"), "tests/autograd"],
    ),
    "revgrad/_registry.py": ("", core("test_registry test_mistakes test_plugins test_import", "")),
    "revgrad/_plugins.py": ("", core("test_plugins test_mistakes test_registry", "")),
    "revgrad/_names.py": ("", [*core("test_import test_mistakes", ""), "tests/autograd"]),
    "revgrad/_tracers.py": ("", core("test_registry test_lambda")),
    "revgrad/exceptions.py": ("", core("test_registry test_plugins test_mistakes", "")),
    "revgrad/schedules/_arguments.py": ("", core(RAMPS)),
    "revgrad/schedules/_base.py": ("", core(RAMPS)),
    "revgrad/schedules/_joins.py": ("", core(RAMPS)),
    "revgrad/schedules/_progress.py": ("", core(RAMPS)),
    "revgrad/schedules/_ramps.py": ("", core(RAMPS)),
    "revgrad/schedules/_scheduler.py": ("", core("test_scheduler test_mistakes test_migration")),
    "revgrad/_cli/main.py": ("", COMMAND),
    "revgrad/_cli/schedule.py": ("", COMMAND),
    "revgrad/_cli/doctor.py": ("", COMMAND),
    "revgrad/_cli/check.py": ("", COMMAND),
    "revgrad/_cli/console.py": ("", COMMAND),
    "revgrad/_cli/isolation.py": ("", COMMAND),
    "revgrad/_cli/worker.py": ("", COMMAND),
    "revgrad/testing/flow/__init__.py": ("", FLOW),
    "revgrad/testing/flow/_diagnosis.py": ("", FLOW),
    "revgrad/testing/flow/_domain_loss.py": ("", FLOW),
    "revgrad/testing/flow/_report.py": ("", FLOW),
    "revgrad/testing/flow/_slopes.py": ("", FLOW),
    "revgrad/testing/_cases.py": ("", SUITE),
    "revgrad/testing/_check.py": ("", SUITE),
    "revgrad/testing/_property.py": ("", SUITE[2:]),
    "revgrad/testing/_runner.py": ("", SUITE[2:]),
    "revgrad/testing/harness.py": ("", SUITE),
    "revgrad/testing/checks/choice.py": ("", SUITE),
    "revgrad/testing/checks/factors.py": ("", SUITE),
    "revgrad/testing/checks/programs.py": ("", SUITE),
    "revgrad/testing/checks/usage.py": ("", SUITE),
    "revgrad/testing/checks/values.py": ("", SUITE),
    "revgrad_autograd/ops.py": ("autograd", ["tests/autograd"]),
    "revgrad_autograd/native.py": ("autograd", ["tests/autograd"]),
    "revgrad_torch/modules.py": of("torch", "test_torch_modules"),
    "revgrad_jax/ops.py": of("jax", "test_jax_ops test_jax_contract"),
    "revgrad_jax/native.py": of("jax", "test_jax_ops test_jax_layers test_jax_contract"),
    "revgrad_jax/equinox.py": of("jax", "test_jax_layers"),
    "revgrad_jax/linen.py": of("jax", "test_jax_layers"),
    "revgrad_jax/nnx.py": of("jax", "test_jax_layers"),
    "revgrad_tensorflow/ops.py": of("tensorflow", "test_tensorflow_ops test_tensorflow_contract"),
    "revgrad_keras/layers.py": of("keras", "on_each_backend/keras_layer"),
    "revgrad_keras/callbacks.py": of("keras", "on_each_backend/keras_callback"),
    "revgrad_pytensor/ops.py": of("pytensor", "test_pytensor_ops test_pytensor_contract"),
    "revgrad_theano/ops.py": of("theano", "test_ops test_in_graph test_contract"),
    "revgrad_lasagne/layers.py": of("lasagne", "test_layers"),
    "revgrad_torch/ops.py": of("torch", "test_torch_ops test_torch_contract"),
    "revgrad_mlx/ops.py": of("mlx", "test_mlx_ops test_mlx_contract"),
    "revgrad_mlx/modules.py": of("mlx", "test_mlx_ops test_mlx_contract"),
    # Paddle crashes in a forked process while the contract is checked.
    "revgrad_paddle/ops.py": of("paddle", "test_paddle_ops"),
    "revgrad_paddle/layers.py": of("paddle", "test_paddle_ops"),
    "revgrad_mindspore/ops.py": of("mindspore", "test_mindspore_ops test_mindspore_contract"),
    "revgrad_mindspore/cells.py": of("mindspore", "test_mindspore_ops test_mindspore_contract"),
}

# A boundary and the opposite of each comparison, and one other operator for each.
OPERATORS = """
    ReplaceComparisonOperator_Eq_NotEq ReplaceComparisonOperator_NotEq_Eq
    ReplaceComparisonOperator_Lt_LtE ReplaceComparisonOperator_Lt_GtE
    ReplaceComparisonOperator_LtE_Lt ReplaceComparisonOperator_LtE_Gt
    ReplaceComparisonOperator_Gt_GtE ReplaceComparisonOperator_Gt_LtE
    ReplaceComparisonOperator_GtE_Gt ReplaceComparisonOperator_GtE_Lt
    ReplaceComparisonOperator_Is_IsNot ReplaceComparisonOperator_IsNot_Is
    ReplaceBinaryOperator_Add_Sub ReplaceBinaryOperator_Sub_Add ReplaceBinaryOperator_Mul_Div
    ReplaceBinaryOperator_Div_Mul ReplaceBinaryOperator_FloorDiv_Mul ReplaceBinaryOperator_Mod_Mul
    ReplaceBinaryOperator_Pow_Mul ReplaceBinaryOperator_BitOr_BitAnd
    ReplaceBinaryOperator_BitAnd_BitOr ReplaceUnaryOperator_Delete_USub
    ReplaceUnaryOperator_Delete_Not ReplaceUnaryOperator_Delete_Invert AddNot ReplaceTrueWithFalse
    ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue
    ReplaceContinueWithBreak ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop
"""


class Mutant(NamedTuple):
    """A file with one change, and the change in one line."""

    code: str
    change: str


def mutants(file: str) -> Iterator[Mutant]:
    """Yield the mutants of a file."""
    import cosmic_ray.plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.operators.operator import Operator

    class ReturnNone(Operator):  # type: ignore[misc]
        """Return None in place of a value."""

        def mutation_positions(self, node: Any) -> Iterator[Any]:
            if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
                yield node.start_pos, node.end_pos

        def mutate(self, node: Any, index: int) -> Any:
            from parso.python.tree import Name

            node.children[1] = Name(" None", node.children[1].start_pos)
            return node

        @classmethod
        def examples(cls) -> Any:
            return ()

    source = (ROOT / file).read_text(encoding="utf-8")
    tree, seen = get_ast(source), set()
    # The numbers in a check are examples: another number is another example.
    names = [each for each in OPERATORS.split() if "/checks/" not in file or "Number" not in each]
    kinds = [cosmic_ray.plugins.get_operator(f"core/{each}") for each in names]
    for kind in (*kinds, ReturnNone):
        count = sum(len(list(kind().mutation_positions(node))) for node in ast_nodes(tree))
        for occurrence in range(count):
            code = mutate_code(source, kind(), occurrence)
            if code is None or code in seen:
                continue
            seen.add(code)
            change = described(source, code)
            # Of type checkers only.
            if "- @overload" not in change and "TYPE_CHECKING" not in change:
                yield Mutant(code, f"{file}: {change}")


def described(before: str, after: str) -> str:
    """Return a change in one line, without the number of the line, which other changes move."""
    old, new = before.splitlines(), after.splitlines()
    differs = (i for i, (a, b) in enumerate(zip(old, new)) if a.strip() != b.strip())
    first = next(differs, len(old) - 1)
    step = 1 if old[first].lstrip().startswith("@") else -1
    around = old[first:] if step == 1 else old[first::-1]
    names = (re.match(r"\s*(?:async )?(?:def|class) (\w+)", line) for line in around)
    name = next((found[1] for found in names if found), "module")
    lines = [each for each in difflib.ndiff(old, new) if each[0] in "-+" and each[1:].strip()]
    lines.sort(key=lambda each: each[0] == "+")
    return f"{name}: " + "  ".join(re.sub(r"\s+", " ", each).strip() for each in lines)


# --- in a process that has imported everything but revgrad ----------------------------------------

WORKER = """
import importlib, json, os, sys
for name in ("pytest", "_pytest.doctest", "hypothesis.extra.numpy", "numpy.testing", "pluggy",
             "mpmath", "rich.table", "csv", "unittest.mock", sys.argv[1]):
    # Theano needs revgrad_theano.compat first, and Paddle crashes where it was forked.
    if name not in ("", "theano", "lasagne", "paddle"):
        try:
            importlib.import_module(name)
        except ImportError:
            pass
import pytest
assert not any(name.startswith("revgrad") for name in sys.modules)
for line in sys.stdin:
    seconds, *arguments = json.loads(line)
    child = os.fork()
    if not child:
        import resource
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        if not seconds:  # the tests without a mutant: their output is shown
            os.dup2(2, 1)
        else:
            os.dup2(null, 1), os.dup2(null, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        code = pytest.main(arguments)
        sys.stdout.flush()
        os._exit(int(code))
    print(child, flush=True)
    _, status, usage = os.wait4(child, 0)
    print(status, usage.ru_utime + usage.ru_stime, flush=True)
"""
QUICK = [
    "-x",
    "-q",
    "-rN",
    "--disable-warnings",
    "-p",
    "no:cacheprovider",
]


class Worker:
    """A process that forks one for each run of the tests, in a copy of the repository."""

    def __init__(self, folder: str, framework: str) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": folder,
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, framework],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, tests: List[str], seconds: int) -> Tuple[int, float]:
        """Run tests for at most so many seconds of the processor; return the status and those."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps([seconds, *QUICK, *tests]), file=self.process.stdin, flush=True)
        child = int(self.process.stdout.readline())
        # A test that waits uses no processor: it is killed after a longer time.
        timer = threading.Timer(20 * seconds or 1200, os.killpg, (child, signal.SIGKILL))
        timer.start()
        status, used = self.process.stdout.readline().split()
        timer.cancel()
        return int(status), float(used)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


class Found(NamedTuple):
    """What a mutant did to the tests."""

    change: str
    killed: bool


def tested(
    file: str, args: argparse.Namespace, folders: List[str], baseline: Dict[str, float]
) -> Tuple[int, List[Found]]:
    """Test the mutants of a file; return how many there are, and what those tested did."""
    every = list(mutants(file))
    count, listed = len(every), []
    if args.again is not None:
        every = [each for each in every if f"survived: {each.change}\n" in args.again]
        listed = [Found(each.change, False) for each in every if each.change in args.known]
        every = [each for each in every if each.change not in args.known]
    chosen = random.Random(0).sample(every, min(args.sample or len(every), len(every)))
    rest = iter(chosen)
    if not chosen or time.monotonic() > args.until:
        return count, listed
    framework, tests = TARGETS[file]
    key = " ".join(tests)
    if key not in baseline:
        worker = Worker(folders[0], framework)
        status, baseline[key] = worker.run(tests, 0)
        worker.close()
        if status:
            raise SystemExit(f"the tests of {file} fail without a mutant: {key}")
    seconds = int(10 + 5 * baseline[key])
    with ThreadPoolExecutor(len(folders)) as pool:
        parts = pool.map(lambda each: test_in(each, file, rest, args.until, seconds), folders)
        return count, [*listed, *(each for part in parts for each in part)]


def test_in(
    folder: str, file: str, rest: Iterator[Mutant], until: float, seconds: int
) -> List[Found]:
    """Test mutants in one copy of the repository, for as long as some are left, or until then."""
    framework, tests = TARGETS[file]
    if not framework:
        tests = [*tests, "--doctest-modules", file]
    path = pathlib.Path(folder, file)
    source = path.read_text(encoding="utf-8")
    worker = Worker(folder, framework)
    found = []
    for mutant in rest:
        # Python would take a compiled file of the same second and size for that of the mutant.
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()
        path.write_text(mutant.code, encoding="utf-8")
        status, _ = worker.run(tests, seconds)
        found.append(Found(mutant.change, bool(status)))
        if time.monotonic() > until:
            break
    path.write_text(source, encoding="utf-8")
    worker.close()
    return found


def main() -> int:
    """Test the mutants and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="or a pattern; default: all")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants of each file")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", type=lambda path: pathlib.Path(path).read_text("utf-8"))
    args = parser.parse_args()
    if args.again is not None and (args.sample or args.minutes < 1e9):
        parser.error("--again tests all that survived: leave out --sample and --minutes")
    args.until = time.monotonic() + 60 * args.minutes
    args.known = known = read_known(KNOWN.read_text(encoding="utf-8"))
    print(f"{'file':36} mutants tested killed listed survived", flush=True)
    differences: List[str] = []
    baseline: Dict[str, float] = {}  # by tests, the seconds that they take
    sums = [0] * 5
    with tempfile.TemporaryDirectory() as root:
        folders = [os.path.join(root, str(number)) for number in range(args.jobs)]
        ignore = shutil.ignore_patterns("__pycache__", ".*", "build", "dist", "_build", "results")
        for folder in folders:
            shutil.copytree(ROOT, folder, ignore=ignore)
        for file in filter(wanted(args.files), TARGETS):
            before = counts_of(file, args.again or "")
            if args.again is not None and not any(before):
                continue
            count, found = tested(file, args, folders, baseline)
            if not count:
                continue
            killed = [each.change for each in found if each.killed]
            lived = [each.change for each in found if not each.killed]
            survived = [each for each in lived if each not in known]
            differences += [f"survived: {each}" for each in survived]
            differences += [f"killed, but listed: {each}" for each in killed if each in known]
            counts = [count, len(found), len(killed), len(lived) - len(survived), len(survived)]
            if args.again is not None:
                # Without those that survived and are no longer made, as the code is another.
                counts[1] = before[1] - max(0, before[4] - len(found))
                counts[3] += before[3]
                counts[2] = counts[1] - counts[3] - counts[4]
            sums = [a + b for a, b in zip(sums, counts)]
            print(f"{file:36}", *row(counts), flush=True)
            print(*survived, sep="\n", file=sys.stderr, flush=True)
    print(f"{'all':36}", *row(sums))
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{usage.ru_utime + usage.ru_stime:.0f} s of processor time")
    print(*differences, sep="\n")
    return int(bool(differences))


def counts_of(file: str, table: str) -> List[int]:
    """Return the numbers of the row of a file, zeros if it has none."""
    found = re.search(rf"^{re.escape(file)} +(\d.*)", table, re.MULTILINE)
    return [int(each) for each in found[1].split()] if found else [0] * 5


def wanted(patterns: List[str]) -> Callable[[str], bool]:
    """Return which files match one of the patterns, if any, and have their framework installed."""

    def is_wanted(file: str) -> bool:
        framework, _ = TARGETS[file]
        here = not framework or importlib.util.find_spec(framework) is not None
        named = any(pathlib.PurePath(file).match(each) for each in patterns)
        return here and (named or not patterns)

    return is_wanted


def row(counts: List[int]) -> Iterator[str]:
    """Yield the numbers of a row, each under its heading."""
    for count, width in zip(counts, (7, 6, 6, 6, 8)):
        yield f"{count:{width}}"


if __name__ == "__main__":
    sys.exit(main())
