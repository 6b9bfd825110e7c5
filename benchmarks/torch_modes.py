"""Which reversal is right in which mode of PyTorch, what it copies, compiles and takes.

Run ``pip install pytorch-revgrad torch-gradient-reversal``, then
``python benchmarks/torch_modes.py``; ``--why`` adds what each error and wrong cell says. A package
that is not installed is left out. Every cell is computed: "right" is a comparison with the
contract, "error" an exception. The times are those of forward and backward, run in turn with the
five-line snippet; the median of the ratios is printed.
"""

import copy
import importlib
import io
import statistics
import sys
import timeit
import warnings

import torch
import torch._dynamo.testing
from torch import nn
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

LAM = 0.7


class Snippet(torch.autograd.Function):
    """What most projects have: the five lines."""

    @staticmethod
    def forward(ctx, x, lam):
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.lam * g, None


class SnippetLayer(nn.Module):
    """The snippet in a module, as most projects write it."""

    def __init__(self, lam):
        super().__init__()
        self.lam = lam

    def forward(self, x):
        return Snippet.apply(x, self.lam)


class FiveLines:
    """``reverse``, ``layer`` and ``set`` of one implementation; this one is the snippet's."""

    name, module = "five lines", "torch"

    def __init__(self):
        self.package = importlib.import_module(self.module)
        self.layer, self.reverse = SnippetLayer, Snippet.apply

    def set(self, layer, lam):
        """Change λ, in the way that the package has for it."""
        layer.lam = lam


class Ours(FiveLines):
    """revgrad_torch, the function by way of `revgrad.reverse`."""

    name, module = "ours", "revgrad_torch"

    def __init__(self):
        super().__init__()
        self.layer = self.package.GradientReversal
        self.reverse = importlib.import_module("revgrad").reverse


class PytorchRevgrad(FiveLines):
    """Its function takes a tensor as λ, its layer keeps one in a private attribute."""

    name, module = "pytorch-revgrad", "pytorch_revgrad"

    def __init__(self):
        super().__init__()
        self.layer, function = self.package.RevGrad, self.package.functional.revgrad
        self.reverse = lambda x, lam: function(x, torch.as_tensor(lam))

    def set(self, layer, lam):
        layer._alpha.fill_(lam)


class TorchGradientReversal(FiveLines):
    """A custom operator; the layer has a buffer and a setter."""

    name, module = "torch-gradient-reversal", "gradient_reversal"

    def __init__(self):
        super().__init__()
        self.layer, self.reverse = self.package.GradientReversalLayer, self.package.gradient_reversal

    def set(self, layer, lam):
        layer.set_alpha(lam)


MODES = {}


def mode(name):
    """Enter a function of an implementation: True is right, False wrong, a text stays."""
    return lambda function: MODES.setdefault(name, function)


def data(*shape):
    """Return the same x, g and t each time."""
    torch.manual_seed(0)
    return tuple(torch.randn(*(shape or (3, 4))) for _ in range(3))


def same(seen, expected):
    """Compare up to rounding; nan is nan."""
    return torch.allclose(seen, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def pulls_back(function, lam=LAM, g=None, x=None):
    """Is the forward the identity, and the gradient -λ·g?"""
    x, g = data()[0] if x is None else x, data()[1] if g is None else g
    x = x.clone().requires_grad_()
    y = function(x)
    return torch.equal(y, x) and same(torch.autograd.grad(y, x, g)[0], -lam * g)


@mode("backward, random cotangent")
def _(impl):
    return pulls_back(lambda x: impl.reverse(x, LAM)) and pulls_back(impl.layer(LAM))


@mode("backward, inf and nan as cotangent")
def _(impl):
    g = torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0])
    return pulls_back(lambda x: impl.reverse(x, LAM), g=g, x=data(4)[0])


@mode("forward of -0.0, inf, nan, bit for bit")
def _(impl):
    x = torch.tensor([-0.0, torch.inf, -torch.inf, torch.nan, 1e-45])
    y = impl.reverse(x.clone().requires_grad_(), LAM)
    return torch.equal(y.detach().view(torch.int32), x.view(torch.int32))


@mode("float16 and bfloat16")
def _(impl):
    x, g, _ = data()
    seen = [pulls_back(impl.layer(LAM), g=g.to(d), x=x.to(d)) for d in (torch.half, torch.bfloat16)]
    return all(seen)


