"""Heads: what is trained on a backbone's features, from pooled embeddings or from tokens to logits.

Legend: N images, D the embedding's width, T tokens, E a token's width, H attention heads, V width of a head's values,
C classes or labels.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.catalog.regime_settings import HeadKind
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import InvalidInput, nearest

HEAD_WIDTH = 64  # of an attention head, as in every ViT from S to L


class Head(nn.Module, ABC):
    """Takes pooled embeddings, N × D, or tokens, N × T × E; gives logits, N × C. It has no dropout.

    Every parameter is trained, and an image's logits depend on that image alone.
    """

    takes: ClassVar[Literal["pooled", "tokens"]]

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor: ...


class LinearHead(Head):
    """One linear layer on the pooled embedding, initialised as torch does."""

    takes = "pooled"

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(inputs)


class AttentionHead(Head):
    """Attentive probing: a learned query for each attention head pools the tokens; LayerNorm; a linear layer.

    The construction is that of CAE's attentive probing (Chen et al., arXiv:2202.03026) and CoCa's attentional pooling
    (Yu et al., arXiv:2205.01917), computed without a product of all tokens with an E × E matrix. A query that does not
    depend on the image meets a key projection as q·(Kx) = (Kᵀq)·x, so Kᵀq is learned as one vector of width E, as in
    efficient probing (Psomas et al., arXiv:2506.10178). Attention weights sum to one, so values are projected after
    pooling. Tokens are normalised first, as in V-JEPA's attentive probe (Bardes et al., arXiv:2404.08471); without
    scale and shift, which the projections absorb.
    """

    takes = "tokens"

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        heads = max(each for each in range(1, max(1, width // HEAD_WIDTH) + 1) if width % each == 0)
        self.queries_HE = nn.Parameter(nn.init.trunc_normal_(torch.empty(heads, width), std=0.02))
        values = nn.init.trunc_normal_(torch.empty(heads, width, width // heads), std=width**-0.5)
        self.values_HEV = nn.Parameter(values)
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens_NTE = functional.layer_norm(inputs, inputs.shape[-1:])
        weights_NTH = (tokens_NTE @ self.queries_HE.T).softmax(dim=-2)
        pooled_NHE = weights_NTH.mT @ tokens_NTE
        values_HNV = pooled_NHE.transpose(-3, -2) @ self.values_HEV
        return self.classifier(self.norm(values_HNV.transpose(-3, -2).flatten(-2)))


def build_head(
    kind: HeadKind,
    *,
    width: int,
    tokens: int,
    classes: int,
    seed: int,
    weights: Path | None = None,
    spec: BackboneSpec | None = None,
) -> Head:
    """A head under a seed: the same seed gives the same weights, whatever was drawn before.

    `width` is D for the head that takes pooled embeddings, and E for those that take tokens, of which there are
    `tokens`. `deitb` starts from `weights`, the file of the row `spec`, or of imagenet_deitb16 where none is given;
    no other head reads them.
    Raises InvalidInput for an unknown kind, a missing file or a number of tokens that `deitb` cannot place, and
    CheckpointMismatch for a file of something else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "linear":
            return LinearHead(width, classes)
        if kind == "attention":
            return AttentionHead(width, classes)
        from pytest_fmtransfer.adapt import deit_head  # timm is slow to import

        if kind == "deitb":
            return deit_head.pretrained(weights, width=width, tokens=tokens, classes=classes, spec=spec)
        if kind == "small_random":
            return deit_head.small_random(width=width, tokens=tokens, classes=classes)
    raise InvalidInput(f"no head is called {kind!r}; {nearest(kind, get_args(HeadKind))}")
