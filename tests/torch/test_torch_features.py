"""What the installed PyTorch can do; benchmarks/torch_matrix.py runs this file with each version."""

import pytest
import torch
from support.processes import python

import revgrad
from revgrad_torch import _features, ops
from revgrad_torch.backend import TorchBackend

# The same program in a new process, where a feature may be taken away before it is asked for.
PROGRAM = """
import torch
{without}
import revgrad
from revgrad_torch import GradientReversal

def fn(x):
    h = x * 1
    return revgrad.reverse(h, LAM).sum() + GradientReversal(0.5)(h).sum() + h.sum() * 0

LAM = {lam}
x = torch.ones(2, requires_grad=True)
try:
    torch.compile(fn, backend="aot_eager", fullgraph={fullgraph})(x).backward()
    print(x.grad.tolist())
except torch._dynamo.exc.Unsupported:
    print("refused")
print(revgrad.get_backend("torch").limits[:70])
"""
OLD = "del torch.compiler.set_stance" if _features.COMPILES else "pass"  # as before 2.6


def run(**options):
    return python("-W", "ignore", "-c", PROGRAM.format(**options)).stdout.splitlines()


@pytest.mark.parametrize(
    "feature, since", [("COMPILES", (2, 6)), ("EXPORTS", (2, 4)), ("ASSIGNS", (2, 1))]
)
def test_a_feature_is_there_from_its_version_on(feature, since):
    assert getattr(_features, feature) == (torch.__version__ >= since)


def test_what_is_missing_is_not_declared_and_has_a_reason():
    missing = {"compilations", "operations"}
    assert bool(TorchBackend.limits) == (not _features.COMPILES)
    assert set(_features.UNSUPPORTED) == (set() if _features.COMPILES else missing)
    assert not TorchBackend.capabilities & set(_features.UNSUPPORTED)


SLOW = [pytest.param(lam, marks=pytest.mark.slow) for lam in ("0.5", "torch.tensor(0.5)")]


@pytest.mark.parametrize("lam", ["revgrad.LambdaVariable(0.5)", *SLOW])
def test_without_the_feature_the_graph_breaks(lam):
    first, second = run(lam=lam, without=OLD, fullgraph=False)
    assert first == "[-1.0, -1.0]"
    assert second.startswith("This PyTorch has eager mode, torch.func, forward mode and torch.jit.")
    assert run(lam=lam, without=OLD, fullgraph=True)[0] == "refused"


def test_the_doctor_says_what_is_missing():
    load = "from revgrad._cli import worker; worker.load(lambda e: print(e.advice), 'torch', '')"
    printed = python(code=f"import torch; {OLD}; {load}").stdout
    assert "torch.compile breaks the graph at a reversal, which runs eagerly" in printed


@pytest.mark.skipif(not _features.COMPILES, reason="nothing is compiled")
def test_vmap_in_a_compiled_function_without_its_rule_for_views(monkeypatch):
    monkeypatch.setattr(ops, "BATCHES_VIEWS", False)
    torch._dynamo.reset()
    slope = torch.func.grad(lambda x: revgrad.reverse(x, 0.5) ** 3)
    curvature = torch.func.grad(slope)
    x = torch.tensor([1.0, 2.0])
    for fn, expected in ((slope, [-1.5, -6.0]), (curvature, [1.5, 3.0])):
        compiled = torch.compile(torch.func.vmap(fn), backend="aot_eager", fullgraph=True)
        assert compiled(x).tolist() == expected
