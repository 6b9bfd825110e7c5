"""What people do by mistake, and the message that tells them what to do instead."""

import decimal
import fractions
import math
import types

import numpy as np
import pytest
from plugins_on_disk import PLUGINS, command

import revgrad
from revgrad import (
    BackendUnavailableError,
    InvalidLambdaError,
    LambdaScheduler,
    LambdaVariable,
    UnsupportedTypeError,
    get_backend,
    reverse,
    scale_gradient,
    schedules,
    unregister,
)
from revgrad.schedules import Dann, from_dict, progress

X = np.ones(3)
LAM = LambdaVariable(0.5)
LAMBDA = "λ must be a real, finite number >= 0; got "
FACTOR = "The factor must be a real, finite number; got "
SWAPPED = " Are x and lam swapped? The call is reverse(x, lam)."
HORIZON = "total_steps must be an integer >= 1; got "
PACKAGES = "revgrad_torch.GradientReversal, revgrad_keras.GradientReversal or revgrad_theano.Rev"


def driver(schedule=Dann(), variable=LAM, total_steps=10):
    return LambdaScheduler(variable, schedule, total_steps)


def not_a_lambda(lam, words):
    return lambda: reverse(X, lam), InvalidLambdaError, f"{LAMBDA}{words}"


def not_a_factor(factor, words):
    return lambda: scale_gradient(X, factor), InvalidLambdaError, f"{FACTOR}{words}"


def not_an_x(x, words):
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    return lambda: reverse(x, X), UnsupportedTypeError, f"claims the type {kind}.{words}"


def no_gradient(x, words):
    return lambda: reverse(x, 1), UnsupportedTypeError, words


def not_a_schedule(schedule, words):
    return lambda: driver(schedule), ValueError, words


def not_a_dict_of_one(plain, words):
    return lambda: from_dict(plain), ValueError, words


def no_backend(call, words, name="thaeno"):
    return lambda: call(name), BackendUnavailableError, words


def no_name(name, words):
    return lambda: getattr(revgrad, name), AttributeError, words


class Unwritten(float):
    def __repr__(self):
        raise RuntimeError("no words")


class NotFloat(float):
    def __float__(self):
        raise RuntimeError("no number")


NESTED_LIST, NESTED, NESTED_101 = [], {}, {"kind": "Dann"}
for _ in range(5000):
    NESTED_LIST = [NESTED_LIST]
    NESTED = {"kind": "Scaled", "scale": 1, "schedule": NESTED}
for _ in range(100):
    NESTED_101 = {"kind": "Scaled", "scale": 1, "schedule": NESTED_101}

