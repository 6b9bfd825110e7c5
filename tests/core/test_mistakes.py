"""What people do by mistake, and the message that tells them what to do instead."""

import decimal
import math
import types
from fractions import Fraction

import numpy as np
import pytest
from plugins_on_disk import PLUGINS, command

import revgrad
import revgrad_jax
from revgrad import LambdaScheduler, LambdaVariable, get_backend, reverse, scale_gradient
from revgrad.backend import Native
from revgrad.exceptions import BackendUnavailableError, InvalidLambdaError, UnsupportedTypeError
from revgrad.schedules import Dann, Delayed, Piecewise, Scaled, Sequential, from_dict, progress

X = np.ones(3)
LAM = LambdaVariable(0.5)
LAMBDA = "λ must be a real, finite number >= 0; got "
FACTOR = "The factor must be a real, finite number; got "
SWAPPED = " Are x and lam swapped? The call is reverse(x, lam)."
ENLARGING = (
    "λ of shape (3,) does not broadcast to x of shape (3, 2) without enlarging it. Give it the shape "
    "of x with length 1 wherever it does not vary: one value per sample is lam.reshape(-1, 1)."
)
PROGRESS = "must be a real number, a NumPy array or an in-graph value, and not nan; got "
HORIZON = "total_steps must be an integer >= 1; got "
STEPS = "n must be an integer >= 0; got "
THAENO = "There is no backend named 'thaeno'. Did you mean 'theano'? Known backends: numpy, "
PACKAGES = "revgrad_torch.GradientReversal, revgrad_keras.GradientReversal or revgrad_theano.Rev"


def driver(schedule=Dann(), variable=LAM, total_steps=10):
    return LambdaScheduler(variable, schedule, total_steps)


def mistake(error, call, prefix=""):
    """Return what makes a row of a given argument and the words that the error must have."""
    return lambda given, words: (lambda: call(given), error, f"{prefix}{words}")


not_a_lambda = mistake(InvalidLambdaError, lambda lam: reverse(X, lam), LAMBDA)
not_a_factor = mistake(InvalidLambdaError, lambda factor: scale_gradient(X, factor), FACTOR)
# Of a long message, the end.
invalid_lambda = mistake(InvalidLambdaError, lambda lam: reverse(X, lam))
invalid_factor = mistake(InvalidLambdaError, lambda factor: scale_gradient(X, factor))
too_large = mistake(InvalidLambdaError, lambda lam: reverse(np.ones(2, "float16"), lam))
no_gradient = mistake(UnsupportedTypeError, lambda x: reverse(x, 1))
not_numpy = mistake(UnsupportedTypeError, lambda x: reverse(x, 1, backend="numpy"))
no_backend = mistake(BackendUnavailableError, get_backend)
no_name = mistake(AttributeError, lambda name: getattr(revgrad, name))
not_a_schedule = mistake(ValueError, lambda schedule: driver(schedule))
not_plain = mistake(ValueError, from_dict)
not_points = mistake(ValueError, Piecewise, "Piecewise: ")
not_joined = mistake(ValueError, lambda arguments: Sequential(*arguments), "Sequential: ")
not_a_variable = mistake(ValueError, lambda variable: driver(variable=variable))
not_a_horizon = mistake(ValueError, lambda total: driver(total_steps=total), "LambdaScheduler: ")
no_progress = mistake(ValueError, lambda total: progress(1, total), "progress: ")
not_p = mistake(ValueError, Delayed(Dann(), 0.1))
not_a_step = mistake(ValueError, lambda n: driver().step(n), "LambdaScheduler: ")
not_a_state = mistake(ValueError, lambda state: driver().load_state_dict(state))


def not_an_x(x, words):
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    return lambda: reverse(x, X), UnsupportedTypeError, f"claims the type {kind}.{words}"


class KerasTensor:
    __module__ = "tf_keras.src.engine.keras_tensor"


class Bare(revgrad.Backend):
    multiply_gradient = None


class Unwritten(float):
    __repr__ = lambda self: 1 / 0


class Failing:
    __index__ = __iter__ = __repr__ = lambda self: 1 / 0


class NotFloat(float):
    __float__ = lambda self: 1 / 0


MASKED = np.ma.masked, np.ma.array([1.0, 2.0], mask=[True, False])
NESTED_LIST = []
for _ in range(5000):
    NESTED_LIST = [NESTED_LIST]

