"""`reverse_gradient` in each mode of PyTorch."""

from functools import partial

import numpy as np
import pytest
import torch
from support.examples import assert_public
import torch._dynamo.testing
import torch.autograd.forward_ad as forward_ad
import torch.utils.checkpoint
from functorch.compile import aot_function
from support.processes import python
from torch.fx.experimental.proxy_tensor import make_fx

import revgrad
import revgrad_torch
from revgrad_torch import GradientReversal, reverse_gradient, scale_gradient
from revgrad_torch.testing import _Module as Module

X = torch.tensor([1.0, 2.0])


def gradient(fn, x, g=None):
    x = x.clone().requires_grad_()
    y = fn(x)
    return torch.autograd.grad(y, x, torch.ones_like(y) if g is None else g)[0]


def same(value, expected):
    torch.testing.assert_close(value, torch.as_tensor(expected), rtol=0, atol=0, equal_nan=True)


# Before, torch.compile lets no object into what it runs while it traces.
variables_compile = pytest.mark.skipif(torch.__version__ < (2, 13), reason="PyTorch before 2.13")


# --- eager ----------------------------------------------------------------------------------------


def test_public_names():
    assert_public(revgrad_torch)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "longdouble", ">i4"])
def test_an_array_of_a_dtype_or_order_of_bytes_that_pytorch_does_not_read(dtype):
    lam = np.array([0.5, 2]).astype(dtype)
    same(gradient(lambda x: reverse_gradient(x, lam), X), [-float(each) for each in lam])


def test_nothing_but_lam_is_saved():
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        reverse_gradient(torch.ones(1000, requires_grad=True), torch.tensor(0.5))
    assert sum(each.numel() for each in saved) <= 1


