"""`check_flow`: whether a reversed gradient arrives at the features of a user's own model."""

from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Sequence, Tuple, Union

import numpy as np

from revgrad._lambda import lambda_as_float
from revgrad._variable import LambdaVariable
from revgrad.testing._cases import floating
from revgrad.testing._check import as_harness
from revgrad.testing.flow._diagnosis import Finding, diagnose, follows
from revgrad.testing.flow._domain_loss import Program, check_arguments, floating_arrays
from revgrad.testing.flow._report import report
from revgrad.testing.flow._slopes import measure, nearby
from revgrad.testing.harness import Harness

__all__ = ["Flow", "check_flow"]

# The kinds that say nothing about the reversal; another point may.
UNSURE = ("undecided", "unseen", "flat")


@dataclass(frozen=True)
class Flow:
    """The result of `check_flow`; true if `ok` is.

    Parameters
    ----------
    ok : bool
        Whether the reversal was found to be correct. False also if nothing could be decided.
    kind : str
        The diagnosis, one of those listed under `check_flow`.
    ratio : float, optional
        The gradient that arrives at the features, divided by the true one; None if there is no
        single ratio.
    expected : float
        What it must be: ``-lam``. A `LambdaVariable` that holds 0 is set to 1 for the check.
    parameter_ratios : tuple of float or None
        The ratio for each of the parameters, which must be 1.
    report : str
        What was seen, what it means, what to do.

    Examples
    --------
    >>> flow = Flow(False, "cut", 0.0, -0.3, (), "No gradient arrives at the features.")
    >>> assert flow.ok, flow
    Traceback (most recent call last):
      ...
    AssertionError: No gradient arrives at the features.
    """

    ok: bool
    kind: str
    ratio: Optional[float]
    expected: float
    parameter_ratios: Tuple[Optional[float], ...]
    report: str

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.report


def check_flow(
    domain_loss: Callable[..., Any],
    features: Any,
    lam: Any,
    *,
    harness: Union[Harness, str],
    parameters: Sequence[Any] = (),
) -> Flow:
    """Check that a reversed gradient arrives at the features, with the right sign and scale.

    The reversal is the identity in the forward pass, so finite differences of the loss give the
    true gradient. Automatic differentiation gives the one that arrives. It must be ``-lam`` times
    the true one at the features, and equal to the true one at the parameters of the domain head.

    Parameters
    ----------
    domain_loss : callable
        Takes the features, and the parameters if there are any, as values of the framework, and
        returns the domain loss, a scalar. The reversal is inside. It must be deterministic:
        switch dropout off.
    features : numpy.ndarray
        A batch of features, of any shape and a floating dtype. Float64 gives clearer results than
        float32.
    lam : float or LambdaVariable
        The λ of the reversal. A variable is set to another value during the check, to see whether
        the gradient follows.
    harness : Harness or str
        Drives the framework; or the name of a backend that offers a harness.
    parameters : sequence of numpy.ndarray, optional
        The weights of the domain head. Without them a reversal *after* the head is not detected:
        the features then get ``-lam`` times their gradient as well. Needs `Harness.constant`.

    Returns
    -------
    Flow
        Its `kind` is one of

        ``"right"``
            The reversal works. (If λ is the number 0: no gradient arrives, as it must be.)
        ``"constant"``
            The loss does not depend on the features, as after a softmax over one column.
        ``"flat"``
            The loss does not change near these features, but changes further away.
        ``"disconnected"``
            The framework finds no connection from the loss to the features.
        ``"cut"``
            The loss depends on the features, and the gradient that arrives is zero.
        ``"unreversed"``
            The gradient arrives with its own sign: no reversal is in its path.
        ``"sign"``
            It arrives times ``+lam``: there is one minus sign too many.
        ``"twice"``
            It arrives times ``+lam**2``: it passes two reversals.
        ``"scale"``
            It is reversed, by another λ.
        ``"frozen"``
            It does not follow the `LambdaVariable`.
        ``"mixed"``
            It is not a multiple of the true one: some parts are reversed and others are not.
        ``"after"``
            The parameters of the head are reversed as well: the reversal is after the head.
        ``"head"``
            The features get the right gradient, and a parameter of the head a wrong one.
        ``"nonfinite"``
            The loss or the gradient is inf or nan.
        ``"undecided"``
            The finite differences are not exact enough; the report says why.

    Raises
    ------
    UnsupportedTypeError
        If the features or a parameter are not NumPy arrays, or their dtype carries no gradient.
    InvalidLambdaError
        If `lam` is not a single λ.
    TypeError
        If ``harness`` is neither a harness nor a name.
    ValueError
        If the features are empty or not finite, or `domain_loss` does not take as many arguments as
        there are, or does not return a floating scalar of the framework.
    BackendUnavailableError
        If a backend was named that does not load or offers no harness.
    NotImplementedError
        If there are parameters and the harness has no `Harness.constant`.

    Notes
    -----
    The loss is computed about a hundred times for each parameter and a few hundred times for the
    features, in one program each. A part of the model that carries less than about one percent of
    the gradient is not detected, nor is a λ that is wrong by less than the error in the report.

    Examples
    --------
    In the test suite of a model::

        def test_the_reversed_gradient_arrives():
            flow = check_flow(domain_loss, features, 0.3, harness="theano", parameters=[w, b])
            assert flow.ok, flow
    """
    harness = as_harness(harness)
    variable = lam if isinstance(lam, LambdaVariable) else None
    before = lambda_as_float(lam if variable is None else variable.value)
    arrays = list(floating_arrays(features, parameters))
    check_arguments(domain_loss, arrays)
    if arrays[1:] and type(harness).constant is Harness.constant:
        raise NotImplementedError(
            f"check_flow differentiates by one argument at a time, and {type(harness).__name__} "
            "has no constant(array) to hold the others. Write it, or leave the parameters out."
        )
    strength = before if variable is None else before or 1.0
    program = Program(harness, domain_loss, arrays, 0)
    try:
        finding = _look(program, strength) if variable is None else _follow(program, variable)
        heads = [
            _look(Program(harness, domain_loss, arrays, i), strength) for i in range(1, len(arrays))
        ]
    finally:
        if variable is not None:
            variable.value = before
    kind, text = report(finding, heads, strength, None if variable is None else before)
    ratios = tuple(each.ratio for each in heads)
    return Flow(kind == "right", kind, finding.ratio, 0.0 - strength, ratios, text)


