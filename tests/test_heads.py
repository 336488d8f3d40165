"""Heads: the DeiT head against timm's network and against one written out, attentive probing against torch's attention.

Weights are random. Legend: N images, T tokens, E a token's width, W the transformer's width, H attention heads.
"""

from pathlib import Path

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.parity.published import Tensors, row, size_of, tensors_of, write
from benchmarks.parity.references import positions
from pytest_fmtransfer.adapt import deit_head
from pytest_fmtransfer.adapt.deit_head import DeitHead
from pytest_fmtransfer.adapt.heads import AttentionHead, build_head
from pytest_fmtransfer.catalog.regime_settings import HeadKind
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

TINY = row("imagenet_deitb16", tiny=True)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def tiny_head(folder: Path, tokens: int) -> tuple[DeitHead, Tensors]:
    stored = tensors_of(TINY)
    path = write(TINY, stored, folder)
    head = build_head("deitb", width=20, tokens=tokens, classes=5, seed=3, weights=path, spec=TINY)
    assert isinstance(head, DeitHead)
    return head, stored


def projected(head: DeitHead, tokens_NTE: Tensor) -> Tensor:
    """By the protocol's words: Linear(d → W) and LayerNorm."""
    weight, bias = head.projection.weight, head.projection.bias
    return functional.layer_norm(tokens_NTE @ weight.T + bias, [len(bias)])


def classified(head: DeitHead, class_token_NW: Tensor) -> Tensor:
    return class_token_NW @ head.classifier.weight.T + head.classifier.bias


def written_out(stored: Tensors, heads: int, tokens_NTW: Tensor) -> Tensor:
    """The class token of a vision transformer after its last norm, from the file's tensors alone."""

    def norm(name: str, x: Tensor) -> Tensor:
        x = x - x.mean(dim=-1, keepdim=True)
        x = x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
        return x * stored[f"{name}.weight"] + stored[f"{name}.bias"]

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ stored[f"{name}.weight"].T + stored[f"{name}.bias"]

    side = round(tokens_NTW.shape[1] ** 0.5)
    x = torch.cat([stored["cls_token"].expand(len(tokens_NTW), -1, -1), tokens_NTW], dim=1)
    x = x + positions(stored["pos_embed"], side, side, 0.0)
    for block in (f"blocks.{number}" for number in range(size_of(TINY).depth)):
        qkv = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)).unflatten(-1, (3, heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
        x = x + linear(f"{block}.attn.proj", (weights @ value).transpose(1, 2).flatten(2))
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        x = x + linear(f"{block}.mlp.fc2", hidden)
    return norm("norm", x)[:, 0]


def test_at_196_tokens_it_is_timms_deit_without_its_patch_embedding(tmp_path: Path) -> None:
    head, stored = tiny_head(tmp_path, 196)
    size = size_of(TINY)
    by_timm = timm.create_model(
        "deit_base_patch16_224", num_classes=0, embed_dim=size.width, depth=size.depth, num_heads=size.heads
    )
    by_timm.load_state_dict({name: tensor for name, tensor in stored.items() if not name.startswith("head.")})
    by_timm.patch_embed = nn.Identity()
    tokens_NTE = noise(3, 196, 20)
    expected = classified(head, by_timm(projected(head, tokens_NTE)))
    torch.testing.assert_close(head(tokens_NTE), expected, **CLOSE)


@pytest.mark.parametrize("tokens", [256, 196, 49, 1])
def test_at_any_square_of_tokens_it_is_the_transformer_written_out(tokens: int, tmp_path: Path) -> None:
    head, stored = tiny_head(tmp_path, tokens)
    tokens_NTE = noise(3, tokens, 20)
    expected = classified(head, written_out(stored, size_of(TINY).heads, projected(head, tokens_NTE)))
    torch.testing.assert_close(head(tokens_NTE), expected, **CLOSE)


def test_every_tensor_of_the_deit_head_gets_a_gradient(tmp_path: Path) -> None:
    head, _ = tiny_head(tmp_path, 49)
    head(noise(2, 49, 20)).square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in head.parameters())
    assert head.positions_1TW.shape[1] == 197


def test_the_papers_deit_head_has_twelve_blocks_of_width_768(tmp_path: Path) -> None:
    spec = row("imagenet_deitb16")
    path = write(spec, tensors_of(spec), tmp_path)
    head = build_head("deitb", width=512, tokens=256, classes=14, seed=0, weights=path)
    count = sum(each.numel() for each in head.parameters())
    blocks = 12 * (4 * 768**2 + 4 * 768 + 8 * 768**2 + 5 * 768 + 4 * 768)
    around = 512 * 768 + 3 * 768 + 768 + 197 * 768 + 2 * 768 + 769 * 14
    assert count == blocks + around


def test_a_seed_of_the_deit_head_draws_the_layers_around_the_transformer(tmp_path: Path) -> None:
    path = write(TINY, tensors_of(TINY), tmp_path)

    def weights(seed: int) -> Tensors:
        head = build_head("deitb", width=20, tokens=49, classes=5, seed=seed, weights=path, spec=TINY)
        return head.state_dict()

    first, second, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    moved = {name.partition(".")[0] for name in first if not torch.equal(first[name], other[name])}
    assert moved == {"projection", "classifier"}


def test_a_deit_head_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="imagenet_deitb16; give the path"):
        build_head("deitb", width=20, tokens=49, classes=5, seed=0, weights=None)
    with pytest.raises(InvalidInput, match="50 tokens do not fill a square"):
        tiny_head(tmp_path, 50)
    other = tmp_path / "other.pth"
    torch.save({"model": {"weight": torch.zeros(3)}}, other)
    with pytest.raises(CheckpointMismatch, match="other"):
        deit_head.pretrained(other, width=20, tokens=49, classes=5, spec=TINY)


