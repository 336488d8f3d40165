"""VMamba at tiny width: a file in its authors' names, and the network once more in plain tensor algebra.

Names and shapes after MzeroMiko/VMamba, classification/models/vmamba.py, `vmambav2_small_224.yaml`.

Legend: N images, C channels, H and W places of a map, L = H · W places in the order of a way, I inner channels.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.parity.published import Tensors, drawn
from pytest_fmtransfer.catalog.specs import BackboneSpec

WIDTH, DEPTHS = 16, (1, 1, 2, 1)


def vmamba(_spec: BackboneSpec) -> Tensors:
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *shape: int, bias: bool = True) -> None:
        shapes.update({f"{name}.weight": shape, **({f"{name}.bias": shape[:1]} if bias else {})})

    add("patch_embed.0", WIDTH // 2, 3, 3, 3)
    add("patch_embed.2", WIDTH // 2)
    add("patch_embed.5", WIDTH, WIDTH // 2, 3, 3)
    add("patch_embed.7", WIDTH)
    for stage, depth in enumerate(DEPTHS):
        wide = WIDTH * 2**stage
        inner, rank = 2 * wide, math.ceil(wide / 16)
        for block in (f"layers.{stage}.blocks.{number}" for number in range(depth)):
            add(f"{block}.norm", wide)
            shapes |= {
                f"{block}.op.x_proj_weight": (4, rank + 2, inner),
                f"{block}.op.dt_projs_weight": (4, inner, rank),
                f"{block}.op.dt_projs_bias": (4, inner),
                f"{block}.op.A_logs": (4 * inner, 1),
                f"{block}.op.Ds": (4 * inner,),
            }
            add(f"{block}.op.out_norm", inner)
            add(f"{block}.op.in_proj", inner, wide, bias=False)
            add(f"{block}.op.conv2d", inner, 1, 3, 3, bias=False)
            add(f"{block}.op.out_proj", wide, inner, bias=False)
            add(f"{block}.norm2", wide)
            add(f"{block}.mlp.fc1", 4 * wide, wide)
            add(f"{block}.mlp.fc2", wide, 4 * wide)
        if stage < len(DEPTHS) - 1:
            add(f"layers.{stage}.downsample.1", 2 * wide, wide, 3, 3)
            add(f"layers.{stage}.downsample.3", 2 * wide)
    add("classifier.norm", WIDTH * 8)
    add("classifier.head", 1000, WIDTH * 8)
    return drawn(shapes)


def vmamba_by_algebra(_spec: BackboneSpec, stored: Mapping[str, Tensor], images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    def halve(x: Tensor, name: str) -> Tensor:
        return functional.conv2d(x, stored[f"{name}.weight"], stored[f"{name}.bias"], stride=2, padding=1)

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
        return scaled * stored[f"{name}.weight"][:, None, None] + stored[f"{name}.bias"][:, None, None]

    def linear(x: Tensor, name: str) -> Tensor:
        found = torch.einsum("ncp,dc->ndp", x.flatten(2), stored[f"{name}.weight"])
        bias = stored.get(f"{name}.bias")
        return (found if bias is None else found + bias[:, None]).unflatten(-1, x.shape[-2:])

    def scan(x: Tensor, name: str) -> Tensor:
        x = functional.conv2d(
            linear(x, f"{name}.in_proj"), stored[f"{name}.conv2d.weight"], padding=1, groups=2 * x.shape[1]
        )
        x = x * torch.sigmoid(x)
        places = torch.arange(x[0, 0].numel()).view(x.shape[-2:])
        ways = [places.flatten(), places.T.flatten()]
        seen, total = x.flatten(2), torch.zeros_like(x.flatten(2))
        for way, order_L in enumerate([*ways, *(each.flip(0) for each in ways)]):
            total = total + one_way(seen, order_L, way, name)
        return linear(norm(total.view_as(x), f"{name}.out_norm"), f"{name}.out_proj")

    def one_way(seen_NIL: Tensor, order_L: Tensor, way: int, name: str) -> Tensor:
        inner = seen_NIL.shape[1]
        rates = -stored[f"{name}.A_logs"][way * inner : (way + 1) * inner, 0].exp()
        skipped = stored[f"{name}.Ds"][way * inner : (way + 1) * inner]
        project, step = stored[f"{name}.x_proj_weight"][way], stored[f"{name}.dt_projs_weight"][way]
        state, given = torch.zeros_like(seen_NIL[..., 0]), torch.zeros_like(seen_NIL)
        for place in order_L.tolist():
            new_NI = seen_NIL[..., place]
            told = new_NI @ project.T
            size = torch.log1p(torch.exp(told[:, :-2] @ step.T + stored[f"{name}.dt_projs_bias"][way]))
            state = torch.exp(size * rates) * state + size * told[:, -2:-1] * new_NI
            given[..., place] = state * told[:, -1:] + skipped * new_NI
        return given

    x = functional.gelu(norm(halve(images_NCHW, "patch_embed.0"), "patch_embed.2"))
    x = norm(halve(x, "patch_embed.5"), "patch_embed.7")
    for stage, depth in enumerate(DEPTHS):
        for block in (f"layers.{stage}.blocks.{number}" for number in range(depth)):
            x = x + scan(norm(x, f"{block}.norm"), f"{block}.op")
            hidden = functional.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
            x = x + linear(hidden, f"{block}.mlp.fc2")
        if stage < len(DEPTHS) - 1:
            x = norm(halve(x, f"layers.{stage}.downsample.1"), f"layers.{stage}.downsample.3")
    tokens_NTE = norm(x, "classifier.norm").flatten(2).transpose(1, 2)
    return tokens_NTE.mean(dim=1), tokens_NTE
