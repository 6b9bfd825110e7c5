"""The page on migration from other PyTorch layers: every cell of its tables is computed."""

import importlib
import importlib.metadata
import importlib.util
import inspect
import pathlib
import re

import numpy as np
import pytest
import torch
from support.pages import ROOT
from support.processes import installed
from torch import as_tensor, tensor

import revgrad

PAGE = ROOT / "docs" / "how-to" / "torch-published-layers.md"
TABLES = [
    [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
    for block in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
]
MIGRATION, ((_, *NAMES), _, *FACTS), _ = TABLES
ROWS = {label: dict(zip(NAMES, cells)) for label, *cells in FACTS}
LAMBDAS = "alpha", "coeff", "weight", "lam"
ALSO_NEEDED = {"skada": "skorch", "pytorch_adapt": "pytorch_metric_learning"}


# Where each package takes λ: a module, and what is made of it.
PACKAGES = {
    "pytorch-revgrad": ("pytorch_revgrad", "RevGrad"),
    "torch-gradient-reversal": ("gradient_reversal", "GradientReversalLayer"),
    "tllib": ("tllib.modules.grl", "GradientReverseFunction"),
    "pytorch-adapt": ("pytorch_adapt.layers", "GradientReversal"),
    "skada": ("skada.deep.modules", "GradientReversalLayer"),
    "ours": ("revgrad_torch", "GradientReversal"),
}
FUNCTIONS = {
    "pytorch-revgrad": lambda module: lambda x, lam: module.functional.revgrad(x, as_tensor(lam)),
    "torch-gradient-reversal": lambda module: module.gradient_reversal,
    "ours": lambda module: revgrad.reverse,
}


def load(name):
    """Import a published module, or skip with the reason."""
    package = name.split(".")[0]
    if package == "tllib":
        return load_tllib()
    for each in (package, ALSO_NEEDED.get(package, package)):
        if not installed(each):
            pytest.skip(f"{each} is not installed: tox -e torch-published installs it")
    return importlib.import_module(name)


def load_tllib():
    """Load the one file: the package imports all that it can do, and what that needs."""
    found = importlib.util.find_spec("tllib")
    if found is None:
        pytest.skip("tllib is not on PyPI: put a checkout of it into PYTHONPATH")
    folder = pathlib.Path(found.origin).parent
    spec = importlib.util.spec_from_file_location("tllib_grl", folder / "modules" / "grl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.version = re.search(r"__version__ = '(.*)'", (folder / "__init__.py").read_text())[1]
    return module


class Published:
    """A package: its function of ``x`` and λ, its layer of λ, and where λ is an argument."""

    def __init__(self, name):
        self.name = name
        module = load(PACKAGES[name][0])
        self.layer = self.argument = kind = getattr(module, PACKAGES[name][1])
        self.call = lambda x, lam: kind(lam)(x)
        if name in FUNCTIONS:
            self.call = FUNCTIONS[name](module)
        elif issubclass(kind, torch.autograd.Function):  # no layer: λ is given at the call
            self.call, self.argument = kind.apply, kind.forward
            self.layer = lambda first: lambda x, lam=first: kind.apply(x, lam)


X = torch.linspace(-1, 2, 12).reshape(3, 4).requires_grad_()
G = torch.linspace(3, -4, 12).reshape(3, 4)


def factor(y):
    """Write what multiplies the gradient."""
    assert torch.equal(y, X)
    (seen,) = torch.autograd.grad(y, X, G)
    ratio = (seen / G)[0, 0].item()
    torch.testing.assert_close(seen, ratio * G, equal_nan=True)
    return f"`{ratio:+.3g} g`" if ratio else "`0 g`"


def or_rejected(cell):
    """Return a computation of a cell that may also find "rejected"."""

    def run(published):
        try:
            return cell(published)
        except (TypeError, ValueError):
            return "rejected"

    return run


def default(published):
    parameters = inspect.signature(published.argument).parameters.values()
    (lam,) = (each.replace(annotation=each.empty) for each in parameters if each.name in LAMBDAS)
    return f"`{lam}`"


def changed(published, first=0.7):
    (code,) = re.findall("`(.*)`", ROWS["λ changes by"][published.name])
    names = {"layer": published.layer(first), "x": X, "tensor": tensor}
    exec(code, names)
    return factor(names["y"] if "y" in names else names["layer"](X))


def lambda_in_the_state(published):
    layer = published.layer(0.7)
    names = list(layer.state_dict()) if isinstance(layer, torch.nn.Module) else []
    return f"`{names[0]}`" if names else "no"


def after_half(published):
    layer = published.layer(0.1)
    if not isinstance(layer, torch.nn.Module):
        return "no module"
    (seen,) = torch.autograd.grad(layer.half().float()(X), X, torch.ones_like(X))
    return f"{-seen[0, 0].item():.4g}"


@or_rejected
def learnable(published):
    lam = tensor(0.7, requires_grad=True)
    (seen,) = torch.autograd.grad(published.call(X, lam).sum(), lam, allow_unused=True)
    return "ignored" if seen is None else "learned"


@or_rejected
def per_sample(published):
    lam = tensor([[0.1], [0.2], [0.3]])
    (seen,) = torch.autograd.grad(published.call(X, lam), X, G)
    torch.testing.assert_close(seen, -lam * G)
    return "yes"


def half(published):
    x = X.detach().half().requires_grad_()
    y = published.call(x, tensor(0.7, dtype=torch.float64))
    (seen,) = torch.autograd.grad(y, x, G.half())
    torch.testing.assert_close(seen, (-0.7 * G).half(), rtol=2e-3, atol=0)
    return str(seen.dtype).replace("torch.", "")


@or_rejected
def integers(published):
    kind = published.call(torch.ones(2, dtype=torch.int64), 0.7).dtype
    return "passes" if kind == torch.int64 else f"becomes {kind}".replace("torch.", "")


def copied(published):
    return "no copy" if published.call(X, 0.7).data_ptr() == X.data_ptr() else "a copy"


CELLS = {
    "version": lambda published: version(published.name),
    "λ, and its default": default,
    "gradient for λ = 0.7": lambda published: factor(published.layer(0.7)(X)),
    "gradient for λ = -1": or_rejected(lambda published: factor(published.call(X, -1.0))),
    "gradient for λ = nan": or_rejected(lambda published: factor(published.call(X, np.nan))),
    "the same, made with the integer 1": lambda published: changed(published, first=1),
    "λ in the state_dict": lambda_in_the_state,
    "λ = 0.1 after `.half().float()`": after_half,
    "a λ with `requires_grad`": learnable,
    "one λ per sample": per_sample,
    "float16 `x`, float64 tensor λ": half,
    "integer `x`": integers,
    "the forward pass": copied,
}


def version(name):
    if name == "ours":
        return ""
    return load_tllib().version if name == "tllib" else importlib.metadata.version(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", CELLS)
def test_a_cell(label, name):
    assert CELLS[label](Published(name)) == ROWS[label][name]


@pytest.mark.parametrize("name", NAMES)
def test_lambda_changes_by_the_statement_of_its_cell(name):
    assert changed(Published(name)) == "`-0.3 g`"


def test_every_row_has_its_computation():
    assert set(ROWS) == {*CELLS, "λ changes by"}


@pytest.mark.parametrize("theirs, ours", list(MIGRATION[2:]))
def test_a_row_of_the_migration(theirs, ours):
    def gradient(cell):
        dotted, rest = re.fullmatch(r"`([\w.]+)(\(.*)`", cell).groups()
        module, _, name = dotted.removesuffix(".apply").rpartition(".")
        names = {"it": getattr(load(module), name), "x": X, "tensor": tensor}
        value = eval(f"it{'.apply' * dotted.endswith('.apply')}{rest}", names)
        return factor(value if isinstance(value, torch.Tensor) else value(X))

    assert gradient(theirs) == gradient(ours) == "`-0.7 g`"


def test_every_package_of_the_facts_is_in_the_migration():
    migrated = {re.match(r"`(\w+)", theirs)[1] for theirs, _ in MIGRATION[2:]}
    assert migrated == {PACKAGES[name][0].split(".")[0] for name in NAMES[:-1]}


def test_what_the_page_says_of_pytorch_adapt():
    load("pytorch_adapt.layers")
    hook = importlib.import_module("pytorch_adapt.hooks").GradientReversalHook(apply_to=["x"])
    assert not hook.fn.weight.is_floating_point()
    hook.fn.update_weight(0.3)
    assert hook.fn.weight.item() == 0


def test_what_the_page_says_of_tllib(monkeypatch):
    layer = load_tllib().WarmStartGradientReverseLayer(alpha=10.0, max_iters=4)
    if not hasattr(np, "float"):
        with pytest.raises(AttributeError, match="float"):
            layer(X)
        monkeypatch.setattr(np, "float", float, raising=False)
    for step in range(6):
        expected = revgrad.schedules.Dann(gamma=10 * 6 / 4)(step / 6)
        (seen,) = torch.autograd.grad(layer(X), X, G)
        torch.testing.assert_close(seen, -expected * G)
        layer.step()
    assert not layer.state_dict()


def test_what_the_page_says_of_skada():
    y = load("skada.deep.modules").GradientReversalLayer.apply(X, 0.7, None)
    with pytest.raises(RuntimeError, match="expected 3, got 2"):
        y.sum().backward()
