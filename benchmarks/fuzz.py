"""Fuzz what reads foreign input: λ, schedules, states, specs, plugins, the command line.

Run ``python benchmarks/fuzz.py`` (hypothesis is needed), or with ``--seconds 60`` for each target,
or ``python benchmarks/fuzz.py state spec`` for some of them. Each target must work or end in an
error that its documentation names, and reading a schedule or a state must execute no code: an audit
hook of Python watches. Prints how many examples each target had in its time; the exit code is 1 if
one failed. tests/core/test_fuzz.py runs some examples of each.
"""

import argparse
import contextlib
import decimal
import fractions
import io
import json
import numbers
import os
import pathlib
import sys
import tempfile
import time
import traceback
import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.extra import numpy as npst

import revgrad
from revgrad import LambdaScheduler, LambdaVariable, _plugins, reference, schedules
from revgrad._cli.main import main as command
from revgrad._cli.schedule import KINDS
from revgrad._lambda import short_repr

# --- what is foreign ------------------------------------------------------------------------------


class Failing:
    """An object all of whose methods raise."""

    def _fail(self, *arguments):
        raise RuntimeError("no words")

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = __call__ = __array__ = _fail
    __float__ = __index__ = __lt__ = __gt__ = __getitem__ = _fail
    __hash__ = None


class Unprintable:
    """An object that is nothing special, whose repr raises."""

    def __repr__(self):
        raise RuntimeError("no words")


class BadReal(float):
    """A number that cannot be converted."""

    def __float__(self):
        raise RuntimeError("no number")

    __repr__ = __float__


class BadIndex(int):
    """An integer without a repr."""

    def __repr__(self):
        raise RuntimeError("no words")


class Registered(Unprintable):
    """Says that it is a real number, and is none."""


numbers.Real.register(Registered)


def deep(levels, wrap, item):
    """Wrap an item many times."""
    for _ in range(levels):
        item = wrap(item)
    return item


def scaled(plain):
    """Put a schedule into another one."""
    return {"kind": "Scaled", "scale": 1, "schedule": plain}


DTYPES = st.one_of(
    npst.scalar_dtypes(),
    npst.unicode_string_dtypes(),
    npst.byte_string_dtypes(),
    st.just(np.dtype(object)),
    st.just(np.dtype("g")),
    st.just(np.dtype([("a", "f8")])),
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
ARRAYS = DTYPES.flatmap(
    lambda dtype: (
        SHAPES.map(lambda shape: np.zeros(shape, dtype))
        if dtype.hasobject or dtype.fields or dtype.char == "g"
        else npst.arrays(dtype, SHAPES)
    )
)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(10**300, 10**320),
    st.floats(),
    st.fractions(),
    st.decimals(),
    st.complex_numbers(),
    st.booleans(),
    st.sampled_from(
        [fractions.Fraction(1, 10**400), decimal.Decimal("sNaN"), np.longdouble(1e300)]
    ),
)
# Named, because hypothesis writes what it draws from, and some of these cannot be written.
ODDITIES = {
    "failing": Failing(),
    "unprintable": Unprintable(),
    "registered": Registered(),
    "negative without a float": BadReal(-1),
    "without a float": BadReal(1),
    "negative without a repr": BadIndex(-1),
    "without a repr": BadIndex(3),
    "class": Failing,
    "object": object(),
    "os.system": os.system,
    "function": len,
    "variable": LambdaVariable(0.5),
    "schedule": schedules.Dann(),
    "masked": np.ma.array([1.0, 2.0], mask=[0, 1]),
    "matrix": np.matrix([[1.0, -1.0]]),
    "deep list": deep(3000, lambda each: [each], 0),
    "deep dict": deep(3000, scaled, {}),
    "deep schedule": deep(150, scaled, {"kind": "Dann"}),
    "huge": 10**5000,
    "huge and negative": -(10**5000),
}
ODD = st.sampled_from(list(ODDITIES)).map(lambda name: ODDITIES[name])
PLAIN = st.one_of(NUMBERS, st.text(max_size=8), st.binary(max_size=8), st.none())
KEYS = st.one_of(st.text(max_size=4), st.sampled_from(["kind", "scale", "schedule", "callable"]))
ANYTHING = st.recursive(
    st.one_of(PLAIN, ODD, ARRAYS),
    lambda items: st.one_of(
        st.lists(items, max_size=3),
        st.lists(items, max_size=3).map(tuple),
        st.dictionaries(KEYS, items, max_size=3),
    ),
    max_leaves=6,
)
XS = st.sampled_from(["float16", "float32", "float64", "complex64"]).flatmap(
    lambda dtype: SHAPES.map(lambda shape: np.ones(shape, dtype))
)

