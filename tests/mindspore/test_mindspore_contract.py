"""The contract on MindSpore in PyNative mode; each check can fail."""

import numpy as np
import pytest
from mindspore import nn, ops

from revgrad.backend import resolve
from revgrad.testing import conformance, run_check
from revgrad_mindspore import GradientReversal, reverse_gradient, scale_gradient
from revgrad_mindspore.native import native
from revgrad_mindspore.testing import MindSporeHarness


@conformance("mindspore")
def test_reverse(check):
    check()


class WrongHarness(MindSporeHarness):
    """Puts other functions to the checks."""

    examples = 0

    def __init__(self, reverse=reverse_gradient, scale=scale_gradient, cell=GradientReversal):
        self.reverse, self.scale_gradient, self.cell = reverse, scale, cell


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


@pytest.mark.parametrize(
    "check, harness",
    [
        ("second_order", WrongHarness(by_rule(lambda lam, g: -lam * ops.stop_gradient(g)))),
        ("scaled_gradient", WrongHarness(scale=reverse_gradient)),
        ("assigned_lambda", WrongHarness(cell=Unvalidated)),
        ("assigned_lambda", WrongHarness(cell=Constant)),
    ],
)
def test_what_is_wrong_is_caught(check, harness):
    assert run_check(check, harness).outcome == "failed"
