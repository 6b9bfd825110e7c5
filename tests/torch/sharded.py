"""What one of two processes does in `test_torch_distributed.py`; rank 0 prints what failed."""

import itertools
import sys
import traceback
import warnings

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecision, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.nn.parallel import DistributedDataParallel

import revgrad
from revgrad_torch import GradientReversal

LAMBDAS = 0.1, 0.5, 1.0


class Moons(torch.nn.Module):
    """Features, a label predictor, and a domain classifier behind a reversal."""

    def __init__(self, lam=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.features = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Sigmoid())
        self.label = torch.nn.Linear(16, 1)
        self.reversal = GradientReversal(lam)
        self.domain = torch.nn.Linear(16, 1)

    def forward(self, x):
        h = self.features(x)
        return self.label(h), self.domain(self.reversal(h))


def moons(count=32):
    """Return points on two moons, their labels, and domains."""
    rng = np.random.RandomState(0)
    angle, label = rng.uniform(0, np.pi, count), np.arange(count) % 2
    x = np.stack([np.cos(angle) + label, np.sin(angle) * (1 - 2 * label)], axis=1)
    domain = np.arange(count) // 2 % 2
    return [torch.tensor(each, dtype=torch.float32) for each in (x, label, domain)]


def train(model, rank=None, wrapped=None, set_lam=None):
    """Take a few steps, and return the model; a rank takes its half of the rows."""
    wrapped = model if wrapped is None else wrapped
    x, label, domain = moons()
    if rank is not None:
        x, label, domain = (each.chunk(2)[rank] for each in (x, label, domain))
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.5)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    for lam in LAMBDAS:
        if set_lam:
            set_lam(lam)
        else:
            model.reversal.lam = lam
        optimizer.zero_grad()
        y, d = wrapped(x)
        (loss(y[:, 0], label) + loss(d[:, 0], domain)).backward()
        optimizer.step()
    return model


def agrees(parameters):
    """Compare parameters with those after the same steps in one process."""
    found = dict(parameters)
    assert set(found) == set(EXPECTED), sorted(found)
    for name, value in EXPECTED.items():
        torch.testing.assert_close(found[name].detach(), value.detach(), rtol=1e-5, atol=1e-6)


def data_parallel(rank, **options):
    model = Moons()
    agrees(train(model, rank, DistributedDataParallel(model, **options)).named_parameters())


def static_graph(rank):
    data_parallel(rank, static_graph=True)


def compiled(rank):
    model = Moons()
    wrapped = torch.compile(DistributedDataParallel(model), backend="aot_eager")
    agrees(train(model, rank, wrapped).named_parameters())


def driven_by_a_variable(rank):
    lam = revgrad.LambdaVariable()
    model = Moons(lam)
    train(model, rank, DistributedDataParallel(model), lambda value: setattr(lam, "value", value))
    agrees(model.named_parameters())


def ranks_that_disagree(rank):
    """Rank 0's buffer is everybody's."""
    model = Moons()

    def set_lam(lam):
        model.reversal.lam = lam if rank == 0 else 7.0

    agrees(train(model, rank, DistributedDataParallel(model), set_lam).named_parameters())
    assert model.reversal.lam == LAMBDAS[-1]


def sharded(model, **options):
    return FullyShardedDataParallel(
        model, device_id=torch.device("cpu"), use_orig_params=True, **options
    )


def fsdp(rank):
    model = Moons()
    wrapped = sharded(model)
    train(model, rank, wrapped)
    with FullyShardedDataParallel.summon_full_params(wrapped):
        agrees(
            (name.replace("_fsdp_wrapped_module.", ""), value.clone())
            for name, value in wrapped.named_parameters()
        )


def fsdp_that_casts_buffers(rank):
    """λ is not rounded, neither in the gradient nor in the buffer."""
    model = torch.nn.Sequential(GradientReversal(0.1), torch.nn.Linear(2, 1, bias=False))
    wrapped = sharded(model, mixed_precision=MixedPrecision(buffer_dtype=torch.bfloat16))
    for _ in range(2):
        x = torch.ones(2, requires_grad=True)
        wrapped(x).sum().backward()
    with FullyShardedDataParallel.summon_full_params(wrapped):
        torch.testing.assert_close(x.grad, -torch.tensor(0.1) * model[1].weight[0], rtol=0, atol=0)
    assert model[0].lam == torch.tensor(0.1)


def fsdp_from_a_meta_device(rank):
    """The module is materialised empty, and reset."""
    with torch.device("meta"):
        model = Moons(0.7)
    sharded(model)(torch.ones(1, 2))
    assert model.reversal.lam == torch.tensor(0.7)


def fully_sharded_from_a_state_of_rank_0(rank):
    with torch.device("meta"):
        model = Moons(0.2)
    fully_shard(model, mesh=MESH)
    model.to_empty(device="cpu")
    state = Moons(0.7).state_dict() if rank == 0 else {}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, state, options=options)
    assert model.reversal.lam == torch.tensor(0.7) and model.reversal.lam.device.type == "cpu"


def compiled_with_three_heads(rank):
    """The features are an output too, and a second reversal (C21)."""

    class Heads(Moons):
        def forward(self, x):
            h = self.features(x)
            return h, self.reversal(h), revgrad.reverse(h, 5.0)

    model = Heads()
    wrapped = torch.compile(DistributedDataParallel(model), backend="aot_eager")
    h, one, five = wrapped(torch.ones(2, 2))
    (100 * h + 10 * one + five).sum().backward()
    other = Moons()
    ((100 - 10 - 5) * other.features(torch.ones(2, 2))).sum().backward()
    torch.testing.assert_close(model.features[0].bias.grad, other.features[0].bias.grad)


def fully_sharded(rank):
    model = Moons()
    fully_shard(model.features, mesh=MESH)
    fully_shard(model, mesh=MESH)
    train(model, rank)
    agrees((name, value.full_tensor()) for name, value in model.named_parameters())


def dtensor(rank):
    """The placement stays, and nothing is sent."""
    half, per_sample = torch.tensor(0.5), torch.arange(4.0).reshape(4, 1)
    lams = (0.5, half), (half, half), (revgrad.LambdaVariable(0.5), half), (per_sample, per_sample)
    for placement, (lam, expected) in itertools.product((Shard(0), Replicate()), lams):
        x = distribute_tensor(torch.ones(4, 3), MESH, [placement]).requires_grad_()
        g = distribute_tensor(2 * torch.ones(4, 3), MESH, [placement])
        with CommDebugMode() as sent:
            y = revgrad.reverse(x, lam)
            y.backward(g)
        assert isinstance(y, DTensor) and y.placements == x.grad.placements == (placement,)
        assert sent.get_total_counts() == 0
        torch.testing.assert_close(x.grad.full_tensor(), -2 * expected.expand(4, 3))


SCENARIOS = {
    function.__name__: function
    for function in (
        data_parallel,
        static_graph,
        compiled,
        driven_by_a_variable,
        ranks_that_disagree,
        compiled_with_three_heads,
        fsdp,
        fsdp_that_casts_buffers,
        fsdp_from_a_meta_device,
        fully_sharded,
        fully_sharded_from_a_state_of_rank_0,
        dtensor,
    )
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rank, file = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    MESH = init_device_mesh("cpu", (2,))
    EXPECTED = dict(train(Moons()).named_parameters())
    for name, scenario in SCENARIOS.items():
        try:
            scenario(rank)
            problem = "passed"
        except Exception:
            problem = "failed"
            traceback.print_exc()
        print(f"{name}: {problem}", flush=True)
    dist.destroy_process_group()
