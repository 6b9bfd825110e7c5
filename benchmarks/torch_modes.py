"""Which reversal is right in which mode of PyTorch, what it copies, compiles and takes.

Run ``pip install pytorch-revgrad torch-gradient-reversal``, then
``python benchmarks/torch_modes.py``; ``--why`` adds what each error says. A package
that is not installed is left out. Every cell is computed: "right" is a comparison with the
contract, "wrong" is another number without an error, "error" an exception; a λ that is none is
"refused" or "taken". The times are those of forward and backward, run in turn with the five-line
snippet; the median of the ratios is printed.
"""

import contextlib
import copy
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
from torch_implementations import FiveLines, installed

LAM = 0.7
torch.manual_seed(0)
X, G, T = (torch.randn(3, 4) for _ in range(3))
HARD = torch.tensor([[-0.0, torch.inf, -torch.inf, torch.nan, 1e-45, 1.0]])


def same(seen, expected):
    """Compare up to rounding, that of λ to the dtype too; nan is nan."""
    rtol = max(1e-5, 2 * torch.finfo(seen.dtype).eps)
    return torch.allclose(seen, expected, rtol=rtol, atol=1e-6, equal_nan=True)


def pulls_back(function, lam=LAM, x=X, g=G):
    """Is the forward the identity, and the gradient -λ·g?"""
    x = x.clone().requires_grad_()
    y = function(x)
    return torch.equal(y, x) and same(torch.autograd.grad(y, x, g)[0], -lam * g)


def fixed(impl):
    return lambda x: impl.reverse(x, LAM)


def cost(impl):
    """Return a function whose gradient is -λ·G."""
    return lambda x: (impl.reverse(x, LAM) * G).sum()


def slope(function):
    """Return the gradient for G."""
    x = X.clone().requires_grad_()
    return torch.autograd.grad(function(x), x, G)[0]


def bit_for_bit(impl):
    y = impl.reverse(HARD.clone().requires_grad_(), LAM).detach()
    return torch.equal(y.view(torch.int32), HARD.view(torch.int32))


def halves(impl):
    kinds = torch.float16, torch.bfloat16
    return all(pulls_back(impl.layer(LAM), x=X.to(kind), g=G.to(kind)) for kind in kinds)


def at_the_forward(impl):
    layer = impl.layer(LAM)
    return same(slope(lambda x: (layer(x), impl.set(layer, 0.1))[0]), -LAM * G)


def written_to(impl, write):
    """Write to the result or to what was reversed, and use both afterwards."""
    x = X.clone().requires_grad_()
    h = x * 1
    y = impl.reverse(h, LAM)
    write(h, y)
    expected_h, expected_y = X.clone(), X.clone()  # as if y were a copy
    write(expected_h, expected_y)
    return torch.equal(h, expected_h) and torch.equal(y, expected_y)


def in_place_module(impl):
    x = X.clone().requires_grad_()
    h = x * 1
    y = nn.Sequential(impl.layer(LAM), nn.ReLU(inplace=True))(h)
    return torch.equal(h, X) and same(torch.autograd.grad(y, x, G)[0], -LAM * G * (X > 0))


def outputs(impl, fn, slopes, fullgraph=True):
    """Compile a function of several outputs; their gradients count 1, 10, 100, ..."""
    x = X.clone().requires_grad_()
    values = torch.compile(fn, fullgraph=fullgraph)(x)
    weights = [10.0**index for index in range(len(values))]
    total = sum(weight * value.sum() for weight, value in zip(weights, values))
    expected = 2 * sum(weight * slope for weight, slope in zip(weights, slopes))
    return same(torch.autograd.grad(total, x)[0], torch.full_like(X, expected))


def with_features(impl):
    def fn(x):
        h = x * 2
        return impl.reverse(h, LAM), h

    return outputs(impl, fn, (-LAM, 1))


def layer_with_features(impl):
    layer = impl.layer(LAM)

    def fn(x):
        h = x * 2
        return layer(h), h

    return outputs(impl, fn, (-LAM, 1))


def two_reversals(impl):
    def fn(x):
        h = x * 2
        return impl.reverse(h, 1.0), impl.reverse(h, 5.0)

    return outputs(impl, fn, (-1, -5))


def broken(impl):
    def fn(x):
        h = x * 2
        y = impl.reverse(h, LAM)
        torch._dynamo.graph_break()
        return y * 1, h * 1

    return outputs(impl, fn, (-LAM, 1), fullgraph=False)


def flattened(impl):
    x = X.clone().requires_grad_()
    y = torch.compile(nn.Sequential(impl.layer(LAM), nn.Flatten(0)), fullgraph=True)(x)
    return same(torch.autograd.grad(y, x, G.flatten())[0], -LAM * G)


def from_meta(impl):
    with torch.device("meta"):
        layer = impl.layer(LAM)
    layer.to_empty(device="cpu")
    return pulls_back(layer)


def loaded_on_meta(impl):
    with torch.device("meta"):
        layer = impl.layer(1.0)
    layer.load_state_dict(impl.layer(LAM).state_dict(), assign=True)
    return pulls_back(layer)


