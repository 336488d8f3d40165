"""What training makes small: cross-entropy of the class, or of each label that is known.

Once for a network, whose gradient torch finds by a graph, and once for replicas of a head, with the gradient by the
logits written out: no graph is built for the last step. Both are one loss, but for what torch's sums round otherwise;
either computed by the other's way would move results on record.

Legend: R replicas, B images of a batch, C classes or labels.
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


def terms(labels: Tensor) -> Tensor:
    """Over how many terms a replica's loss is the mean, R: labels R × B of a class each, or R × B × C, 0, 1 or UNKNOWN.

    One where nothing is known, whose loss is zero.
    """
    if labels.ndim == 2:
        return torch.full((len(labels),), float(labels.shape[1]), device=labels.device)
    return (labels != UNKNOWN).sum(dim=(1, 2)).clamp(min=1).to(torch.float32)


def loss_and_gradient(logits_RBC: Tensor, labels: Tensor, terms_R: Tensor) -> tuple[Tensor, Tensor]:
    """Losses, R, and their gradients by the logits, R × B × C, each a sum divided by `terms_R`.

    Cross-entropy where an image has one class; where it may bear several labels, binary cross-entropy on those that
    are known. A batch in pieces is one whose pieces are added, with the terms of the whole.
    """
    with torch.no_grad():
        logits_RBC = logits_RBC.float()
        if labels.ndim == 2:
            logs_RBC = torch.log_softmax(logits_RBC, dim=-1)
            labels_RB1 = labels.unsqueeze(-1)
            losses_RB = -logs_RBC.gather(-1, labels_RB1).squeeze(-1)
            gradient_RBC = logs_RBC.exp_()
            gradient_RBC.scatter_add_(-1, labels_RB1, gradient_RBC.new_full((1, 1, 1), -1).expand_as(labels_RB1))
            losses_R = losses_RB.sum(dim=1)
        else:
            known_RBC = labels != UNKNOWN
            truth_RBC = labels.to(torch.float32)
            each_RBC = functional.binary_cross_entropy_with_logits(
                logits_RBC, truth_RBC, weight=known_RBC.to(torch.float32), reduction="none"
            )
            losses_R = each_RBC.sum(dim=(1, 2))
            gradient_RBC = torch.sigmoid(logits_RBC).sub_(truth_RBC).mul_(known_RBC)
        return losses_R / terms_R, gradient_RBC.div_(terms_R[:, None, None])
