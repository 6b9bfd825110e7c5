"""Operations that the reversal adds to a compiled JAX program, and its time over ``x * 1.0``.

Run ``python benchmarks/jax_hlo.py``. Two compiled gradients are timed alternately; the median of
the ratios is printed, with the range of the middle third.
"""

import statistics
import timeit

import jax
import jax.numpy as jnp

import revgrad
from revgrad_jax.testing import hlo_operations


def main() -> None:
    """Print the operations, the compilations and the ratios."""
    x, traces = jnp.ones((8, 8)), []

    def forward(x, lam):
        return jnp.tanh(revgrad.reverse(x, lam))

    def backward(g, lam):
        return jax.vjp(lambda x: revgrad.reverse(x, lam), x)[1](g)[0]

    print("operations of the compiled HLO:")
    for what, static in {"λ a number": (1,), "λ an argument": ()}.items():
        ahead, back = (
            hlo_operations(jax.jit(each, static_argnums=static), x, 0.3)
            for each in (forward, backward)
        )
        print(f"  {what:14} forward of tanh(reverse(x)): {ahead}, backward of reverse: {back}")

    @jax.jit
    def gradient(x, lam):
        traces.append(lam)
        return jax.grad(lambda x: revgrad.reverse(x, lam).sum())(x)

    for step in range(20):
        gradient(x, 0.1 * step)
    print(f"compilations over 20 values of λ: {len(traces)}")
    for size in (8, 4096):
        print(f"time of forward and backward at {size}x{size} as a ratio to x * 1.0: {ratio(size)}")


def times_one(x):
    """Multiply by 1."""
    return x * 1.0


def by_revgrad(x):
    """Reverse with λ = 0.3."""
    return revgrad.reverse(x, 0.3)


def ratio(size: int) -> str:
    """Return the median ratio of the times, with the range of the middle third."""
    x = jnp.ones((size, size))
    ours, theirs = (
        jax.jit(jax.value_and_grad(lambda x, f=f: jnp.sum(jnp.tanh(f(x)))))
        for f in (by_revgrad, times_one)
    )
    count = max(1, 2_000_000 // size**2)
    loops = [timeit.Timer(lambda f=f: f(x)[1].block_until_ready()) for f in (ours, theirs)]
    for loop in loops:
        loop.timeit(count)
    count = min(count, 2000)
    ratios = sorted(loops[0].timeit(count) / loops[1].timeit(count) for _ in range(15))
    return f"{statistics.median(ratios):.3f} ({ratios[5]:.3f} to {ratios[9]:.3f})"


if __name__ == "__main__":
    main()
