"""Training from a block on: what comes before it stays as it is.

Palés Huix et al. 2024 train "blocks ≥ k". From block 0 on all blocks are trained, and the norm and projection behind
them; the stem is not: patch embedding, position embedding and class token belong to no block.
"""

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.order import Order, order_around
from pytest_fmtransfer.errors import InvalidInput


def train_from(backbone: Backbone, number: int) -> None:
    """Leave, in place, what comes from a block on to be trained, and nothing else.

    What the block's input depends on is frozen as `freeze_before` does it; a parameter that neither embedding nor
    tokens depend on requires no gradient.
    Raises InvalidInput for a block that there is none of, or a network that was not built to be trained.
    """
    order = freeze_before(backbone, number)
    after = set(order.parameters_after)
    for each in backbone.parameters():
        if each not in after:
            each.requires_grad_(False)
    if not any(each.requires_grad for each in backbone.parameters()):
        raise InvalidInput(
            f"nothing of {backbone.spec.name} from block {number} on can be trained; build it with trainable=True"
        )


def freeze_before(backbone: Backbone, number: int) -> Order:
    """Freeze, in place, what a block's input depends on, and tell what lies on either side of the block.

    Its parameters require no gradient, those shared with what comes after included; its modules stay in evaluation
    mode when the backbone is set to train: no statistic moves, no path is dropped. Raises InvalidInput as
    `order_around` does.
    """
    order = order_around(backbone, number)
    for each in order.parameters_before:
        each.requires_grad_(False)
    backbone.keep_still(order.modules_before)
    return order
