"""What training makes small: cross-entropy of the class, or of each label that is known.

Legend: B images of a batch, C classes or labels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from pytest_fmtransfer.metrics import UNKNOWN


def terms_of(labels_B: Tensor) -> int:
    """Of how many terms the loss of a batch is the mean: its images, or the labels of theirs that are known.

    Labels are class indices, B, or 0, 1 and `UNKNOWN`, B × C, on the CPU.
    """
    return len(labels_B) if labels_B.ndim == 1 else int((labels_B != UNKNOWN).sum())


def summed_loss(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """The sum of the terms, float32; what nobody knows adds nothing.

    A batch's loss is the sum over its parts by the terms of the whole, however it is cut into parts.
    """
    logits_BC = logits_BC.float()
    if labels_B.ndim == 1:
        return functional.cross_entropy(logits_BC, labels_B, reduction="sum")
    known_BC = labels_B != UNKNOWN
    terms_BC = functional.binary_cross_entropy_with_logits(
        logits_BC, labels_B.clamp(min=0).to(logits_BC.dtype), reduction="none"
    )
    return torch.where(known_BC, terms_BC, torch.zeros_like(terms_BC)).sum()
