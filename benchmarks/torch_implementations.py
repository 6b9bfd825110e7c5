"""Common reversals for PyTorch, each behind the same interface."""

import importlib

import torch
from torch import nn


class Snippet(torch.autograd.Function):
    """The five-line snippet that most projects have."""

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
    """``reverse``, ``layer`` and ``set`` of the snippet; the base class of the others."""

    name, module = "five lines", "torch"

    def __init__(self):
        self.package = importlib.import_module(self.module)
        self.layer, self.reverse = SnippetLayer, Snippet.apply

    def set(self, layer, lam):
        """Change λ as the package documents it."""
        layer.lam = lam


class Ours(FiveLines):
    """The layer of revgrad_torch, and `revgrad.reverse`."""

    name, module = "ours", "revgrad_torch"

    def __init__(self):
        super().__init__()
        self.layer = self.package.GradientReversal
        self.reverse = importlib.import_module("revgrad").reverse


class PytorchRevgrad(FiveLines):
    """Its function takes a tensor as λ, and its layer has one in a private attribute."""

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
    """Return the installed implementations, and print those that are missing."""
    found = []
    for kind in (Ours, PytorchRevgrad, TorchGradientReversal, FiveLines):
        try:
            found.append(kind())
        except ImportError as error:
            print(f"{kind.name} is left out: {error}")
    return found
