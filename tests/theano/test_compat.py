"""`revgrad_theano.compat`: what works with it, and how it is imported, in a fresh interpreter."""

import importlib
import io
import os
import pathlib
import re

import numpy as np
import pytest
import theano
import theano.tensor as T
from theano.tensor import nnet
from theano.tensor.signal import conv
from theano.tensor.signal.pool import pool_2d
from theano.tests.record import RecordMode

from support.processes import python

from revgrad_theano import compat, install

# How THEANO_FLAGS names a flag of a section: gcc.cxxflags; Theano-PyMC, gcc__cxxflags.
DOT = "__" if install._is_installed("Theano-PyMC") else "."
FLAGS = os.environ.get("THEANO_FLAGS", "")


def convolution(rng):
    x = T.ftensor4()
    w, v = (theano.shared(rng.randn(*n).astype("float32")) for n in [(2, 1, 3, 3), (18, 4)])
    pooled = pool_2d(nnet.conv2d(x, w), (2, 2), ignore_border=True)
    cost = T.sqr(T.dot(T.tanh(pooled.flatten(2)), v) - 1).mean()
    return x, [w, v], cost, rng.randn(4, 1, 8, 8).astype("float32")


def scan(rng):
    x, w = T.fmatrix(), theano.shared(rng.randn(3, 3).astype("float32"))
    step = lambda x, h, w: T.tanh(x + T.dot(h, w))
    start = T.zeros(3, "float32")
    states, _ = theano.scan(step, sequences=x, outputs_info=start, non_sequences=w)
    return x, [w], T.sqr(states[-1] - 0.5).mean(), rng.randn(5, 3).astype("float32")


@pytest.mark.parametrize("model", [convolution, scan])
def test_theano_compiles_c_code_and_trains(model):
    x, parameters, cost, value = model(np.random.RandomState(0))
    gradients = theano.grad(cost, parameters)
    updates = [(p, p - np.float32(0.05) * g) for p, g in zip(parameters, gradients)]
    train = theano.function([x], [cost, *gradients], updates=updates, mode="FAST_RUN")
    assert any(hasattr(thunk, "cthunk") for thunk in train.fn.thunks)
    expected = theano.function([x], gradients, mode=theano.Mode("py", None))(value)
    first, *actual = train(value)
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    for _ in range(20):
        last = train(value)[0]
    assert last < first


FRESH = {
    "applying it again changes nothing": """
        import importlib, sys
        import numpy
        import revgrad_theano.compat as compat
        finders, names = list(sys.meta_path), dict(vars(numpy))
        compat.apply()
        importlib.reload(compat)
        assert sys.meta_path == finders and vars(numpy) == names
        import theano
        flags = theano.config.gcc.cxxflags
        compat.apply()
        assert theano.config.gcc.cxxflags == flags and flags.count("-DNPY_PY3K") <= 1
        """,
    "names and modules that exist stay as they are": """
        import contextlib, importlib, sys
        import numpy
        before, real = {name: getattr(numpy, name) for name in dir(numpy)}, {}
        for name in ("imp", "pkg_resources", "distutils", "distutils.sysconfig", "numpy.distutils"):
            with contextlib.suppress(ImportError):
                real[name] = importlib.import_module(name)
        import revgrad_theano.compat
        assert all(getattr(numpy, name) is value for name, value in before.items())
        for name, module in real.items():
            assert sys.modules.pop(name) is module
            assert "stand-in" not in (importlib.import_module(name).__doc__ or ""), name
        """,
    "it supplies what this Python and NumPy lack": """
        import contextlib
        import revgrad_theano.compat
        import numpy as np
        assert np.float_ is np.float64 and np.product([2, 3]) == 6 and np.alltrue([True])
        assert np.asscalar(np.ones(1)) == 1.0 and np.cast["float32"](1.5).dtype == "float32"
        assert np.sctype2char(np.float32) == "f" and np.Inf == np.inf and np.NaN != np.NaN
        import distutils.spawn, distutils.sysconfig, imp, pkg_resources, numpy.distutils
        assert distutils.sysconfig.get_python_inc() and distutils.sysconfig.get_python_lib()
        assert pkg_resources.get_distribution("revgrad").version
        with contextlib.suppress(pkg_resources.DistributionNotFound):
            pkg_resources.get_distribution("no-such-distribution")
        from numpy.linalg.linalg import LinAlgError
        assert LinAlgError is np.linalg.LinAlgError
        """,
    "a NumPy config that was imported before serves too": """
        import contextlib
        with contextlib.suppress(ImportError):
            import numpy.distutils.__config__
        import revgrad_theano.compat, theano
        from numpy.distutils.__config__ import blas_opt_info
        """,
    "a finder of an older kind is passed over": """
        import sys, types
        sys.meta_path.insert(0, types.SimpleNamespace(find_module=lambda name, path=None: None))
        import revgrad_theano.compat, theano
        """,
}


@pytest.mark.parametrize("code", FRESH.values(), ids=FRESH)
def test_in_a_fresh_interpreter(code):
    python(code=code, PYTHONWARNINGS="ignore")


