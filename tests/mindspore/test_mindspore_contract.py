"""The contract on MindSpore in PyNative mode; each check can fail."""

import numpy as np
import pytest
from mindspore import nn, ops
from support.checks import assert_caught, harness_of

from revgrad.backend import resolve
from revgrad.testing import conformance
from revgrad_mindspore import GradientReversal, reverse_gradient
from revgrad_mindspore.native import native
from revgrad_mindspore.testing import MindSporeHarness


@conformance("mindspore")
def test_reverse(check):
    check()


# --- reversals that are wrong on purpose ----------------------------------------------------------


def by_rule(pull, give=ops.deepcopy):
    class Op(nn.Cell):
        def construct(self, x, lam):
            return give(x)

        def bprop(self, x, lam, out, dout):
            return pull(lam, dout), lam * 0

    op = Op()
    return lambda x, lam: op(x, resolve(x, lam, native))


class Unvalidated(GradientReversal):
    def _set(self, number):
        self._write(abs(number) if np.isfinite(number) else 1.0)


class Constant(GradientReversal):
    def construct(self, x):
        return self._scale(x, -ops.ones_like(x) * 0.7)


WRONG = [
    ("second_order", "reverse", by_rule(lambda lam, g: -lam * ops.stop_gradient(g))),
    ("scaled_gradient", "scale_gradient", lambda x, c: reverse_gradient(x, abs(c))),
    ("assigned_lambda", "cell", Unvalidated),
    ("assigned_lambda", "cell", Constant),
]


@pytest.mark.parametrize("check, part, wrong", WRONG)
def test_what_is_wrong_is_caught(check, part, wrong):
    assert_caught(check, harness_of(MindSporeHarness, **{part: wrong}), AssertionError)
