"""`revgrad_theano.compat`: what works with it, and how it is imported, in a fresh interpreter."""

import io
import os
from importlib import metadata

import numpy as np
import pytest
import theano
import theano.tensor as T
from theano.tensor import nnet
from theano.tensor.signal import conv
from theano.tensor.signal.pool import pool_2d
from theano.tests.record import RecordMode

from support.processes import python


# How THEANO_FLAGS names a flag of a section: gcc.cxxflags; Theano-PyMC, gcc__cxxflags.
try:
    DOT = "__" if metadata.version("Theano-PyMC") else "."
except metadata.PackageNotFoundError:
    DOT = "."
CXXFLAGS, LDFLAGS = f"gcc{DOT}cxxflags", f"blas{DOT}ldflags"


def run(code, **environment):
    """Run code and return what it prints, stderr included."""
    done = python(code=code, **environment)
    return done.stdout + done.stderr


def outcome(*arguments, **environment):
    """Return the exit status of an interpreter, and what it prints."""
    done = python(*arguments, check=False, **environment)
    return done.returncode, done.stdout + done.stderr


def compiled(inputs, outputs):
    """Compile to C code, with all rewrites."""
    return theano.function(inputs, outputs, mode="FAST_RUN")


def dense(rng):
    x = T.fmatrix()
    w, v = (theano.shared(rng.randn(4, 4).astype("float32")) for _ in range(2))
    cost = T.sqr(T.dot(T.tanh(T.dot(x, w)), v) - 1).mean()
    return x, [w, v], cost, rng.randn(8, 4).astype("float32")


def convolution(rng):
    x = T.ftensor4()
    w = theano.shared(rng.randn(2, 1, 3, 3).astype("float32"))
    cost = T.sqr(pool_2d(nnet.conv2d(x, w), (2, 2), ignore_border=True) - 1).mean()
    return x, [w], cost, rng.randn(4, 1, 8, 8).astype("float32")


def scan(rng):
    x, w = T.fmatrix(), theano.shared(rng.randn(3, 3).astype("float32"))
    states, _ = theano.scan(
        lambda x, h, w: T.tanh(x + T.dot(h, w)),
        sequences=x,
        outputs_info=T.zeros(3, "float32"),
        non_sequences=w,
    )
    return x, [w], T.sqr(states[-1] - 0.5).mean(), rng.randn(5, 3).astype("float32")


@pytest.mark.parametrize("model", [dense, convolution, scan])
def test_theano_compiles_c_code_and_trains(model):
    assert theano.config.cxx, "no C++ compiler"
    x, parameters, cost, value = model(np.random.RandomState(0))
    gradients = theano.grad(cost, parameters)
    updates = [(p, p - np.float32(0.05) * g) for p, g in zip(parameters, gradients)]
    slow = theano.function([x], gradients, mode=theano.Mode("py", None))
    train = theano.function([x], [cost] + gradients, updates=updates, mode="FAST_RUN")
    expected = slow(value)
    first, *actual = train(value)
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    for _ in range(20):
        last = train(value)[0]
    assert last < first
    assert any(hasattr(thunk, "cthunk") for thunk in train.fn.thunks)


def test_applying_it_again_changes_nothing():
    run(
        """
        import sys
        import revgrad_theano.compat as compat
        import numpy
        finders, names = list(sys.meta_path), dict(vars(numpy))
        compat.apply()
        import importlib
        importlib.reload(compat)
        assert sys.meta_path[0] is finders[0] and len(sys.meta_path) == len(finders)
        assert vars(numpy) == names
        import theano
        flags = theano.config.gcc.cxxflags
        compat.apply()
        assert theano.config.gcc.cxxflags == flags and flags.count("-DNPY_PY3K") <= 1
        """
    )


