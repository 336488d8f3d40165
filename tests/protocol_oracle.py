"""The training of Palés Huix et al. 2024, a second time: from the protocol's own sentences, one step after the other.

It shares nothing with the package but the network that it is given: AdamW is written out, and so are the norm of the
gradient, the rates, the losses and the choice of the epoch. What is done to images is in `test_transforms`.

Legend: N images, B images of a batch, E epochs, K steps of an epoch, C classes or labels.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

RATE, DECAY, CLIP, BATCH, EPOCHS, REPEATS = 1e-4, 1e-5, 1.0, 64, 100, 5
# "5 epochs" or "1000 iterations", and the images of the training side that the protocol expects (None: not said).
WARM_UP = {
    "aptos2019": ("epochs", 5),
    "ddsm": ("epochs", 5),
    "isic2019": ("iterations", 1000),
    "chexpert": ("iterations", 1000),
}
TRAINING_IMAGES = {"aptos2019": 2564, "isic2019": 20265}
LABELS = {"aptos2019": 5, "ddsm": 2, "isic2019": 8, "chexpert": 14}
BETAS, EPSILON = (0.9, 0.999), 1e-8  # the optimiser's own where the protocol says nothing


def warm_up_steps(dataset: str, images: int) -> int:
    unit, number = WARM_UP[dataset]
    return number * (images // BATCH) if unit == "epochs" else number


def rate_at(step: int, warm_up: int, rate: float = RATE) -> float:
    """Of the step of that number, from 1 on: up in a line from 0 before the first, then constant."""
    return float(np.interp(step, [0, warm_up], [0, rate])) if warm_up else rate


def cross_entropy(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    log_sum_B = torch.log(torch.exp(logits_BC).sum(1))
    return (log_sum_B - logits_BC[torch.arange(len(labels_B)), labels_B]).mean()


def binary_cross_entropy(logits_BC: Tensor, labels_BC: Tensor) -> Tensor:
    share_BC = 1 / (1 + torch.exp(-logits_BC))
    return -torch.where(labels_BC == 1, torch.log(share_BC), torch.log(1 - share_BC)).mean()


LOSSES = {name: binary_cross_entropy if name == "chexpert" else cross_entropy for name in LABELS}


@dataclass(kw_only=True)
class AdamW:
    """Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2, with a rate each step."""

    parameters: dict[str, nn.Parameter]
    decay: float
    steps: int = 0
    means: dict[str, Tensor] = field(default_factory=dict)
    squares: dict[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        self.steps += 1
        for name, each in self.parameters.items():
            if each.grad is None:
                continue
            mean = self.means.get(name, torch.zeros_like(each))
            square = self.squares.get(name, torch.zeros_like(each))
            self.means[name] = mean = BETAS[0] * mean + (1 - BETAS[0]) * each.grad
            self.squares[name] = square = BETAS[1] * square + (1 - BETAS[1]) * each.grad**2
            unbiased, size = mean / (1 - BETAS[0] ** self.steps), (square / (1 - BETAS[1] ** self.steps)).sqrt()
            exempt = name.endswith("bias") or each.ndim == 1
            shrunk = each if exempt else (1 - rate * self.decay) * each
            each.copy_(shrunk - rate * unbiased / (size + EPSILON))


@torch.no_grad()
def clip(parameters: Sequence[nn.Parameter], most: float) -> float:
    """The norm of all gradients before."""
    gradients = [each.grad for each in parameters if each.grad is not None]
    norm = float(sum(float((each**2).sum()) for each in gradients) ** 0.5)
    for each in gradients:
        each.mul_(min(1.0, most / norm))
    return norm


@dataclass(frozen=True, kw_only=True)
class Given:
    """Images and labels of a side."""

    images: Tensor
    labels_N: Tensor


@dataclass(frozen=True, kw_only=True)
class Step:
    """`norm` is the gradient's before clipping; `weights` are everything that the network holds after the step."""

    rate: float
    loss: float
    norm: float
    weights: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Every step, the metric of each epoch, the first best of them from 1 on, and its scores of the test side."""

    steps: list[Step]
    validation_E: list[float]
    best: int
    scores_NC: np.ndarray


def train(
    network: nn.Module,
    moving: str,
    order_EKB: np.ndarray,
    *,
    train: Given,
    validation: Given,
    test: Given,
    rate: float,
    decay: float,
    most: float,
    warm_up: int,
    chance: Callable[[int], None],
) -> Trained:
    """`moving` matches the names of the parameters that learn; modules without any of those stay in evaluation mode.

    `chance` is told of each epoch before it begins, which dropped paths depend on.
    """
    named = dict(network.named_parameters())
    parameters = {name: each for name, each in named.items() if re.fullmatch(moving, name)}
    for each in named.values():
        each.requires_grad_(False)
    for each in parameters.values():
        each.requires_grad_(True)
    optimiser, steps = AdamW(parameters=parameters, decay=decay), list[Step]()
    validation_E, best, scores_NC = list[float](), 0, np.empty(0)
    for epoch, order_KB in enumerate(order_EKB):
        chance(epoch)
        _to_train(network)
        for rows_B in order_KB:
            loss = cross_entropy(network(train.images[rows_B]), train.labels_N[rows_B])
            for each in parameters.values():
                each.grad = None
            loss.backward()
            norm, now = clip(list(parameters.values()), most), rate_at(len(steps) + 1, warm_up, rate)
            optimiser.step(now)
            weights = {name: each.clone() for name, each in network.state_dict().items()}
            steps.append(Step(rate=now, loss=float(loss.detach()), norm=norm, weights=weights))
        network.eval()
        with torch.no_grad():
            shares_NC = network(validation.images).softmax(1)
            # Rounded, because areas that are equal may differ in the last bit.
            validation_E.append(round(float(roc_auc_score(validation.labels_N, shares_NC[:, 1])), 9))
            if validation_E[-1] > max(validation_E[:-1], default=-1.0):
                best, scores_NC = epoch + 1, network(test.images).numpy()
    return Trained(steps=steps, validation_E=validation_E, best=best, scores_NC=scores_NC)


def _to_train(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(each.requires_grad for each in own):
            module.eval()