def test_gradcheck_in_every_mode():
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    # Two reversals, so that finite differences see the identity.
    fn = lambda x: reverse_gradient(reverse_gradient(x, 0.5), 2.0) ** 3
    forward = {"check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(fn, x, check_batched_grad=True, **forward)
    assert torch.autograd.gradgradcheck(fn, x, check_batched_grad=True, check_fwd_over_rev=True)


@pytest.mark.parametrize("lam", [0.5, torch.tensor(0.5), torch.tensor([0.5, 0.5])])
def test_a_write_in_place_is_refused_and_a_clone_is_right(lam):
    relu = torch.nn.ReLU(inplace=True)
    with pytest.raises(RuntimeError, match="cloning the output of the custom Function"):
        gradient(lambda x: relu(reverse_gradient(x * 1, lam)), X)
    same(gradient(lambda x: relu(reverse_gradient(x, lam).clone()) + 10 * x, X), [9.5, 9.5])


def test_a_tensor_that_left_a_transform_keeps_its_gradient():
    kept = []
    x = X.clone().requires_grad_()
    torch.func.grad(lambda each: (kept.append(each * 2), each.sum())[1])(x)
    reverse_gradient(kept[0], 0.5).sum().backward()
    same(x.grad, [-1.0, -1.0])


def test_x_may_be_written_to_after_it_was_used():
    x = X.clone().requires_grad_()
    h = x * 1
    linear, square = reverse_gradient(h, 0.5).sum(), (reverse_gradient(h, 0.5) ** 2).sum()
    h.mul_(3)
    linear.backward(retain_graph=True)
    same(x.grad, [-0.5, -0.5])
    # What was saved and then written to is an error, as everywhere in PyTorch.
    with pytest.raises(RuntimeError, match="modified inplace"):
        square.backward()


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_where_no_gradient_is_wanted(context):
    h = X.clone().requires_grad_() * 1
    with context():
        assert reverse_gradient(h, 0.5).grad_fn is None
        assert not reverse_gradient(h * 1, 0.5).requires_grad
    assert not reverse_gradient(X, 0.5).requires_grad


@pytest.mark.parametrize("lam", [0.5, torch.tensor(0.5, dtype=torch.float64)])
def test_a_complex_cotangent_that_is_not_finite(lam):
    g = torch.tensor([complex(torch.inf, 1), complex(1, torch.nan)])
    found = gradient(lambda x: reverse_gradient(x, lam), X.to(torch.complex64), g)
    same(found, torch.tensor([complex(-torch.inf, -0.5), complex(-0.5, torch.nan)]))


LAMS = pytest.mark.parametrize("lam", [0.3, torch.tensor(0.3)])


@LAMS
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_tensors(layout, lam):
    x = torch.eye(3).to_sparse(layout=layout).requires_grad_()
    h = x * 1
    reverse_gradient(h, lam).mul_(3).to_dense().sum().backward()
    assert x.grad.layout == layout
    same(x.grad.to_dense(), -3 * torch.tensor(0.3) * torch.eye(3))
    same(h.to_dense(), torch.eye(3))  # the result is a copy, which may be written to


@LAMS
def test_nested_tensors(lam):
    rows = [torch.ones(2, 3), torch.ones(4, 3)]
    x = torch.nested.nested_tensor(rows, layout=torch.jagged, requires_grad=True)
    reverse_gradient(x, lam).values().sum().backward()
    same(x.grad.values(), torch.full((6, 3), -0.3))


def recomputed(fn):
    return partial(torch.utils.checkpoint.checkpoint, fn, use_reentrant=False)


def set_value(variable, lam):
    variable.value = lam


BY_VARIABLE = revgrad.reverse, revgrad.LambdaVariable(), set_value


@pytest.mark.parametrize(
    "mode, change, lam, put",
    [
        (recomputed, *BY_VARIABLE),
        (recomputed, revgrad.reverse, torch.zeros(()), torch.Tensor.fill_),
        (lambda fn: fn, scale_gradient, torch.zeros(2), lambda factor, lam: factor.fill_(-lam)),
        # Not with a tensor: PyTorch raises where one is written to before a compiled backward pass.
        pytest.param(partial(torch.compile, fullgraph=True), *BY_VARIABLE, marks=variables_compile),
    ],
)
def test_lam_of_the_forward_pass_counts(mode, change, lam, put):
    run = mode(lambda x: change(x, lam).sin())

    def fn(x):
        put(lam, 0.5)
        y = run(x)
        put(lam, 9.0)
        return y

    torch.testing.assert_close(gradient(fn, X), -0.5 * X.cos())


# --- torch.func and dual numbers ------------------------------------------------------------------


def cube(x):
    return (reverse_gradient(x, 0.5) ** 3).sum()


twice_forward = lambda f: torch.func.jacfwd(torch.func.jacfwd(f))


@pytest.mark.parametrize(
    "transform, expected",
    [
        (torch.func.grad, -1.5 * X**2),
        (torch.func.jacrev, -1.5 * X**2),
        (torch.func.jacfwd, -1.5 * X**2),
        (torch.func.hessian, torch.diag(1.5 * X)),
        (lambda f: torch.func.jacrev(torch.func.jacrev(f)), torch.diag(1.5 * X)),
        (twice_forward, torch.diag(1.5 * X)),
        (lambda f: torch.func.jacrev(torch.func.jacfwd(f)), torch.diag(1.5 * X)),
        (lambda f: lambda x: torch.func.jvp(f, (x,), (x,))[1], (-1.5 * X**3).sum()),
        (lambda f: torch.func.jacrev(torch.func.hessian(f)), -0.75 * torch.eye(2).diag_embed()),
    ],
)
def test_transforms(transform, expected):
    same(transform(cube)(X), expected)
    same(torch.func.vmap(transform(cube))(torch.stack([X, X]))[1], expected)
    if transform is twice_forward:
        return  # PyTorch 2.13 compiles no product there, with or without a reversal
    compiled = torch.compile(transform(cube), fullgraph=True, backend="aot_eager")
    same(compiled(X), expected)


def test_one_lam_for_each_element_of_a_batch():
    lams = torch.tensor([1.0, 2.0])
    slope = torch.func.grad(lambda x, lam: reverse_gradient(x, lam).sum())
    same(torch.func.vmap(slope, (None, 0))(X, lams), -torch.stack([lams, lams], 1))


def test_the_tangent_of_lam_goes_nowhere():
    with forward_ad.dual_level():
        lam = forward_ad.make_dual(torch.tensor(0.5), torch.tensor(100.0))
        y = reverse_gradient(forward_ad.make_dual(X, torch.ones(2)), lam)
        same(forward_ad.unpack_dual(y).tangent, [-0.5, -0.5])
    same(torch.func.jacfwd(lambda lam: reverse_gradient(X, lam).sum())(torch.tensor(0.5)), 0.0)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, lam, kind, words",
    [
        (X, torch.tensor(0.5j), revgrad.InvalidLambdaError, "must be real; got a value of dtype"),
        (X, torch.tensor(True), revgrad.InvalidLambdaError, "must be real; got a value of dtype"),
        (X, X.double().numpy() * 1e300, revgrad.InvalidLambdaError, "too large a λ or factor"),
        (X, torch.ones((), requires_grad=True), revgrad.InvalidLambdaError, "nothing would ever"),
        (torch.tensor(0.5), X, revgrad.InvalidLambdaError, "Are x and lam swapped"),
        (X.to(torch.float8_e4m3fn), 1.0, revgrad.UnsupportedTypeError, "float8_e4m3fn, which carr"),
        ([1.0], 1.0, revgrad.UnsupportedTypeError, "a torch.Tensor; got a list.*torch.as_tensor"),
    ],
)
def test_what_is_refused(x, lam, kind, words):
    with pytest.raises(kind, match=words):
        reverse_gradient(x, lam)