def test_names_and_modules_that_exist_stay_as_they_are():
    run(
        """
        import warnings; warnings.simplefilter("ignore")
        import importlib, sys
        import numpy
        before = {name: getattr(numpy, name) for name in dir(numpy)}
        real = {}
        for name in ("imp", "pkg_resources", "distutils", "distutils.sysconfig", "numpy.distutils"):
            try:
                real[name] = importlib.import_module(name)
            except ImportError:
                pass
        import revgrad_theano.compat
        assert all(getattr(numpy, name) is value for name, value in before.items())
        for name, module in real.items():
            assert sys.modules[name] is module
            del sys.modules[name]
            assert "stand-in" not in (importlib.import_module(name).__doc__ or ""), name
        """
    )


def test_it_supplies_what_this_python_and_numpy_lack():
    run(
        """
        import warnings; warnings.simplefilter("ignore")
        import revgrad_theano.compat
        import numpy as np
        assert np.float_ is np.float64 and np.product([2, 3]) == 6 and np.alltrue([True])
        assert np.asscalar(np.ones(1)) == 1.0 and np.cast["float32"](1.5).dtype == "float32"
        assert np.sctype2char(np.float32) == "f" and np.Inf == np.inf and np.NaN != np.NaN
        import distutils.spawn, distutils.sysconfig, imp, pkg_resources, numpy.distutils
        assert distutils.sysconfig.get_python_inc() and distutils.sysconfig.get_python_lib()
        assert pkg_resources.get_distribution("revgrad").version
        try:
            pkg_resources.get_distribution("no-such-distribution")
        except pkg_resources.DistributionNotFound:
            pass
        from numpy.linalg.linalg import LinAlgError
        assert LinAlgError is np.linalg.LinAlgError
        """
    )


@pytest.mark.parametrize("mode", ["max", "sum", "average_exc_pad"])
def test_pooling_without_c_code(mode):
    # As in FAST_COMPILE and DebugMode; NumPy 1.23 rejects the indices that it was written with.
    x, value = T.dtensor4(), np.random.RandomState(0).randn(2, 1, 4, 6)
    pooled = pool_2d(x, (2, 2), ignore_border=True, mode=mode)
    outputs = [pooled, theano.grad(T.sqr(pooled).sum(), x)]
    slow = theano.function([x], outputs, mode="FAST_COMPILE")(value)
    fast = theano.function([x], outputs, mode="FAST_RUN")(value)
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


def test_the_convolution_of_its_signal_package():
    x, w = T.dmatrix(), T.dmatrix()
    result = compiled([x, w], conv.conv2d(x, w))(np.ones((3, 3)), np.ones((2, 2)))
    np.testing.assert_array_equal(result, np.full((2, 2), 4))


def test_a_run_is_recorded():
    # RecordMode is how Theano compares two runs.
    x, runs = T.dvector(), []
    for _ in range(2):
        file = io.StringIO()
        mode = RecordMode(file_object=file, replay=False)
        theano.function([x], x * 2, mode=mode)(np.ones(2))
        runs.append(file.getvalue())
    assert runs[0] == runs[1] and runs[0]


def test_debug_mode_updates_a_scalar():
    step = theano.shared(np.asarray(0.5))
    train = theano.function([], step * 2, updates=[(step, step + 1)], mode="DEBUG_MODE")
    assert (train(), train(), step.get_value()) == (1, 3, 2.5)


def test_topk():
    # The values come from one function and their indices from another, as in a gradient.
    x, value = T.dmatrix(), np.random.RandomState(0).permutation(1000).astype(float).reshape(2, 500)
    values = compiled([x], T.topk(x, 200, sorted=False))(value)
    indices = compiled([x], T.argtopk(x, 200, sorted=False))(value)
    np.testing.assert_array_equal(np.sort(values), np.sort(value)[:, -200:])
    np.testing.assert_array_equal(np.take_along_axis(value, indices, 1), values)
    both = compiled([x], T.topk_and_argtopk(x, 200, sorted=False))(value)
    np.testing.assert_array_equal(both, [values, indices])


def test_the_inverse_of_unique_is_a_vector():
    x = T.dmatrix()
    outputs = T.extra_ops.Unique(True, True, True)(x)
    actual = compiled([x], outputs)([[3.0, 1], [1, 2]])
    for a, b in zip(actual, ([1, 2, 3], [1, 3, 0], [2, 0, 0, 1], [2, 1, 1])):
        assert a.shape == np.shape(b) and (a == b).all(), (a, b)


