"""What people do by mistake, and the message that tells them what to do instead."""

import decimal
import math
import types
from fractions import Fraction

import numpy as np
import pytest
from plugins_on_disk import PLUGINS, command

import revgrad
from revgrad import (
    LambdaScheduler,
    LambdaVariable,
    get_backend,
    reverse,
    scale_gradient,
    unregister,
)
from revgrad.exceptions import BackendUnavailableError, InvalidLambdaError, UnsupportedTypeError
from revgrad.schedules import Dann, from_dict, progress

X = np.ones(3)
LAM = LambdaVariable(0.5)
LAMBDA = "λ must be a real, finite number >= 0; got "
FACTOR = "The factor must be a real, finite number; got "
SWAPPED = " Are x and lam swapped? The call is reverse(x, lam)."
ENLARGING = (
    "λ of shape (3,) does not broadcast to x of shape (3, 2) without enlarging it. Give it the shape "
    "of x with length 1 wherever it does not vary: one value per sample is lam.reshape(-1, 1)."
)
HORIZON = "total_steps must be an integer >= 1; got "
STEPS = "n must be an integer >= 0; got "
PACKAGES = "revgrad_torch.GradientReversal, revgrad_keras.GradientReversal or revgrad_theano.Rev"


def driver(schedule=Dann(), variable=LAM, total_steps=10):
    return LambdaScheduler(variable, schedule, total_steps)


def mistake(error, call, prefix=""):
    """Return what makes a row of a given argument and the words that the error must have."""
    return lambda given, words: (lambda: call(given), error, f"{prefix}{words}")


not_a_lambda = mistake(InvalidLambdaError, lambda lam: reverse(X, lam), LAMBDA)
not_a_factor = mistake(InvalidLambdaError, lambda factor: scale_gradient(X, factor), FACTOR)
no_gradient = mistake(UnsupportedTypeError, lambda x: reverse(x, 1))
no_backend = mistake(BackendUnavailableError, get_backend)
no_name = mistake(AttributeError, lambda name: getattr(revgrad, name))
not_a_schedule = mistake(ValueError, lambda schedule: driver(schedule))
not_a_dict_of_one = mistake(ValueError, from_dict)
not_a_variable = mistake(ValueError, lambda variable: driver(variable=variable))
not_a_horizon = mistake(ValueError, lambda total: driver(total_steps=total), "LambdaScheduler: ")
no_progress = mistake(ValueError, lambda total: progress(1, total), "progress: ")
not_a_step = mistake(ValueError, lambda n: driver().step(n), "LambdaScheduler: ")


def not_an_x(x, words):
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    return lambda: reverse(x, X), UnsupportedTypeError, f"claims the type {kind}.{words}"


