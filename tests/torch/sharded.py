"""What each of two processes does in `test_torch_distributed.py`; it prints what passed."""

import datetime
import itertools
import sys
import traceback
import warnings
from functools import partial

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
close = torch.testing.assert_close


class Network(torch.nn.Module):
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


def train(model, wrapped=None, rank=None, set_lam=None):
    """Take a few steps, and return the parameters; a rank takes its half of the rows."""
    wrapped = model if wrapped is None else wrapped
    set_lam = set_lam or partial(setattr, model.reversal, "lam")
    batch = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    x, targets = (batch if rank is None else batch.chunk(2)[rank]).split(2, 1)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.5)
    for lam in LAMBDAS:
        set_lam(lam)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(torch.cat(wrapped(x), 1), targets).backward()
        optimizer.step()
    return dict(model.named_parameters())


def agrees(found):
    """Compare parameters with those after the same steps in one process."""
    close({name: value.detach() for name, value in found.items()}, EXPECTED, rtol=1e-5, atol=1e-6)


def scenario_data_parallel(rank):
    for options in ({}, {"static_graph": True}):
        model = Network()
        agrees(train(model, DistributedDataParallel(model, **options), rank))


def scenario_compiled(rank):
    model = Network()
    wrapped = torch.compile(DistributedDataParallel(model), backend="aot_eager")
    agrees(train(model, wrapped, rank))


def scenario_driven_by_a_variable(rank):
    lam = revgrad.LambdaVariable()
    model = Network(lam)
    agrees(train(model, DistributedDataParallel(model), rank, partial(setattr, lam, "value")))


def scenario_ranks_that_disagree(rank):
    """Rank 0's buffer is everybody's."""
    model = Network()
    set_lam = lambda lam: setattr(model.reversal, "lam", lam if rank == 0 else 7.0)
    agrees(train(model, DistributedDataParallel(model), rank, set_lam))
    assert model.reversal.lam == LAMBDAS[-1]


def sharded(model, **options):
    return FullyShardedDataParallel(
        model, device_id=torch.device("cpu"), use_orig_params=True, **options
    )


def scenario_fsdp(rank):
    model = Network()
    wrapped = sharded(model)
    train(model, wrapped, rank)
    with FullyShardedDataParallel.summon_full_params(wrapped):
        found = {name: value.clone() for name, value in wrapped.named_parameters()}
    agrees({name.replace("_fsdp_wrapped_module.", ""): value for name, value in found.items()})


def scenario_fsdp_that_casts_buffers(rank):
    """λ is not rounded, neither in the gradient nor in the buffer."""
    model = torch.nn.Sequential(GradientReversal(0.1), torch.nn.Linear(2, 1, bias=False))
    wrapped = sharded(model, mixed_precision=MixedPrecision(buffer_dtype=torch.bfloat16))
    for _ in range(2):
        x = torch.ones(2, requires_grad=True)
        wrapped(x).sum().backward()
    with FullyShardedDataParallel.summon_full_params(wrapped):
        close(x.grad, -torch.tensor(0.1) * model[1].weight[0], rtol=0, atol=0)
    assert model[0].lam == torch.tensor(0.1)


def scenario_fsdp_from_a_meta_device(rank):
    """The module is materialised empty, and reset."""
    with torch.device("meta"):
        model = Network(0.7)
    sharded(model)(torch.ones(1, 2))
    assert model.reversal.lam == torch.tensor(0.7)


def scenario_fully_sharded_from_a_state_of_rank_0(rank):
    with torch.device("meta"):
        model = Network(0.2)
    fully_shard(model, mesh=MESH)
    model.to_empty(device="cpu")
    state = Network(0.7).state_dict() if rank == 0 else {}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, state, options=options)
    assert model.reversal.lam == torch.tensor(0.7) and model.reversal.lam.device.type == "cpu"


def scenario_compiled_with_three_heads(rank):
    """The features are an output too, and a second reversal (C21)."""

    class Heads(Network):
        def forward(self, x):
            h = self.features(x)
            return h, self.reversal(h), revgrad.reverse(h, 5.0)

    model, other = Heads(), Network()
    wrapped = torch.compile(DistributedDataParallel(model), backend="aot_eager")
    h, one, five = wrapped(torch.ones(2, 2))
    (100 * h + 10 * one + five).sum().backward()
    ((100 - 10 - 5) * other.features(torch.ones(2, 2))).sum().backward()
    close(model.features[0].bias.grad, other.features[0].bias.grad)


def scenario_fully_sharded(rank):
    model = Network()
    fully_shard(model.features, mesh=MESH)
    fully_shard(model, mesh=MESH)
    agrees({name: value.full_tensor() for name, value in train(model).items()})


def scenario_dtensor(rank):
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
        close(x.grad.full_tensor(), -2 * expected.expand(4, 3))


SCENARIOS = [name for name in dir() if name.startswith("scenario_")]

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(minutes=2))
    rank, MESH = dist.get_rank(), init_device_mesh("cpu", (2,))
    EXPECTED = {name: value.detach() for name, value in train(Network()).items()}
    for name in SCENARIOS:
        try:
            globals()[name](rank)
            print(f"{name}: passed in {rank}", flush=True)
        except Exception:
            traceback.print_exc(file=sys.stdout)
    dist.destroy_process_group()
