"""Reversals on eight devices: the sharding is kept, nothing is communicated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import revgrad

try:
    from jax import shard_map
except ImportError:  # before JAX 0.6
    from jax.experimental.shard_map import shard_map

COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")


@pytest.fixture(scope="module")
def mesh():
    assert jax.device_count() == 8
    return Mesh(np.array(jax.devices()), ("data",))


@pytest.fixture
def x():
    return jnp.arange(16.0).reshape(8, 2) / 7 - 1


def loss(x, lam):
    return jnp.sum(jnp.sin(revgrad.reverse(jnp.tanh(x), lam)))


def test_the_sharding_is_kept_and_no_collective_is_added(mesh, x):
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    sharded = jax.device_put(x, sharding)
    assert revgrad.reverse(sharded, 0.3) is sharded
    reverse = jax.jit(lambda x, lam: revgrad.reverse(x, lam))
    assert reverse(sharded, 0.3).sharding.is_equivalent_to(sharding, 2)
    gradient = jax.jit(jax.grad(loss))
    assert gradient(sharded, 0.3).sharding.is_equivalent_to(sharding, 2)
    np.testing.assert_array_equal(gradient(sharded, 0.3), gradient(x, 0.3))
    text = gradient.lower(sharded, 0.3).compile().as_text()
    assert not [name for name in COLLECTIVES if name in text]


def test_shard_map(mesh, x):
    spec = PartitionSpec("data")

    def mapped(x, lam):
        each = shard_map(
            lambda x: jnp.sin(revgrad.reverse(jnp.tanh(x), lam)),
            mesh=mesh,
            in_specs=spec,
            out_specs=spec,
        )
        return jnp.sum(each(x))

    for gradient in (jax.grad(mapped), jax.jit(jax.grad(mapped))):
        np.testing.assert_allclose(gradient(x, 0.3), jax.grad(loss)(x, 0.3), rtol=1e-6)


def test_one_lambda_per_sample_is_sharded_with_the_samples(mesh, x):
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    lam = jax.device_put(jnp.arange(8.0).reshape(8, 1), sharding)
    gradient = jax.jit(jax.grad(loss))(jax.device_put(x, sharding), lam)
    np.testing.assert_allclose(gradient, jax.grad(loss)(x, np.asarray(lam)), rtol=1e-6)
