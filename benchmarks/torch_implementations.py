"""The reversals for PyTorch that people use, each behind the same three names."""

import importlib

import torch
from torch import nn


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
        layer._alpha = torch.tensor(lam)


class TorchGradientReversal(FiveLines):
    """A custom operator; the layer has a buffer and a setter."""

    name, module = "torch-gradient-reversal", "gradient_reversal"

    def __init__(self):
        super().__init__()
        self.layer = self.package.GradientReversalLayer
        self.reverse = self.package.gradient_reversal

    def set(self, layer, lam):
        layer.set_alpha(lam)


def installed():
    """Return one of each that is installed, and say which are not."""
    found = []
    for kind in (Ours, PytorchRevgrad, TorchGradientReversal, FiveLines):
        try:
            found.append(kind())
        except ImportError as error:
            print(f"{kind.name} is left out: {error}")
    return found