@pytest.mark.parametrize("mode", ["max", "sum", "average_exc_pad"])
def test_pooling_without_c_code(mode):
    # As in FAST_COMPILE and DebugMode; NumPy 1.23 rejects the indices that it was written with.
    x, value = T.dtensor4(), np.random.RandomState(0).randn(2, 1, 4, 6)
    pooled = pool_2d(x, (2, 2), ignore_border=True, mode=mode)
    outputs = [pooled, theano.grad(T.sqr(pooled).sum(), x)]
    slow, fast = (
        theano.function([x], outputs, mode=mode)(value) for mode in ("FAST_COMPILE", "FAST_RUN")
    )
    assert np.ptp(fast[1]) > 0
    for a, b in zip(slow, fast):
        np.testing.assert_allclose(a, b)


@pytest.mark.filterwarnings("ignore")  # consider_constant is deprecated
@pytest.mark.parametrize("function", ["zero_grad", "consider_constant"])
def test_the_gradient_through_zero_grad(function):
    # Their gradients pass a variable as a dtype, which NumPy 2.4 rejects.
    constant = getattr(theano.gradient, function)
    x = T.fvector()
    for expression, expected in ((constant(x) * x, [1, 2]), (constant(x), [0, 0])):
        gradient = theano.grad(expression.sum(), x)
        assert gradient.dtype == "float32"
        np.testing.assert_array_equal(gradient.eval({x: np.float32([1, 2])}), expected)


A, B, ROWS, CUBE = T.dmatrix("A"), T.dmatrix("B"), T.lvector("rows"), T.ftensor3("cube")
EYE, MATRIX = np.eye(3), np.random.RandomState(0).randn(4, 5)
BATCH = MATRIX.ravel()[:18].reshape(2, 3, 3).astype("float32")


@pytest.mark.parametrize(
    "inputs, output, values, expected",
    [
        # NumPy 2 has another number for "all axes": the C code raised, or reduced over nothing.
        ([A], T.argmax(A), [MATRIX], MATRIX.argmax()),
        ([A], T.max_and_argmax(A)[0], [MATRIX], MATRIX.max()),
        ([A], T.cumsum(A), [MATRIX], MATRIX.cumsum()),
        ([A], T.cumprod(A), [MATRIX], MATRIX.cumprod()),
        ([A], A[[0, 0, 3]], [MATRIX], MATRIX[[0, 0, 3]]),
        ([A, B], conv.conv2d(A, B), [np.ones((3, 3)), np.ones((2, 2))], np.full((2, 2), 4)),
        # The gradient of an embedding.
        ([A, ROWS], theano.grad(T.sqr(A[ROWS]).sum(), A), [EYE, [0, 2, 2]], 2 * EYE * [1, 0, 2]),
        ([CUBE], T.batched_dot(CUBE, CUBE), [BATCH], BATCH @ BATCH),
    ],
)
def test_c_code_computes_what_numpy_does(inputs, output, values, expected):
    function = theano.function(inputs, output, mode="FAST_RUN")
    np.testing.assert_allclose(function(*values), expected, rtol=1e-5)


def test_a_run_is_recorded():
    # RecordMode is how Theano compares two runs.
    x, files = T.dvector(), (io.StringIO(), io.StringIO())
    for file in files:
        theano.function([x], x * 2, mode=RecordMode(file_object=file, replay=False))(np.ones(2))
    assert files[0].getvalue() == files[1].getvalue() != ""


def test_debug_mode_updates_a_scalar():
    step = theano.shared(np.asarray(0.5))
    train = theano.function([], step * 2, updates=[(step, step + 1)], mode="DEBUG_MODE")
    assert (train(), train(), step.get_value()) == (1, 3, 2.5)


def test_topk():
    # The values come from one function and their indices from another, as in a gradient.
    value = np.random.RandomState(0).permutation(1000).astype(float).reshape(2, 500)
    tops = T.topk, T.argtopk, T.topk_and_argtopk
    values, indices, both = (
        theano.function([A], top(A, 200, sorted=False), mode="FAST_RUN")(value) for top in tops
    )
    np.testing.assert_array_equal(np.sort(values), np.sort(value)[:, -200:])
    np.testing.assert_array_equal(np.take_along_axis(value, indices, 1), values)
    np.testing.assert_array_equal(both, [values, indices])


def test_the_inverse_of_unique_is_a_vector():
    unique = theano.function([A], T.extra_ops.Unique(True, True, True)(A), mode="FAST_RUN")
    actual = unique([[3.0, 1], [1, 2]])
    for a, b in zip(actual, ([1, 2, 3], [1, 3, 0], [2, 0, 0, 1], [2, 1, 1])):
        assert a.shape == np.shape(b) and (a == b).all(), (a, b)


