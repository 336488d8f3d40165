"""SEEM's FocalNet-T: timm's focal modulation in the blocks of SEEM's `modeling/vision/backbone/focal_dw.py`.

No library has this network. A block has two more convolutions than timm's and normalises the sum with its input
instead of what is added; every stage has a norm of its own. So the parts are timm's, the block a subclass of timm's,
and the whole our own: of timm's FocalNet only the stem's construction and the loop over stages would be inherited.

Legend: N images, C channels, H and W pixels or places of a map, D the embedding's width, T tokens, E a token's width.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from timm.layers.norm import LayerNorm2d
from timm.models.focalnet import Downsample, FocalNetBlock
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone, seeded
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights, RandomWeights
from pytest_fmtransfer.errors import InvalidInput

ARCHITECTURE = "focalnet_tiny_dw"
# Width of the first stage, and blocks of each: SEEM's configs/seem/focalt_unicl_lang_v0.yaml.
WIDTH, DEPTHS = 96, (2, 2, 6, 2)
TINY_WIDTH, TINY_DEPTHS = 16, (1, 1, 2, 1)
# The training rate of that file, rising from 0 at the first block: what a network that is trained drops paths at.
DROP_PATH = 0.3
# SEEM's file holds the decoder and the language encoder too, under other prefixes.
PREFIX = "backbone."

_norm = partial(LayerNorm2d, eps=1e-5)


class Block(FocalNetBlock):
    """timm's block with a depthwise residual convolution before either half, and norms on the residual sums."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__(
            width,
            focal_level=3,
            focal_window=3,
            normalize_modulator=True,
            layerscale_value=1e-4,
            drop_path=drop_path,
            norm_layer=cast(type[nn.Module], _norm),
        )
        self.dw1 = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.dw2 = nn.Conv2d(width, width, 3, padding=1, groups=width)

        self.folded = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw1(x) if self.folded else x + self.dw1(x)
        x = self.norm1(x + self.drop_path1(self.ls1(self.modulation(x))))
        x = self.dw2(x) if self.folded else x + self.dw2(x)
        return self.norm2(x + self.drop_path2(self.ls2(self.mlp(x))))

    @torch.no_grad()
    def fold(self) -> None:
        """Leave sums and scales to the convolutions beside them: the same function, five fewer passes over memory.

        Only for evaluation: the tensors no longer are the publisher's.
        """
        for convolution in (self.dw1, self.dw2):
            convolution.weight[:, :, 1, 1] += 1  # a picture is its own convolution with a one in the middle
        for scale, last in ((self.ls1, self.modulation.proj), (self.ls2, self.mlp.fc2)):
            gamma_C = cast(Tensor, scale.gamma)
            last.weight *= gamma_C[:, None, None, None]
            cast(Tensor, last.bias).mul_(gamma_C)
        self.ls1, self.ls2 = nn.Identity(), nn.Identity()
        self.modulation.h.weight /= self.modulation.focal_level + 1
        self.modulation.normalize_modulator = False
        self.folded = True


class Stage(nn.Module):
    """The step down into a resolution and the blocks there.

    `norm` makes of its output the level that SEEM calls `res2` to `res5`; the next stage takes the output without it.
    """

    def __init__(self, inputs: int | None, width: int, drop_paths: Sequence[float]) -> None:
        super().__init__()
        self.downsample = _step_down(inputs, width, stride=2) if inputs else nn.Identity()
        self.blocks = nn.Sequential(*(Block(width, rate) for rate in drop_paths))
        self.norm = _norm(width)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return self.blocks(self.downsample(map_NCHW))


