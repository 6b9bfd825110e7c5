"""Reverse very often, and see whether memory grows or the calls become slower.

Run ``python benchmarks/soak.py``, or for some frameworks ``python benchmarks/soak.py torch jax``,
``--reversals 10000`` for a short run. Each framework has a process of its own, in which two
threads reverse and check each gradient, while a third one changes a `LambdaVariable`; then modules
(or nodes of a graph) are made on that variable and dropped, and then programs are compiled and
dropped: for 10^6 reversals 10^5 modules and 10^3 programs, for fewer in proportion. Prints the
processor time of the last tenth as a ratio to the median of the second to the fourth, and by how
much the memory of the process (RSS) grew after the first tenth. The exit code is 1 if a gradient
was wrong.
"""

import argparse
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAMBDAS = (0.25, 0.5, 2.0)
PARTS = ("reversals", "modules", "programs")


class Framework:
    """What is done with one framework; a part that it does not have is None."""

    def __init__(self, lam: Any) -> None:
        self.lam = lam

    reverse: Callable[[], float]
    module: Optional[Callable[[], Any]] = None
    program: Optional[Callable[[], Any]] = None


class Numpy(Framework):
    """The contract in NumPy; a scheduler is made on the variable."""

    def reverse(self) -> float:
        from revgrad import reference

        return float(reference.pullback(np.ones(3), self.lam)[0])

    def module(self) -> Any:
        from revgrad import LambdaScheduler, schedules

        return LambdaScheduler(None, schedules.Dann(), 10)


class Autograd(Framework):
    """HIPS autograd has functions only."""

    def __init__(self, lam: Any) -> None:
        import autograd

        import revgrad

        super().__init__(lam)
        self.x = np.ones(3)
        self.slope = autograd.grad(lambda x: revgrad.reverse(x, lam).sum())

    def reverse(self) -> float:
        return float(self.slope(self.x)[0])


class Torch(Framework):
    """Eager reversals, modules, and programs of torch.compile."""

    def __init__(self, lam: Any) -> None:
        import torch

        torch.set_num_threads(1)
        super().__init__(lam)
        self.x = torch.ones(3, requires_grad=True)
        self.g = torch.ones(3)

    def reverse(self) -> float:
        import torch

        import revgrad

        (gradient,) = torch.autograd.grad(revgrad.reverse(self.x, self.lam), self.x, self.g)
        return gradient[0].item()

    def module(self) -> Any:
        from revgrad_torch import GradientReversal

        return GradientReversal(self.lam)(self.x)

    def program(self) -> float:
        import torch

        import revgrad

        torch._dynamo.reset()
        run = torch.compile(lambda x: revgrad.reverse(2 * x, self.lam), backend="aot_eager")
        (gradient,) = torch.autograd.grad(run(self.x), self.x, self.g)
        return gradient[0].item() / 2


class Jax(Framework):
    """A compiled gradient, λ an argument; layers of Equinox; programs of jax.jit."""

    def __init__(self, lam: Any) -> None:
        import jax

        import revgrad

        super().__init__(lam)
        self.slope = jax.jit(jax.grad(lambda x, lam: revgrad.reverse(x, lam)))

    def reverse(self) -> float:
        return float(self.slope(1.0, self.lam.value))

    def module(self) -> Any:
        import equinox

        from revgrad_jax.equinox import GradientReversal

        return equinox.nn.make_with_state(GradientReversal)(self.lam.value)

    def program(self) -> float:
        import jax

        import revgrad

        return float(jax.jit(jax.grad(lambda x, lam: revgrad.reverse(x, lam)))(1.0, self.lam.value))


class Tensorflow(Framework):
    """Eager reversals, and programs of tf.function, which read the variable at each run."""

    def __init__(self, lam: Any) -> None:
        import tensorflow as tf

        super().__init__(lam)
        self.x = tf.Variable([1.0, 1.0])

    def slope(self) -> Any:
        import tensorflow as tf

        import revgrad

        with tf.GradientTape() as tape:
            y = tf.reduce_sum(revgrad.reverse(self.x.value(), self.lam))
        return tape.gradient(y, self.x)

    def reverse(self) -> float:
        return float(self.slope()[0])

    def program(self) -> float:
        import tensorflow as tf

        return float(tf.function(lambda: self.slope())()[0])


class Keras(Framework):
    """One layer on PyTorch, called eagerly; layers that share the weight of the variable."""

    def __init__(self, lam: Any) -> None:
        os.environ["KERAS_BACKEND"] = "torch"
        import torch

        import revgrad_keras

        torch.set_num_threads(1)
        super().__init__(lam)
        self.x, self.g = torch.ones(3, requires_grad=True), torch.ones(3)
        self.layer = revgrad_keras.GradientReversal(lam)

    def reverse(self) -> float:
        import torch

        return torch.autograd.grad(self.layer(self.x), self.x, self.g)[0][0].item()

    def module(self) -> Any:
        import revgrad_keras

        return revgrad_keras.GradientReversal(self.lam)


