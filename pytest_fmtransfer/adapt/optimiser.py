"""The optimiser of Palés Huix et al. 2024: AdamW, no decay on biases and one-dimensional parameters."""

from collections.abc import Iterable

import torch
from torch import nn

from pytest_fmtransfer.catalog.regime_settings import TrainingSettings


def adamw(module: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """Of the parameters that require gradients; one kernel for all of them where the device has it."""
    return torch.optim.AdamW(parameter_groups(module, settings.weight_decay), lr=settings.learning_rate, fused=True)


def parameter_groups(module: nn.Module, decay: float) -> list[dict[str, object]]:
    """Parameters with decay, then those of at most one dimension, without; an empty group is left out."""
    learning = [each for each in module.parameters() if each.requires_grad]
    groups = (
        {"params": [each for each in learning if each.ndim > 1], "weight_decay": decay},
        {"params": [each for each in learning if each.ndim <= 1], "weight_decay": 0.0},
    )
    return [group for group in groups if group["params"]]


def clip(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Scale the gradients down to a norm of `most` where it is larger; nothing waits for the device."""
    nn.utils.clip_grad_norm_(parameters, most, error_if_nonfinite=False)
