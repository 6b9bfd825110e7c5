"""What the installed PyTorch can do, asked once: by what it has, not by its number."""

import inspect
from typing import Any, Callable, Dict, TypeVar

import torch
from torch.fx.experimental import proxy_tensor

import revgrad
from revgrad._tracers import evaluated_while_traced

Function = TypeVar("Function", bound=Callable[..., Any])

_compiler: Any = getattr(torch, "compiler", torch._utils)

# Whether torch.compile may trace a reversal (2.6). What came before loses gradients.
COMPILES = hasattr(_compiler, "set_stance")

# Whether torch.export says that it runs, so that the reversal can be plain operations (2.4).
EXPORTS = hasattr(_compiler, "_is_compiling_flag")

# Whether a state_dict may be loaded by assignment (2.1).
ASSIGNS = "assign" in inspect.signature(torch.nn.Module.load_state_dict).parameters

# Whether torch.func.vmap takes a view of another dtype (2.13).
BATCHES_VIEWS = torch._C._dispatch_has_kernel_for_dispatch_key(
    "aten::view.dtype", "FuncTorchBatched"
)

# The capabilities that are missing, each with the reason.
UNSUPPORTED: Dict[str, str] = {}

# What is missing, for the doctor.
LIMITS = ""

if not COMPILES:
    from torch._dynamo import eval_frame

    _words = "torch.compile breaks the graph at a reversal and runs it eagerly: PyTorch before 2.6"
    UNSUPPORTED = dict.fromkeys(("compilations", "operations"), _words)
    LIMITS = (
        "This PyTorch has eager mode, torch.func, forward mode and torch.jit. torch.compile breaks "
        "the graph at a reversal, which runs eagerly, and refuses it with fullgraph=True. "
        + ("torch.export needs strict=False. " if EXPORTS else "torch.export is not supported. ")
        + "All of this works from PyTorch 2.6 on."
    )
    each: Any
    for each in (revgrad.reverse, revgrad.scale_gradient):
        eval_frame.skip_code(each.__code__)
        each._torchdynamo_inline._torchdynamo_disable = True

# torch.compile knows this very function.
is_compiling: Callable[[], bool] = _compiler.is_compiling

# What records operations for make_fx or aot_function, or None.
proxy_mode: Any = getattr(
    proxy_tensor, "get_proxy_mode", getattr(proxy_tensor, "get_innermost_proxy_mode", None)
)

if hasattr(_compiler, "_is_exporting_flag"):

    def is_exporting() -> bool:
        """Say whether what compiles is torch.export."""
        # Not is_exporting(): before PyTorch 2.13 torch.compile answers yes to that.
        return torch.compiler._is_exporting_flag

else:

    @evaluated_while_traced
    def is_exporting() -> bool:
        """Say whether what compiles is torch.export."""
        # The flag is that of strict=False. With strict=True torch.compile's tracer runs.
        if COMPILES and not _compiler._is_compiling_flag:
            from torch._dynamo.symbolic_convert import InstructionTranslator

            return bool(InstructionTranslator.current_tx().export)
        return EXPORTS


def outside_of_graphs(function: Function) -> Function:
    """Let torch.compile break the graph at a call, unless it may trace reversals."""
    if COMPILES:
        return function
    vars(function).pop("_torchdynamo_inline", None)  # of traced_as(), which would come first
    disable: Any = torch._dynamo.disable
    return disable(function)  # type: ignore[no-any-return]
