"""A user's program with JAX: checked by mypy and by pyright, never run."""

from typing import Dict

import jax
import jax.numpy as jnp
from typing_extensions import assert_type

import revgrad
from revgrad_jax import reverse_gradient, scale_gradient

x = jnp.ones(3)
lam = revgrad.LambdaVariable(0.5)
tree: Dict[str, jax.Array] = {"a": x}

assert_type(revgrad.reverse(x, 0.5), jax.Array)
assert_type(revgrad.reverse(x, lam), jax.Array)
assert_type(revgrad.reverse(x, jnp.float32(0.5)), jax.Array)
assert_type(revgrad.scale_gradient(x, jnp.where(x > 0, -1.0, 1.0)), jax.Array)
assert_type(reverse_gradient(x, 0.5), jax.Array)
assert_type(scale_gradient(x, -0.5), jax.Array)
assert_type(reverse_gradient(tree, 0.5), Dict[str, jax.Array])

reverse_gradient(x, "half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scale_gradient(x, None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