class KerasTensor:
    __module__ = "tf_keras.src.engine.keras_tensor"


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
    (lambda: reverse(np.ones((3, 2)), np.ones(3)), InvalidLambdaError, ENLARGING),
    (lambda: scale_gradient(X, np.ones(2)), InvalidLambdaError, "is factor.reshape(-1)."),
    # x that is none
    not_an_x([X], " Map over its items, for instance jax.tree.map(lambda leaf: revgrad.reverse("),
    not_an_x((X,), " Map over its items"),
    not_an_x({"x": X}, " Map over its items"),
    not_an_x((each for each in [X]), " Map over its items"),
    not_an_x(types.MethodType(len, [1]), " It is callable, as a module is: reverse the value that"),
    not_an_x(KerasTensor(), " It is a symbolic tensor of Keras 2, of which the backend"),
    not_an_x(None, " Does the function that computes x return it?"),
    not_an_x("x", " Known backends: numpy (numpy:ndarray, numpy:generic)"),
    no_gradient("x", "(a number: numpy.asarray(x)), install the plu"),
    no_gradient(np.arange(3, dtype="int8"), "x is a ndarray of dtype"),
    no_gradient(X > 0, "of dtype bool, which carries no gradient. Ca"),
    no_gradient(np.arange(3), "Cast it to a floating dtype first, or"),
    # swapped arguments
    *(not_an_x(x, SWAPPED) for x in (0.5, 1, True, Fraction(1, 2), 1j, LAM, driver(), Dann())),
    (lambda: reverse(np.float64(0.5), X), InvalidLambdaError, f"is lam.reshape(-1).{SWAPPED}"),
    (lambda: reverse(np.array(0.5), object()), InvalidLambdaError, f"builtins.object.{SWAPPED}"),
    (lambda: driver(LAM, Dann()), ValueError, "loop (are variable and schedule swapped?); "),
    # names
    *(
        mistake(BackendUnavailableError, call)("thaeno", words)
        for call in (get_backend, unregister, lambda name: reverse(X, 1, backend=name))
        for words in (
            "There is no backend named 'thaeno'. Did you mean 'theano'? Known backends: numpy, ",
            " Install the plugin that has it.",
        )
    ),
    no_backend("pytorch", "Did you mean 'torch'? Known"),
    no_backend(["a"], "There is no backend named ['a']."),
    no_backend(Unwritten(1), "named an object without a repr. Known"),
    no_name("GradientReversal", f"package of your framework, such as {PACKAGES}"),
    no_name("grad_reverse", "no attribute 'grad_reverse'; it has AmbiguousBa"),
    # schedules and progress
    not_a_dict_of_one({"kind": "dann"}, "'dann'. Did you mean 'Dann'? Known schedules: "),
    not_a_dict_of_one({"kind": "step"}, "Unknown schedule 'step'. Known schedules: Con"),
    not_a_dict_of_one("Dann", "got 'Dann' (str)"),
    not_a_dict_of_one(NESTED, "more than 100 schedules contain one another"),
    not_a_dict_of_one(NESTED_101, "more than 100 schedules contain one another"),
    not_a_dict_of_one({"kind": Unwritten(1)}, "Unknown schedule an object without a repr."),
    *(no_progress(each, f"{HORIZON}{each!r} (") for each in (0, -1, 1.0, 10.5, True, "10", None)),
    *(no_progress(each, f"{HORIZON}{each!r} (") for each in (math.inf, np.ones(2))),
    (lambda: progress(1), TypeError, "total_steps"),
    (lambda: LambdaScheduler(LAM, Dann()), TypeError, "total_steps"),
    *(not_a_horizon(total, HORIZON) for total in (0, -5, 100.0, True, "100", None)),
    *(not_a_step(n, STEPS) for n in (-1, 0.5, 1.0, True, "1", None, math.nan)),
    not_a_schedule(Dann, "This is a class: call it, as in Dann(...)."),
    not_a_schedule(0.3, "For a constant λ pass Constant(0.3)."),
    not_a_schedule(None, "schedule must be a schedule or a callable p -> λ; got None"),
    not_a_schedule("Dann", "got 'Dann' (str)."),
    not_a_schedule(LAM, "got LambdaVariable("),
    *(not_a_variable(each, f"for a plain loop; got {each!r} (") for each in (0.3, "lam", [LAM])),
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
        import numpy, revgrad, revgrad_{package} as package
        for call in (
            lambda: getattr(package, package.__all__[0]),
            lambda: revgrad.reverse(numpy.ones(2), 1, backend="{package}"),
        ):
            try:
                call()
            except ImportError as error:
                print(type(error).__name__, error)
    """
    missing, unavailable = run(code).splitlines()
    extra = f"pip install 'revgrad[{package}]'"
    assert missing.startswith("ModuleNotFoundError") and f"not installed: {extra}" in missing
    assert unavailable.startswith("BackendUnavailableError") and extra in unavailable


def test_a_name_that_a_package_lacks_lists_what_it_has():
    import revgrad_jax

    with pytest.raises(AttributeError, match="no attribute 'Reversal'; it has .*reverse_gradient"):
        revgrad_jax.Reversal
    with pytest.raises(AttributeError):
        revgrad.schedules.dann
