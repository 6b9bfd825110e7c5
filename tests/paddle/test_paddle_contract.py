"""The contract on Paddle, eager and in programs; each check can fail."""

import numpy as np
import paddle
import pytest
from paddle.autograd import PyLayer

from revgrad.backend import residual_form, resolve
from revgrad.testing import conformance, run_check
from revgrad_paddle import GradientReversal, reverse_gradient, scale_gradient
from revgrad_paddle.native import native
from revgrad_paddle.testing import PaddleHarness, StaticPaddleHarness


@conformance("paddle")
def test_eager(check):
    check()


@conformance(StaticPaddleHarness())
def test_to_static(check):
    check()


class WrongHarness(PaddleHarness):
    """Puts other functions to the checks."""

    examples, expected_failures = 0, {}

    def __init__(self, reverse=reverse_gradient, scale=scale_gradient, layer=GradientReversal):
        super().__init__()
        self.reverse, self.scale_gradient, self.layer = reverse, scale, layer


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(pull, give=paddle.assign):
    class Op(PyLayer):
        @staticmethod
        def forward(ctx, x, lam):
            ctx.lam = lam
            return give(x)

        @staticmethod
        def backward(ctx, g):
            return pull(ctx.lam, g)

    return lambda x, lam: Op.apply(x, resolve(x, lam, native))


def right(lam, g):
    return -lam * g


def shared(x, lam):
    """The residual form on x itself, whose memory Paddle then writes to."""
    return residual_form(x, -resolve(x, lam, native), lambda x: x.detach(), paddle)


class Cast(GradientReversal):
    def _apply(self, *arguments, **options):
        return paddle.nn.Layer._apply(self, *arguments, **options)


class Unvalidated(GradientReversal):
    def _set(self, number):
        self._buffers["lam"].set_value(np.abs(np.float32(number)))


@pytest.mark.parametrize(
    "check, harness",
    [
        ("in_place_writes", WrongHarness(by_rule(right, lambda x: x.view(x.shape)))),
        ("second_order", WrongHarness(by_rule(lambda lam, g: -lam * g.detach()))),
        ("forward_mode", WrongHarness(by_rule(lambda lam, g: lam * g))),
        ("several_outputs", WrongHarness(shared)),
        ("copies_reverse", WrongHarness(by_rule(right))),
        ("scaled_gradient", WrongHarness(scale=reverse_gradient)),
        ("layers_keep_lambda", WrongHarness(layer=Cast)),
        ("assigned_lambda", WrongHarness(layer=Unvalidated)),
    ],
)
def test_what_is_wrong_is_caught(check, harness):
    assert run_check(check, harness).outcome == "failed"
