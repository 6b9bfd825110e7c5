"""What the reversal does on a GPU: modes, kernels, bytes and synchronisations.

Run ``python benchmarks/gpu.py`` on a machine with a CUDA device. For each framework that sees one
it runs programs on the device, compares the gradient with -0.5, and prints a row for each; for
PyTorch it also counts the kernels that the reversal adds and the bytes that it allocates, and lets
PyTorch raise an error at each synchronisation. Where a framework sees no device, the row says so
and has no numbers. The exit code is 1 if a gradient is wrong.
"""

import argparse
import importlib.util
import os
import sys
from typing import Any, Callable, Dict, Iterator, Tuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
NONE = "no device"
LAM = 0.5


def torch_rows() -> Iterator[Tuple[str, str]]:
    """Yield what PyTorch does on the device."""
    import torch

    if not torch.cuda.is_available():
        yield "torch", NONE
        return
    for name, program in torch_programs().items():
        yield f"torch, {name}", outcome(program)
    yield from torch_costs()


def torch_programs() -> Dict[str, Callable[[], Any]]:
    """Return one program for each mode; each returns a gradient that must be -0.5 everywhere."""
    import torch

    import revgrad
    from revgrad_torch import GradientReversal

    lam = revgrad.LambdaVariable(LAM)
    x = torch.ones(1024, device="cuda", requires_grad=True)

    def slope(fn: Any) -> Any:
        (gradient,) = torch.autograd.grad(fn(x).float().sum(), x)
        return gradient

    def graphs() -> Any:
        module = GradientReversal(LAM).cuda()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            slope(module)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            gradient = slope(module)
        graph.replay()
        return gradient

    def amp() -> Any:
        with torch.autocast("cuda", torch.float16):
            return slope(GradientReversal(LAM).cuda())

    def fsdp() -> Any:
        import torch.distributed as dist
        from torch.distributed.fsdp import fully_shard

        address = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29511"}
        os.environ.update(address, RANK="0", WORLD_SIZE="1")
        dist.init_process_group("nccl")
        try:
            model = torch.nn.Sequential(torch.nn.Linear(4, 4), GradientReversal(LAM)).cuda()
            plain = torch.nn.Linear(4, 4).cuda()
            plain.load_state_dict(model[0].state_dict())
            fully_shard(model)
            model(torch.ones(2, 4, device="cuda")).sum().backward()
            plain(torch.ones(2, 4, device="cuda")).sum().backward()
            return -LAM * (model[0].weight.grad.full_tensor() / (-LAM * plain.weight.grad))
        finally:
            dist.destroy_process_group()

    return {
        "eager": lambda: slope(lambda x: revgrad.reverse(x, LAM)),
        "a variable": lambda: slope(lambda x: revgrad.reverse(x, lam)),
        "λ on the device": lambda: slope(
            lambda x: revgrad.reverse(x, torch.tensor(LAM, device="cuda"))
        ),
        "torch.compile": lambda: slope(torch.compile(lambda x: revgrad.reverse(x * 1, lam))),
        "CUDA graphs": graphs,
        "autocast": amp,
        "FSDP": fsdp,
    }


def torch_costs() -> Iterator[Tuple[str, str]]:
    """Yield the kernels, the bytes and the synchronisations of a reversal."""
    import torch

    import revgrad

    x = torch.ones(2**20, device="cuda", requires_grad=True)
    g, lam = torch.ones_like(x), torch.tensor(LAM, device="cuda")

    def kernels(action: Callable[[], Any]) -> int:
        activities = [torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profile:
            action()
            torch.cuda.synchronize()
        return sum(each.device_type == torch.autograd.DeviceType.CUDA for each in profile.events())

    def allocated(action: Callable[[], Any]) -> int:
        before = torch.cuda.memory_allocated()
        kept = action()
        return torch.cuda.memory_allocated() - before + 0 * id(kept)

    for what, value in {"a number": LAM, "a tensor on the device": lam}.items():
        y = revgrad.reverse(x, value)
        forward = kernels(lambda value=value: revgrad.reverse(x, value))  # type: ignore[misc]
        backward = kernels(lambda y=y: torch.autograd.grad(y, x, g, retain_graph=True))  # type: ignore
        size = allocated(lambda value=value: revgrad.reverse(x, value))  # type: ignore[misc]
        yield f"torch, kernels, λ {what}", f"{forward} forward, {backward} backward"
        yield f"torch, bytes kept by the forward pass, λ {what}", str(size)
        torch.cuda.set_sync_debug_mode("error")
        try:
            torch.autograd.grad(revgrad.reverse(x, value), x, g)
            found = "none"
        except RuntimeError as error:
            found = str(error).splitlines()[0]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        yield f"torch, synchronisations, λ {what}", found


def jax_rows() -> Iterator[Tuple[str, str]]:
    """Yield what JAX does on the device."""
    import jax
    import jax.numpy as jnp

    import revgrad

    if jax.default_backend() != "gpu":
        yield "jax", NONE
        return

    def slope(x: Any, lam: Any) -> Any:
        return jax.grad(lambda x: revgrad.reverse(x, lam).sum())(x)

    x = jnp.ones(1024)
    yield "jax, eager", outcome(lambda: slope(x, LAM))
    yield "jax, jit, λ an argument", outcome(lambda: jax.jit(slope)(x, LAM))


def tensorflow_rows() -> Iterator[Tuple[str, str]]:
    """Yield what TensorFlow does on the device."""
    import tensorflow as tf

    import revgrad

    if not tf.config.list_physical_devices("GPU"):
        yield "tensorflow", NONE
        return
    lam = revgrad.LambdaVariable(LAM)
    x = tf.Variable(tf.ones(1024))

    def slope() -> Any:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(revgrad.reverse(x.value(), lam))
        return tape.gradient(y, x)

    yield "tensorflow, eager", outcome(slope)
    yield "tensorflow, tf.function", outcome(tf.function(slope))
    yield "tensorflow, XLA", outcome(tf.function(slope, jit_compile=True))


def outcome(program: Callable[[], Any]) -> str:
    """Return whether the gradient is -0.5 everywhere."""
    import numpy as np

    try:
        gradient = program()
    except Exception as error:
        return f"error: {type(error).__name__}: {str(error).splitlines()[0]}"
    values = gradient.detach().cpu().numpy() if hasattr(gradient, "detach") else gradient
    return "right" if (abs(np.asarray(values) + LAM) < 1e-6).all() else "WRONG"


ROWS = {"torch": torch_rows, "jax": jax_rows, "tensorflow": tensorflow_rows}


def main() -> int:
    """Print a row for each program."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK", help="default: all")
    args = parser.parse_args()
    wrong = False
    for name in args.frameworks or ROWS:
        if importlib.util.find_spec(name) is None:
            print(f"{name:48} not installed")
            continue
        for what, found in ROWS[name]():
            print(f"{what:48} {found}", flush=True)
            wrong |= found == "WRONG"
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
