"""Mistakes with values of a framework, and the message that tells people what to do instead."""

import numpy as np
import pytest

import revgrad
from revgrad import InvalidLambdaError, UnsupportedTypeError

LEARNABLE = "The λ or factor asks for a gradient, and it has none: nothing would ever train it. Detach it from"


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda torch: revgrad.reverse(torch.nn.Linear(1, 1), 1),
            UnsupportedTypeError,
            "linear.Linear. It is callable, as a module is: reverse the value that it returns.",
        ),
        (
            lambda torch: revgrad.reverse(torch.nn.Linear(1, 1).parameters(), 1),
            UnsupportedTypeError,
            "builtins.generator. Map over its items",
        ),
        (
            lambda torch: revgrad.reverse(torch.arange(3), 1),
            UnsupportedTypeError,
            "x is a Tensor of dtype torch.int64, which carries no gradient. Cast it to a floating",
        ),
        (
            lambda torch: revgrad.reverse(torch.ones(2), torch.tensor(-1.0)),
            InvalidLambdaError,
            "got -1.0 (float). The gradient is multiplied by -λ already: pass 1.0, not -1.0.",
        ),
        (
            lambda torch: revgrad.reverse(torch.ones(2), torch.ones((), requires_grad=True)),
            InvalidLambdaError,
            LEARNABLE,
        ),
        (
            lambda torch: revgrad.scale_gradient(torch.ones(2), torch.ones((), requires_grad=True)),
            InvalidLambdaError,
            LEARNABLE,
        ),
        *(
            (
                lambda torch, lam=lam: revgrad.reverse(lam(torch), torch.ones(3)),
                InvalidLambdaError,
                "Are x and lam swapped? The call is reverse(x, lam).",
            )
            for lam in (lambda torch: torch.tensor(0.5), lambda torch: np.float64(0.5))
        ),
        (
            lambda torch: __import__("revgrad_torch").GradientReversal(revgrad.schedules.Dann()),
            InvalidLambdaError,
            "It is callable, so it looks like a schedule",
        ),
    ],
)
def test_a_mistake_in_pytorch(call, error, words):
    with pytest.raises(error) as caught:
        call(pytest.importorskip("torch"))
    assert words in str(caught.value)