def _look(program: Program, lam: float) -> Finding:
    """Examine the given point and, unless the result is clear, some nearby points."""
    findings = [_at(program.x, program, lam)]
    clear = findings[0].kind in ("right", "constant", "disconnected", "nonfinite")
    if clear or findings[0].detail == "unsteady":
        return findings[0]
    # Features that come out of a relu lie on the kinks of the next one, and so do those of a head
    # of zeros: the derivative is undefined there. A wrong reversal is wrong at every point.
    for point in nearby(program.x):
        finding = _at(point, program, lam)
        if finding.kind == "right" and findings[0].kind in UNSURE:
            program.x = point
            return finding
        # A kink looks the same, so the given point does not count as evidence.
        witnesses = findings[1:] if finding.kind == "mixed" else findings
        if finding.kind in [each.kind for each in witnesses]:
            return finding
        if finding.kind != "nonfinite":  # which says nothing about the given point
            findings.append(finding)
    return findings[0] if findings[0].kind in UNSURE else Finding("undecided", detail="kinks")


def _at(x: Any, program: Program, lam: float) -> Finding:
    loss, gradient = program(x)
    if not np.isfinite(loss):
        return Finding("nonfinite", detail=f"the loss is {loss}")
    if gradient is not None and not np.isfinite(gradient).all():
        count = np.count_nonzero(~np.isfinite(gradient))
        seen = f"{count} of {gradient.size} elements of the gradient are inf or nan"
        return Finding("nonfinite", detail=f"the loss is {loss:.4g}, and {seen}")
    eps = max(float(floating(each).eps) for each in (x.dtype.name, program.dtype))
    parameter = program.which > 0
    measured = measure(lambda at: program(at)[0], x, gradient, eps, parts=not parameter)
    return diagnose(measured, gradient, lam, parameter)


def _follow(program: Program, variable: LambdaVariable) -> Finding:
    """Examine a second value of the variable too; leave it at its own, or at 1 instead of 0."""
    built_at = variable.value
    variable.value = lam = built_at or 1.0
    finding = _look(program, lam)
    if finding.kind == "right":
        gradient = program(program.x)[1]
        variable.value = other = 0.0 if built_at == 0 else lam / 2
        moved = program(program.x)[1]
        variable.value = lam
        if not follows(gradient, moved, other / lam):
            how = "" if follows(gradient, moved, 1.0) else " in proportion"
            seen = f"the gradient does not change{how} when λ changes from {lam:g} to {other:g}"
            return replace(finding, kind="frozen", detail=seen)
    elif finding.kind in ("cut", "disconnected") and built_at == 0:
        # Cut, or λ = 0 embedded in the program? A program built with λ = 1 shows which.
        program.run = program.build()
        if _look(program, lam).kind == "right":
            seen = "the gradient is zero with λ = 0, and still zero with λ = 1"
            return Finding("frozen", 0.0, detail=seen)
    return finding
