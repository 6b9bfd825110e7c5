"""`GradientReversal`: λ is a buffer that is saved, moves with the module, and is not cast down."""

import copy
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
import torch._dynamo.testing
import torch.utils.checkpoint
from torch import jit
from torch._subclasses.fake_tensor import FakeTensorMode

import revgrad
from revgrad_torch import GradientReversal
from revgrad_torch.testing import _through_file as through_file

X = torch.tensor([1.0, 2.0])


def slope(module):
    x = X.clone().requires_grad_()
    return torch.autograd.grad(module(x).sum(), x)[0].tolist()


def test_lam_is_set_and_shown():
    module = GradientReversal(0.5)
    for module.lam in (torch.finfo(torch.float32).max, 2, torch.tensor(3.0), 2.0):
        assert slope(module) == [-module.lam, -module.lam]
    assert repr(module) == "GradientReversal(lam=2)" and module.__module__ == "revgrad_torch"
    assert module.lam.dtype == torch.float32 and module.lam.shape == ()
    assert not list(module.parameters())


LEARNED = torch.ones(2)[0].requires_grad_(), torch.nn.Parameter(torch.tensor(1.0))


@pytest.mark.parametrize("bad", [-1, float("nan"), "1", True, None, torch.ones(2), 1e300, *LEARNED])
def test_a_bad_lam_is_refused_and_the_old_one_stays(bad):
    words = "asks for a gradient" if getattr(bad, "requires_grad", False) else "λ"
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        GradientReversal(bad)
    module = GradientReversal(0.5)
    with pytest.raises(revgrad.InvalidLambdaError, match=words):
        module.lam = bad
    assert slope(module) == [-0.5, -0.5]


def test_lam_follows_the_device():
    module = GradientReversal().to("meta")
    assert module.lam.device.type == "meta" and repr(module) == "GradientReversal(lam=1)"
    assert module.half().to_empty(device="cpu").lam.dtype == torch.float32


# --- what the framework does with modules ---------------------------------------------------------


def test_to_empty_keeps_what_was_set_or_loaded_last():
    module = GradientReversal(0.7)
    module.lam.fill_(0.3)
    assert slope(module.to_empty(device="cpu")) == slope(GradientReversal(0.3))
    assert slope(module.to("meta").to_empty(device="cpu")) == slope(GradientReversal(0.3))
    module.to("meta").load_state_dict({"lam": torch.tensor(0.4)})
    assert module.lam.is_meta
    assert slope(module.to_empty(device="cpu")) == slope(GradientReversal(0.4))
    module.to("meta").lam = torch.tensor(0.4)
    module.lam.data = torch.full((), 1e-20)  # garbage
    module.reset_parameters()
    assert slope(module) == slope(GradientReversal(0.4))


def test_what_is_loaded_stays_float32():
    module = GradientReversal(0.7)
    module.load_state_dict({"lam": torch.tensor(0.5, dtype=torch.bfloat16)}, assign=True)
    assert module.lam.dtype == torch.float32 and slope(module) == [-0.5, -0.5]


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("assign", [False, True])
def test_a_bad_lam_is_not_loaded(bad, assign):
    lam = revgrad.LambdaVariable(0.5)
    module = GradientReversal(lam)
    with pytest.raises(revgrad.InvalidLambdaError, match="must be a real, finite number"):
        module.load_state_dict({"lam": torch.tensor(bad)}, assign=assign)
    assert slope(module) == [-0.5, -0.5] and lam.value == 0.5


@pytest.mark.parametrize("write", [torch.Tensor.fill_, lambda lam, value: lam.data.fill_(value)])
def test_what_is_written_to_the_buffer_counts_or_is_refused_at_the_next_forward_pass(write):
    """A collective of torch.distributed writes like the second: no version is counted."""
    module = GradientReversal(0.5)
    for lam, bad in ((0.25, -1.0), (0.75, float("nan"))):
        write(module.lam, lam)
        assert slope(module) == [-lam, -lam]
        write(module.lam, bad)
        for run in (module, module, slope):
            with pytest.raises(revgrad.InvalidLambdaError, match="must be a real, finite number"):
                run(module if run is slope else X)
    module.lam.data = torch.tensor(0.25, dtype=torch.bfloat16)
    assert slope(module) == [-0.25, -0.25]


