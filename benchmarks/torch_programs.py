"""How much memory programs of torch.compile leave behind, with and without a reversal.

Run ``python benchmarks/torch_programs.py``. For each kind it compiles and drops 100 programs in a
process of its own, and prints by how much the process grew (RSS, MiB) with each 20 of them.
"""

import gc
import pathlib
import subprocess
import sys
from typing import Any

PROGRAMS = 100
KINDS = ("x * 1.0", "autograd.Function", "a number", "a variable")


def grow(kind: str) -> None:
    """Compile and drop programs of one kind."""
    import torch

    import revgrad

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * -0.5

    torch.set_num_threads(1)
    lam = revgrad.LambdaVariable(0.5)
    x, g = torch.ones(3, requires_grad=True), torch.ones(3)
    change = {
        "x * 1.0": lambda x: x * 1.0,
        "autograd.Function": Reverse.apply,
        "a number": lambda x: revgrad.reverse(x, 0.5),
        "a variable": lambda x: revgrad.reverse(x, lam),
    }[kind]
    sizes = []
    for number in range(PROGRAMS + 1):
        torch._dynamo.reset()
        torch.autograd.grad(torch.compile(lambda x: change(2 * x), backend="aot_eager")(x), x, g)
        if number % (PROGRAMS // 5) == 0:
            gc.collect()
            pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
            sizes.append(pages * 4096 / 2**20)
    print(f"{kind:18}", *(f"{b - a:6.1f}" for a, b in zip(sizes, sizes[1:])))


if __name__ == "__main__":
    if sys.argv[1:]:
        grow(sys.argv[1])
    else:
        for each in KINDS:
            subprocess.run([sys.executable, "-W", "ignore", __file__, each], check=True)
