"""Reversals on eight devices: the sharding is kept, nothing is communicated."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import revgrad

try:
    from jax import shard_map
except ImportError:  # before JAX 0.6
    from jax.experimental.shard_map import shard_map

COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")
SPEC = PartitionSpec("data")
MESH = Mesh(np.array(jax.devices()), ("data",))
SHARDING = NamedSharding(MESH, SPEC)
X = jnp.arange(16.0).reshape(8, 2) / 7 - 1


def loss(x, lam):
    return jnp.sum(jnp.sin(revgrad.reverse(jnp.tanh(x), lam)))


def test_the_sharding_is_kept_and_no_collective_is_added():
    assert jax.device_count() == 8
    sharded = jax.device_put(X, SHARDING)
    assert revgrad.reverse(sharded, 0.3) is sharded
    gradient = jax.jit(jax.grad(loss))
    for function in (jax.jit(revgrad.reverse), gradient):
        assert function(sharded, 0.3).sharding.is_equivalent_to(SHARDING, 2)
    np.testing.assert_array_equal(gradient(sharded, 0.3), gradient(X, 0.3))
    text = gradient.lower(sharded, 0.3).compile().as_text()
    assert not [name for name in COLLECTIVES if name in text]


def test_shard_map():
    losses = shard_map(lambda x: loss(x, 0.3)[None], mesh=MESH, in_specs=SPEC, out_specs=SPEC)
    each = jax.grad(lambda x: jnp.sum(losses(x)))
    for gradient in (each, jax.jit(each)):
        np.testing.assert_allclose(gradient(X), jax.grad(loss)(X, 0.3), rtol=1e-6)


def test_one_lambda_per_sample_is_sharded_with_the_samples():
    lam = jax.device_put(jnp.arange(8.0).reshape(8, 1), SHARDING)
    gradient = jax.jit(jax.grad(loss))(jax.device_put(X, SHARDING), lam)
    np.testing.assert_allclose(gradient, jax.grad(loss)(X, np.asarray(lam)), rtol=1e-6)
