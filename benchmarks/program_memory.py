"""How much memory compiled programs leave behind, with and without a reversal.

Run ``python benchmarks/program_memory.py torch`` or ``tensorflow``. For each kind it compiles and
drops programs of torch.compile or of tf.function in a process of its own, and prints by how much
the process grew (RSS, MiB) with each fifth of them.
"""

import argparse
import gc
import pathlib
import subprocess
import sys
from typing import Any, Callable, Dict, Tuple

import revgrad

KINDS = ("x * 1.0", "a custom gradient", "a number", "a variable")
LAM = revgrad.LambdaVariable(0.5)
OURS: Dict[str, Callable[[Any], Any]] = {
    "x * 1.0": lambda x: x * 1.0,
    "a number": lambda x: revgrad.reverse(x, 0.5),
    "a variable": lambda x: revgrad.reverse(x, LAM),
}


def with_torch(kind: str) -> Callable[[], Any]:
    """Return what compiles a program with PyTorch and runs it forward and backward."""
    import torch

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * -0.5

    torch.set_num_threads(1)
    x, g = torch.ones(3, requires_grad=True), torch.ones(3)
    change = OURS.get(kind, Reverse.apply)

    def program() -> Any:
        torch._dynamo.reset()
        compiled = torch.compile(lambda x: change(2 * x), backend="aot_eager")
        return torch.autograd.grad(compiled(x), x, g)

    return program


def with_tensorflow(kind: str) -> Callable[[], Any]:
    """Return what traces a program with TensorFlow and runs it."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
    def reverse(x: Any) -> Tuple[Any, Callable[[Any], Any]]:
        return tf.identity(x), lambda g: -0.5 * g

    x = tf.Variable([1.0, 1.0])
    change = OURS.get(kind, reverse)

    def slope() -> Any:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(change(x.value()))
        return tape.gradient(y, x)

    # A function of its own each time: TensorFlow keeps the trace of one that it has seen.
    return lambda: tf.function(lambda: slope())()


def main() -> None:
    """Run each kind in a process of its own, or one of them here."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("framework", choices=("torch", "tensorflow"))
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--only", choices=KINDS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.only:
        for each in KINDS:
            command = [sys.executable, "-W", "ignore", *sys.argv, "--only", each]
            subprocess.run(command, check=True)
        return
    program = {"torch": with_torch, "tensorflow": with_tensorflow}[args.framework](args.only)
    sizes = []
    for number in range(args.programs + 1):
        program()
        if number % (args.programs // 5) == 0:
            gc.collect()
            pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
            sizes.append(pages * 4096 / 2**20)
    print(f"{args.only:18}", *(f"{b - a:6.1f}" for a, b in zip(sizes, sizes[1:])), flush=True)


if __name__ == "__main__":
    main()