def test_a_checkpoint_of_another_layer_leaves_lam_as_it_is():
    """As of pytorch-revgrad, whose layer has no buffer: nothing is missing, in strict mode too."""
    old = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Identity(), torch.nn.Linear(2, 1))
    new = torch.nn.Sequential(torch.nn.Linear(2, 2), GradientReversal(0.3), torch.nn.Linear(2, 1))
    assert str(new.load_state_dict(old.state_dict())) == "<All keys matched successfully>"
    assert slope(new[1]) == slope(GradientReversal(0.3))
    with pytest.raises(RuntimeError, match='Missing key.*"2.bias"'):
        new.load_state_dict({k: v for k, v in old.state_dict().items() if k != "2.bias"})


@pytest.mark.parametrize("shape", [(2,), (1, 1), (0,)])
def test_a_buffer_of_another_shape_is_an_error_as_everywhere_in_pytorch(shape):
    module = GradientReversal(0.5)
    with pytest.raises(RuntimeError, match="size mismatch for lam"):
        module.load_state_dict({"lam": torch.ones(shape)})
    assert module.lam == 0.5
    module.load_state_dict({"lam": torch.tensor([0.25])})  # as PyTorch saved numbers before 0.4
    assert module.lam == 0.25


def test_replicas_have_a_buffer_of_their_own():
    lam = revgrad.LambdaVariable(0.5)
    module = GradientReversal(lam)
    replica = module._replicate_for_data_parallel()
    replica.lam = torch.tensor(9.0)  # as DataParallel does with the copy on the other device
    assert slope(replica) == [-9.0, -9.0]
    assert slope(module) == [-0.5, -0.5] and lam.value == 0.5
    elsewhere = module._replicate_for_data_parallel()
    elsewhere.lam = torch.tensor(9.0, device="meta")
    assert elsewhere.lam.is_meta and not module.lam.is_meta


def test_a_module_that_was_moved_in_inference_mode_is_set_later():
    with torch.inference_mode():
        module = GradientReversal(0.5).half().to("meta").to_empty(device="cpu")
    assert slope(module) == [-0.5, -0.5]
    module.lam = 0.25
    assert slope(module) == [-0.25, -0.25]


def test_a_module_on_fake_tensors():
    with FakeTensorMode():
        module = GradientReversal(0.7)
        module.lam = 0.3
        module(torch.ones(2, requires_grad=True)).sum().backward()
        assert repr(module.half()) == "GradientReversal(lam=0.3)"
    assert repr(module) == "GradientReversal(lam=0.3)"


# --- a variable that drives it --------------------------------------------------------------------


def test_a_scheduler_drives_the_buffers():
    lam = revgrad.LambdaVariable()
    first, second = GradientReversal(lam), GradientReversal(lam)
    ramp = revgrad.LambdaScheduler(lam, revgrad.schedules.Linear(0, 2), total_steps=4)
    for step in range(1, 5):
        ramp.step()
        assert slope(first) == slope(second) == [-0.5 * step, -0.5 * step]
        assert first.state_dict()["lam"] == 0.5 * step


def test_loading_the_same_value_does_not_round_the_variable():
    lam = revgrad.LambdaVariable(0.1)
    module = GradientReversal(lam)
    module.load_state_dict(module.state_dict())
    assert lam.value == 0.1


def test_modules_that_are_made_while_the_variable_is_set():
    lam = revgrad.LambdaVariable()
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(GradientReversal, lam) for _ in range(600)]
        while not made[-1].done():
            lam.value = (lam.value + 1) % 100
    assert {each.result().lam.item() for each in made} == {lam.value}