class Pytensor(Framework):
    """One compiled function, run often; nodes of a graph; functions of the Python linker."""

    def __init__(self, lam: Any) -> None:
        import pytensor
        import pytensor.tensor as pt

        super().__init__(lam)
        self.library, self.mode = pytensor, pytensor.compile.mode.Mode("py", "fast_compile")
        self.x = pt.dscalar()
        self.run = self.compiled()

    def compiled(self) -> Any:
        import revgrad

        slope = self.library.grad(revgrad.reverse(self.x, self.lam), self.x)
        return self.library.function([self.x], slope, mode=self.mode, on_unused_input="ignore")

    def reverse(self) -> float:
        return float(self.run(1.0))

    def module(self) -> Any:
        import revgrad

        return revgrad.reverse(self.x, self.lam)

    def program(self) -> float:
        return float(self.compiled()(1.0))


class Theano(Pytensor):
    """As for PyTensor; the nodes are those of layers of Lasagne where it is installed."""

    def __init__(self, lam: Any) -> None:
        import revgrad_theano.compat  # noqa: F401

        import theano

        Framework.__init__(self, lam)
        self.library, self.mode = theano, theano.compile.mode.Mode("py", "fast_compile")
        self.x = theano.tensor.dscalar()
        self.run = self.compiled()
        try:
            import lasagne

            from revgrad_lasagne import ReverseGradientLayer
        except ImportError:
            return
        incoming = lasagne.layers.InputLayer((None, 3))
        matrix = theano.tensor.dmatrix()
        self.module = lambda: ReverseGradientLayer(incoming, lam).get_output_for(matrix)  # type: ignore


FRAMEWORKS = {
    "numpy": Numpy,
    "torch": Torch,
    "jax": Jax,
    "tensorflow": Tensorflow,
    "keras": Keras,
    "pytensor": Pytensor,
    "theano": Theano,
    "autograd": Autograd,
}


# --- in the process of one framework --------------------------------------------------------------


def memory() -> float:
    """Return the resident memory of this process in MiB."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def repeat(action: Callable[[], Any], count: int) -> Dict[str, Any]:
    """Do something often; return the ratio of the times and the growth of the memory."""
    tenth = max(1, count // 10)
    times, memories = [], []
    for _ in range(10):
        began = time.thread_time()
        for _ in range(tenth):
            action()
        times.append(time.thread_time() - began)
        memories.append(memory())
    return {
        "count": 10 * tenth,
        "seconds": sum(times),
        "ratio": times[-1] / statistics.median(times[1:4]),
        "growth": memories[-1] - memories[0],
    }


def soak(name: str, reversals: int) -> Dict[str, Any]:
    """Run the three parts with one framework."""
    import revgrad

    lam = revgrad.LambdaVariable(LAMBDAS[0])
    framework = FRAMEWORKS[name](lam)
    stop, wrong = threading.Event(), []

    def change() -> None:
        while not stop.wait(0.001):
            lam.value = LAMBDAS[int(time.monotonic() * 1000) % len(LAMBDAS)]

    def reverse() -> None:
        gradient = framework.reverse()
        if gradient not in [-each for each in LAMBDAS]:
            wrong.append(gradient)

    threads = [threading.Thread(target=change)]
    compiled = isinstance(framework, Pytensor)  # a compiled function is not for two threads
    if not compiled:
        threads.append(threading.Thread(target=lambda: repeat(reverse, reversals // 2)))
    for thread in threads:
        thread.start()
    result: Dict[str, Any] = {}
    try:
        result["reversals"] = repeat(reverse, reversals if compiled else reversals // 2)
        for thread in threads[1:]:
            thread.join()
        for part, share in (("modules", 10), ("programs", 1000)):
            action = getattr(framework, part[:-1])
            result[part] = repeat(action, reversals // share) if action else None
    finally:
        stop.set()
        threads[0].join()
    if not compiled:
        result["reversals"]["count"] *= 2
    return {**result, "wrong": len(wrong), "first": wrong[:3]}


# --------------------------------------------------------------------------------------------------


def main() -> int:
    """Run each framework in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK")
    parser.add_argument("--reversals", type=int, default=1_000_000)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(soak(args.only, args.reversals)))
        return 0
    print(f"{'':11}" + "".join(f"{each:>10}  last/2nd  growth, MiB" for each in PARTS) + "  wrong")
    failed = False
    for name in args.frameworks or FRAMEWORKS:
        command = [sys.executable, __file__, "--only", name, "--reversals", str(args.reversals)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        if done.returncode:
            missing = "ModuleNotFoundError" in done.stderr
            print(f"{name:11}", "is not installed" if missing else done.stderr)
            failed |= not missing
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{name:11}" + "".join(cell(found[each]) for each in PARTS) + f"{found['wrong']:7}")
        sys.stdout.flush()
        failed |= bool(found["wrong"])
    return int(failed)


def environment() -> Dict[str, str]:
    """Return the environment of a process: quiet, and with one thread for arithmetic."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **quiet, "PYTHONPATH": path}


def cell(part: Optional[Dict[str, Any]]) -> str:
    """Return the numbers of one part."""
    if part is None:
        return f"{'-':>10}{'':10}{'':13}"
    return f"{part['count']:10}{part['ratio']:10.2f}{part['growth']:13.1f}"


if __name__ == "__main__":
    sys.exit(main())
