"""Marks on functions, by which tracers of Python code treat them in a certain way.

Some tools rewrite or trace the Python code of what they call. torch.compile (Dynamo) traces into
every function; it would find a weak dictionary that it cannot look up, and take a number that it
reads for a constant. AutoGraph, which `tf.function` runs, rewrites the source of every function
that it calls, discovery and imports included; so does `paddle.jit.to_static`. Each looks for an
attribute of the function first.
"""

from types import SimpleNamespace
from typing import Any, Callable, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def traced_as(replacement: Callable[..., Any]) -> Callable[[Function], Function]:
    """Let torch.compile trace another function in place of the decorated one."""

    def mark(function: Function) -> Function:
        function._torchdynamo_inline = replacement  # type: ignore[attr-defined]
        return function

    return mark


# Stands for the options that `paddle.jit.not_to_static` attaches to a function.
_NOT_BY_PADDLE = SimpleNamespace(
    need_transform=lambda mode: False, need_capture_control_flow=lambda: False
)


def not_rewritten(function: Function) -> Function:
    """Let AutoGraph and Paddle call the function as it is."""
    function.autograph_info__ = {}  # type: ignore[attr-defined]
    function.___jit_transform_options___ = _NOT_BY_PADDLE  # type: ignore[attr-defined]
    return function


def evaluated_while_traced(function: Function) -> Function:
    """Let torch.compile evaluate a call while it traces, and embed the result."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function
