"""Two forward passes of noise through a backbone, and what they must have in common.

Legend: N images of a batch, S pixels of a side, D features, T tokens, E a token's width.
"""

import re

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone, Features
from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.computing import computing, torch_device
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places

# Of the length of what an image is given. Float32 rounds to 6e-8 of a number and adds up in an order of its own in
# every kernel: what was seen of deep networks is 1e-5. A bfloat16 has eight bits, 4e-3 of a number.
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.05}
FIRST, SECOND = (0, 1, 2), (3, 1, 0)  # of four images: two stand in both batches, one of them at another place
_ACTIVATION = re.compile(r"GELU|SiLU|Swish|ReLU|ELU|Mish|Tanh|Sigmoid|Softplus|Softsign|SELU|GLU")


def look(spec: BackboneSpec, dtype: Dtype, places: Places, *, tokens: bool) -> tuple[int, str]:
    """Width of the pooled embedding, and the network's activations. Raises InvalidInput as `agree` does."""
    backbone = build_backbone(spec, places).to(torch_device(places.device, places.card))
    with computing(dtype, places.device, places.deterministic, places.card):
        width = agree(backbone, images_of(backbone), tolerance_of(backbone, dtype), tokens=tokens)
    return width, activation_of(backbone.network) or spec.activation


def images_of(backbone: Backbone) -> Tensor:
    """Four normalised images of noise, each brighter than the one before."""
    side, generator = backbone.spec.image_size, torch.Generator().manual_seed(0)
    noise_NCSS = torch.rand(4, backbone.channels, side, side, generator=generator) * 0.6
    brighter_NCSS = noise_NCSS + torch.arange(4).view(4, 1, 1, 1) * 0.1
    return (brighter_NCSS.to(backbone.mean.device) - backbone.mean) / backbone.std


def tolerance_of(backbone: Backbone, dtype: Dtype) -> float:
    """What rounding of the coarsest numbers that are computed with may move an embedding by, by its length."""
    used = {torch.bfloat16 if dtype == "bfloat16" else torch.float32}
    used |= {each.dtype for each in backbone.network.parameters()}
    return max(TOLERANCES.get(each, 0.0) for each in used)


def agree(backbone: Backbone, images_NCSS: Tensor, tolerance: float, *, tokens: bool) -> int:
    """The width of the pooled embedding, where two passes agree on it and on what two images are given.

    Raises InvalidInput, with what is wrong and what to do, where they do not.
    """
    name = backbone.spec.name
    first, second = (backbone(images_NCSS[list(rows)]) for rows in (FIRST, SECOND))
    shapes = [(tuple(each.pooled_ND.shape[1:]), tuple(each.tokens_NTE.shape[1:])) for each in (first, second)]
    if shapes[0] != shapes[1] or {len(first.pooled_ND), len(second.pooled_ND)} != {len(FIRST)}:
        raise InvalidInput(
            f"{name}: the width of its output changes: {_told(first)} for {len(FIRST)} images and {_told(second)} for "
            f"{len(SECOND)} others; let it give every image as many numbers"
        )
    learnt = not isinstance(backbone.spec.weights, RandomWeights)
    if learnt and bool((first.pooled_ND == first.pooled_ND[0]).all()):
        raise InvalidInput(
            f"{name}: it gives every image of noise one and the same embedding; look at its weights, and at mean and "
            "std of its input"
        )
    apart = _apart(first, second, tokens=tokens)
    if not apart <= tolerance:  # of what is not finite too
        again = _apart(first, backbone(images_NCSS[list(FIRST)]), tokens=tokens, rows=(FIRST, FIRST))
        raise InvalidInput(f"{name}: {_disagreement(first, apart, again, tolerance)}")
    return first.pooled_ND.shape[1]


def activation_of(network: nn.Module) -> str:
    """The kinds of activation that are modules of the network, sorted."""
    kinds = {type(each).__name__ for each in network.modules() if not list(each.children())}
    return ", ".join(sorted(kind for kind in kinds if _ACTIVATION.search(kind)))


def _apart(
    one: Features, other: Features, *, tokens: bool, rows: tuple[tuple[int, ...], tuple[int, ...]] = (FIRST, SECOND)
) -> float:
    """The largest distance of what an image is given in two batches, as a part of its length."""
    shared = [(rows[0].index(each), rows[1].index(each)) for each in rows[0] if each in rows[1]]
    found = [_distance(one.pooled_ND[at], other.pooled_ND[there]) for at, there in shared]
    found += [_distance(one.tokens_NTE[at], other.tokens_NTE[there]) for at, there in shared] if tokens else []
    return float(torch.stack(found).max())


def _distance(one: Tensor, other: Tensor) -> Tensor:
    one, other = one.double().flatten().cpu(), other.double().flatten().cpu()
    return (one - other).norm() / one.norm().clamp_min(torch.finfo(torch.float32).tiny)


def _disagreement(first: Features, apart: float, again: float, tolerance: float) -> str:
    if not bool(torch.isfinite(first.pooled_ND).all() and torch.isfinite(first.tokens_NTE).all()):
        return "what it gives for noise is not finite; look at its weights, and at mean and std of its input"
    how = f"{apart:.1%} of its length, where rounding explains {tolerance:.1%}"
    if not again <= tolerance:
        return (
            f"the same batch twice gives an image two embeddings, which differ by {how}: the network draws chance in "
            "evaluation mode. Switch that off: call eval() in your function; write F.dropout(x, "
            "training=self.training), whose default is to drop; a masked autoencoder in a transformers folder takes "
            "mask_ratio=0 in its config.json"
        )
    return (
        f"an image's embedding depends on its batch: in another order and beside other images it differs by {how}. "
        "Normalise by running statistics (eval()), and mix nothing across images"
    )


def _told(features: Features) -> str:
    return f"{tuple(features.pooled_ND.shape)} with tokens {tuple(features.tokens_NTE.shape)}"
