"""VMamba: a pyramid whose blocks read the map along four ways, in plain tensor operations.

Liu et al. 2024, version 2 (`vssm_small_0229`, `vssm_base_0229`: one state for each channel, no gate), after
github.com/MzeroMiko/VMamba, classification/models/vmamba.py. Its kernels are compiled for one vendor's cards; here the
recurrence is run by rows (`selective_scan.py`).

Legend: N images, C channels of a map, H and W its sides, L = H · W places, K = 4 ways, I inner channels, R the rank of
the step sizes, E the last map's width.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from timm.layers.mlp import Mlp
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional

from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.selective_scan import selective_scan
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput, nearest

WAYS = 4
CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """Width of the first stage, and blocks of each; every stage is twice as wide as the one before."""

    width: int
    depths: tuple[int, ...] = (2, 2, 15, 2)


_SHAPES = {"vmamba_small_s2l15": _Shape(width=96), "vmamba_base_s2l15": _Shape(width=128)}
_TINY = _Shape(width=16, depths=(1, 1, 2, 1))


class SelectiveScan2d(nn.Module):
    """A map, N × C × H × W, read row by row and column by column, forwards and backwards, each way with weights of its
    own; what a place gives is the sum over the four.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner, rank = 2 * width, math.ceil(width / 16)
        self.in_proj = nn.Conv2d(width, inner, 1, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
        self.x_proj_weight = nn.Parameter(torch.empty(WAYS, rank + 2, inner).uniform_(-1, 1) / inner**0.5)
        self.dt_projs_weight = nn.Parameter(torch.empty(WAYS, inner, rank).uniform_(-1, 1) / rank**0.5)
        # Step sizes between .001 and .1: what softplus makes them of.
        steps_KI = torch.exp(torch.rand(WAYS, inner) * math.log(100) + math.log(0.001))
        self.dt_projs_bias = nn.Parameter(steps_KI + torch.log(-torch.expm1(-steps_KI)))
        self.A_logs = nn.Parameter(torch.zeros(WAYS * inner, 1))
        self.Ds = nn.Parameter(torch.ones(WAYS * inner))
        self.out_norm = _norm(inner)
        self.out_proj = nn.Conv2d(inner, width, 1, bias=False)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        inner_NIHW = functional.silu(self.conv2d(self.in_proj(map_NCHW)))
        # One way after the other: all at once would hold four times the memory.
        sides = (inner_NIHW.shape[-2], inner_NIHW.shape[-1])
        found = [placed(self.along(read(inner_NIHW, way), way, sides), way, sides) for way in range(WAYS)]
        return self.out_proj(self.out_norm(torch.stack(found).sum(dim=0).to(inner_NIHW.dtype)))

    def along(self, read_NIL: Tensor, way: int, sides: tuple[int, int]) -> Tensor:
        """What the places of one way give, in its order."""
        part = slice(way * read_NIL.shape[1], (way + 1) * read_NIL.shape[1])
        told = torch.einsum("nil,ji->njl", read_NIL, self.x_proj_weight[way])
        steps_NRL, into_N1L, out_N1L = told.split([self.dt_projs_weight.shape[-1], 1, 1], dim=1)
        steps_NIL = torch.einsum("nrl,ir->nil", steps_NRL, self.dt_projs_weight[way]).float()
        steps_NIL = functional.softplus(steps_NIL + self.dt_projs_bias[way].unsqueeze(-1))
        rates_NIL = steps_NIL * -self.A_logs[part].float().exp()
        # Cut into as many parts as the map has rows, whichever way it is read.
        parts = (each.unflatten(-1, sides) for each in (rates_NIL, steps_NIL * into_N1L * read_NIL))
        return selective_scan(*parts).flatten(-2) * out_N1L + self.Ds[part].unsqueeze(-1) * read_NIL


def read(map_NIHW: Tensor, way: int) -> Tensor:
    """N × I × L: row by row, column by column, and, as ways 2 and 3, both from the end."""
    read_NIL = (map_NIHW.transpose(2, 3) if way % 2 else map_NIHW).flatten(2)
    return read_NIL.flip(-1) if way >= 2 else read_NIL


def placed(given_NIL: Tensor, way: int, sides: tuple[int, int]) -> Tensor:
    """What `read` has read, back in its places, N × I × H × W."""
    forwards_NIL = given_NIL.flip(-1) if way >= 2 else given_NIL
    return forwards_NIL.unflatten(-1, sides[::-1]).transpose(2, 3) if way % 2 else forwards_NIL.unflatten(-1, sides)


class Block(nn.Module):
    """Scan and MLP, each on normed input and added to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.op = SelectiveScan2d(width)
        self.norm2 = _norm(width)
        self.mlp = Mlp(width, 4 * width, use_conv=True)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        map_NCHW = map_NCHW + self.op(self.norm(map_NCHW))
        return map_NCHW + self.mlp(self.norm2(map_NCHW))


class VMamba(nn.Module):
    """Four stages; all but the first halve the map's sides, which are rounded up, before their blocks."""

    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        first, blank = shape.width, nn.Identity
        self.patch_embed = nn.Sequential(
            *(_halving(3, first // 2), blank(), _norm(first // 2), blank(), nn.GELU()),
            *(_halving(first // 2, first), blank(), _norm(first)),
        )
        widths = [first * 2**stage for stage in range(len(shape.depths))]
        steps = [None, *pairwise(widths)]
        self.layers = nn.Sequential(*(_stage(*each) for each in zip(steps, widths, shape.depths, strict=True)))
        self.classifier = nn.Sequential(OrderedDict(norm=_norm(widths[-1]), head=nn.Linear(widths[-1], CLASSES)))
        self.apply(_initialise)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The last stage's map, normed, N × E × H × W."""
        last_NEHW = self.layers(self.patch_embed(images_NCHW))
        return cast(nn.Module, self.classifier.norm)(last_NEHW)


class VMambaBackbone(Backbone):
    """The embedding is the mean over the last map, as the classifier is given it; its blocks are the stages."""

    network: VMamba

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network.layers)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        map_NEHW = self.network(images_NCHW)
        return map_NEHW.mean(dim=(2, 3)), map_NEHW.flatten(2).transpose(1, 2)

    def block_tokens(self, output: Tensor) -> Tensor:
        return output.flatten(2).transpose(1, 2)


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> VMambaBackbone:
    """The backbone with its weights, its classifier met and let go.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for an architecture that there is none of or a
    row that names no file.
    """
    if spec.architecture not in _SHAPES:
        raise InvalidInput(f"architecture {spec.architecture!r} of {spec.name}; {nearest(spec.architecture, _SHAPES)}")
    with seeded(spec):
        network = VMamba(_TINY if spec.tiny else _SHAPES[spec.architecture]).eval()
    if not isinstance(spec.weights, RandomWeights):
        if weights is None or not isinstance(spec.weights, PublishedWeights):
            raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights")
        _load(network, weights, spec.weights.inside)
    del network.classifier.head
    if channels == 1:
        take_one_channel(network)
    return VMambaBackbone(spec, network, channels=channels, trainable=trainable)


def _load(network: VMamba, path: Path, inside: str) -> None:
    expected = network.state_dict()
    theirs = {ours: _published(ours) for ours in expected}
    own = {name: ours for ours, name in theirs.items()}
    stored = {own.get(name, name): each for name, each in read_tensors(path, inside).items()}
    # Linear layers of theirs, whose code reads them from files with and without the two sides of a convolution.
    shaped = {
        name: each[..., None, None] if name in expected and expected[name].shape == (*each.shape, 1, 1) else each
        for name, each in stored.items()
    }
    load_tensors(network, shaped, theirs, path)


def _published(ours: str) -> str:
    """The file's name of a tensor of ours: theirs steps down at the end of a stage."""
    parts = ours.split(".")
    if parts[0] == "layers" and parts[2] == "downsample":
        parts[1] = str(int(parts[1]) - 1)
    return ".".join(parts)


def _stage(step: tuple[int, int] | None, width: int, depth: int) -> nn.Module:
    parts: dict[str, nn.Module] = {}
    if step is not None:
        parts["downsample"] = nn.Sequential(nn.Identity(), _halving(*step), nn.Identity(), _norm(step[1]))
    return nn.Sequential(OrderedDict(**parts, blocks=nn.Sequential(*(Block(width) for _ in range(depth)))))


def _halving(given: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(given, width, 3, stride=2, padding=1)


def _norm(width: int) -> LayerNorm2d:
    return LayerNorm2d(width, eps=1e-5)


def _initialise(module: nn.Module) -> None:
    """Their linear layers, ours 1 × 1 convolutions, begin narrower than torch has them."""
    if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