class FocalNet(nn.Module):
    """Images, N × C × H × W, to the level of the last stage that is there: of four, N × 8·width × H/32 × W/32.

    Sides are rounded up. Initialised as torch does, which is what the publisher's constructor does.
    """

    def __init__(self, width: int, depths: Sequence[int]) -> None:
        super().__init__()
        self.patch_embed = _step_down(3, width, stride=4)
        self.patch_embed.proj.padding = (3, 3)  # timm pads 2
        widths = [width * 2**stage for stage in range(len(depths))]
        rates = [part.tolist() for part in torch.linspace(0, DROP_PATH, sum(depths)).split(list(depths))]
        self.layers = nn.Sequential(
            Stage(None, width, rates[0]),
            *(Stage(*pair, part) for pair, part in zip(pairwise(widths), rates[1:], strict=True)),
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        map_NCHW = self.layers(self.patch_embed(images_NCHW))
        return cast(Stage, self.layers[-1]).norm(map_NCHW)


class FocalNetBackbone(Backbone):
    """The embedding is the mean over the last level, its places are the tokens; a block is a stage.

    Its blocks are folded, unless it is built to be trained.
    After stage k the tokens are level `res{k+2}`, E = 96 · 2^k: what the protocol takes when later stages are dropped.
    """

    network: FocalNet

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return list(self.network.layers)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        level_NCHW = self.network(images_NCHW)
        return level_NCHW.mean(dim=(2, 3)), _tokens(level_NCHW)

    def block_tokens(self, output: Tensor) -> Tensor:
        norms = [cast(LayerNorm2d, stage.norm) for stage in self.blocks if hasattr(stage, "norm")]
        # No two stages are equally wide.
        return _tokens(next(norm for norm in norms if norm.normalized_shape[0] == output.shape[1])(output))


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> FocalNetBackbone:
    """The backbone with its weights.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for a row that names no file or another network.
    """
    if spec.architecture != ARCHITECTURE:
        raise InvalidInput(
            f"backbone {spec.name}: library focalnet has no architecture {spec.architecture!r}; write {ARCHITECTURE!r}"
        )
    with seeded(spec):
        network = FocalNet(TINY_WIDTH, TINY_DEPTHS) if spec.tiny else FocalNet(WIDTH, DEPTHS)
    if not isinstance(spec.weights, RandomWeights):
        if weights is None or not isinstance(spec.weights, PublishedWeights):
            raise InvalidInput(f"backbone {spec.name} names no file of weights; give it PublishedWeights")
        _load(network, weights)
    if not trainable:
        for each in network.modules():
            if isinstance(each, Block):
                each.fold()
    if channels == 1:
        take_one_channel(network)
    return FocalNetBackbone(spec, network, channels=channels, trainable=trainable)


def _load(network: FocalNet, path: Path) -> None:
    """Load what SEEM's file holds under `backbone.`: every tensor into its place, none missing and none left over.

    Everything else in the file belongs to other parts of SEEM and is not looked at.
    """
    theirs = {name: PREFIX + _published(name) for name in network.state_dict()}
    ours = {name: own for own, name in theirs.items()}
    stored = {ours.get(name, name): tensor for name, tensor in read_tensors(path).items() if name.startswith(PREFIX)}
    load_tensors(network, _as_convolutions(stored, network), theirs, path)


def _published(name: str) -> str:
    """The publisher's name of a tensor of ours. Theirs steps down at the end of a stage and has norms outside."""
    parts = name.split(".")
    match parts:
        case ["layers", stage, "downsample", *rest]:
            return ".".join(["layers", str(int(stage) - 1), "downsample", *rest])
        case ["layers", stage, "norm", *rest]:
            return ".".join([f"norm{stage}", *rest])
        case [*block, "ls1" | "ls2" as scale, "gamma"]:
            return ".".join([*block, f"gamma_{scale[-1]}"])
        case _:
            return name


def _as_convolutions(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights of linear layers as those of the 1 × 1 convolutions that timm has in their place."""
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    return {
        name: tensor[..., None, None] if shapes.get(name) == (*tensor.shape, 1, 1) else tensor
        for name, tensor in tensors.items()
    }


def _step_down(inputs: int, width: int, *, stride: int) -> Downsample:
    return Downsample(inputs, width, stride=stride, overlap=True, norm_layer=cast(type[nn.Module], _norm))


def _tokens(map_NCHW: Tensor) -> Tensor:
    """Row by row, N × T × E."""
    return map_NCHW.flatten(2).transpose(1, 2)