def compiled_autograd(impl):
    """Compile the backward pass too; λ is a tensor."""

    @torch.compile
    def step(x, lam):
        (impl.reverse(x * 2, lam) * G).sum().backward()

    x = X.clone().requires_grad_()
    with torch._dynamo.config.patch(compiled_autograd=True):
        step(x, torch.tensor(LAM))
    return same(x.grad, -2 * LAM * G)


def refused(impl, lam):
    """Say what happens to a λ that is none, in a tensor."""
    try:
        slope(lambda x: impl.reverse(x, torch.tensor(lam)))
    except ValueError:
        return "refused"
    return "taken"


def frozen(impl):
    return pulls_back(torch.jit.freeze(torch.jit.trace(impl.layer(LAM).eval(), X)))


def traced_with_lambda(impl):
    class Model(nn.Module):
        def forward(self, x, alpha):
            return impl.reverse(x, alpha)

    model = torch.fx.symbolic_trace(Model())
    return pulls_back(lambda x: model(x, LAM))


def state(impl):
    layer = impl.layer(1.0)
    layer.load_state_dict(impl.layer(LAM).state_dict())
    return pulls_back(layer)


def double_backward(impl):
    x = X.clone().requires_grad_()
    (first,) = torch.autograd.grad((impl.reverse(x**2, LAM) ** 3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x, T)
    return same(first, -LAM * 6 * x**5) and same(second, (24 * LAM**2 - 6 * LAM) * x**4 * T)


def dual(impl):
    with forward_ad.dual_level():
        y = forward_ad.unpack_dual(impl.reverse(forward_ad.make_dual(X, T), LAM))
    return torch.equal(y.primal, X) and y.tangent is not None and same(y.tangent, -LAM * T)


def by_vmap(impl):
    inside = vmap(grad(lambda x, g: (fixed(impl)(x) * g).sum()))(X, G)
    return pulls_back(vmap(fixed(impl))) and same(inside, -LAM * G)


def dynamic(impl):
    compiled = torch.compile(impl.layer(LAM), fullgraph=True, dynamic=True)
    return all(pulls_back(compiled, x=X[:rows], g=G[:rows]) for rows in (3, 2))


def graphs_of_layer(impl):
    layer = impl.layer(1.0)
    return graphs(layer, lambda compiled, lam: impl.set(layer, lam) or compiled)


def graphs(function, at):
    """Count the graphs over 20 values of λ, and look at each gradient."""
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(function, backend=counter, fullgraph=True)
    right = [pulls_back(at(compiled, lam), lam) for lam in (0.05 * step for step in range(20))]
    return f"{counter.frame_count}{'' if all(right) else ', wrong'}"


def exported(impl, strict=False, load=False):
    """Export a reversal after a linear map, and look at the gradient of the weight."""
    program = torch.export.export(
        nn.Sequential(nn.Linear(4, 4), impl.layer(LAM)), (X,), strict=strict
    )
    if load:
        torch.export.save(program, file := io.BytesIO())
        file.seek(0)
        program = torch.export.load(file)
    trained = program.module()
    trained(X).backward(G)
    (weight,) = (p for name, p in trained.named_parameters() if name.endswith("weight"))
    return same(weight.grad, -LAM * G.T @ X)


def saved(program):
    """Write a TorchScript program, and read it again."""
    torch.jit.save(program, file := io.BytesIO())
    file.seek(0)
    return torch.jit.load(file)


def allocated(impl):
    x, layer = torch.ones(4096, 4096, requires_grad=True), impl.layer(LAM)
    with torch.profiler.profile(profile_memory=True) as profile:
        layer(x)
    sizes = [event.self_cpu_memory_usage for event in profile.key_averages()]
    return str(sum(size for size in sizes if size > 0))


MODES = {
    "backward, random cotangent": lambda i: pulls_back(fixed(i)) and pulls_back(i.layer(LAM)),
    "backward, inf and nan as cotangent": lambda i: pulls_back(
        fixed(i), x=torch.ones(1, 6), g=HARD
    ),
    "forward of -0.0, inf, nan, bit for bit": bit_for_bit,
    "float16 and bfloat16": halves,
    "λ is that of the forward pass": at_the_forward,
    "in place: y.relu_(), then h is used": lambda i: written_to(i, lambda h, y: y.relu_()),
    "in place: h.relu_(), then y is used": lambda i: written_to(i, lambda h, y: h.relu_()),
    "in place: Sequential(layer, ReLU(True))": in_place_module,
    "λ = -1, a tensor": lambda i: refused(i, -1.0),
    "λ = nan, a tensor": lambda i: refused(i, torch.nan),
    "λ after a state_dict round trip": state,
    "λ after .half().float()": lambda i: torch.equal(slope(i.layer(0.1).half().float()), -0.1 * G),
    "λ after deepcopy": lambda i: pulls_back(copy.deepcopy(i.layer(LAM))),
    "λ after meta device, to_empty()": from_meta,
    "λ after meta device, load(assign=True)": loaded_on_meta,
    "double backward": double_backward,
    "forward mode, dual numbers": dual,
    "torch.func.grad": lambda i: same(grad(cost(i))(X), -LAM * G),
    "torch.func.vjp": lambda i: same(vjp(fixed(i), X)[1](G)[0], -LAM * G),
    "torch.func.jvp": lambda i: same(jvp(fixed(i), (X,), (T,))[1], -LAM * T),
    "torch.func.vmap, of grad too": by_vmap,
    "torch.func.jacrev": lambda i: same(jacrev(fixed(i))(X[0]), -LAM * torch.eye(4)),
    "torch.func.jacfwd": lambda i: same(jacfwd(fixed(i))(X[0]), -LAM * torch.eye(4)),
    "torch.func.hessian": lambda i: same(
        hessian(lambda x: (fixed(i)(x) ** 3).sum())(X[0]), torch.diag(6 * LAM**2 * X[0])
    ),
    "compile(fullgraph), a number": lambda i: pulls_back(torch.compile(fixed(i), fullgraph=True)),
    "compile(fullgraph), a tensor": lambda i: pulls_back(
        lambda x: torch.compile(i.reverse, fullgraph=True)(x, torch.tensor(LAM))
    ),
    "compile(fullgraph), the layer": lambda i: pulls_back(
        torch.compile(i.layer(LAM), fullgraph=True)
    ),
    "compile(fullgraph, dynamic), the layer": dynamic,
    "compile(fullgraph) of torch.func.grad": lambda i: same(
        torch.compile(grad(cost(i)), fullgraph=True)(X), -LAM * G
    ),
    "compile, two outputs: y, h": with_features,
    "compile, two outputs, the layer": layer_with_features,
    "compile, two outputs: two reversals": two_reversals,
    "compile, graph break before the heads": broken,
    "compile, the layer and a flatten": flattened,
    "compiled autograd": compiled_autograd,
    "graphs over 20 λ, set on the layer": graphs_of_layer,
    "graphs over 20 λ, tensors": lambda i: graphs(
        i.reverse, lambda f, lam: lambda x: f(x, torch.tensor(lam))
    ),
    "graphs over 20 λ, numbers": lambda i: graphs(i.reverse, lambda f, lam: lambda x: f(x, lam)),
    "export, then train": exported,
    "export(strict=True), then train": lambda i: exported(i, strict=True),
    "export, save, load, then train": lambda i: exported(i, load=True),
    "jit.trace": lambda i: pulls_back(torch.jit.trace(i.layer(LAM), X)),
    "jit.trace, save, load": lambda i: pulls_back(saved(torch.jit.trace(i.layer(LAM), X))),
    "jit.script": lambda i: pulls_back(torch.jit.script(i.layer(LAM))),
    "jit.script, save, load": lambda i: pulls_back(saved(torch.jit.script(i.layer(LAM)))),
    "jit.freeze": frozen,
    "torch.fx, λ an argument": traced_with_lambda,
    "bytes allocated in the forward, of 64 MiB": allocated,
}


def times(impl):
    """Return the rows of the times: name and ratio to the snippet."""
    rows, snippet = {}, FiveLines()
    for size, count, rounds in ((8, 300, 61), (4096, 1, 101)):
        x, g = torch.randn(size, size, requires_grad=True), torch.randn(size, size)
        for what in ("function", "layer"):
            pair = []
            for each in (impl, snippet):
                f = each.layer(LAM) if what == "layer" else fixed(each)
                pair.append(timeit.Timer(lambda f=f: torch.autograd.grad(f(x), x, g)))
            ratios = []
            for round in range(rounds):
                turn = [timer.timeit(count) for timer in pair[:: 1 - round % 2 * 2]]
                ratios.append(turn[round % 2] / turn[1 - round % 2])
            rows[f"time, {what}, {size}x{size}"] = f"{statistics.median(ratios):.2f}"
    return rows


def cell(function, impl, why):
    """Run one cell."""
    torch._dynamo.reset()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            seen = function(impl)
    except Exception as error:
        why.append("    " + repr(error)[:120])
        return "error"
    return seen if isinstance(seen, str) else ("wrong", "right")[bool(seen)]


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    torch._logging.set_logs(all=50)
    implementations = installed()
    widths = [max(len(impl.name), 10) for impl in implementations]

    def show(name, cells):
        line = "  ".join([f"{name:42}", *(f"{c:{w}}" for c, w in zip(cells, widths))])
        print(line.rstrip(), flush=True)

    print(f"torch {torch.__version__}, Python {sys.version.split()[0]}\n")
    show("", [impl.name for impl in implementations])
    for name, function in MODES.items():
        why = []
        show(name, [cell(function, impl, why) for impl in implementations])
        if "--why" in sys.argv and why:
            print(*why, sep="\n")
    columns = [times(impl) for impl in implementations]
    for name in columns[0]:
        show(name, [column[name] for column in columns])


if __name__ == "__main__":
    main()
