"""From slopes to a diagnosis."""

from dataclasses import dataclass, replace
from typing import Any, Optional, Sequence

import numpy as np

from revgrad.testing._cases import floating
from revgrad.testing.flow._slopes import SAFETY, Measured, Slope

# A slope counts whose error is at most this part of the steepest one: another would fit all.
USABLE = 0.3

# How well the ratio at the features must be known: it tells λ from a λ that is 4 % larger.
PRECISION = 0.02

# A gradient is cut where it is at most this part of the smallest one that may arrive.
SMALL = 1e-3


@dataclass(frozen=True)
class Finding:
    """The diagnosis of one gradient.

    Parameters
    ----------
    kind : str
        As in `revgrad.testing.check_flow`; ``"unseen"`` is a parameter without a true gradient.
    ratio : float, optional
        The arriving gradient divided by the true one.
    error : float
        The relative error of the ratio.
    detail : str
        What was seen, if the ratio does not say it.
    """

    kind: str
    ratio: Optional[float] = None
    error: float = 0.0
    detail: str = ""


def diagnose(measured: Measured, gradient: Optional[Any], lam: float, parameter: bool) -> Finding:
    """Compare the arriving gradient with the true one.

    Parameters
    ----------
    measured : Measured
        The slopes.
    gradient : numpy.ndarray, optional
        What arrived; None if the framework says that it is not connected.
    lam : float
        The λ of the reversal.
    parameter : bool
        Whether it is the gradient of a parameter of the head, and not of the features.

    Returns
    -------
    Finding
        With a kind of `check_flow`, or ``"other"`` for an own sign and a scale that has no name.
    """
    # The factors that may arrive, the right one first, and how well they must be told apart.
    factors = {"right": -lam, "unreversed": 1.0, "sign": lam, "twice": lam**2}
    precision = PRECISION
    if parameter:
        factors, precision = {"right": 1.0, "after": -lam}, USABLE  # two signs differ enough
    slopes = measured.slopes
    if not slopes:
        return Finding("undecided", detail="borders")
    if not measured.steady:
        return Finding("undecided", detail="unsteady")
    zero = gradient is None or not np.any(gradient)
    if measured.constant:
        if zero or measured.invisible:
            return Finding("constant", detail="the loss is the same wherever they are moved")
        return Finding("mixed", detail="the loss is the same, and yet a gradient arrives")
    if gradient is None:
        return Finding("disconnected", detail="the loss changes when they are moved")
    best = slopes[0]
    unclear = "digits" if best.digits else "kinks"
    if not any(abs(each.true) > SAFETY * each.error for each in slopes):
        if zero and measured.flat:
            return Finding("flat", detail="the loss changes only when they are moved far")
        still = zero or all(abs(each.arrived) <= SAFETY * each.error for each in slopes)
        return Finding("unseen" if still else "undecided", detail=unclear)
    steepest = max(abs(each.true) for each in slopes)
    arrived = max(abs(each.arrived) for each in slopes)
    right = factors["right"]
    least = min(abs(each) for each in factors.values() if each)
    if zero or (right and arrived <= SMALL * least * steepest):
        detail = f"the loss has a slope of {steepest:.3g}, and none arrives"
        return Finding("cut" if right else "right", 0.0, detail=detail)
    # What automatic differentiation rounds.
    slack = min(PRECISION, max(1e-6, 1e4 * float(floating(gradient.dtype.name).eps)))
    # Along a direction with a kink nearby the differences say nothing: a few are left out.
    usable = [each for each in slopes if SAFETY * each.error <= USABLE * steepest]
    error = SAFETY * best.error / abs(best.true) + slack if best.true else np.inf
    if error > precision + slack or 2 * len(usable) < len(slopes):
        return Finding("undecided", detail=unclear)
    ratio = best.arrived / best.true
    for kind, factor in factors.items():
        if _fit(usable, factor, 0.0, slack * arrived):
            # Where nothing arrives there may still be a gradient, too small to show in one slope.
            if any(SAFETY * each.error * each.reach > USABLE * steepest for each in slopes):
                return Finding("undecided", detail=unclear)
            return Finding(kind, ratio, error)
    # Where kinks are dense, the steps of one direction sometimes agree by chance. A gradient is
    # called wrong only if it is wrong by the errors of the worst direction too.
    widest = max(each.error for each in usable)
    if _fit([replace(each, error=widest) for each in usable], right, error, slack * arrived):
        return Finding("undecided", detail="kinks")
    if _fit(usable, ratio, error, slack * arrived):
        return Finding("scale" if (ratio > 0) == (right > 0) else "other", ratio, error)
    ratios = [each.arrived / each.true for each in usable if abs(each.true) > SAFETY * each.error]
    detail = f"by direction {min(ratios):.3g} to {max(ratios):.3g} times the true gradient"
    return Finding("mixed", detail=detail)


def follows(gradient: Any, moved: Any, ratio: float) -> bool:
    """Say whether a gradient that was measured again is this many times what it was."""
    return bool(np.abs(moved - ratio * gradient).max() <= PRECISION * np.abs(gradient).max())


def _fit(slopes: Sequence[Slope], factor: float, error: float, slack: float) -> bool:
    return all(
        abs(each.arrived - factor * each.true)
        <= abs(factor) * (SAFETY * each.error + error * abs(each.true)) + slack
        for each in slopes
    )
