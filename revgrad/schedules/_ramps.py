"""The schedules that are a single formula."""

# No annotations from __future__, as in _base.

import math
from dataclasses import dataclass
from typing import Any

from revgrad.schedules._base import Schedule
from revgrad.schedules._progress import Number, finish, lerp


@dataclass(frozen=True)
class Dann(Schedule):
    r"""The ramp of the DANN papers, from `low` towards `high`.

    .. math::
        \lambda(p) = \mathrm{low} + (\mathrm{high} - \mathrm{low}) \tanh(\gamma p / 2)

    For the default bounds this is :math:`2 / (1 + e^{-\gamma p}) - 1` of Ganin and Lempitsky, in a
    form without cancellation near p = 0.

    Parameters
    ----------
    gamma : float, optional
        How fast λ rises, above 0. The minus sign belongs to the reversal, not here.
    low : float, optional
        λ at p = 0, at least 0.
    high : float, optional
        The limit of λ, at least `low`. At p = 1 λ has covered :math:`\tanh(\gamma / 2)` of the
        difference: 0.99991 with the default `gamma`.

    Raises
    ------
    ValueError
        If `gamma` is not a finite number above 0, `low` or `high` is not a finite number that is
        at least 0, or `high` is below `low`.

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

    _positive = ("gamma",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.high < self.low:
            raise ValueError(
                f"Dann: high must be at least low; got low={self.low}, high={self.high}. For a "
                "decreasing λ use Linear, Cosine, Exponential or Polynomial."
            )

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return lerp(self.low, self.high, xp.tanh(number(self.gamma / 2) * p), xp, number)


@dataclass(frozen=True)
class Linear(Schedule):
    r"""A straight line: :math:`\lambda(p) = \mathrm{start} + (\mathrm{end} - \mathrm{start})\,p`.

    Parameters
    ----------
    start : float, optional
        λ at p = 0, at least 0.
    end : float, optional
        λ at p = 1, at least 0; below `start` for a decreasing λ.

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

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return lerp(self.start, self.end, p, xp, number)


@dataclass(frozen=True)
class Cosine(Schedule):
    r"""Half a period of a cosine, flat at both ends.

    .. math::
        \lambda(p) = \mathrm{start} + (\mathrm{end} - \mathrm{start})\,\frac{1 - \cos \pi p}{2}

    This is the cosine annealing of Loshchilov and Hutter, between two restarts.

    Parameters
    ----------
    start : float, optional
        λ at p = 0, at least 0.
    end : float, optional
        λ at p = 1, at least 0; below `start` for a decreasing λ.

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

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        t = (number(1.0) - xp.cos(number(math.pi) * p)) * number(0.5)
        return lerp(self.start, self.end, t, xp, number)


@dataclass(frozen=True)
class Exponential(Schedule):
    r"""Multiplication of λ by the same number at each step, up or down.

    .. math::
        \lambda(p) = \mathrm{start} \cdot (\mathrm{end} / \mathrm{start})^p

    To multiply λ by r at each of n steps, set `end` to :math:`\mathrm{start} \cdot r^n`.

    Parameters
    ----------
    start : float
        λ at p = 0, above 0.
    end : float
        λ at p = 1, above 0; below `start` for a decreasing λ.

    Raises
    ------
    ValueError
        If an argument is not a finite number above 0.

    Examples
    --------
    >>> decay = Exponential(1, 0.9**10)  # 10 steps, λ times 0.9 at each
    >>> round(decay(0.3), 6), round(0.9**3, 6)
    (0.729, 0.729)
    """

    start: float
    end: float

    _positive = ("start", "end")

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        # Not the logarithm of the quotient, which might overflow.
        value = number(self.start) * xp.exp(number(math.log(self.end) - math.log(self.start)) * p)
        return finish(self.start, self.end, p, value, xp, number)


@dataclass(frozen=True)
class Polynomial(Schedule):
    r"""A power of the progress.

    .. math::
        \lambda(p) = \mathrm{start} + (\mathrm{end} - \mathrm{start})\,p^{\mathrm{power}}

    With a power above 1 λ starts slowly, below 1 fast. (The "poly" rule for learning rates is a
    power of :math:`1 - p` instead.)

    Parameters
    ----------
    start : float, optional
        λ at p = 0, at least 0.
    end : float, optional
        λ at p = 1, at least 0; below `start` for a decreasing λ.
    power : float, optional
        Above 0.

    Raises
    ------
    ValueError
        If `start` or `end` is not a finite number that is at least 0, or `power` is not a finite
        number above 0.

    Examples
    --------
    >>> Polynomial(power=2)(0.5)
    0.25
    """

    start: float = 0.0
    end: float = 1.0
    power: float = 2.0

    _positive = ("power",)

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return lerp(self.start, self.end, p ** number(self.power), xp, number)


@dataclass(frozen=True)
class InverseDecay(Schedule):
    r"""The decreasing learning rate of the DANN papers.

    .. math::
        \mu(p) = \frac{\mathrm{initial}}{(1 + \alpha p)^\beta}

    The defaults are those of Ganin et al. It depends on the same progress as λ; a `LambdaScheduler`
    without a variable yields the learning rate of each step.

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

    def _curve(self, p: Any, xp: Any, number: Number) -> Any:
        return number(self.initial) / (number(1.0) + number(self.alpha) * p) ** number(self.beta)
