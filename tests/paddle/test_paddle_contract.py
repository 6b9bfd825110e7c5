"""The contract on Paddle, eager and in programs; each check can fail."""

import numpy as np
import paddle
import pytest
from paddle.autograd import PyLayer
from support.checks import assert_caught, harness_of

from revgrad.backend import residual_form, resolve
from revgrad.testing import conformance
from revgrad_paddle import GradientReversal, reverse_gradient
from revgrad_paddle.native import native
from revgrad_paddle.testing import PaddleHarness, StaticPaddleHarness


@conformance("paddle")
def test_eager(check):
    check()


@conformance(StaticPaddleHarness())
def test_to_static(check):
    check()


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


def shared(x, lam):
    """The residual form on x itself, whose memory Paddle then writes to."""
    return residual_form(x, -resolve(x, lam, native), lambda x: x.detach(), paddle)


class Cast(GradientReversal):
    def _apply(self, *arguments, **options):
        return paddle.nn.Layer._apply(self, *arguments, **options)


class Unvalidated(GradientReversal):
    def _set(self, number):
        self._buffers["lam"].set_value(np.abs(np.float32(number)))


WRONG = [
    ("in_place_writes", "reverse", by_rule(lambda lam, g: -lam * g, lambda x: x.view(x.shape))),
    ("second_order", "reverse", by_rule(lambda lam, g: -lam * g.detach())),
    ("forward_mode", "reverse", by_rule(lambda lam, g: lam * g)),
    ("several_outputs", "reverse", shared),
    ("copies_reverse", "reverse", lambda x, lam: paddle.assign(x)),
    ("scaled_gradient", "scale_gradient", lambda x, c: reverse_gradient(x, abs(c))),
    ("layers_keep_lambda", "layer", Cast),
    ("assigned_lambda", "layer", Unvalidated),
]


@pytest.mark.parametrize("check, part, wrong", WRONG)
def test_what_is_wrong_is_caught(check, part, wrong):
    assert_caught(check, harness_of(PaddleHarness, **{part: wrong}), AssertionError)
