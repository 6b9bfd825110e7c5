"""The digits' network in PyTorch; ``dann_torch.py digits`` trains it."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import digits
import revgrad
from revgrad_torch import GradientReversal


class DigitNetwork:
    """The paper's small network (Figure 4a), a domain classifier, and SGD with momentum.

    Parameters
    ----------
    momentum : float, optional
        Of SGD.

    Attributes
    ----------
    lam : revgrad.LambdaVariable
        The λ of the reversal.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        self.lam = revgrad.LambdaVariable(0.0)
        # ReLU after pooling is the same as before it, and has a quarter of the work.
        self._features = nn.Sequential(
            *(nn.Conv2d(3, 32, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(32, 48, 5), nn.MaxPool2d(2), nn.ReLU()),
            nn.Flatten(),
        ).to(memory_format=torch.channels_last)  # the faster one on a CPU; the images have it too
        self._labels = nn.Sequential(
            nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)
        )
        self._domains = nn.Sequential(
            GradientReversal(self.lam), nn.Linear(768, 100), nn.ReLU(), nn.Linear(100, 1)
        )
        parts = nn.ModuleList([self._features, self._labels, self._domains])
        self._parameters = list(parts.parameters())
        self._momentum = momentum
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Set the first weights of a seed and clear the optimiser."""
        self._optimizer = torch.optim.SGD(self._parameters, lr=0.01, momentum=self._momentum)
        self._set_parameters(digits.initial(seed))

    def train(
        self, xs: np.ndarray, ys: np.ndarray, xt: Optional[np.ndarray], rate: float
    ) -> Tuple[float, float, float]:
        """Take one step with a learning rate.

        Parameters
        ----------
        xs, ys : numpy.ndarray
            Labelled images and their labels.
        xt : numpy.ndarray or None
            Unlabelled images of the target, as many. Without, the label loss alone is minimised.
        rate : float
            The learning rate.

        Returns
        -------
        tuple of float
            Before the step: the label loss; the domain loss, the mean over all images; and the
            part of the images whose domain is predicted right.
        """
        x = torch.from_numpy(xs if xt is None else np.concatenate([xs, xt]))
        hidden = self._features(x)
        label_loss = F.cross_entropy(self._labels(hidden[: len(xs)]), torch.from_numpy(ys).long())
        loss, domain_loss, right = label_loss, torch.tensor(np.nan), torch.tensor(np.nan)
        if xt is not None:
            logit = self._domains(hidden)[:, 0]  # of "target"
            domain = torch.arange(len(x)) >= len(xs)
            domain_loss = F.binary_cross_entropy_with_logits(logit, domain.float())
            right = ((logit > 0) == domain).float().mean()
            loss = label_loss + domain_loss
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return label_loss.item(), domain_loss.item(), right.item()

    @torch.no_grad()
    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of images."""
        return self._features(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the labels of images."""
        logits = self._labels(self._features(torch.from_numpy(x)))
        return logits.argmax(dim=1).numpy()  # type: ignore[no-any-return]

    def get_state(self) -> List[np.ndarray]:
        """Return a copy of the parameters, in the form of `digits.initial`, and the momenta."""
        state = self._optimizer.state
        momenta = [state[p]["momentum_buffer"] for p in self._parameters if p in state]
        return [turned(each.detach().numpy()).copy() for each in [*self._parameters, *momenta]]

    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Restore the state that `get_state` returned."""
        n = len(self._parameters)
        self._set_parameters(values[:n])
        self._optimizer.state.clear()
        for parameter, value in zip(self._parameters, values[n:]):
            momentum = torch.from_numpy(turned(value).copy())
            self._optimizer.state[parameter]["momentum_buffer"] = momentum

    @torch.no_grad()
    def _set_parameters(self, values: Sequence[np.ndarray]) -> None:
        for parameter, value in zip(self._parameters, values):
            parameter.copy_(torch.from_numpy(turned(value).copy()))


def turned(value: np.ndarray) -> np.ndarray:
    """Return the transpose of a matrix: PyTorch has dense weights as (outputs, inputs)."""
    return value.T if value.ndim == 2 else value