def test_learning_lam_under_torch_func_is_refused():
    with pytest.raises(revgrad.InvalidLambdaError, match="asks for a gradient"):
        torch.func.grad(lambda lam: reverse_gradient(X, lam).sum())(torch.tensor(0.5))


# --- torch.compile --------------------------------------------------------------------------------


@pytest.mark.parametrize("change, sign", [(revgrad.reverse, -1), (revgrad.scale_gradient, 1)])
@pytest.mark.parametrize(
    "lams, backend, most",
    [
        ([0.05 * step for step in range(20)], "eager", 2),
        ([0.05 * step for step in range(20)], "aot_eager", 2),
        (range(20), "eager", 2),
        (range(20), "aot_eager", 2),
        pytest.param(
            [*map(revgrad.LambdaVariable, range(20))], "eager", 1, marks=variables_compile
        ),
    ],
)
def test_more_values_than_torch_recompiles(lams, backend, most, change, sign):
    counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, lam: change(x, lam), backend=counter, fullgraph=True)
    for lam in lams:
        found = gradient(partial(compiled, lam=lam), X)
        same(found, sign * torch.full((2,), float(lam)))
    assert counter.frame_count <= most


@pytest.mark.parametrize("backend", ["inductor", "aot_eager"])
@pytest.mark.parametrize("last", [torch.nn.Flatten(0), torch.nn.Identity()])
def test_a_reversal_whose_view_is_all_that_a_compiled_program_returns(backend, last):
    model = torch.nn.Sequential(GradientReversal(1.0), last)
    same(gradient(torch.compile(model, fullgraph=True, backend=backend), X), [-1.0, -1.0])


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_the_features_are_an_output_of_a_compiled_program_too(mode, dtype):
    def fn(x):
        h = x * 2
        return 100 * revgrad.reverse(h, 1.0) + 10 * heads(h)[0] + heads(h)[1]

    heads = torch.compile(lambda h: (revgrad.reverse(h, 4.0), h), fullgraph=True, mode=mode)
    found = gradient(fn, X.to(dtype))
    same(found, torch.full((2,), 2 * (-100 - 40 + 1), dtype=dtype))


def test_no_kernel_more_in_a_training_step_with_two_heads():
    from torch._inductor import metrics

    features = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Sigmoid())
    label, domain = torch.nn.Linear(8, 1), torch.nn.Linear(8, 1)

    def kernels(reverse):
        def cost(x, lam):
            h = features(x)
            return label(h).sum() + domain(reverse(h, lam)).sum()

        torch._dynamo.reset()
        metrics.reset()
        torch.compile(cost)(torch.ones(3, 2), torch.tensor(0.5)).backward()
        return metrics.generated_kernel_count

    assert kernels(revgrad.reverse) == kernels(lambda x, lam: x)


@pytest.mark.parametrize(
    "lam", [revgrad.LambdaVariable(0.5), torch.tensor(0.5, dtype=torch.float64), 0.5]
)
@pytest.mark.parametrize("step", ["compiled", "eager forward"])
def test_compiled_autograd(lam, step):
    cost = lambda x: revgrad.reverse(x * 2, lam).sum()
    x = X.clone().requires_grad_()
    if step == "compiled":
        with torch._dynamo.config.patch(compiled_autograd=True):
            torch.compile(lambda x: cost(x).backward(), backend="aot_eager")(x)
    else:
        value = cost(x)
        with torch._dynamo.compiled_autograd._enable(torch.compile(backend="aot_eager")):
            value.backward()
    same(x.grad, [-1.0, -1.0])


def test_another_default_device_in_a_compiled_program():
    fn = lambda x: revgrad.scale_gradient(revgrad.reverse(x, 0.5), 0.5)
    with torch.device("meta"):
        found = gradient(torch.compile(fn, backend="aot_eager", fullgraph=True), X.half())
    same(found, torch.tensor([-0.25, -0.25], dtype=torch.float16))


def test_numbers_first_seen_in_a_special_place_are_right_later():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with torch.inference_mode():
        reverse_gradient(X, 0.123)
    with FakeTensorMode():
        reverse_gradient(torch.ones(2, requires_grad=True), 0.234).sum().backward()
    with torch.device("meta"):
        reverse_gradient(X, 0.345)
    for lam in (0.123, 0.234, 0.345):
        cost = lambda x, lam=lam: (reverse_gradient(x, lam) ** 3).sum()
        curvature = torch.autograd.functional.hessian(cost, X)
        torch.testing.assert_close(curvature, torch.diag(lam**2 * 6 * X))


