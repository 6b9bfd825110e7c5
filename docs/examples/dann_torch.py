"""Domain-adversarial training in PyTorch, with a `LambdaVariable` that drives the layer.

The whole method is in `Parts` and `DomainAdversarialNetwork.train` below, which you may copy into a
project of your own. A feature extractor feeds two classifiers: one predicts the labels of the
source, the other distinguishes source from target. Between the features and the domain
classifier is ``revgrad_torch.GradientReversal``.

Run it on the inter-twinning moons, on the Amazon reviews, or on digits (``digits_torch.py`` has
that network)::

    python docs/examples/dann_torch.py moons
    python docs/examples/dann_torch.py amazon FOLDER
    python docs/examples/dann_torch.py digits FOLDER

Two processes that share each batch; the result is the same up to rounding::

    torchrun --nproc-per-node 2 docs/examples/dann_torch.py moons

``dann_theano.py`` is the same program in Theano. The data, the training loop and the figure are in
``problems.py``, ``experiment.py`` and ``report.py``.

References
----------
Y. Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17(59), 2016,
arXiv:1505.07818.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import experiment
import revgrad
from revgrad_torch import GradientReversal


class Parts(nn.Module):
    """The three parts, and the reversal between the first and the last.

    Parameters
    ----------
    features, labels, domains : sequence of int
        The sizes of the layers of each part, its inputs first.
    lam : revgrad.LambdaVariable
        Drives the λ of the reversal.
    """

    def __init__(
        self,
        features: Sequence[int],
        labels: Sequence[int],
        domains: Sequence[int],
        lam: revgrad.LambdaVariable,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(stack(features), nn.Sigmoid())
        self.labels = stack(labels)
        self.reversal = GradientReversal(lam)
        self.domains = stack(domains)

    def forward(self, xs: Any, xt: Any) -> Tuple[Any, Any, Any]:
        """Return the logits of the source's labels, and the domain logits of both."""
        source, target = self.features(xs), self.features(xt)
        domain_logits = (self.domains(self.reversal(each))[:, 0] for each in (source, target))
        return (self.labels(source), *domain_logits)