def test_a_copy_is_driven_by_the_copy_of_its_variable():
    lam = revgrad.LambdaVariable(1.0)
    module = GradientReversal(lam)
    other, other_lam = copy.deepcopy((module, lam))
    other_lam.value = 3.0
    assert slope(other) == [-3.0, -3.0] and slope(module) == [-1.0, -1.0]
    alone = pickle.loads(pickle.dumps(module))
    lam.value = 2.0
    assert slope(module) == [-2.0, -2.0] and slope(alone) == [-1.0, -1.0]


def test_the_variable_keeps_no_module_alive():
    lam = revgrad.LambdaVariable(1.0)
    module = weakref.ref(GradientReversal(lam))
    gc.collect()
    assert module() is None
    lam.value = 2.0


# --- programs that hold it ------------------------------------------------------------------------


exported = partial(torch.export.export, args=(X,))
save_jit = partial(through_file, jit.save, jit.load)
save_export = partial(through_file, torch.export.save, torch.export.load)
WAYS = {
    "script, save and load": lambda module: save_jit(jit.script(module)),
    "script, optimized": lambda module: jit.optimize_for_inference(jit.script(module.eval())),
    "trace, save and load": lambda module: save_jit(jit.trace(module, X)),
    "trace, frozen": lambda module: jit.freeze(jit.trace(module.eval(), X)),
    "fx, pickled": lambda module: pickle.loads(pickle.dumps(torch.fx.symbolic_trace(module))),
    "strict export": lambda module: exported(module, strict=True).module(),
    "export, save and load": lambda module: save_export(exported(module, strict=False)).module(),
    "strict export, decomposed, save and load": lambda module: save_export(
        exported(module, strict=True).run_decompositions()
    ).module(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_program_keeps_the_reversal_and_its_buffer(way):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), GradientReversal(0.5))
    program = WAYS[way](model)
    state = program.state_dict()
    # Where it is frozen, λ is a constant. TorchScript optimises after the first runs.
    for lam in (0.5, 2.0) if state else (0.5, 0.5, 0.5):
        program.load_state_dict({**state, "1.lam": torch.tensor(lam)} if state else {})
        model[1].lam = lam
        assert slope(program) == slope(model)
    special = torch.tensor([-0.0, float("inf")])
    module = WAYS[way](GradientReversal())
    assert str(module(special)) == str(special)


def test_a_compiled_module_is_compiled_once():
    lam = revgrad.LambdaVariable()
    module = GradientReversal(lam)
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    for owner, name in ((lam, "value"), (module, "lam")):
        for value in range(20):
            setattr(owner, name, value)
            assert slope(compiled) == [-value, -value]
    assert counter.frame_count == 1


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_lam_is_set_in_a_compiled_forward(kind):
    reversal = GradientReversal(0.5)

    def forward(x, lam):
        reversal.lam = lam
        return reversal(x)

    compiled = torch.compile(forward, fullgraph=True, backend="aot_eager")
    for lam in (0.25, 0.75, 2.0):
        assert slope(partial(compiled, lam=kind(lam))) == [-lam, -lam]
        assert slope(reversal) == [-lam, -lam]


def test_functional_call():
    module, lams = GradientReversal(), torch.tensor([1.0, 2.0])

    def cost(x, lam):
        return torch.func.functional_call(module, {"lam": lam}, (x,)).sum()

    slopes = torch.func.vmap(torch.func.grad(cost), (None, 0))(X, lams)
    assert slopes.tolist() == [[-1.0, -1.0], [-2.0, -2.0]]


def test_backward_hooks_of_the_module():
    seen = []
    module = GradientReversal(0.5)
    module.register_full_backward_hook(lambda module, *both: seen.extend(both))
    slope(module)
    assert [each.tolist() for (each,) in seen] == [[-0.5, -0.5], [1.0, 1.0]]


def test_gradient_checkpointing_of_the_module_with_a_lam_that_has_changed():
    module = GradientReversal(0.5)
    x = X.clone().requires_grad_()
    y = torch.utils.checkpoint.checkpoint(lambda x: module(x).sin(), x, use_reentrant=False)
    module.lam = 9.0
    y.sum().backward()
    torch.testing.assert_close(x.grad, -0.5 * X.cos())