MISTAKES = [
    # λ that is not one
    not_a_lambda(-1, "-1 (int). The gradient is multiplied by -λ already: pass 1, not -1."),
    not_a_lambda(-0.5, "-0.5 (float). The gradient is multiplied by -λ already: pass 0.5, not -0."),
    not_a_lambda(np.float32(-2), "-2.0 (float). The gradient is multiplied by -λ already: pass 2."),
    not_a_lambda(-np.inf, "-inf (float). "),
    not_a_lambda(math.nan, "nan (float). Check the code that computed it."),
    not_a_lambda(math.inf, "inf (float). Check the code that computed it."),
    not_a_lambda(10**400, f"1{'0' * 56}... (int). Check the code that computed it."),
    not_a_lambda(True, "True (bool). A bool is not a strength: write 1.0 or 0.0."),
    not_a_lambda(np.bool_(True), f"{np.bool_(True)!r} (bool"),
    not_a_lambda("0.3", "'0.3' (str). It is text: convert it with float()."),
    not_a_lambda(b"0.3", "b'0.3' (bytes). It is text"),
    not_a_lambda(None, "None (NoneType). Pass 0.0 to switch the reversal off."),
    not_a_lambda(1 + 0j, "(1+0j) (complex). Pass a real number, for instance with float()."),
    not_a_lambda(np.complex64(1), f"{np.complex64(1)!r} (complex64). Its dtype is complex64: cast"),
    not_a_lambda(decimal.Decimal("0.3"), "Decimal('0.3') (Decimal). Pass a real number, for"),
    not_a_lambda([0.1], "[0.1] (list). Pass an array that broadcasts to x for one value per sam"),
    not_a_lambda(np.array([1, -2, math.nan]), f"{np.float64(-2)!r} (float64). It is at index (1,)"),
    not_a_lambda(np.array(["a"]), "array(['a'], dtype='<U1') (ndarray). Its dtype is <U1: cast it"),
    not_a_lambda(np.ma.array([1.0], mask=[1]), "masked_array("),
    not_a_lambda(Dann(), "Dann(gamma=10.0, low=0.0, high=1.0) (Dann). It is callable, so it looks"),
    not_a_lambda(Dann, "<class 'revgrad.schedules.Dann'> (ABCMeta). It is callable, so it looks"),
    not_a_lambda(driver(), "<LambdaScheduler step 0 of 10, p=0, λ=0, Dann(gamma=10.0,... (Lambda"),
    (lambda: reverse(X, driver()), InvalidLambdaError, "Pass the LambdaVariable that it sets, sch"),
    (lambda: reverse(X, object()), InvalidLambdaError, "got an object of type builtins.object."),
    (lambda: reverse(X, lambda p: p), InvalidLambdaError, "call it with the progress p in [0, 1]"),
    (lambda: LambdaVariable(np.ones(2)), InvalidLambdaError, "(ndarray). Expected a scalar."),
    not_a_lambda(Unwritten(-1), "an object without a repr (Unwritten). The gradient is multiplied"),
    not_a_lambda(NotFloat(1), "1.0 (NotFloat). float() of it fails: RuntimeError: no number."),
    (lambda: reverse(X, NESTED_LIST), InvalidLambdaError, "(list). Pass an array that broadcasts"),
    # a factor that is not one
    not_a_factor(math.nan, "nan (float). Check the code that computed it."),
    not_a_factor("1", "'1' (str). It is text: convert it with float()."),
    not_a_factor(True, "True (bool). A bool is not"),
    # shapes
    (
        lambda: reverse(np.ones((3, 2)), np.ones(3)),
        InvalidLambdaError,
        "λ of shape (3,) does not broadcast to x of shape (3, 2) without enlarging it. Give it the "
        "shape of x with length 1 wherever it does not vary: one value per sample is "
        "lam.reshape(-1, 1).",
    ),
    (lambda: scale_gradient(X, np.ones(2)), InvalidLambdaError, "is factor.reshape(-1)."),
    # x that is none
    not_an_x([X], " Map over its items, for instance jax.tree.map(lambda leaf: revgrad.reverse("),
    not_an_x((X,), " Map over its items"),
    not_an_x({"x": X}, " Map over its items"),
    not_an_x((each for each in [X]), " Map over its items"),
    not_an_x(types.MethodType(len, [1]), " It is callable, as a module is: reverse the value that"),
    not_an_x(
        type("KerasTensor", (), {"__module__": "tf_keras.src.engine.keras_tensor"})(),
        " It is a symbolic tensor of Keras 2, of which the backend",
    ),
    not_an_x(None, " Does the function that computes x return it?"),
    not_an_x("x", " Known backends: numpy (numpy:ndarray, numpy:generic)"),
    no_gradient("x", "(a number: numpy.asarray(x)), install the plu"),
    no_gradient(np.arange(3, dtype="int8"), "x is a ndarray of dtype"),
    no_gradient(X > 0, "of dtype bool, which carries no gradient. Ca"),
    no_gradient(np.arange(3), "Cast it to a floating dtype first, or"),
    # swapped arguments
    *(
        not_an_x(lam, SWAPPED)
        for lam in (0.5, 1, True, fractions.Fraction(1, 2), 1j, LAM, driver(), Dann())
    ),
    (lambda: reverse(np.float64(0.5), X), InvalidLambdaError, f"is lam.reshape(-1).{SWAPPED}"),
    (lambda: reverse(np.array(0.5), object()), InvalidLambdaError, f"builtins.object.{SWAPPED}"),
    (lambda: driver(LAM, Dann()), ValueError, "loop (are variable and schedule swapped?); "),
    # names
    *(
        no_backend(call, words)
        for call in (get_backend, unregister, lambda name: reverse(X, 1, backend=name))
        for words in (
            "There is no backend named 'thaeno'. Did you mean 'theano'? Known backends: numpy, ",
            " Install the plugin that has it.",
        )
    ),
    no_backend(get_backend, "Did you mean 'torch'? Known", name="pytorch"),
    no_backend(get_backend, "There is no backend named ['a'].", name=["a"]),
    no_backend(get_backend, "named an object without a repr. Known", name=Unwritten(1)),
    no_name("GradientReversal", f"package of your framework, such as {PACKAGES}"),
    no_name("grad_reverse", "no attribute 'grad_reverse'; it has AmbiguousBa"),
    # schedules and progress
    not_a_dict_of_one({"kind": "dann"}, "'dann'. Did you mean 'Dann'? Known schedules: "),
    not_a_dict_of_one({"kind": "step"}, "Unknown schedule 'step'. Known schedules: Con"),
    not_a_dict_of_one("Dann", "got 'Dann' (str)"),
    not_a_dict_of_one(NESTED, "more than 100 schedules contain one another"),
    not_a_dict_of_one(NESTED_101, "more than 100 schedules contain one another"),
    not_a_dict_of_one({"kind": Unwritten(1)}, "Unknown schedule an object without a repr."),
    *(
        (lambda total=total: progress(1, total), ValueError, f"progress: {HORIZON}{total!r} (")
        for total in (0, -1, 1.0, 10.5, True, "10", None, math.inf, np.ones(2))
    ),
    (lambda: progress(1), TypeError, "total_steps"),
    (lambda: LambdaScheduler(LAM, Dann()), TypeError, "total_steps"),
    *(
        (lambda total=total: driver(total_steps=total), ValueError, f"LambdaScheduler: {HORIZON}")
        for total in (0, -5, 100.0, True, "100", None)
    ),
    *(
        (lambda n=n: driver().step(n), ValueError, "LambdaScheduler: n must be an integer >= 0; g")
        for n in (-1, 0.5, 1.0, True, "1", None, math.nan)
    ),
    not_a_schedule(Dann, "This is a class: call it, as in Dann(...)."),
    not_a_schedule(0.3, "For a constant λ pass Constant(0.3)."),
    not_a_schedule(None, "schedule must be a schedule or a callable p -> λ; got None"),
    not_a_schedule("Dann", "got 'Dann' (str)."),
    not_a_schedule(LAM, "got LambdaVariable("),
    *(
        (lambda each=each: driver(variable=each), ValueError, f"for a plain loop; got {each!r} (")
        for each in (0.3, "lam", [LAM])
    ),
    (lambda: driver(lambda p: -p).step(), InvalidLambdaError, "<lambda> at p = 0.1: λ must be a"),
]