def test_every_edit_finds_its_text():
    printed = run(
        """
        import importlib.util, os, re
        from revgrad_theano import compat
        (folder,) = importlib.util.find_spec("theano").submodule_search_locations
        for module, edits in compat._EDITS.items():
            path = os.path.join(folder, *module.split(".")[1:]) + ".py"
            with open(path, encoding="utf-8") as file:
                source = file.read()
            print(*(f"{module}: {edit}" for edit in edits if not re.search(edit, source)))
        """
    )
    assert not printed.strip()


def test_reductions_over_all_axes():
    # NumPy 2 has another number for "all axes": Theano's C code raised, or reduced over nothing.
    x, value = T.dmatrix(), np.random.RandomState(0).randn(4, 5)
    for expression, expected in (
        (T.argmax(x), value.argmax()),
        (T.max_and_argmax(x)[0], value.max()),
        (T.cumsum(x), value.cumsum()),
        (T.cumprod(x), value.cumprod()),
        (x[[0, 0, 3]], value[[0, 0, 3]]),
    ):
        np.testing.assert_allclose(compiled([x], expression)(value), expected)


def test_the_gradient_of_an_embedding():
    w, i = T.dmatrix(), T.lvector()
    gradient = compiled([w, i], theano.grad(T.sqr(w[i]).sum(), w))
    actual = gradient(np.ones((3, 2)), [0, 2, 2])
    np.testing.assert_allclose(actual, [[2, 2], [0, 0], [4, 4]])


def test_complex_numbers():
    for dtype in ("complex64", "complex128"):
        z, value = T.TensorType(dtype, [False])(), np.array([3 + 4j, -1j, 2], dtype)
        run = compiled([z], [abs(z), z * z + 1, T.real(z), T.imag(z)])
        assert any(hasattr(thunk, "cthunk") for thunk in run.fn.thunks)
        for a, b in zip(run(value), [abs(value), value**2 + 1, value.real, value.imag]):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_a_constant_keeps_its_value_and_its_sign():
    # NumPy 2 raises where a Python int does not fit: Theano made an uint64 of it.
    for value, dtype in ((5, "int8"), (300, "int16"), (-300, "int16"), (-(2**40), "int64")):
        constant = T.constant(value)
        assert (int(constant.data), constant.dtype) == (value, dtype), constant.type


@pytest.mark.parametrize("floatX", ["float64", "float32"])
def test_a_float_of_python_takes_the_dtype_that_holds_it(floatX):
    run(
        f"""
        import revgrad_theano.compat
        import theano, theano.tensor as T
        x, wide = T.fscalar(), T.dscalar()
        assert (x * 0.5).dtype == "float32"
        assert (x * 0.1).dtype == {floatX!r}
        if theano.config.floatX == "float64":
            assert (wide + 0.7).eval({{wide: 0.0}}) == 0.7
        """,
        THEANO_FLAGS=os.environ.get("THEANO_FLAGS", "") + f",floatX={floatX}",
    )


def test_products_use_a_blas():
    # That of the machine, else the one that comes with SciPy.
    assert "blas" in theano.config.blas.ldflags
    x, value = T.ftensor3(), np.random.RandomState(0).randn(2, 3, 3).astype("float32")
    products = compiled([x], T.batched_dot(x, x))
    np.testing.assert_allclose(products(value), value @ value, rtol=1e-5)


def test_a_numpy_config_that_was_imported_before_serves_too():
    run(
        """
        import warnings; warnings.simplefilter("ignore")
        try:
            import numpy.distutils.__config__
        except ImportError:
            pass
        import revgrad_theano.compat, theano
        from numpy.distutils.__config__ import blas_opt_info
        """
    )


def test_a_finder_of_an_older_kind_is_passed_over():
    run(
        """
        import sys
        class Legacy:
            def find_module(self, name, path=None):
                return None
        sys.meta_path.insert(0, Legacy())
        import warnings; warnings.simplefilter("ignore")  # Python 3.10 to 3.12 say it is old
        import revgrad_theano.compat, theano
        """
    )