def test_the_small_head_has_a_place_for_each_token_and_no_resizing() -> None:
    head = build_head("small_random", width=20, tokens=50, classes=5, seed=0)
    assert isinstance(head, DeitHead)
    assert head.positions_1TW.shape == (1, 51, 192)
    assert len(head.blocks) == 2
    network = VisionTransformer(img_size=(5, 10), patch_size=1, embed_dim=192, depth=2, num_heads=3, num_classes=0)
    network.load_state_dict(
        {
            **{name: tensor for name, tensor in head.state_dict().items() if name.startswith(("blocks.", "norm."))},
            "cls_token": head.class_token,
            "pos_embed": head.positions_1TW,
            "patch_embed.proj.weight": network.patch_embed.proj.weight,
            "patch_embed.proj.bias": network.patch_embed.proj.bias,
        }
    )
    network.patch_embed = nn.Identity()
    tokens_NTE = noise(3, 50, 20)
    torch.testing.assert_close(head(tokens_NTE), classified(head, network(projected(head, tokens_NTE))), **CLOSE)


@pytest.mark.parametrize("width", [20, 128, 192])
def test_attentive_probing_is_multi_head_attention_with_a_learned_query(width: int) -> None:
    """torch's attention, its query and key projections multiplied to the vectors that the head learns."""
    head = AttentionHead(width, 5)
    with torch.no_grad():
        head.queries_HE.mul_(20)  # so that attention is far from uniform
    heads = len(head.queries_HE)
    attention = nn.MultiheadAttention(width, heads, bias=False, batch_first=True, kdim=width, vdim=width)
    share = width // heads
    query_E, tokens_NTE = noise(width), noise(3, 7, width)
    with torch.no_grad():
        # Key projection of a head: one row that holds the learned vector, met by a query whose entry there is one.
        keys = torch.zeros(heads, share, width)
        keys[:, 0] = head.queries_HE * share**0.5
        queries = torch.zeros(heads, share, width)
        queries[:, 0] = query_E / query_E.square().sum()
        values = head.values_HEV.transpose(1, 2).flatten(0, 1)
        attention.in_proj_weight.copy_(torch.cat([queries.flatten(0, 1), keys.flatten(0, 1), values]))
        attention.out_proj.weight.copy_(torch.eye(width))
    normal = functional.layer_norm(tokens_NTE, [width])
    pooled, weights = attention(query_E.expand(3, 1, width), normal, normal)
    assert (weights.max() - weights.min()) > 0.1
    expected = head.classifier(head.norm(pooled[:, 0]))
    torch.testing.assert_close(head(tokens_NTE), expected, **CLOSE)


def test_attentive_probing_has_a_head_for_every_64_of_width() -> None:
    assert {width: len(AttentionHead(width, 2).queries_HE) for width in (20, 64, 192, 768, 1280)} == {
        20: 1,
        64: 1,
        192: 3,
        768: 12,
        1280: 20,
    }


@pytest.mark.parametrize("kind", ["linear", "attention", "small_random"])
def test_a_seed_gives_the_same_weights_whatever_was_drawn_before(kind: HeadKind) -> None:
    def weights(seed: int) -> Tensors:
        return build_head(kind, width=24, tokens=9, classes=3, seed=seed).state_dict()

    torch.manual_seed(8)
    first, after = weights(0), torch.rand(3)
    torch.manual_seed(8)
    torch.testing.assert_close(torch.rand(3), after)  # and what is drawn after is as it would have been
    second, other = weights(0), weights(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_an_unknown_head_is_answered_with_a_near_one() -> None:
    with pytest.raises(InvalidInput, match="did you mean deitb"):
        build_head("deit_b", width=24, tokens=9, classes=3, seed=0)  # pyright: ignore[reportArgumentType]
