"""SEEM's image encoder twice more: in plain tensor algebra, and as its publisher's own file computes it.

Legend: N images, C channels, H and W pixels or places, T tokens, E a token's width.
"""

import sys
import warnings
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional

PREFIX = "backbone."
# configs/seem/focalt_unicl_lang_v0.yaml of UX-Decoder/Segment-Everything-Everywhere-All-At-Once.
CONFIG: dict[str, Any] = {
    "patch_size": 4,
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "focal_levels": [3, 3, 3, 3],
    "focal_windows": [3, 3, 3, 3],
    "drop_path_rate": 0.3,
    "use_conv_embed": True,
    "scaling_modulator": True,
    "use_postln": True,
    "use_layerscale": True,
}


def levels(tensors: Mapping[str, Tensor], images_NCHW: Tensor) -> list[Tensor]:
    """`res2` to `res5`, N × T × E, from the file's tensors and names alone, with the channels last.

    After Yang et al., Focal Modulation Networks, NeurIPS 2022, section 3, and SEEM's config focalt_unicl_lang_v0.yaml.
    """

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        scaled = centred * (centred.square().mean(dim=-1, keepdim=True) + 1e-5).rsqrt()
        return scaled * tensors[f"{PREFIX}{name}.weight"] + tensors[f"{PREFIX}{name}.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ tensors[f"{PREFIX}{name}.weight"].flatten(1).T + tensors[f"{PREFIX}{name}.bias"]

    def convolve(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight, bias = tensors[f"{PREFIX}{name}.weight"], tensors.get(f"{PREFIX}{name}.bias")
        groups, padding = x.shape[-1] // weight.shape[1], weight.shape[-1] // 2
        return functional.conv2d(x.movedim(-1, 1), weight, bias, stride, padding, groups=groups).movedim(1, -1)

    def modulate(x: Tensor, name: str) -> Tensor:
        width = x.shape[-1]
        query, context, gates = linear(x, f"{name}.f").split([width, width, 4], dim=-1)
        summed = torch.zeros_like(query)
        for level in range(3):
            context = functional.gelu(convolve(context, f"{name}.focal_layers.{level}.0"))
            summed = summed + context * gates[..., level, None]
        summed = summed + functional.gelu(context.mean(dim=(1, 2), keepdim=True)) * gates[..., 3, None]
        return linear(query * linear(summed / 4, f"{name}.h"), f"{name}.proj")

    def mlp(x: Tensor, name: str) -> Tensor:
        return linear(functional.gelu(linear(x, f"{name}.fc1")), f"{name}.fc2")

    x = norm(convolve(images_NCHW.movedim(1, -1), "patch_embed.proj", stride=4), "patch_embed.norm")
    found: list[Tensor] = []
    for stage in range(4):
        if stage:
            step = f"layers.{stage - 1}.downsample"
            x = norm(convolve(x, f"{step}.proj", stride=2), f"{step}.norm")
        at = 0
        while f"{PREFIX}{(block := f'layers.{stage}.blocks.{at}')}.gamma_1" in tensors:
            x = x + convolve(x, f"{block}.dw1")
            halfway = x + tensors[f"{PREFIX}{block}.gamma_1"] * modulate(x, f"{block}.modulation")
            x = norm(halfway, f"{block}.norm1")
            x = x + convolve(x, f"{block}.dw2")
            x = norm(x + tensors[f"{PREFIX}{block}.gamma_2"] * mlp(x, f"{block}.mlp"), f"{block}.norm2")
            at += 1
        found.append(norm(x, f"norm{stage}").flatten(1, 2))
    return found


def by_its_publisher(code: Path, tensors: Mapping[str, Tensor], images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled embedding and tokens of the class `FocalNet` in the publisher's `focal_dw.py`, which is run.

    Of what the file imports, detectron2 and the publisher's registry name things and compute nothing; they are left
    empty.
    """
    spec = spec_from_file_location("published.focal_dw", code)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    empty = {
        "published": {"__path__": []},
        "published.build": {"register_backbone": lambda function: function},
        "detectron2": {},
        "detectron2.utils": {},
        "detectron2.utils.file_io": {"PathManager": None},
        "detectron2.modeling": {"BACKBONE_REGISTRY": None, "Backbone": nn.Module, "ShapeSpec": None},
    }
    with patch.dict(sys.modules, {name: _module(name, holds) for name, holds in empty.items()}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm has moved what it imports
            spec.loader.exec_module(module)
        network = module.FocalNet(**CONFIG)
    network.eval()
    own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    network.load_state_dict(own, strict=True)
    last_NTE = network(images_NCHW)["res5"].flatten(2).transpose(1, 2)
    return last_NTE.mean(dim=1), last_NTE


def _module(name: str, holds: Mapping[str, object]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(holds)
    return module
