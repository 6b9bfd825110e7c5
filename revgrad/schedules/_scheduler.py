"""`LambdaScheduler`: sets λ along a schedule, step by step."""

import math
import threading
import warnings
from typing import Any, Dict, Iterator, Mapping, Optional

from revgrad._lambda import describe_value
from revgrad._variable import LambdaVariable
from revgrad.schedules._arguments import as_integer, as_number, check_schedule, invalid
from revgrad.schedules._base import Callback, call_schedule, encode, schedule_name
from revgrad.schedules._progress import progress


class LambdaScheduler:
    """Drives a `LambdaVariable` along a schedule.

    λ changes only when you call `step`: no forward pass and no evaluation counts as a step. A step
    may be a batch or an epoch: call `step` once for each, and count `total_steps` in the same
    unit. The variable is set at once: during the first step λ is ``schedule(0)``, and during step
    k, counted from 0, it is ``schedule(k / total_steps)``. After `total_steps` steps λ stays at
    ``schedule(1)``.

    Parameters
    ----------
    variable : LambdaVariable or None
        The variable to set. None for a plain loop that reads `value`, or iterates.
    schedule : Schedule or callable
        Maps progress p in [0, 1] to λ: one of `revgrad.schedules`, or any callable.
    total_steps : int
        The number of steps of the training run, at least 1. No default: the horizon depends on the
        run.

    Raises
    ------
    ValueError
        If an argument is of another type, or `total_steps` is less than 1.
    InvalidLambdaError
        If `schedule` returns anything but a real, finite scalar that is at least 0. The error
        names the schedule and p.

    Notes
    -----
    Iterating yields the λ of each remaining step, and calls `step` at the end of each iteration,
    unless the body of the loop has called it. To save a checkpoint in the body, call `step` first;
    otherwise the checkpoint repeats the current step.

    A value assigned to the variable by hand holds until the next `step` or `load_state_dict`.

    `step` may be called from several threads.

    Examples
    --------
    >>> from revgrad.schedules import Linear
    >>> lam = LambdaVariable()
    >>> scheduler = LambdaScheduler(lam, Linear(0, 2), total_steps=4)
    >>> lam.value
    0.0
    >>> scheduler.step()
    0.5
    >>> lam.value
    0.5
    >>> scheduler
    <LambdaScheduler step 1 of 4, p=0.25, λ=0.5, Linear(start=0.0, end=2.0)>
    >>> scheduler.state_dict()
    {'steps': 1, 'total_steps': 4, 'schedule': {'kind': 'Linear', 'start': 0.0, 'end': 2.0}, \
'value': 0.5}

    Without a variable, in a plain loop:

    >>> list(LambdaScheduler(None, Linear(0, 2), total_steps=4))
    [0.0, 0.5, 1.0, 1.5]
    """

    _advice_as_lambda = "Pass the LambdaVariable that it sets, scheduler.variable."
    _warned = False

    def __init__(
        self, variable: Optional[LambdaVariable], schedule: Callback, total_steps: int
    ) -> None:
        if variable is not None and not isinstance(variable, LambdaVariable):
            expected = "a revgrad.LambdaVariable, or None for a plain loop"
            if callable(variable):
                expected += " (are variable and schedule swapped?)"
            raise invalid("LambdaScheduler: variable", expected, variable)
        check_schedule("LambdaScheduler: schedule", schedule)
        self._variable = variable
        self._schedule = schedule
        self._total_steps = as_integer("LambdaScheduler: total_steps", total_steps)
        self._lock = threading.RLock()  # reentrant: the schedule may be a callable of the user
        self._move(0)

    def _move(self, steps: int, saved: Optional[float] = None) -> float:
        """Set λ after a number of steps, which a checkpoint may know, and the count."""
        value: float = call_schedule(self._schedule, progress(steps, self._total_steps))
        # Functions of one name may differ; equal formulas may differ in the last digits, with
        # another NumPy or processor.
        if saved is not None and not math.isclose(value, saved, rel_tol=1e-9, abs_tol=1e-12):
            raise _mismatch(f"λ after {steps} steps", saved, value)
        if self._variable is not None:
            self._variable.value = value  # first: if it raises, nothing has changed
        self._position = steps, value  # at once, so that readers need no lock
        return value

    @property
    def variable(self) -> Optional[LambdaVariable]:
        """The variable that is set, or None."""
        return self._variable

    @property
    def schedule(self) -> Callback:
        """The schedule."""
        return self._schedule

    @property
    def total_steps(self) -> int:
        """The number of steps of the training run."""
        return self._total_steps

    @property
    def steps(self) -> int:
        """The number of steps done; it may exceed `total_steps`."""
        return self._position[0]

    @property
    def progress(self) -> float:
        """The progress of the training run: ``steps / total_steps``, at most 1."""
        return progress(self.steps, self._total_steps)

    @property
    def value(self) -> float:
        """λ of the next step, ``schedule(progress)``, as the scheduler has set it."""
        return self._position[1]

    def step(self, n: int = 1) -> float:
        """Count `n` steps as done and set λ for the next one.

        Parameters
        ----------
        n : int, optional
            At least 0. 0 sets the variable again.

        Returns
        -------
        float
            The new λ.

        Raises
        ------
        ValueError
            If `n` is not an integer that is at least 0.
        InvalidLambdaError
            If the schedule does not return a λ. Nothing has changed then.

        Warns
        -----
        UserWarning
            Once, when the number of steps exceeds twice `total_steps`: `total_steps` probably
            counts epochs, and `step` is called for each batch.
        """
        with self._lock:
            value = self._move(self.steps + as_integer("LambdaScheduler: n", n, least=0))
            if self.steps > 2 * self._total_steps and not self._warned:
                self._warned = True
                warnings.warn(
                    f"The LambdaScheduler is at step {self.steps} of {self._total_steps}: λ stays "
                    f"at {value:.6g}. If each batch is a step, total_steps must count batches.",
                    stacklevel=2,
                )
            return value

    def __iter__(self) -> Iterator[float]:
        while self.steps < self._total_steps:
            steps, value = self._position
            yield value
            with self._lock:
                if self.steps == steps:
                    self.step()

    def state_dict(self) -> Dict[str, Any]:
        """Return what a checkpoint needs, as a plain dict.

        Returns
        -------
        dict
            The steps done, `total_steps`, the schedule as a dict, and λ. It can be stored as JSON.
            A callable that is not one of `revgrad.schedules` is stored by its qualified name.
        """
        steps, value = self._position
        plain = encode(self._schedule, strict=False)
        return {"steps": steps, "total_steps": self._total_steps, "schedule": plain, "value": value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint: restore the number of steps and set λ.

        Parameters
        ----------
        state : mapping
            What `state_dict` returned for a scheduler with the same schedule and `total_steps`.

        Raises
        ------
        ValueError
            If the state has another schedule or `total_steps`; the error shows both. For a
            callable of the user the name is compared, and λ at the step of the checkpoint. Nothing
            has changed then.

        Notes
        -----
        It sets the variable, so a model and its scheduler may be restored in either order if the
        model holds the variable itself.
        """
        ours = self.state_dict()
        if not isinstance(state, Mapping) or set(state) != set(ours):
            raise ValueError(
                f"The state of a LambdaScheduler is a dict of {', '.join(ours)}; got "
                f"{describe_value(state)}."
            )
        steps = as_integer("LambdaScheduler: steps of the state", state["steps"], least=0)
        saved = as_number("LambdaScheduler: value of the state", state["value"])
        for name in ("total_steps", "schedule"):
            try:
                same = bool(state[name] == ours[name])
            except Exception:  # an array, which has no truth value
                same = False
            if not same:
                raise _mismatch(name, state[name], ours[name])
        with self._lock:
            self._move(steps, saved)

    def __getstate__(self) -> Dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    def __repr__(self) -> str:
        return (
            f"<LambdaScheduler step {self.steps} of {self._total_steps}, p={self.progress:.4g}, "
            f"λ={self.value:.6g}, {schedule_name(self._schedule)}>"
        )


def _mismatch(name: str, saved: Any, ours: Any) -> ValueError:
    try:
        shown = str(saved)  # as a whole
    except Exception:
        shown = describe_value(saved)
    return ValueError(
        f"The state belongs to another LambdaScheduler: its {name} is {shown}, here it is "
        f"{ours}. Construct the scheduler as it was when the state was saved, or start without the "
        "state."
    )
