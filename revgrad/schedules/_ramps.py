"""The schedules that are one formula."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from revgrad.schedules._progress import Number, between, bounded, from_to
from revgrad.schedules._base import Schedule, check_fields, kind


@kind
@dataclass(frozen=True)
class Constant(Schedule):
    r"""The same λ throughout: :math:`\lambda(p) = \mathrm{value}`.

    Parameters
    ----------
    value : float
        λ, at least 0.

    Raises
    ------
    ValueError
        If `value` is not a finite number that is at least 0.

    Examples
    --------
    >>> Constant(0.3)(0.9)
    0.3
    """

    value: float

    def __post_init__(self) -> None:
        check_fields(self, "value")

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return number(self.value) + number(0.0) * p


@kind
@dataclass(frozen=True)
class Dann(Schedule):
    r"""The ramp of the DANN papers, from `low` up towards `high`.

    .. math::
        \lambda(p) = \mathrm{low} + (\mathrm{high} - \mathrm{low}) \tanh(\gamma p / 2)

    which is :math:`2 / (1 + e^{-\gamma p}) - 1` of [1]_ and [2]_ for the default bounds, in a form
    that keeps its relative precision near p = 0.

    Parameters
    ----------
    gamma : float, optional
        How fast λ rises, above 0. It is never negative: the minus of the reversal is its own.
    low : float, optional
        λ at p = 0, at least 0.
    high : float, optional
        What λ rises towards, at least `low`. At p = 1 it has come to :math:`\tanh(\gamma / 2)` of
        the way: 0.99991 for the default `gamma`.

    Raises
    ------
    ValueError
        If `gamma` is not a finite number above 0, `low` or `high` not one that is at least 0, or
        `high` is below `low`.

    References
    ----------
    .. [1] Y. Ganin and V. Lempitsky, "Unsupervised Domain Adaptation by Backpropagation",
       ICML 2015, arXiv:1409.7495.
    .. [2] Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
       arXiv:1505.07818.

    Examples
    --------
    >>> [round(Dann()(p), 6) for p in (0, 0.25, 0.5, 1)]
    [0.0, 0.848284, 0.986614, 0.999909]
    """

    gamma: float = 10.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "gamma", positive=True)
        check_fields(self, "low", "high")
        if self.high < self.low:
            raise ValueError(
                f"Dann: high must be at least low; got low={self.low}, high={self.high}. For a λ "
                "that falls use Linear, Cosine, Exponential or Polynomial."
            )

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        t = xp.tanh(number(self.gamma / 2) * p)
        return between(self.low, self.high, t, xp, number)


@kind
@dataclass(frozen=True)
class Linear(Schedule):
    r"""A straight line: :math:`\lambda(p) = \mathrm{start} + (\mathrm{end} - \mathrm{start})\,p`.

    Parameters
    ----------
    start : float, optional
        λ at p = 0, at least 0.
    end : float, optional
        λ at p = 1, at least 0; below `start` for a λ that falls.

    Raises
    ------
    ValueError
        If an argument is not a finite number that is at least 0.

    Examples
    --------
    >>> Linear(0, 0.5)(0.5)
    0.25
    """

    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "start", "end")

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return from_to(self.start, self.end, p, xp, number)


@kind
@dataclass(frozen=True)
class Cosine(Schedule):
    r"""Half a cosine wave, flat at both ends.

    .. math::
        \lambda(p) = \mathrm{start} + (\mathrm{end} - \mathrm{start})\,\frac{1 - \cos \pi p}{2}

    The form is that of the learning rate in [1]_ between two restarts.

    Parameters
    ----------
    start : float, optional
        λ at p = 0, at least 0.
    end : float, optional
        λ at p = 1, at least 0; below `start` for a λ that falls.

    Raises
    ------
    ValueError
        If an argument is not a finite number that is at least 0.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, arXiv:1608.03983.

    Examples
    --------
    >>> [round(Cosine()(p), 6) for p in (0, 0.25, 0.5, 1)]
    [0.0, 0.146447, 0.5, 1.0]
    """

    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "start", "end")

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        t = (number(1.0) - xp.cos(number(math.pi) * p)) * number(0.5)
        return from_to(self.start, self.end, t, xp, number)


@kind
@dataclass(frozen=True)
class Exponential(Schedule):
    r"""A constant factor per step, up or down.

    .. math::
        \lambda(p) = \mathrm{start} \cdot (\mathrm{end} / \mathrm{start})^p

    To multiply λ by r at each of n steps, let `end` be :math:`\mathrm{start} \cdot r^n`.

    Parameters
    ----------
    start : float
        λ at p = 0, above 0.
    end : float
        λ at p = 1, above 0; below `start` for a λ that falls.

    Raises
    ------
    ValueError
        If an argument is not a finite number above 0.

    Examples
    --------
    >>> decay = Exponential(1, 0.9**10)  # ten steps, each times 0.9
    >>> round(decay(0.3), 6), round(0.9**3, 6)
    (0.729, 0.729)
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        check_fields(self, "start", "end", positive=True)

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        rate = math.log(self.end) - math.log(self.start)  # their quotient might overflow
        value = number(self.start) * xp.exp(number(rate) * p)
        return xp.where(
            p >= number(1.0), number(self.end), bounded(self.start, self.end, value, xp, number)
        )


@kind
@dataclass(frozen=True)
class Polynomial(Schedule):
    r"""A power of the progress.

    .. math::
        \lambda(p) = \mathrm{start} + (\mathrm{end} - \mathrm{start})\,p^{\mathrm{power}}

    A power above 1 starts slowly, one below 1 starts fast. (The "poly" rule for learning rates is
    a power of :math:`1 - p` instead.)

    Parameters
    ----------
    start : float, optional
        λ at p = 0, at least 0.
    end : float, optional
        λ at p = 1, at least 0; below `start` for a λ that falls.
    power : float, optional
        Above 0.

    Raises
    ------
    ValueError
        If `start` or `end` is not a finite number that is at least 0, or `power` not one above 0.

    Examples
    --------
    >>> Polynomial(power=2)(0.5)
    0.25
    """

    start: float = 0.0
    end: float = 1.0
    power: float = 2.0

    def __post_init__(self) -> None:
        check_fields(self, "start", "end")
        check_fields(self, "power", positive=True)

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return from_to(self.start, self.end, p ** number(self.power), xp, number)


@kind
@dataclass(frozen=True)
class InverseDecay(Schedule):
    r"""The learning rate of the DANN papers, which falls from `initial`.

    .. math::
        \mu(p) = \frac{\mathrm{initial}}{(1 + \alpha p)^\beta}

    The defaults are those of [1]_. It is a rule for the learning rate, driven by
    the same progress as λ; `LambdaScheduler` without a variable drives it in a plain loop.

    Parameters
    ----------
    initial : float, optional
        The value at p = 0, at least 0.
    alpha : float, optional
        At least 0.
    beta : float, optional
        At least 0.

    Raises
    ------
    ValueError
        If an argument is not a finite number that is at least 0.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
       arXiv:1505.07818.

    Examples
    --------
    >>> rate = InverseDecay()
    >>> rate(0), round(rate(1), 6)
    (0.01, 0.001656)
    """

    initial: float = 0.01
    alpha: float = 10.0
    beta: float = 0.75

    def __post_init__(self) -> None:
        check_fields(self, "initial", "alpha", "beta")

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return number(self.initial) / (number(1.0) + number(self.alpha) * p) ** number(self.beta)