@mode("λ is that of the forward pass")
def _(impl):
    layer, (x, g, _) = impl.layer(LAM), data()
    y = layer(x.requires_grad_())
    impl.set(layer, 0.1)
    return same(torch.autograd.grad(y, x, g)[0], -LAM * g)


@mode("λ after a state_dict round trip")
def _(impl):
    layer = impl.layer(1.0)
    layer.load_state_dict(impl.layer(LAM).state_dict())
    return pulls_back(layer)


@mode("λ after .half().float()")
def _(impl):
    x, g, _ = data()
    x.requires_grad_()
    layer = impl.layer(0.1).half().float()
    return torch.equal(torch.autograd.grad(layer(x), x, g)[0], -0.1 * g)


@mode("λ after deepcopy")
def _(impl):
    return pulls_back(copy.deepcopy(impl.layer(LAM)))


@mode("double backward")
def _(impl):
    x, _, t = data()
    x.requires_grad_()
    (first,) = torch.autograd.grad((impl.reverse(x**2, LAM) ** 3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x, t)
    return same(first, -LAM * 6 * x**5) and same(second, (24 * LAM**2 - 6 * LAM) * x**4 * t)


@mode("forward mode, dual numbers")
def _(impl):
    x, _, t = data()
    with forward_ad.dual_level():
        y = forward_ad.unpack_dual(impl.reverse(forward_ad.make_dual(x, t), LAM))
    return y.tangent is not None and same(y.primal, x) and same(y.tangent, -LAM * t)


@mode("torch.func.grad")
def _(impl):
    x, g, _ = data()
    return same(grad(lambda x: (impl.reverse(x, LAM) * g).sum())(x), -LAM * g)


@mode("torch.func.vjp")
def _(impl):
    x, g, _ = data()
    y, pullback = vjp(lambda x: impl.reverse(x, LAM), x)
    return torch.equal(y, x) and same(pullback(g)[0], -LAM * g)


@mode("torch.func.jvp")
def _(impl):
    x, _, t = data()
    y, tangent = jvp(lambda x: impl.reverse(x, LAM), (x,), (t,))
    return torch.equal(y, x) and same(tangent, -LAM * t)


@mode("torch.func.vmap, of grad too")
def _(impl):
    x, g, _ = data()
    outside = pulls_back(vmap(lambda x: impl.reverse(x, LAM)))
    return outside and same(
        vmap(grad(lambda x, g: (impl.reverse(x, LAM) * g).sum()))(x, g), -LAM * g
    )


@mode("torch.func.jacrev")
def _(impl):
    return same(jacrev(lambda x: impl.reverse(x, LAM))(data(4)[0]), -LAM * torch.eye(4))


@mode("torch.func.jacfwd")
def _(impl):
    return same(jacfwd(lambda x: impl.reverse(x, LAM))(data(4)[0]), -LAM * torch.eye(4))


@mode("torch.func.hessian")
def _(impl):
    x = data(4)[0]
    seen = hessian(lambda x: (impl.reverse(x, LAM) ** 3).sum())(x)
    return same(seen, torch.diag(6 * LAM**2 * x))


@mode("compile(fullgraph), a number")
def _(impl):
    return pulls_back(torch.compile(lambda x: impl.reverse(x, LAM), fullgraph=True))


@mode("compile(fullgraph), a tensor")
def _(impl):
    compiled = torch.compile(impl.reverse, fullgraph=True)
    return pulls_back(lambda x: compiled(x, torch.tensor(LAM)))


@mode("compile(fullgraph), the layer")
def _(impl):
    return pulls_back(torch.compile(impl.layer(LAM), fullgraph=True))


@mode("compile(fullgraph, dynamic), the layer")
def _(impl):
    compiled = torch.compile(impl.layer(LAM), fullgraph=True, dynamic=True)
    return all(pulls_back(compiled, g=data(n, 4)[1], x=data(n, 4)[0]) for n in (3, 5))


@mode("compile(fullgraph) of torch.func.grad")
def _(impl):
    x, g, _ = data()
    slope = torch.compile(grad(lambda x: (impl.reverse(x, LAM) * g).sum()), fullgraph=True)
    return same(slope(x), -LAM * g)


@mode("graphs over 20 λ, set on the layer")
def _(impl):
    layer = impl.layer(1.0)
    return graphs(layer, lambda lam: (impl.set(layer, lam), layer)[1])


@mode("graphs over 20 λ, tensors")
def _(impl):
    return graphs(impl.reverse, lambda lam: torch.tensor(lam))


def graphs(compile_this, give):
    """Count the graphs, and look at each gradient."""
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(compile_this, backend=counter, fullgraph=True)
    right = True
    for step in range(20):
        given = give(0.05 * step)
        run = compiled if given is compile_this else lambda x: compiled(x, given)
        right = pulls_back(run, lam=0.05 * step) and right
    return f"{counter.frame_count}{'' if right else ', wrong'}"


@mode("export, then train")
def _(impl):
    return exported(impl, strict=False)


@mode("export(strict=True), save, load, train")
def _(impl):
    return exported(impl, strict=True)


def exported(impl, strict):
    """Export a reversal after a linear map, and look at the gradient in what is loaded."""
    model, (x, g, _) = nn.Sequential(nn.Linear(4, 4), impl.layer(LAM)), data()
    program = torch.export.export(model, (x,), strict=strict)
    if strict:
        torch.export.save(program, file := io.BytesIO())
        file.seek(0)
        program = torch.export.load(file)
    trained = program.module()
    trained(x).backward(g)
    (weight,) = (p for name, p in trained.named_parameters() if name.endswith("weight"))
    return same(weight.grad, -LAM * g.T @ x)


@mode("jit.trace")
def _(impl):
    return pulls_back(torch.jit.trace(impl.layer(LAM), data()[0].requires_grad_()))


@mode("jit.trace, save, load")
def _(impl):
    torch.jit.save(torch.jit.trace(impl.layer(LAM), data()[0]), file := io.BytesIO())
    file.seek(0)
    return pulls_back(torch.jit.load(file))


@mode("jit.script")
def _(impl):
    return pulls_back(torch.jit.script(impl.layer(LAM)))


@mode("bytes allocated in the forward, of 64 MiB")
def _(impl):
    x, layer = torch.ones(4096, 4096, requires_grad=True), impl.layer(LAM)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU],
                                profile_memory=True) as profile:
        layer(x)
    sizes = [e.self_cpu_memory_usage for e in profile.key_averages()]
    return str(sum(size for size in sizes if size > 0))


