"""timm's backbones: publishers' files load strictly, and features equal those of a second implementation.

Every checkpoint is of random weights at tiny width, in its publisher's key names and nesting.

Legend: N images, C channels, H and W pixels, P and R, Q places of a grid, E a token's width, T tokens.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from pytest_fmtransfer.backbones.positions import resized
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

WIDTH, DEPTH, HEADS = 48, 2, 3
EXACT = 2e-5

DINOV2 = ["dinov2_vits14", "dinov2_vitb14", "dinov2_vitl14"]
PAPER = [*DINOV2, "dinov2_vitg14", "imagenet_deitb16", "dino_vitb16", "imagenet_resnet152"]
Stored = dict[str, Tensor]


def tiny(name: str) -> BackboneSpec:
    """The row cut in width and depth, its weights still to be read from the publisher's file."""
    return replace(Registry().backbone(name), tiny=True)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def vit(patch: int, grid: int, *, swiglu: bool = False, scaled: bool = False, classes: int = 0) -> Stored:
    """Random tensors in the names of facebookresearch's dinov2, dino and deit (`VisionTransformer.state_dict`)."""
    hidden = (int(4 * WIDTH * 2 / 3) + 7) // 8 * 8  # dinov2/layers/swiglu_ffn.py, SwiGLUFFNFused
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + grid**2, WIDTH),
        **({"mask_token": (1, WIDTH)} if scaled else {}),
        "patch_embed.proj.weight": (WIDTH, 3, patch, patch),
        "patch_embed.proj.bias": (WIDTH,),
    }
    mlp = {"w12": (2 * hidden, WIDTH), "w3": (WIDTH, hidden)} if swiglu else {}
    mlp = mlp or {"fc1": (4 * WIDTH, WIDTH), "fc2": (WIDTH, 4 * WIDTH)}
    layers = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH), **{f"mlp.{n}": s for n, s in mlp.items()}}
    for block in (f"blocks.{number}" for number in range(DEPTH)):
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (WIDTH,), f"{block}.{norm}.bias": (WIDTH,)}
        for layer, shape in layers.items():
            shapes |= {f"{block}.{layer}.weight": shape, f"{block}.{layer}.bias": shape[:1]}
        if scaled:
            shapes |= {f"{block}.ls{number}.gamma": (WIDTH,) for number in (1, 2)}
    shapes |= {"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    if classes:
        shapes |= {"head.weight": (classes, WIDTH), "head.bias": (classes,)}
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()}


