"""The parts of a timm network: its blocks, what they return as tokens, and how it is cut to a tiny version.

Legend: N images, T tokens, E a token's width, H and W places of a map.
"""

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from pytest_fmtransfer.backbones.stages import Stage

# Of timm's modules that let width be asked for; every other architecture is cut in depth alone.
TINY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "vision_transformer": {"embed_dim": 48, "num_heads": 3, "depth": 2},
    "deit": {"embed_dim": 48, "num_heads": 3, "depth": 2},
    "eva": {"embed_dim": 48, "num_heads": 3, "depth": 2},
    "resnet": {"layers": (1, 1, 1, 1), "channels": (16, 32, 64, 128)},
    "densenet": {"growth_rate": 8, "block_config": (2, 2, 2, 2)},
}
TINY_DEPTH = 2  # blocks of a network without stages


def tiny_arguments(architecture: str, family: str) -> dict[str, Any]:
    """What timm is asked for to get a narrow network; nothing where the architecture counts its blocks itself."""
    return {} if "sapiens2" in architecture else TINY_ARGUMENTS.get(family, {})


def parts(network: nn.Module) -> list[nn.Module]:
    """A transformer's blocks, or a pyramid's stages, from the input on; where timm names neither, its layers.

    The stages of a ResNet, an EfficientNet, a DenseNet and a VGG are counted, not their residual blocks or layers, as
    Palés Huix et al. 2024 count SEEM's.
    """
    layers = getattr(network, "features", None)
    if isinstance(layers, nn.Sequential):
        stages: list[nn.Module] = [each for each in layers.children() if isinstance(each, Stage)]
        if stages:
            return stages
    for name in ("blocks", "stages", "layers"):
        found = getattr(network, name, None)
        if isinstance(found, nn.Sequential | nn.ModuleList) and len(found) > 1:
            return list(found)
    modules = dict(network.named_modules())
    told = cast(Sequence[dict[str, Any]], getattr(network, "feature_info", None) or ())
    named = [modules[each["module"]] for each in told if each.get("module") in modules]
    levels = [each for each in named if any(True for _ in each.parameters())]
    return levels or [each for each in network.children() if any(True for _ in each.parameters())]


def tokens_of(network: nn.Module, output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """What the network or one of its blocks returned, as tokens, N × T × E, row by row, without prefix tokens.

    A map is N × E × H × W, unless the network says NHWC (`output_fmt`). An output without places is one token.
    """
    features = output[0] if isinstance(output, tuple) else output
    if features.ndim == 4:
        if getattr(network, "output_fmt", "NCHW") == "NHWC":
            return features.flatten(1, 2)
        return features.flatten(2).transpose(1, 2)
    if features.ndim == 2:
        return features.unsqueeze(1)
    return features[:, cast(int, getattr(network, "num_prefix_tokens", 0)) :]


def cut_depth(network: nn.Module) -> None:
    """Leave two blocks of a transformer, or one block of each stage, in place; names of what is left stay."""
    for name in ("blocks", "stages", "layers"):
        found = getattr(network, name, None)
        if isinstance(found, nn.Sequential | nn.ModuleList):
            _cut(network, name, found)
            return
    for part in parts(network):
        _keep_first(part)


def _cut(network: nn.Module, name: str, found: nn.Sequential | nn.ModuleList) -> None:
    stages = [each for each in found if _stack(each) is not None]
    if stages:
        for stage in stages:
            _keep_first(stage)
    else:
        setattr(network, name, found[:TINY_DEPTH])


def _keep_first(stage: nn.Module) -> None:
    stack = _stack(stage)
    if stack is not None:
        del stack[1:]


def _stack(stage: nn.Module) -> nn.Sequential | nn.ModuleList | None:
    """The residual blocks of a stage, which is a sequence of them or holds one."""
    found = stage if isinstance(stage, nn.Sequential | nn.ModuleList) else getattr(stage, "blocks", None)
    return found if isinstance(found, nn.Sequential | nn.ModuleList) else None
