"""From slopes to a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Optional, Sequence

import numpy as np

from revgrad.testing.flow._slopes import Measured, Slope

SAFETY = 3.0
"""A slope may be off by this many of its estimated errors; one that is larger is seen."""

USABLE = 0.3
"""A slope counts whose error is at most this part of the steepest one: another would fit all."""

PRECISION = 0.02
"""How well the ratio at the features must be known: it tells λ from a λ that is 4 % larger."""

SMALL = 1e-3
"""A gradient is cut where it is at most this part of the smallest one that may arrive."""

UNSURE = ("undecided", "unseen", "flat")
"""The kinds that say nothing about the reversal; another point may."""

SLOPE = "the loss has a slope of {:.3g}, and none arrives"


@dataclass(frozen=True)
class Factors:
    """The factors that the arriving gradient may have to the true one.

    Parameters
    ----------
    named : dict of str to float
        Kind to factor; the first is the right one.
    precision : float
        How small the relative error must be to tell them apart.
    """

    named: Dict[str, float]
    precision: float


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


def of_features(lam: float) -> Factors:
    """Return the factors that may arrive at the features."""
    factors = {"right": -lam, "unreversed": 1.0, "sign": lam, "twice": lam**2}
    return Factors(factors, PRECISION)


def of_parameter(lam: float) -> Factors:
    """Return the factors that may arrive at a parameter of the head."""
    return Factors({"right": 1.0, "after": -lam}, USABLE)  # two signs are easily told apart


def diagnose(measured: Measured, gradient: Optional[Any], factors: Factors) -> Finding:
    """Compare the arriving gradient with the true one.

    Parameters
    ----------
    measured : Measured
        The slopes.
    gradient : numpy.ndarray, optional
        What arrived; None if the framework says that it is not connected.
    factors : Factors
        The candidates.

    Returns
    -------
    Finding
        With a kind of `factors`, or another of `check_flow`.
    """
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
    best = slopes[0]
    steepest = max(abs(each.true) for each in slopes)
    if gradient is None:
        return Finding("disconnected", detail="the loss changes when they are moved")
    if not any(abs(each.true) > SAFETY * each.error for each in slopes):
        if zero and measured.flat:
            return Finding("flat", detail="the loss changes only when they are moved far")
        still = zero or all(abs(each.arrived) <= SAFETY * each.error for each in slopes)
        return Finding("unseen" if still else "undecided", detail=_why(best))
    eps = float(np.finfo(gradient.dtype).eps) if gradient.dtype.kind == "f" else 0.01
    slack = min(PRECISION, max(1e-6, 1e4 * eps))  # what automatic differentiation rounds
    right = next(iter(factors.named.values()))
    least = min((abs(each) for each in factors.named.values() if each), default=0.0)
    arrived = max(abs(each.arrived) for each in slopes)
    if zero or arrived <= (SMALL * least if right else 10 * eps) * steepest:
        return Finding("cut" if right else "right", 0.0, detail=SLOPE.format(steepest))
    # Along a direction with a kink nearby the differences say nothing: a few are left out.
    usable = [each for each in slopes if SAFETY * each.error <= USABLE * steepest]
    error = SAFETY * best.error / abs(best.true) + slack if best.true else np.inf
    if error > factors.precision + slack or 2 * len(usable) < len(slopes):
        return Finding("undecided", detail=_why(best))
    ratio = best.arrived / best.true
    for kind, factor in factors.named.items():
        if _fit(usable, factor, 0.0, slack * arrived):
            # Where nothing arrives there may still be a gradient, too small to show in one slope.
            if any(SAFETY * each.error * each.reach > USABLE * steepest for each in slopes):
                return Finding("undecided", detail=_why(best))
            return Finding(kind, ratio, error)
    # Where kinks are dense, the steps of one direction sometimes agree by chance. A gradient is
    # called wrong only if it is wrong by the errors of the worst direction too.
    widest = max(each.error for each in usable)
    if _fit([replace(each, error=widest) for each in usable], right, error, slack * arrived):
        return Finding("undecided", detail="kinks")
    if _fit(usable, ratio, error, slack * arrived):
        return Finding("scale" if (ratio > 0) == (right > 0) else "other", ratio, error)
    seen = [each for each in usable if abs(each.true) > SAFETY * each.error]
    ratios = [each.arrived / each.true for each in seen]
    return Finding(
        "mixed",
        detail=f"by direction {min(ratios):.3g} to {max(ratios):.3g} times the true gradient",
    )


def followed(finding: Finding, gradient: Any, moved: Any, lam: float, other: float) -> Finding:
    """Check whether the gradient followed a variable that was set from `lam` to `other`."""
    size = np.abs(gradient).max()

    def near(ratio: float) -> bool:
        return bool(np.abs(moved - ratio * gradient).max() <= PRECISION * size)

    if near(other / lam):
        return finding
    seen = "does not change" if near(1.0) else "does not change in proportion"
    detail = f"the gradient {seen} when λ changes from {lam:g} to {other:g}"
    return replace(finding, kind="frozen", detail=detail)


def stays_zero() -> Finding:
    """Return the finding that λ = 0 is embedded in the program."""
    return Finding(
        "frozen", 0.0, detail="the gradient is zero with λ = 0, and still zero with λ = 1"
    )


def not_finite(loss: float, gradient: Optional[Any]) -> Finding:
    """Return the finding that something is inf or nan."""
    if gradient is None or not np.isfinite(loss):
        return Finding("nonfinite", detail=f"the loss is {loss}")
    count = int((~np.isfinite(gradient)).sum())
    return Finding(
        "nonfinite",
        detail=f"the loss is {loss:.4g}, and {count} of {np.size(gradient)} elements of the "
        "gradient are inf or nan",
    )


def _fit(slopes: Sequence[Slope], factor: float, error: float, slack: float) -> bool:
    return all(
        abs(each.arrived - factor * each.true)
        <= abs(factor) * (SAFETY * each.error + error * abs(each.true)) + slack
        for each in slopes
    )


def _why(best: Slope) -> str:
    return "digits" if best.digits else "kinks"