STATE = driver().state_dict()
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
    not_a_lambda(decimal.Decimal("0.3"), "Decimal('0.3') (Decimal). Pass a real number, for"),
    not_a_lambda([0.1], "[0.1] (list). Pass an array that broadcasts to x for one value per sam"),
    not_a_lambda(np.array([1, -2, math.nan]), f"{np.float64(-2)!r} (float64). It is at index (1,)"),
    invalid_lambda(np.array([-1, 0, 2]), "(0,) of an array of shape (3,); 1 of 3 elements are inv"),
    not_a_lambda(np.array(["a"]), "array(['a'], dtype='<U1') (ndarray). Its dtype is <U1: cast it"),
    *(invalid_lambda(each, "It is masked: fill it with numbers, value.filled") for each in MASKED),
    not_a_lambda(Dann(), "Dann(gamma=10.0, low=0.0, high=1.0) (Dann). It is callable, so it looks"),
    not_a_lambda(Dann, "<class 'revgrad.schedules.Dann'> (ABCMeta). It is callable, so it looks"),
    invalid_lambda(driver(), "Pass the LambdaVariable that it sets, scheduler.variable."),
    invalid_lambda(object(), "got an object of type builtins.object."),
    invalid_lambda(lambda p: p, "call it with the progress p in [0, 1]"),
    (lambda: LAM.cell(Native()), InvalidLambdaError, "Native takes no LambdaVariable: its framew"),
    (lambda: LambdaVariable(X), InvalidLambdaError, f"{LAMBDA}{X!r} (ndarray). Expected a scalar."),
    not_a_lambda(Unwritten(-1), "an object without a repr (Unwritten). The gradient is multiplied"),
    not_a_lambda(
        NotFloat(1), "1.0 (NotFloat). float() of it fails: ZeroDivisionError: division by zero."
    ),
    invalid_lambda(NESTED_LIST, "(list). Pass an array that broadcasts"),
    # Python 3.11 and newer write no int of so many digits.
    *(invalid_lambda(each, "(int). ") for each in (10**5000, -(10**5000))),
    # a factor that is not one
    *(not_a_factor(each, f"{each} (float). Check") for each in (math.nan, math.inf, -math.inf)),
    not_a_factor(-(10**400), f"-1{'0' * 55}... (int). Check the code that computed it."),
    invalid_factor(np.diag([-1, np.nan, np.inf]), "(1, 1) of an array of shape (3, 3); 2 of 9 ele"),
    not_a_factor("1", "'1' (str). It is text: convert it with float()."),
    not_a_factor(True, "True (bool). A bool is not"),
    # shapes and dtypes
    too_large(1e5, "100000.0 is too large a λ or factor for x of dtype float16: it would become"),
    too_large(np.array([1, 1e300]), "1e+300 is too large a λ or factor for x of dtype float16"),
    (lambda: reverse(np.ones((3, 2)), np.ones(3)), InvalidLambdaError, ENLARGING),
    invalid_factor(np.ones(2), "is factor.reshape(-1)."),
    # x that is none
    not_an_x([X], " Map over its items, for instance jax.tree.map(lambda leaf: revgrad.reverse("),
    *(not_an_x(x, " Map over") for x in ((X,), {"x": X}, (each for each in [X]))),
    not_an_x(types.MethodType(len, [1]), " It is callable, as a module is: reverse the value that"),
    not_an_x(KerasTensor(), " It is a symbolic tensor of Keras 2, of which the backend"),
    not_an_x(None, " Does the function that computes x return it?"),
    not_an_x("x", " Known backends: numpy (numpy:ndarray, numpy:generic)"),
    no_gradient("x", "(a number: numpy.asarray(x)), install the plu"),
    no_gradient(np.arange(3), "Cast it to a floating dtype first, or"),
    no_gradient(
        X > 0, "x is a ndarray of dtype bool, which carries no gradient. Cast it to a floa"
    ),
    *(not_numpy(x, f"array or scalar; got a {type(x).__name__}. ") for x in ([1.0], 2.0, None)),
    # swapped arguments
    *(not_an_x(x, SWAPPED) for x in (0.5, 1, True, Fraction(1, 2), 1j, LAM, driver(), Dann())),
    (lambda: reverse(np.float64(0.5), X), InvalidLambdaError, f"is lam.reshape(-1).{SWAPPED}"),
    (lambda: reverse(np.array(0.5), object()), InvalidLambdaError, f"builtins.object.{SWAPPED}"),
    (lambda: driver(LAM, Dann()), ValueError, "loop (are variable and schedule swapped?); "),
    # names
    *(
        mistake(BackendUnavailableError, call)("thaeno", THAENO)
        for call in (get_backend, revgrad.unregister, lambda name: reverse(X, 1, backend=name))
    ),
    no_backend("thaeno", " Install the plugin that has it."),
    no_backend("pytorch", "Did you mean 'torch'? Known"),
    no_backend(["a"], "There is no backend named ['a']."),
    no_backend(Unwritten(1), "named an object without a repr. Known"),
    (lambda: revgrad.Backend(), TypeError, "multiply_gradient"),
    (lambda: Bare().xp, NotImplementedError, "Bare offers no namespace for schedules"),
    no_name("GradientReversal", f"package of your framework, such as {PACKAGES}"),
    no_name("grad_reverse", "no attribute 'grad_reverse'; it has AmbiguousBa"),
    (lambda: revgrad_jax.Reversal, AttributeError, "no attribute 'Reversal'; it has reverse_g"),
    # schedules and progress
    not_plain({"kind": "dann"}, "'dann'. Did you mean 'Dann'? Known schedules: "),
    not_plain({"kind": "step"}, "Unknown schedule 'step'. Known schedules: Con"),
    not_plain("Dann", "got 'Dann' (str)"),
    not_plain({"kind": Unwritten(1)}, "Unknown schedule an object without a repr."),
    not_plain({"kind": ["Dann"]}, "Unknown schedule ['Dann']"),
    not_plain({"kind": "INVERSE-DECAY"}, "Did you mean 'InverseDecay'? Known schedules: Const"),
    not_plain({"kind": "Schedule"}, "Unknown schedule 'Schedule'"),
    not_plain({"gamma": 10}, "has the name of its class under 'kind'"),
    not_plain({"kind": "Dann", "alpha": 1}, "argument 'alpha'. Its arguments: gamma, low, high."),
    not_plain({"kind": "Linear", 1: 2}, "keywords must be strings. Its arguments: start, end."),
    not_plain({"kind": "Constant"}, "Constant: missing a required argument: 'value'. Its argum"),
    not_plain({"kind": "Exponential", "low": 1, "end": 1}, "missing a required argument: 'start'"),
    not_plain({"kind": "Dann", "gamma": "10"}, "Dann: gamma must be a finite number > 0; got '10'"),
    not_plain({"kind": "Scaled", "schedule": {"kind": "Dan"}}, "Did you mean 'Dann'?"),
    not_plain({"kind": "Scaled", "schedule": "Dann", "scale": 1}, "schedule must be a schedule or"),
    (lambda: revgrad.schedules.Schedule(), TypeError, "abstract"),
    (lambda: Dann(low=1, high=0.5), ValueError, "high must be at least low; got low=1.0, high=0.5"),
    not_points(Failing(), "points must be a sequence; got an object without a repr"),
    not_points([], "points must contain at least one pair (p, λ)"),
    not_points(3, "points must be a sequence; got 3 (int)."),
    not_points("ab", "points must be a sequence"),
    not_points([0.5], "points[0] must be a sequence"),
    not_points([(0, 1, 2)], "points[0] must be a pair (p, λ); got (0, 1, 2)."),
    not_points([(0, 1), (2, 1)], "p of points[1] must be a finite number >= 0 and <= 1; got 2"),
    not_points([(0, -1)], "λ of points[0] must be a finite number >= 0; got -1"),
    not_points([(0.5, 1), (0.2, 1)], "the p of points must increase strictly; got 0.2 after 0.5."),
    not_points([(0.5, 1), (0.5, 2)], "the p of points must increase strictly"),
    (lambda: Delayed(Dann(), 1), ValueError, "until must be a progress in [0, 1); got 1.0, which"),
    (lambda: Delayed(None, 0.1), ValueError, "Delayed: schedule must be a schedule or a callable"),
    not_joined(([Dann(), 1], [0.5]), "schedules[1] must be a schedule"),
    not_joined((Dann(), []), "schedules must be a sequence"),
    not_joined(([], []), "boundaries must be one fewer than schedules; got 0 for 0 schedules."),
    not_joined(([Dann()] * 2, []), "boundaries must be one fewer than schedules; got 0 for 2"),
    not_joined(([Dann()] * 2, [0]), "boundaries[0] must be a finite number > 0"),
    not_joined(([Dann()] * 2, [1.5]), "boundaries[0] must be a finite number > 0 and <= 1; got"),
    not_joined(([Dann()] * 2, [1]), "boundaries must increase strictly; got 1.0 after 1.0."),
    (lambda: True * Dann(), ValueError, "Scaled: scale must be a finite number >= 0; got True ("),
    (lambda: Scaled(1, Dann()), ValueError, "Scaled: schedule must be a schedule"),
    *(no_progress(each, f"{HORIZON}{each!r} (") for each in (0, -1, 1.0, True, "10", None, X)),
    not_p(math.nan, f"p {PROGRESS}nan (float). Check the code that computed it."),
    (lambda: progress(math.nan, 3), ValueError, f"step {PROGRESS}nan (float). Check the code that"),
    not_p(np.array([[0, 1], [math.nan] * 2]), "It is nan at index (1, 0) of shape (2, 2)."),
    not_p(True, "got True (bool). Convert it with float() or numpy.asarray() first."),
    not_p(np.bool_(True), "Convert it with float()"),
    not_p("0.5", "got '0.5' (str). Convert it"),
    not_p(None, "got None (NoneType). Convert it"),
    not_p([0.1, 0.2], "got [0.1, 0.2] (list). Convert it"),
    not_p(1j, "got 1j (complex). Convert it"),
    not_p(np.array([True]), "Its dtype is bool: cast it to a float dtype."),
    not_p(LAM, "(LambdaVariable). No backend claims its type."),
    (lambda: progress(1), TypeError, "total_steps"),
    (lambda: LambdaScheduler(LAM, Dann()), TypeError, "total_steps"),
    *(not_a_horizon(total, HORIZON) for total in (0, -5, 100.0, True, "100", None)),
    *(not_a_step(n, STEPS) for n in (-1, 0.5, 1.0, True, "1", None, math.nan)),
    not_a_schedule(Dann, "This is a class: call it, as in Dann(...)."),
    not_a_schedule(0.3, "For a constant λ pass Constant(0.3)."),
    not_a_schedule(None, "schedule must be a schedule or a callable p -> λ; got None"),
    not_a_schedule(LAM, "got LambdaVariable("),
    *(not_a_variable(each, f"for a plain loop; got {each!r} (") for each in (0.3, "lam", [LAM])),
    not_a_state({}, "is a dict of steps, total_steps, schedule, value; got {} (dict)."),
    not_a_state(None, "got None"),
    not_a_state({**STATE, "epoch": 3}, "is a dict of steps, total_steps, schedule, value"),
    not_a_state({**STATE, "steps": -1}, "steps of the state must be an integer >= 0; got -1"),
    not_a_state({**STATE, "steps": 1.5}, "steps of the state must be an integer >= 0; got 1.5"),
    not_a_state({**STATE, "steps": Failing()}, "must be an integer >= 0; got an object without"),
    not_a_state({**STATE, "value": "0"}, "value of the state must be a finite number >= 0"),
    not_a_state({**STATE, "total_steps": 5}, "its total_steps is 5, here it is 10."),
    not_a_state({**STATE, "total_steps": np.ones(2)}, "its total_steps is [1. 1.], here it"),
    not_a_state({**STATE, "schedule": Unwritten(1)}, "its schedule is an object without a re"),
    (lambda: driver(lambda p: -p).step(), InvalidLambdaError, "<lambda> at p = 0.1: λ must be a"),
    (lambda: driver(lambda p: X), InvalidLambdaError, "<lambda> at p = 0.0: λ must be a"),
]


@pytest.mark.parametrize("call, error, words", MISTAKES)
def test_a_mistake_raises_and_says_what_to_do(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert type(caught.value) is error
    assert len(str(caught.value)) < (2000 if "Known backends" in str(caught.value) else 400)


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
        ("check numpy --js", "unrecognized arguments: --js"),  # nor are options abbreviated
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