def test_no_warning_escapes_from_it():
    assert run("import revgrad_theano.compat", PYTHONWARNINGS="error") == ""


def test_it_imports_no_theano_itself():
    run("import sys, revgrad_theano.compat; assert 'theano' not in sys.modules")


@pytest.mark.parametrize(
    "name, flag, expected",
    [("gcc.cxxflags", f"{CXXFLAGS}=-DMINE=1", "-DMINE=1"), ("blas.ldflags", f"{LDFLAGS}=", "['']")],
)
def test_flags_of_the_user_are_kept(name, flag, expected):
    printed = run(
        f"import revgrad_theano.compat, theano; print([theano.config.{name}])",
        THEANO_FLAGS=os.environ.get("THEANO_FLAGS", "") + f",{flag}",
    )
    assert expected in printed


def test_flags_of_a_theanorc_are_kept(tmp_path):
    (tmp_path / "theanorc").write_text("[gcc]\ncxxflags = -DMINE=1\n")
    printed = run(
        "import revgrad_theano.compat, theano; print(theano.config.gcc.cxxflags)",
        THEANORC=str(tmp_path / "theanorc"),
    )
    assert "-DMINE=1" in printed


def test_after_a_theano_that_failed_it_says_what_to_do():
    code = """
    import sys, types
    sys.modules["theano.configdefaults"] = types.ModuleType("theano.configdefaults")
    import revgrad_theano.compat
    """
    status, printed = outcome(code=code)
    assert status == 1
    assert "ImportError: theano was imported before revgrad_theano.compat, and failed" in printed
    assert "Restart Python" in printed and "revgrad_theano.compat before theano" in printed


@pytest.mark.parametrize("framework", ["theano", "lasagne"])
def test_a_backend_that_needs_it_says_so(framework):
    # With the newest Python and NumPy neither imports; Lasagne 0.1 not even on the oldest.
    run(
        f"""
        import importlib, revgrad
        try:
            importlib.import_module({framework!r})
        except Exception as error:
            needed = True
        else:
            needed = False
        try:
            revgrad.get_backend({framework!r})
        except revgrad.BackendUnavailableError as error:
            assert needed and "import revgrad_theano.compat before theano" in str(error), error
        else:
            assert not needed
        """
    )


def test_after_a_theano_that_works_it_is_harmless():
    run("import revgrad_theano.compat, theano; revgrad_theano.compat.apply(); import lasagne")


SCRIPT = """
import sys
import theano
import neighbour
print("name", __name__)
print("argv", sys.argv[1:])
print("file", __file__)
if "fail" in sys.argv:
    raise ValueError("as asked")
sys.exit(7)
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "neighbour.py").write_text("")
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return str(path)


def test_it_runs_an_unchanged_script(script):
    status, printed = outcome("-m", "revgrad_theano.compat", script, "--epochs", "3")
    assert status == 7, printed
    assert "name __main__" in printed and "argv ['--epochs', '3']" in printed
    assert f"file {script}" in printed


def test_it_runs_a_module(script):
    folder = os.path.dirname(script)
    path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
    status, printed = outcome("-m", "revgrad_theano.compat", "-m", "train", "-x", PYTHONPATH=path)
    assert status == 7 and "name __main__" in printed and "argv ['-x']" in printed


def test_the_traceback_of_a_script_is_shown(script):
    status, printed = outcome("-m", "revgrad_theano.compat", script, "fail")
    assert status == 1 and "ValueError: as asked" in printed and "train.py" in printed


@pytest.mark.parametrize("arguments", [[], ["-m"], ["-x"], ["--help"]])
def test_without_a_program_it_says_how(arguments):
    status, printed = outcome("-m", "revgrad_theano.compat", *arguments)
    assert status == (0 if arguments == ["--help"] else 1)
    assert "usage: python -m revgrad_theano.compat script.py [args ...]" in printed