class DomainAdversarialNetwork:
    """A feature extractor, a label predictor and a domain classifier, trained together.

    Parameters
    ----------
    n_inputs : int
        The number of input features.
    n_classes : int
        The number of labels.
    features : sequence of int, optional
        The sizes of the layers of the feature extractor, at least one.
    labels, domains : sequence of int, optional
        The sizes of the hidden layers of the label predictor and of the domain classifier.
    learning_rate : float, optional
        The step size.
    domain_decay : float, optional
        The coefficient of the L2 penalty on the domain classifier.
    optimizer : str, optional
        ``"adam"`` or ``"sgd"``.

    Attributes
    ----------
    lam : revgrad.LambdaVariable
        The λ of the reversal, which may change between two steps.
    parts : Parts
        The module.

    Notes
    -----
    The paper uses λ in two ways, and this network supports both: deep networks have λ in the
    reversal and weight 1 on the domain loss, shallow ones have 1 in the reversal and weight λ.
    """

    def __init__(
        self,
        n_inputs: int,
        n_classes: int,
        features: Sequence[int] = (15,),
        labels: Sequence[int] = (),
        domains: Sequence[int] = (),
        learning_rate: float = 0.001,
        domain_decay: float = 0.0,
        optimizer: str = "adam",
    ) -> None:
        self.lam = revgrad.LambdaVariable(1.0)
        self.parts = Parts(
            [n_inputs, *features],
            [features[-1], *labels, n_classes],
            [features[-1], *domains, 1],
            self.lam,
        )
        self._learning_rate, self._domain_decay = learning_rate, domain_decay
        self._sgd = optimizer == "sgd"
        self._rank, self._n_ranks = 0, 1
        self._model: Any = self.parts
        if dist.is_available() and dist.is_initialized():
            self._rank, self._n_ranks = dist.get_rank(), dist.get_world_size()
            self._model = DistributedDataParallel(self.parts)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Draw new parameters and clear the optimiser.

        Parameters
        ----------
        seed : int
            The seed of the draw.
        """
        rng = np.random.RandomState(seed)
        for layer in self._dense_layers(self.parts):
            n_outputs, n_inputs = layer.weight.shape
            bound = np.sqrt(6 / (n_inputs + n_outputs))  # Glorot's
            weights = rng.uniform(-bound, bound, (n_inputs, n_outputs))
            rng.uniform(size=n_outputs)  # dann_theano.py draws biases here
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(weights.T))
                layer.bias.zero_()
        parameters, rate = self.parts.parameters(), self._learning_rate
        self._optimizer: Any = (
            torch.optim.SGD(parameters, lr=rate)
            if self._sgd
            else torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.99))
        )

    def train(
        self, xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, domain_weight: float = 1.0
    ) -> Tuple[Any, Any]:
        """Take one step, and return the label loss and the domain loss before it.

        Parameters
        ----------
        xs, ys : numpy.ndarray
            Labelled source samples.
        xt : numpy.ndarray
            Unlabelled target samples.
        domain_weight : float, optional
            The weight of the domain loss.

        Returns
        -------
        tuple of torch.Tensor
            Two scalars; of several processes, each has those of its rows.
        """
        n_source, n_target = len(xs), len(xt)
        xs, ys, xt = (self._own_rows(each) for each in (xs, ys, xt))
        label_logits, source_logit, target_logit = self._model(xs, xt)
        # Sums over the rows of this process, so that their mean over the processes is the mean
        # over all rows. The domain classifier's logit is that of "target".
        label_loss = F.cross_entropy(label_logits, ys, reduction="sum") / n_source
        domain_loss = F.softplus(source_logit).sum() / n_source
        domain_loss = domain_loss + F.softplus(-target_logit).sum() / n_target
        weights = [layer.weight for layer in self._dense_layers(self.parts.domains)]
        penalty = self._domain_decay * sum((each**2).sum() for each in weights)
        losses = self._n_ranks * (label_loss + domain_weight * domain_loss)
        self._optimizer.zero_grad()
        (losses + domain_weight * penalty).backward()
        self._optimizer.step()
        return label_loss.detach(), domain_loss.detach()

    def represent(self, x: np.ndarray) -> np.ndarray:
        """Return the features of each row of `x`."""
        with torch.no_grad():
            return self.parts.features(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the label of each row of `x`."""
        with torch.no_grad():
            hidden = self.parts.features(torch.from_numpy(x))
            return self.parts.labels(hidden).argmax(dim=1).numpy()  # type: ignore[no-any-return]

    def predict_domain(self, x: np.ndarray) -> np.ndarray:
        """Return the domain of each row of `x`: 0 for the source, 1 for the target."""
        with torch.no_grad():
            logit = self.parts.domains(self.parts.features(torch.from_numpy(x)))[:, 0]
            return (logit > 0).int().numpy()  # type: ignore[no-any-return]

    def get_parameters(self) -> List[np.ndarray]:
        """Return a copy of the values of all parameters."""
        return [each.detach().numpy().copy() for each in self.parts.parameters()]

    def set_parameters(self, values: Sequence[np.ndarray]) -> None:
        """Set the values of all parameters."""
        with torch.no_grad():
            for parameter, value in zip(self.parts.parameters(), values):
                parameter.copy_(torch.from_numpy(value))

    def _own_rows(self, array: np.ndarray) -> Any:
        rows = torch.from_numpy(np.asarray(array)[self._rank :: self._n_ranks])
        return rows if rows.is_floating_point() else rows.long()

    @staticmethod
    def _dense_layers(module: nn.Module) -> List[Any]:
        return [each for each in module.modules() if isinstance(each, nn.Linear)]


def stack(units: Sequence[int]) -> nn.Sequential:
    """Return dense layers with sigmoids between them."""
    layers: List[nn.Module] = []
    for n_inputs, n_outputs in zip(units, units[1:]):
        layers += [nn.Sigmoid(), nn.Linear(n_inputs, n_outputs)]
    return nn.Sequential(*layers[1:])


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line; if there are several processes, only the first one reports."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with contextlib.ExitStack() as cleanup:
        if "RANK" in os.environ:  # torchrun sets it
            dist.init_process_group("gloo")
            cleanup.callback(dist.destroy_process_group)
            if dist.get_rank() > 0:
                nowhere = cleanup.enter_context(open(os.devnull, "w"))
                cleanup.enter_context(contextlib.redirect_stdout(nowhere))
                folder = cleanup.enter_context(tempfile.TemporaryDirectory())
                arguments += ["--figure", os.path.join(folder, "figure.png"), "--quiet"]
        experiment.main(DomainAdversarialNetwork, "PyTorch", "float32", arguments)


if __name__ == "__main__":
    main()
