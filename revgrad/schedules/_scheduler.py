"""`LambdaScheduler`: drives a λ along a schedule, step by step."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from revgrad.schedules._arguments import as_integer, as_number, check_schedule
from revgrad._lambda import describe_value
from revgrad.schedules._progress import progress
from revgrad.schedules._base import call_schedule, describe, name_of
from revgrad._variable import LambdaVariable

_STATE = ("steps", "total_steps", "schedule", "value")


class LambdaScheduler:
    """Drives a `LambdaVariable` along a schedule.

    It moves when you call `step`, and at no other time: no forward pass and no evaluation steps
    it. What a step is, a batch or an epoch, is yours to choose: call `step` once for each, and
    let `total_steps` count the same things. The value is set at once, so that of the first step
    is ``schedule(0)``; step number k, counted from 0, sees ``schedule(k / total_steps)``. After
    `total_steps` steps the end value ``schedule(1)`` stays.

    Parameters
    ----------
    variable : LambdaVariable or None
        What it drives. None for a plain loop that reads `value`, or iterates.
    schedule : Schedule or callable
        Maps progress p in [0, 1] to λ: one of `revgrad.schedules`, or a function of your own.
    total_steps : int
        How many steps the training run has, at least 1. It has no default: a horizon that
        somebody else chose fits no run.

    Raises
    ------
    ValueError
        If an argument is none of these.
    InvalidLambdaError
        If `schedule` gives anything but a single real, finite number that is at least 0. The
        error names the schedule and p.

    Notes
    -----
    Iterating yields the λ of each step that is left, and steps after each turn of the loop,
    unless its body has called `step` itself. A body that saves a checkpoint calls `step` first:
    a state that is saved before it says that the running step is still to be done.

    Examples
    --------
    >>> from revgrad.schedules import Linear
    >>> lam = LambdaVariable()
    >>> ramp = LambdaScheduler(lam, Linear(0, 2), total_steps=4)
    >>> lam.value
    0.0
    >>> ramp.step()
    0.5
    >>> lam.value
    0.5
    >>> ramp
    <LambdaScheduler step 1 of 4, p=0.25, λ=0.5, Linear(start=0.0, end=2.0)>

    Without a variable, in a plain loop:

    >>> list(LambdaScheduler(None, Linear(0, 2), total_steps=4))
    [0.0, 0.5, 1.0, 1.5]
    """

    def __init__(
        self,
        variable: Optional[LambdaVariable],
        schedule: Callable[[Any], Any],
        total_steps: int,
    ) -> None:
        if variable is not None and not isinstance(variable, LambdaVariable):
            raise ValueError(
                "LambdaScheduler: variable must be a revgrad.LambdaVariable, or None for a plain "
                f"loop; got {describe_value(variable)}."
            )
        check_schedule("LambdaScheduler", "schedule", schedule)
        self._variable = variable
        self._schedule = schedule
        self._total_steps = as_integer("LambdaScheduler", "total_steps", total_steps)
        self._move(0)

    def _move(self, steps: int) -> None:
        # λ first, then the variable, then the count: what fails on the way has changed nothing.
        value = self._lam(steps)
        if self._variable is not None:
            self._variable.value = value
        self._steps, self._value = steps, value

    def _lam(self, steps: int) -> float:
        lam: float = call_schedule(self._schedule, progress(steps, self._total_steps))
        return lam

    @property
    def variable(self) -> Optional[LambdaVariable]:
        """The variable that is driven, or None."""
        return self._variable

    @property
    def schedule(self) -> Callable[[Any], Any]:
        """The schedule."""
        return self._schedule

    @property
    def total_steps(self) -> int:
        """How many steps the training run has."""
        return self._total_steps

    @property
    def steps(self) -> int:
        """How many steps are done; it counts on beyond `total_steps`."""
        return self._steps

    @property
    def progress(self) -> float:
        """How far the training run has come: ``steps / total_steps``, at most 1."""
        p: float = progress(self._steps, self._total_steps)
        return p

    @property
    def value(self) -> float:
        """λ for the step that comes next: ``schedule(progress)``."""
        return self._value

    def step(self, n: int = 1) -> float:
        """Count `n` steps as done and set λ for the next one.

        Parameters
        ----------
        n : int, optional
            At least 0.

        Returns
        -------
        float
            The new λ.

        Raises
        ------
        ValueError
            If `n` is not an integer that is at least 0.
        InvalidLambdaError
            If a callable of yours gives something else than a λ. Nothing has changed then.
        """
        self._move(self._steps + as_integer("LambdaScheduler", "n", n, least=0))
        return self._value

    def __iter__(self) -> Iterator[float]:
        while self._steps < self._total_steps:
            before = self._steps
            yield self._value
            if self._steps == before:
                self.step()

    def state_dict(self) -> Dict[str, Any]:
        """Return what a checkpoint needs, as a plain dict.

        Returns
        -------
        dict
            The steps done, `total_steps`, the schedule as a dict, and λ. JSON keeps it. A callable
            of your own stands there with its qualified name.

        Examples
        --------
        >>> from revgrad.schedules import Linear
        >>> LambdaScheduler(None, Linear(), 100).state_dict()
        {'steps': 0, 'total_steps': 100, 'schedule': {'kind': 'Linear', 'start': 0.0, 'end': 1.0}, \
'value': 0.0}
        """
        return {
            "steps": self._steps,
            "total_steps": self._total_steps,
            "schedule": describe(self._schedule),
            "value": self._value,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was taken, and set λ.

        Parameters
        ----------
        state : mapping
            What `state_dict` returned, of a scheduler with an equal schedule and `total_steps`.

        Raises
        ------
        ValueError
            If the state is of another schedule or another `total_steps`; both are describe_value. Of a
            callable of your own, the name is compared, and its λ at the step of the checkpoint.
            Nothing has changed then.
        """
        if not isinstance(state, Mapping) or set(state) != set(_STATE):
            raise ValueError(
                f"The state of a LambdaScheduler is a dict of {', '.join(_STATE)}; got "
                f"{describe_value(state)}."
            )
        steps = as_integer("LambdaScheduler", "steps of the state", state["steps"], least=0)
        saved = as_number("LambdaScheduler", "value of the state", state["value"])
        ours = self.state_dict()
        for name in ("total_steps", "schedule"):
            if state[name] != ours[name]:
                raise _other(name, state[name], ours[name])
        value = self._lam(steps)
        # Equal names do not make functions equal; equal formulas may differ in the last digits
        # from one NumPy or processor to the next.
        if not math.isclose(value, saved, rel_tol=1e-9, abs_tol=1e-12):
            raise _other(f"λ after {steps} steps", saved, value)
        self._move(steps)

    def __repr__(self) -> str:
        return (
            f"<LambdaScheduler step {self._steps} of {self._total_steps}, p={self.progress:.4g}, "
            f"λ={self._value:.6g}, {name_of(self._schedule)}>"
        )


def _other(name: str, theirs: Any, ours: Any) -> ValueError:
    return ValueError(
        f"The state is that of another LambdaScheduler. Its {name}: {theirs}; here: {ours}. Make "
        "the scheduler as it was made when the state was saved, or start a new one without it."
    )