def test_more_numbers_than_are_kept():
    for lam in range(1000):
        reverse_gradient(X, float(lam))
    same(gradient(lambda x: reverse_gradient(x, 3.0), X), [-3.0, -3.0])


COLD = """
import torch
import revgrad
from torch._dynamo.testing import CompileCounter

counter, broken = CompileCounter(), "graph break" in {mode!r}

def fn(x, lam):
    y = revgrad.reverse(x * 1, lam).sum()
    if broken:
        torch._dynamo.graph_break()
    return y.sin().cos()

compiled = torch.compile(fn, fullgraph=not broken, backend=counter)
variable = revgrad.LambdaVariable()
for variable.value in range(20):
    lam = variable if {mode!r} == "variable" else torch.tensor(variable.value)
    x = torch.zeros(2, requires_grad=True)
    compiled(x, lam).backward()
    revgrad.reverse(torch.ones(2).as_subclass(type("Own", (torch.Tensor,), {{}})), 1.0)
print(counter.frame_count)
"""


@pytest.mark.parametrize(
    "mode",
    ["tensor", pytest.param("variable", marks=variables_compile), "tensor, graph break"],
)
def test_compiling_before_anything_was_reversed(mode):
    assert int(python(code=COLD.format(mode=mode)).stdout) == (2 if "break" in mode else 1)


# --- programs that are exported or traced ---------------------------------------------------------


class Reversed(torch.nn.Module):
    def forward(self, x, lam):
        return revgrad.reverse(x * 3, lam)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_takes_lam_as_an_argument(strict):
    program = torch.export.export(Reversed(), (X, torch.tensor(0.5)), strict=strict)
    special = torch.tensor([-0.0, float("inf")])
    for module in (program.module(), program.run_decompositions().module()):
        same(gradient(lambda x: module(x, torch.tensor(2.0)), X), [-6.0, -6.0])
        assert str(module(special, torch.tensor(0.5))) == str(special)


NEGATIVE = -1.0, "The gradient is multiplied by -λ already"
FROZEN = revgrad.LambdaVariable(0.5), "exported or traced, which would freeze its value"


@pytest.mark.parametrize(
    "lam, words, trace",
    [
        (*NEGATIVE, lambda fn: torch.compile(fn, fullgraph=True)(X)),
        (*NEGATIVE, torch.fx.symbolic_trace),
        (*FROZEN, torch.fx.symbolic_trace),
        (*FROZEN, lambda fn: torch.export.export(Module(fn), (X,), strict=False)),
        (*FROZEN, lambda fn: torch.export.export(Module(fn), (X,), strict=True)),
        (*FROZEN, lambda fn: torch.jit.trace(fn, X)),
        (*FROZEN, lambda fn: make_fx(fn)(X)),
        (*FROZEN, lambda fn: make_fx(torch.func.jacrev(fn))(X)),
        (*FROZEN, lambda fn: make_fx(torch.func.jacrev(fn), tracing_mode="fake")(X)),
        (*FROZEN, lambda fn: aot_function(fn, lambda graph, _: graph)(X.clone().requires_grad_())),
    ],
)
def test_what_is_refused_is_named_in_compiled_exported_or_traced_programs(lam, words, trace):
    with pytest.raises(Exception, match=words):
        trace(lambda x: revgrad.reverse(x, lam))


def test_complex_programs_are_exported_too():
    x = X.to(torch.complex64)
    program = torch.export.export(Module(lambda x: revgrad.reverse(x, 0.5)), (x,))
    same(gradient(program.run_decompositions().module(), x).real, [-0.5, -0.5])
    conjugated = torch.export.export(Module(lambda x: revgrad.reverse(x.conj(), 0.5)), (x,))
    same(conjugated.module()(x * 1j), (x * 1j).conj())


@pytest.mark.parametrize("change, c", [(revgrad.reverse, -0.5), (revgrad.scale_gradient, 0.5)])
def test_fx_with_lam_as_an_argument(change, c):
    class Model(torch.nn.Linear):
        def forward(self, x, alpha):
            return change(x, alpha) + change(self.weight, alpha)

    model = torch.fx.symbolic_trace(Model(2, 1))
    # Two gradients and their sum: a reversal is one node.
    assert [node.op for node in model.graph.nodes].count("call_function") == 3
    same(gradient(lambda x: model(x, 0.5), X), [c, c])
    model(X, torch.tensor(0.5)).sum().backward()
    same(model.weight.grad, [[c, c]])
    with pytest.raises(revgrad.InvalidLambdaError, match="got nan"):
        model(X, float("nan"))


def test_onnx_holds_no_trace_of_it():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), Module(lambda x: revgrad.reverse(x, 0.5)))
    program = torch.onnx.export(model, (X[None],), dynamo=True, verbose=False)
    assert [node.op_type for node in program.model.graph] == ["Gemm"]
