"""A user's program with PyTorch: checked by mypy and by pyright, never run."""

import torch
from typing_extensions import assert_type

import revgrad
from revgrad_torch import GradientReversal, reverse_gradient, scale_gradient

x = torch.ones(3)
lam = revgrad.LambdaVariable(0.5)

assert_type(revgrad.reverse(x, 0.5), torch.Tensor)
assert_type(revgrad.reverse(x, lam), torch.Tensor)
assert_type(revgrad.reverse(x, torch.tensor(0.5)), torch.Tensor)
assert_type(revgrad.scale_gradient(x, torch.where(x > 0, -1.0, 1.0)), torch.Tensor)
assert_type(reverse_gradient(x, 0.5), torch.Tensor)
assert_type(scale_gradient(x, -0.5), torch.Tensor)

layer = GradientReversal(0.5)
assert_type(layer.lam, torch.Tensor)
layer.lam = 0.3
model = torch.nn.Sequential(torch.nn.Linear(2, 3), layer)