EXAMPLES = [
    schedules.Constant(0.3),
    schedules.Dann(),
    schedules.Linear(0, 2),
    schedules.Cosine(1, 0),
    schedules.Exponential(1, 0.1),
    schedules.Polynomial(),
    schedules.InverseDecay(),
    schedules.Piecewise([(0.2, 0), (0.4, 1)]),
    schedules.Delayed(schedules.Dann(), 0.1),
    schedules.Sequential([schedules.Linear(), schedules.Constant(1)], [0.5]),
    0.5 * schedules.Dann(),
]


@st.composite
def changed(draw, plain):
    """Draw a dict like `plain`, with something in it replaced, removed or added."""
    changed = json.loads(json.dumps(plain))
    for _ in range(draw(st.integers(0, 3))):
        into = changed
        while True:  # down to some dict or list in it
            keys = list(into) if isinstance(into, dict) else list(range(len(into)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(into[key], (dict, list)) and draw(st.booleans()):
                into = into[key]
                continue
            what = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
            if what == "remove":
                del into[key]
            elif what == "replace" or isinstance(into, list):
                into[key] = draw(ANYTHING)
            else:
                into[draw(KEYS)] = draw(ANYTHING)
            break
    return changed


# --- no code is executed --------------------------------------------------------------------------

WATCHED = (
    "exec",
    "compile",
    "import",
    "open",
    "os.",
    "subprocess.",
    "pickle.",
    "ctypes.",
    "socket.",
)
watching, seen = [False], []


def note(event, arguments):
    """Note what Python does on behalf of a state that is read."""
    if watching[0] and event.startswith(WATCHED):
        seen.append((event, arguments))


sys.addaudithook(note)


@contextlib.contextmanager
def no_code():
    """Fail if code is executed, a module imported, or a file or process opened."""
    import difflib  # noqa: F401  which an error needs

    seen.clear()
    watching[0] = True
    try:
        yield
    finally:
        watching[0] = False
    # traceback and warnings look for the source of a line.
    found = [each for each in seen if not str(each[1][:1]).endswith((".py'", ".py',)"))]
    assert not found, found


class Drawn:
    """What was drawn, for hypothesis, which writes it when a target fails."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return short_repr(self.value)


def drawn(*strategies):
    """Give a target the strategies of its arguments, which may have no repr."""

    def decorate(target):
        target.strategies = [each.map(Drawn) for each in strategies]
        return target

    return decorate


# --- the targets ----------------------------------------------------------------------------------


@drawn(XS, ANYTHING, st.sampled_from([revgrad.reverse, revgrad.scale_gradient]))
def lam(x, lam, call):
    """λ, or a factor, of any object, on a NumPy array."""
    try:
        assert call(x, lam) is x
        g = reference.scaled_pullback(x, lam)
    except revgrad.InvalidLambdaError:
        return
    assert (g.shape, g.dtype) == (x.shape, x.dtype)


@drawn(ANYTHING)
def variable(value):
    """The value of a LambdaVariable."""
    variable = LambdaVariable(0.5)
    try:
        variable.value = value
    except revgrad.InvalidLambdaError:
        assert variable.value == 0.5
    else:
        assert type(variable.value) is float and 0 <= variable.value < np.inf
        assert LambdaVariable(value).value == variable.value


@drawn(ANYTHING)
def x(x):
    """An x of any object."""
    try:
        found = revgrad.reverse(x, 1.0)
    except (revgrad.UnsupportedTypeError, revgrad.BackendUnavailableError):
        return
    assert found is x


@drawn(st.one_of(ANYTHING, st.sampled_from(EXAMPLES).flatmap(lambda each: changed(each.to_dict()))))
def schedule(plain):
    """schedules.from_dict."""
    try:
        with no_code():
            found = schedules.from_dict(plain)
    except ValueError:
        return
    try:
        assert schedules.from_dict(json.loads(json.dumps(found.to_dict()))) == found
        repr(found)
    except ValueError:  # a callable in it
        return
    for p in (0, 0.3, 1):
        assert 0 <= found(p) < np.inf, (found, p)


def a_state(schedule, steps):
    """Return the state of a scheduler after some steps."""
    scheduler = LambdaScheduler(None, schedule, 7)
    scheduler.step(steps)
    return scheduler.state_dict()


@drawn(
    st.one_of(
        ANYTHING,
        st.builds(a_state, st.sampled_from(EXAMPLES), st.integers(0, 9)).flatmap(changed),
    ),
    st.sampled_from(EXAMPLES),
)
def state(state, schedule):
    """LambdaScheduler.load_state_dict."""
    scheduler = LambdaScheduler(LambdaVariable(), schedule, 7)
    scheduler.step(3)
    before = scheduler.state_dict()
    try:
        with no_code():
            scheduler.load_state_dict(state)
    except ValueError:
        assert scheduler.state_dict() == before
        assert scheduler.variable.value == before["value"]
    else:
        assert scheduler.variable.value == schedule(min(state["steps"], 7) / 7)


WORDS = st.one_of(
    st.sampled_from(["fuzz", "numpy", "fuzz.mod:Thing", "json:loads", "revgrad:X"]), ANYTHING
)


@drawn(
    st.dictionaries(
        st.sampled_from("name claims factory requires harness prepare contract".split()), WORDS
    ),
    WORDS,
)
def spec(fields, name):
    """BackendSpec, register and get_backend."""
    good = {"name": "fuzz", "claims": ("fuzz.mod:Thing",), "factory": "fuzz.mod:Thing"}
    for given_spec in (revgrad.BackendSpec(**{**good, **fields}), name):
        try:
            revgrad.register(given_spec)
        except ValueError:
            continue
        try:
            revgrad.get_backend(given_spec.name)
        except revgrad.BackendUnavailableError:
            pass
        revgrad.unregister(given_spec.name)
    for call in (revgrad.get_backend, lambda name: revgrad.reverse(np.ones(2), 1.0, backend=name)):
        with contextlib.suppress(revgrad.BackendUnavailableError):
            call(name)


GOOD = """
import revgrad

@revgrad.hookimpl
def revgrad_backends():
    return [revgrad.BackendSpec("fuzzed", ("fuzzed_plugin:Tensor",), "fuzzed_plugin:Backend")]
"""
HOOK = "import revgrad\n@revgrad.hookimpl\ndef revgrad_backends():\n    return {}\n"
METADATA = b"Metadata-Version: 2.1\nName: foreign\nVersion: 1\n"
ENTRY = b"[revgrad]\nforeign = foreign_plugin\n"
CODE = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "raise SystemExit(3)",
            "plugin = {}",
            "plugin = 3",
            "class P:\n    __getattr__ = None\nplugin = P()",
            "class P:\n    def __eq__(self, other): raise RuntimeError\nplugin = P()",
            "import revgrad\nclass P:\n    __hash__ = None\n    @revgrad.hookimpl\n"
            "    def revgrad_backends(self): return []\nplugin = P()",
        ]
    ),
    st.sampled_from(["3", "'a'", "{}", "[3]", "(1 / 0 for _ in 'a')", "revgrad", "None"]).map(
        HOOK.format
    ),
)


@drawn(
    st.one_of(st.just(METADATA), st.none(), st.binary(max_size=60), st.just(b"Name:\nVersion:\n")),
    st.one_of(
        st.just(ENTRY),
        st.just(b"[revgrad]\nforeign = foreign_plugin:plugin\n"),
        st.binary(max_size=20).map(lambda each: b"[revgrad]\n" + each),
        st.text("=:[]. \na1", max_size=30).map(lambda each: f"[revgrad]\n{each}".encode()),
        st.none(),
    ),
    CODE,
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=9),
)
def plugin(metadata, entries, code, disable):
    """A foreign distribution, its files and its plugin, installed beside a good one."""
    with tempfile.TemporaryDirectory() as folder, fresh(folder):
        for name, files in {
            "good": {
                "METADATA": METADATA.replace(b"foreign", b"good"),
                "entry_points.txt": b"[revgrad]\nfuzzed = fuzzed_plugin\n",
            },
            "foreign": {"METADATA": metadata, "entry_points.txt": entries},
        }.items():
            info = pathlib.Path(folder, f"{name}-1.dist-info")
            info.mkdir()
            for file, content in files.items():
                if content is None:
                    (info / file).symlink_to(file)  # to itself: it cannot be read
                else:
                    (info / file).write_bytes(content)
        pathlib.Path(folder, "fuzzed_plugin.py").write_text(GOOD)
        pathlib.Path(folder, "foreign_plugin.py").write_bytes(code.encode("utf-8", "replace"))
        os.environ["REVGRAD_DISABLE"] = disable
        found, failures = _plugins.discover()
        assert disable or "fuzzed" in [
            each.spec.name for each in found if hasattr(each.spec, "name")
        ]
        for failure in failures:
            assert "was left out at stage" in str(failure)
        _plugins.unknown_disabled()


@contextlib.contextmanager
def fresh(folder):
    """Put a folder first on the path, and take it and what was imported from it away again."""
    path, disable = sys.path, os.environ.get("REVGRAD_DISABLE")
    sys.path = [folder]
    try:
        yield
    finally:
        sys.path = path
        os.environ.pop("REVGRAD_DISABLE", None)
        if disable is not None:
            os.environ["REVGRAD_DISABLE"] = disable
        for name in ("fuzzed_plugin", "foreign_plugin"):
            sys.modules.pop(name, None)
        sys.path_importer_cache.pop(folder, None)


def as_json(plain):
    """Return a dict as JSON, with 0 for what JSON cannot hold."""
    try:
        return json.dumps(plain, default=lambda _: 0, skipkeys=True)
    except (RecursionError, ValueError):
        return "{" * 3000


NAMES = [
    *KINDS,
    "schedule",
    "doctor",
    "check",
    "chekc",
    '{"kind": "Dann"}',
    '{"kind": "Delayed"',
    "{}",
]
OPTIONS = (
    "--steps --gamma --end --start --json --csv --timeout --version --help -h -- --bad".split()
)
ARGUMENTS = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(OPTIONS),
    st.sampled_from(OPTIONS).flatmap(lambda each: NUMBERS.map(lambda n: f"{each}={short(n)}")),
    NUMBERS.map(lambda number: short(number)),
    st.sampled_from(
        ["{" * 3000, '{"kind": "Scaled", "scale": 1, "schedule": ' * 3000, "\udcff", ""]
    ),
    st.text(max_size=6),
    st.sampled_from(EXAMPLES).flatmap(lambda each: changed(each.to_dict()).map(as_json)),
)


def short(number):
    """Return a number as text; Python writes no int of more than 4300 digits."""
    try:
        return str(number)
    except ValueError:
        return "9" * 5000


@drawn(st.lists(ARGUMENTS, max_size=5))
def line(arguments):
    """The command line; the doctor and the checks are started with invalid arguments only."""
    arguments = ["schedule", *arguments] if "schedule" not in arguments[:1] else arguments
    printed, errors = io.StringIO(), io.StringIO()
    arguments = [each for each in arguments if not each.startswith("--csv")]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            command(arguments)
    except SystemExit as done:
        assert done.code in (0, 2), (done.code, errors.getvalue())
        assert "Traceback" not in errors.getvalue()
        if done.code == 0 and printed.getvalue().startswith("step"):
            assert (
                "nan" not in printed.getvalue() and "-" not in printed.getvalue().partition("\n")[2]
            )


@drawn(st.lists(st.one_of(ARGUMENTS, st.just("check")), max_size=3))
def other_lines(arguments):
    """The command line of the doctor and of the checks, with an argument that is invalid."""
    if arguments[:1] == ["schedule"]:
        return
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            command([*arguments, "--no-such-option"])
        except SystemExit as done:
            # After "--" the option is the name of a backend, which no backend has.
            assert done.code in (0, 2) or (done.code == 1 and "--" in arguments), done.code


TARGETS = {
    each.__name__: each
    for each in (lam, variable, x, schedule, state, spec, plugin, line, other_lines)
}


def torch_targets():
    """Return what loads a state with PyTorch, where it is installed."""
    try:
        import torch
    except ImportError:
        return {}
    from revgrad_torch import GradientReversal

    def tensor(array):
        try:
            return torch.as_tensor(np.array(array))
        except (TypeError, ValueError):  # a dtype, or an order of bytes, that PyTorch lacks
            return array

    tensors = ARRAYS.map(tensor)

    @drawn(st.one_of(ANYTHING, tensors, st.just(torch.ones((), requires_grad=True))), st.booleans())
    def torch_state(value, assign):
        """load_state_dict of revgrad_torch.GradientReversal, and assignment to its λ."""
        module = GradientReversal(0.5)
        try:
            module.load_state_dict({"lam": value}, assign=assign)
        except (RuntimeError, revgrad.InvalidLambdaError):  # PyTorch raises the first
            assert module.lam.item() == 0.5
        assert 0 <= module.lam.item() < np.inf and module.lam.dtype == torch.float32
        module = GradientReversal(0.5)
        try:
            module.lam = value
        except revgrad.InvalidLambdaError:
            assert module.lam.item() == 0.5

    @drawn(st.one_of(ANYTHING, tensors))
    def torch_lam(lam):
        """λ of any object, on a tensor."""
        x = torch.ones(2, 3, requires_grad=True)
        try:
            y = revgrad.reverse(x, lam)
        except revgrad.InvalidLambdaError:
            return
        assert torch.equal(x, y)

    return {"torch_state": torch_state, "torch_lam": torch_lam}


def examples(target, count):
    """Run some examples of a target."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*target.strategies))
    def run(drawn):
        target(*(each.value for each in drawn))

    run()


def fuzz(name, target, seconds):
    """Run a target for some seconds; return how many examples it had, and whether it failed."""
    began, count, failed = time.perf_counter(), 0, False
    while time.perf_counter() - began < seconds and not failed:
        try:
            examples(target, 200)
        except Unsatisfiable:
            pass
        except Exception:
            failed = True
            traceback.print_exc(limit=-4)
        count += 200
    words = "FAILED" if failed else "ok"
    print(f"{name:12} {count:8} examples {time.perf_counter() - began:6.0f} s  {words}", flush=True)
    return failed


def main() -> int:
    """Run the targets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=float, default=20, help="for each (default: 20)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    targets = {**TARGETS, **torch_targets()}
    failed = [fuzz(each, targets[each], args.seconds) for each in args.targets or targets]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