@pytest.mark.parametrize("call, error, words", MISTAKES)
def test_a_mistake_raises_and_says_what_to_do(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert type(caught.value) is error
    assert len(str(caught.value)) < (2000 if "Known backends" in str(caught.value) else 400)


@pytest.mark.parametrize("sign", [1, -1], ids="{:+}".format)
def test_an_int_that_python_does_not_write(sign):
    with pytest.raises(InvalidLambdaError, match=r"\(int\)\. (Check|The gradient)"):
        reverse(X, sign * 10**5000)


SCHEDULES = "constant, cosine, dann, exponential, inverse-decay, linear, polynomial."
BETWEEN = "expected a number of seconds > 0 and < 1e6; got "


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("thaeno", "There is no command 'thaeno'. Known commands: doctor, check, schedule."),
        ("chekc numpy", "There is no command 'chekc'. Did you mean 'check'? Known commands: "),
        ("doctr --json", "There is no command 'doctr'. Did you mean 'doctor'? Known commands: "),
        ("--json check", "the options of a command stand behind it: revgrad check ..."),
        ("--jsn", "unrecognized arguments: --jsn"),
        ("doctor numpy", "There is no command 'numpy'. Known commands"),
        *((f"--timeout {text}", f"{BETWEEN}'{text}'") for text in ("0", "nan", "inf", "soon")),
        ("check", "name backends, or give --all"),
        ("check numpy --all", "name backends, or give --all, not both"),
        ("check numpy --jsn", "unrecognized arguments: --jsn"),
        ("schedule --steps 10", "name a schedule: constant, cosine, dann"),
        ("schedule thaeno", f"There is no schedule 'thaeno'. Known schedules: {SCHEDULES}"),
        ("schedule dan --gamma 1", "There is no schedule 'dan'. Did you mean 'dann'? Known"),
        ("schedule dann linaer", "There is no schedule 'linaer'. Did you mean 'linear'? Known"),
        ("schedule dann --gamma -10", "Dann: gamma must be a finite number > 0; got -10.0"),
        ("schedule dann --steps 0", "--steps must be an integer >= 1; got 0"),
        ("schedule constant", "the following arguments are required: --value"),
        ("schedule linear --gamma 1", "unrecognized arguments: --gamma 1"),
        ("schedule {", "{ is not JSON"),
        ('schedule {"kind":"dann"}', "Unknown schedule 'dann'"),
        pytest.param("schedule " + '{"a":' * 100000, "is nested too deep", id="nested"),
        ("schedule dann --plot no-folder/a.png", "--plot no-folder/a.png: "),
    ],
)
def test_a_mistyped_command(arguments, error):
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    status, printed, errors = command(*arguments.split())
    assert status == 2 and printed == "" and error in errors
    assert "_" not in errors.split("error: ")[1]  # no private name


def test_an_unknown_name_in_revgrad_disable_warns_once(run):
    code = "import revgrad\nfor _ in range(2): list(revgrad.backends)"
    printed = run(code, REVGRAD_DISABLE="pytorch, theano")
    assert printed.count("PluginWarning") == 1
    assert "REVGRAD_DISABLE lists unknown plugins: pytorch. Known plugins: autograd, jax" in printed


@pytest.mark.parametrize("package", PLUGINS)
def test_a_framework_that_is_missing_names_its_extra(package, run):
    code = f"""
        import sys
        sys.modules.update(dict.fromkeys({PLUGINS!r}))
        import revgrad_{package} as package
        try:
            getattr(package, package.__all__[0])
        except ModuleNotFoundError as error:
            print(error)
    """
    assert f"which is not installed: pip install 'revgrad[{package}]'" in run(code)


def test_a_missing_backend_names_its_extra(run):
    code = """
        import sys
        sys.modules["jax"] = None
        import numpy, revgrad
        try:
            revgrad.reverse(numpy.ones(2), 1, backend="jax")
        except revgrad.BackendUnavailableError as error:
            print(error)
    """
    assert "pip install 'revgrad[jax]'" in run(code)


def test_a_name_that_a_package_lacks_lists_what_it_has(run):
    import revgrad_jax

    with pytest.raises(AttributeError, match="no attribute 'Reversal'; it has .*reverse_gradient"):
        revgrad_jax.Reversal
    with pytest.raises(AttributeError):
        schedules.dann