def small_resnet() -> torchvision.models.ResNet:
    """torchvision's ResNet, each stage one bottleneck wide as the tiny version is."""
    torch.manual_seed(3)
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    network.inplanes = 64
    for number, planes in enumerate((16, 32, 64, 128), start=1):
        stage = network._make_layer(torchvision.models.resnet.Bottleneck, planes, 1, 1 if number == 1 else 2)
        setattr(network, f"layer{number}", stage)
    network.fc = torch.nn.Linear(512, 1000)
    for norm in (each for each in network.modules() if isinstance(each, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return network.eval()


def published(name: str) -> Stored:
    """The tensors of the publisher's file."""
    if name == "imagenet_resnet152":
        return {key: tensor for key, tensor in small_resnet().state_dict().items() if "num_batches" not in key}
    if name == "imagenet_deitb16":
        return vit(16, 14, classes=1000)
    if name == "dino_vitb16":
        return vit(16, 14)
    return vit(14, 37, swiglu=name == "dinov2_vitg14", scaled=True)


def write(name: str, tensors: Mapping[str, Any], folder: Path) -> Path:
    weights = Registry().backbone(name).weights
    path = folder / weights.file
    torch.save({"model": dict(tensors)} if name == "imagenet_deitb16" else dict(tensors), path)
    return path


@pytest.mark.parametrize("name", PAPER)
def test_the_publishers_file_is_loaded(name: str, tmp_path: Path) -> None:
    backbone = build(tiny(name), write(name, published(name), tmp_path))
    assert not backbone.training
    assert not any(each.requires_grad for each in backbone.parameters())


@pytest.mark.parametrize("name", PAPER)
def test_a_tensor_that_is_missing_extra_or_of_another_shape_is_named(name: str, tmp_path: Path) -> None:
    stored = published(name)
    middle = list(stored)[len(stored) // 2]
    lacking = {key: tensor for key, tensor in stored.items() if key != middle}
    for changed, named in (
        (lacking, middle),
        (stored | {"left.over": torch.zeros(1)}, "left.over"),
        (stored | {middle: torch.zeros(7, 7, 7)}, middle),
    ):
        with pytest.raises(CheckpointMismatch, match=f"'{named}'"):
            build(tiny(name), write(name, changed, tmp_path))


def test_a_file_without_dinov2s_mask_token_is_not_dinov2s(tmp_path: Path) -> None:
    stored = published("dinov2_vitb14")
    del stored["mask_token"]
    with pytest.raises(CheckpointMismatch, match="'mask_token'"):
        build(tiny("dinov2_vitb14"), write("dinov2_vitb14", stored, tmp_path))


def test_a_file_of_deit_without_its_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flat.pth"
    torch.save(published("imagenet_deitb16"), path)
    with pytest.raises(CheckpointMismatch, match="no entry 'model'"):
        build(tiny("imagenet_deitb16"), path)


def test_batch_counters_are_all_there_or_all_absent(tmp_path: Path) -> None:
    name, stored = "imagenet_resnet152", dict(small_resnet().state_dict())
    build(tiny(name), write(name, stored, tmp_path))
    del stored["layer4.0.bn3.num_batches_tracked"]
    with pytest.raises(CheckpointMismatch, match=r"'layer4\.0\.bn3\.num_batches_tracked'"):
        build(tiny(name), write(name, stored, tmp_path))


def bicubic(places_P: int, places: int, scale: float) -> Tensor:
    """Weights of a cubic convolution (Keys 1981, a = -.75) from `places_P` samples to `places`; borders repeat."""
    weights = torch.zeros(places, places_P, dtype=torch.float64)
    for at in range(places):
        where = (at + 0.5) / scale - 0.5
        first = int(torch.floor(torch.tensor(where, dtype=torch.float64)))
        for near in range(first - 1, first + 3):
            x = abs(where - near)
            near_one = 1.25 * x**3 - 2.25 * x**2 + 1
            weight = near_one if x <= 1 else -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
            weights[at, min(max(near, 0), places_P - 1)] += weight
    return weights


def expected_positions(table_1TE: Tensor, rows: int, columns: int, offset: float) -> Tensor:
    """What `resized` should give, from the definition."""
    side = round((table_1TE.shape[1] - 1) ** 0.5)
    grid = table_1TE[0, 1:].double().unflatten(0, (side, side))
    down_RP = bicubic(side, rows, (rows + offset) / side)
    across_QP = bicubic(side, columns, (columns + offset) / side)
    patches = torch.einsum("rp,qs,pse->rqe", down_RP, across_QP, grid).flatten(0, 1).float()
    return torch.cat([table_1TE[:, :1], patches[None]], dim=1)


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (20, 9), (40, 41)])
def test_positions_are_resized_by_their_definition(rows: int, columns: int, offset: float) -> None:
    table = noise(1, 1 + 37**2, 8)
    assert torch.allclose(
        resized(table, rows, columns, offset=offset), expected_positions(table, rows, columns, offset), atol=EXACT
    )


def test_positions_of_the_trained_grid_stay() -> None:
    table = noise(1, 1 + 14**2, 8)
    assert resized(table, 14, 14, offset=0.1) is table


def hugging_face(name: str, stored: Mapping[str, Tensor], size: int, channels: int) -> Callable[[Tensor], Any]:
    """transformers' model of the same weights: pooled embedding and tokens, before the last norm for DINOv2."""
    dinov2, patch = name.startswith("dinov2"), 14 if name.startswith("dinov2") else 16
    table = stored["pos_embed"]
    if (size // patch) ** 2 + 1 != table.shape[1]:
        offset = 0.0 if name == "imagenet_deitb16" else 0.1
        table = expected_positions(table, size // patch, size // patch, offset)
    common: dict[str, Any] = {
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "image_size": size,
        "patch_size": patch,
        "num_channels": channels,
        "layer_norm_eps": 1e-6,
        "attn_implementation": "eager",
    }
    if dinov2:
        swiglu = name == "dinov2_vitg14"
        model = Dinov2Model(Dinov2Config(use_swiglu_ffn=swiglu, mlp_ratio=4, **common))
    else:
        model = ViTModel(ViTConfig(intermediate_size=4 * WIDTH, **common), add_pooling_layer=False)
    state = dict(model.state_dict())
    given = dict(stored) | {"pos_embed": table}
    given["patch_embed.proj.weight"] = given["patch_embed.proj.weight"][:, :channels]
    for number in range(DEPTH):
        for kind in ("weight", "bias"):
            parts = given.pop(f"blocks.{number}.attn.qkv.{kind}").chunk(3)
            given |= {f"blocks.{number}.attn.{each}.{kind}": part for each, part in zip("qkv", parts, strict=True)}
            if f"blocks.{number}.mlp.w12.{kind}" in given:
                gate, up = given.pop(f"blocks.{number}.mlp.w12.{kind}").chunk(2)
                given |= {f"blocks.{number}.mlp.gate.{kind}": gate, f"blocks.{number}.mlp.up.{kind}": up}
    renamed = {_theirs(key, state): tensor for key, tensor in given.items() if not key.startswith(("head.", "mask"))}
    if dinov2:
        renamed["embeddings.mask_token"] = stored["mask_token"]
    model.load_state_dict(renamed, strict=True)
    model.eval()
    norm = model.layernorm
    kept: list[Tensor] = []
    norm.register_forward_hook(lambda module, given, result: kept.append(given[0] if dinov2 else result))

    def run(images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        kept.clear()
        with torch.inference_mode():
            return model(pixel_values=images_NCHW).last_hidden_state[:, 0], kept[0][:, 1:]

    return run


SHARED = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
OF_A_BLOCK = {
    "attn.q": ("attention.attention.query", "attention.q_proj"),
    "attn.k": ("attention.attention.key", "attention.k_proj"),
    "attn.v": ("attention.attention.value", "attention.v_proj"),
    "attn.proj": ("attention.output.dense", "attention.o_proj"),
    "norm1": ("layernorm_before", "norm1"),
    "norm2": ("layernorm_after", "norm2"),
    "mlp.fc1": ("intermediate.dense", "mlp.fc1"),
    "mlp.fc2": ("output.dense", "mlp.fc2"),
    "mlp.gate": ("mlp.gate_proj",),
    "mlp.up": ("mlp.up_proj",),
    "mlp.w3": ("mlp.down_proj",),
    "ls1.gamma": ("layer_scale1.lambda1",),
    "ls2.gamma": ("layer_scale2.lambda1",),
}


def _theirs(key: str, state: Mapping[str, Tensor]) -> str:
    """transformers' name of a publisher's tensor, whichever of its spellings this version has."""
    stem, dot, kind = key.rpartition(".")
    if not key.startswith("blocks."):
        return SHARED.get(key) or f"{SHARED[stem]}{dot}{kind}"
    _, number, rest = key.split(".", 2)
    part, _, kind = rest.rpartition(".")
    endings = OF_A_BLOCK.get(rest) or tuple(f"{each}.{kind}" for each in OF_A_BLOCK[part])
    starts = (f"encoder.layer.{number}.", f"layers.{number}.")
    [found] = {start + ending for start in starts for ending in endings} & set(state)
    return found


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("size", [224, 112])
@pytest.mark.parametrize("name", ["dinov2_vitb14", "dinov2_vitg14", "imagenet_deitb16", "dino_vitb16"])
def test_a_vit_equals_transformers(name: str, size: int, channels: int, tmp_path: Path) -> None:
    stored = published(name)
    backbone = build(tiny(name), write(name, stored, tmp_path), channels=channels)
    images = noise(2, channels, size, size)
    pooled, tokens = hugging_face(name, stored, size, channels)(images)
    with torch.inference_mode():
        found = backbone(images, blocks=[-1])
    side = size // (14 if name.startswith("dinov2") else 16)
    assert found.tokens_NTE.shape == (2, side**2, WIDTH)
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT
    assert float((found.tokens_NTE - tokens).abs().max()) <= EXACT
    if name.startswith("dinov2"):
        assert torch.equal(found.blocks[-1], found.tokens_NTE)


def test_dinov2_at_its_trained_size_equals_transformers(tmp_path: Path) -> None:
    name, stored = "dinov2_vits14", published("dinov2_vits14")
    backbone, images = build(tiny(name), write(name, stored, tmp_path)), noise(1, 3, 518, 518)
    pooled, tokens = hugging_face(name, stored, 518, 3)(images)
    with torch.inference_mode():
        found = backbone(images)
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT
    assert float((found.tokens_NTE - tokens).abs().max()) <= EXACT


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("size", [224, 160])
def test_resnet_equals_torchvisions(size: int, channels: int, tmp_path: Path) -> None:
    name, theirs = "imagenet_resnet152", small_resnet()
    backbone = build(tiny(name), write(name, published(name), tmp_path), channels=channels)
    theirs.fc = torch.nn.Identity()
    images = noise(2, channels, size, size)
    if channels == 1:
        theirs.conv1.weight = torch.nn.Parameter(theirs.conv1.weight[:, :1])
        theirs.conv1.in_channels = 1
    maps: list[Tensor] = []
    for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        stage.register_forward_hook(lambda module, given, result: maps.append(result))
    with torch.inference_mode():
        pooled, found = theirs(images), backbone(images, blocks=range(4))
    assert len(backbone.blocks) == 4
    assert float((found.pooled_ND - pooled).abs().max()) <= EXACT * float(pooled.abs().max())
    for number, expected in enumerate(maps):
        tokens = expected.flatten(2).transpose(1, 2)
        assert float((found.blocks[number] - tokens).abs().max()) <= EXACT * float(tokens.abs().max())
    assert torch.equal(found.tokens_NTE, found.blocks[3])


@pytest.mark.parametrize("name", ["dinov2_vitb14", "imagenet_deitb16", "imagenet_resnet152"])
def test_one_image_has_the_features_that_it_has_among_others(name: str, tmp_path: Path) -> None:
    backbone, images = build(tiny(name), write(name, published(name), tmp_path)), noise(32, 3, 112, 112)
    with torch.inference_mode():
        alone, among = backbone(images[:1]), backbone(images)
    scale = float(alone.pooled_ND.abs().max())
    assert float((alone.pooled_ND - among.pooled_ND[:1]).abs().max()) <= 1e-5 * max(1.0, scale)
    assert float((alone.tokens_NTE - among.tokens_NTE[:1]).abs().max()) <= 1e-5 * max(1.0, scale)


def test_an_image_that_no_patch_divides_is_refused() -> None:
    with pytest.raises(InvalidInput, match="give multiples of the patch, 14"):
        build(Registry().backbone("dinov2_vits14.tiny"), None)(noise(1, 3, 100, 100))


ROW = replace(Registry().backbone("mobilenetv2"), name="mine", weights=RandomWeights(), tiny=True, image_size=64)


@pytest.mark.parametrize(
    ("architecture", "blocks", "size", "tokens"),
    [
        ("tf_efficientnet_lite0", 7, 64, 4),
        ("mobilenetv2_100", 7, 64, 4),
        ("resnet18", 4, 64, 4),
        ("convnext_atto", 4, 64, 4),
        ("swin_tiny_patch4_window7_224", 4, 224, 49),
        ("mixer_s32_224", 2, 224, 49),
        ("regnetx_002", 5, 64, 4),
        ("vit_tiny_patch16_224", 2, 64, 16),
        ("vit_base_patch14_reg4_dinov2", 2, 56, 16),
    ],
)
def test_any_timm_model_has_blocks_and_tokens(architecture: str, blocks: int, size: int, tokens: int) -> None:
    backbone = build(replace(ROW, architecture=architecture, image_size=size), None)
    with torch.inference_mode():
        found = backbone(noise(2, 3, size, size), blocks=range(len(backbone.blocks)))
    assert len(backbone.blocks) == blocks == len(found.blocks)
    assert found.pooled_ND.shape[0] == 2
    assert found.tokens_NTE.shape[:2] == (2, tokens)
    assert found.blocks[blocks - 1].shape[1] == tokens
    assert all(each.ndim == 3 for each in found.blocks.values())