def times(impl):
    """Return the rows of the times: name and ratio to the snippet."""
    rows, snippet = {}, FiveLines()
    for size, count, rounds in ((8, 300, 61), (4096, 1, 41)):
        x = torch.randn(size, size, requires_grad=True)
        g = torch.randn(size, size)
        for what in ("function", "layer"):
            timers = []
            for each in (impl, snippet):
                f = each.layer(LAM) if what == "layer" else lambda x, e=each: e.reverse(x, LAM)
                timers.append(timeit.Timer(lambda f=f: torch.autograd.grad(f(x), x, g)))
                timers[-1].timeit(10)
            ratios = sorted(timers[0].timeit(count) / timers[1].timeit(count)
                            for _ in range(rounds))
            rows[f"time, {what}, {size}x{size}"] = f"{statistics.median(ratios):.2f}"
    return rows


def cell(function, impl, why):
    """Run one cell."""
    torch._dynamo.reset()
    try:
        seen = function(impl)
    except Exception as error:
        text = str(error).strip().splitlines() or [""]
        why.append(f"{type(error).__name__}: {text[0][:110]}")
        return "error"
    return seen if isinstance(seen, str) else ("wrong", "right")[bool(seen)]


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    torch._logging.set_logs(all=50)
    implementations = []
    for kind in (Ours, PytorchRevgrad, TorchGradientReversal, FiveLines):
        try:
            implementations.append(kind())
        except ImportError as error:
            print(f"{kind.name} is left out: {error}")
    widths = [max(len(impl.name), 10) for impl in implementations]

    def show(name, cells):
        print(f"{name:42}", *(f"{c:{w}}" for c, w in zip(cells, widths)), sep="  ", flush=True)

    print(f"torch {torch.__version__}, Python {sys.version.split()[0]}\n")
    show("", [impl.name for impl in implementations])
    for name, function in MODES.items():
        reasons = []
        show(name, [cell(function, impl, reasons) for impl in implementations])
        if "--why" in sys.argv:
            print(*(f"    {reason}" for reason in reasons), sep="\n")
    rows = [times(impl) for impl in implementations]
    for name in rows[0]:
        show(name, [row[name] for row in rows])


if __name__ == "__main__":
    main()