@pytest.mark.parametrize("module", compat._EDITS)
def test_every_edit_finds_its_text(module):
    source = pathlib.Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")
    assert not [edit for edit in compat._EDITS[module] if not re.search(edit, source)]


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers(dtype):
    z, value = T.TensorType(dtype, [False])(), np.array([3 + 4j, -1j, 2], dtype)
    run = theano.function([z], [abs(z), z * z + 1, T.real(z), T.imag(z)], mode="FAST_RUN")
    assert any(hasattr(thunk, "cthunk") for thunk in run.fn.thunks)
    for a, b in zip(run(value), [abs(value), value**2 + 1, value.real, value.imag]):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "value, dtype", [(5, "int8"), (300, "int16"), (-300, "int16"), (-(2**40), "int64")]
)
def test_a_constant_keeps_its_value_and_its_sign(value, dtype):
    # NumPy 2 raises where a Python int does not fit: Theano made an uint64 of it.
    constant = T.constant(value)
    assert (int(constant.data), constant.dtype) == (value, dtype)


@pytest.mark.parametrize("floatX", ["float64", "float32"])
def test_a_float_of_python_takes_the_dtype_that_holds_it(floatX, monkeypatch):
    monkeypatch.setattr(theano.config, "floatX", floatX)
    x, wide = T.fscalar(), T.dscalar()
    assert (x * 0.5).dtype == "float32" and (x * 0.1).dtype == floatX
    if floatX == "float64":
        assert (wide + 0.7).eval({wide: 0.0}) == 0.7


def test_products_use_a_blas():
    # That of the machine, else the one that comes with SciPy.
    assert "blas" in theano.config.blas.ldflags


def test_it_imports_no_theano_and_no_warning_escapes_from_it():
    code = "import sys, revgrad_theano.compat; assert 'theano' not in sys.modules"
    done = python(code=code, PYTHONWARNINGS="error")
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    "name, variable, value, expected",
    [
        ("gcc.cxxflags", "THEANO_FLAGS", f"{FLAGS},gcc{DOT}cxxflags=-DMINE=1", "-DMINE=1"),
        ("gcc.cxxflags", "THEANORC", "theanorc", "-DMINE=1"),
        ("blas.ldflags", "THEANO_FLAGS", f"{FLAGS},blas{DOT}ldflags=", "['']"),
    ],
)
def test_flags_of_the_user_are_kept(name, variable, value, expected, tmp_path):
    (tmp_path / "theanorc").write_text("[gcc]\ncxxflags = -DMINE=1\n")
    code = f"import revgrad_theano.compat, theano; print([theano.config.{name}])"
    others = re.sub(r"gcc\.cxxflags=[^,]*", "", FLAGS)  # what tox sets
    done = python(code=code, cwd=tmp_path, **{"THEANO_FLAGS": others, variable: value})
    assert expected in done.stdout


def test_after_a_theano_that_failed_it_says_what_to_do():
    code = """
    import sys, types
    sys.modules["theano.configdefaults"] = types.ModuleType("theano.configdefaults")
    import revgrad_theano.compat
    """
    words = "ImportError: theano was imported before revgrad_theano.compat, and failed: .* Restart "
    words += "Python .* and import revgrad_theano.compat before theano"
    done = python(code=code, check=False)
    assert done.returncode == 1 and re.search(words, done.stderr)


@pytest.mark.parametrize("framework", ["theano", "lasagne"])
def test_a_backend_that_needs_it_says_so(framework):
    # With the newest Python and NumPy neither imports; Lasagne 0.1 not even on the oldest.
    plain = python(code=f"import {framework}", check=False)
    done = python(code=f"import revgrad; revgrad.get_backend('{framework}')", check=False)
    advice = "BackendUnavailableError.* import revgrad_theano.compat before theano"
    assert bool(plain.returncode) == bool(done.returncode) == bool(re.search(advice, done.stderr))


SCRIPT = """
import sys, theano, neighbour
print(__name__, sys.argv[1:], __file__)
assert "fail" not in sys.argv, "as asked"
sys.exit(7)
"""
USAGE = "usage: python -m revgrad_theano.compat script.py [args ...]"


@pytest.mark.parametrize(
    "arguments, status, printed",
    [
        (["{}/train.py", "--n", "3"], 7, "__main__ ['--n', '3'] {}/train.py"),
        (["-m", "train", "-x"], 7, "__main__ ['-x'] "),
        (["{}/train.py", "fail"], 1, "AssertionError: as asked"),
        ([], 1, USAGE),
        (["-m"], 1, USAGE),
        (["-x"], 1, USAGE),
        (["{}/gone.py"], 1, "gone.py': there is no such file"),
        (["--help"], 0, USAGE),
    ],
)
def test_it_runs_an_unchanged_program(arguments, status, printed, tmp_path):
    (tmp_path / "neighbour.py").write_text("")
    (tmp_path / "train.py").write_text(SCRIPT)
    folder = tmp_path if "-m" in arguments else None  # a script may lie in another folder
    arguments = [each.format(tmp_path) for each in arguments]
    done = python("-m", "revgrad_theano.compat", *arguments, cwd=folder, check=False)
    assert done.returncode == status
    assert printed.format(tmp_path) in done.stdout + done.stderr
