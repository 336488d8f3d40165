"""The text towers of OpenCLIP and BLIP: the publisher's file loads strictly, and gives what a second implementation
gives.

Weights are random and in the publishers' names; architectures are tiny.

Legend: M texts, N images, T tokens, E a token's width, H heads, D the width of the shared space.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import BertTokenizer, BlipConfig, BlipForImageTextRetrieval

from benchmarks.parity.published import row as published_row
from benchmarks.parity.published import tensors_of, write
from pytest_fmtransfer.backbones import open_clip as clip
from pytest_fmtransfer.backbones import text_towers
from pytest_fmtransfer.backbones import transformers as hugging
from pytest_fmtransfer.backbones.blip_text import config_of
from pytest_fmtransfer.backbones.text_towers import TextTower
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput
from pytest_fmtransfer.places import Places
from tests.text_sides import DEPTH, HEADS, LINES, SHARED, VISION, WIDTH, blip_tensors, write_blip, write_vocabulary

CLIP, BLIP = published_row("openclip_vitb16", tiny=True), published_row("blip_vitb16", tiny=True)
TEXTS = ("a medical image of a tumour.", "an apple", "H&E stained, cancer-associated naïve é's 3 µm", "pear")


def clip_tower(folder: Path) -> tuple[TextTower, Path]:
    path = write(CLIP, tensors_of(CLIP), folder)
    return text_towers.build(CLIP, path, None), path


def blip_tower(folder: Path) -> TextTower:
    return text_towers.build(BLIP, write_blip(BLIP, folder), write_vocabulary(folder))


def test_openclips_texts_are_those_of_the_library(tmp_path: Path) -> None:
    tower, path = clip_tower(tmp_path)
    model, tokenizer = clip.build_model(CLIP, path), open_clip.get_tokenizer("ViT-B-16")
    with torch.no_grad():
        expected_MD, scale = model.encode_text(tokenizer(list(TEXTS)), normalize=True), model.logit_scale.exp().item()
    torch.testing.assert_close(tower.texts(TEXTS, of="it"), expected_MD)
    assert tower.scale == pytest.approx(scale)


def test_openclips_images_are_in_the_shared_space_already(tmp_path: Path) -> None:
    tower, path = clip_tower(tmp_path)
    pixels_NCSS = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected_ND = clip.build_model(CLIP, path).encode_image(pixels_NCSS, normalize=True)
        pooled_NE = clip.build(CLIP, path)(pixels_NCSS).pooled_ND
    torch.testing.assert_close(tower.images(pooled_NE), expected_ND, rtol=2e-5, atol=2e-5)


def by_algebra(stored: dict[str, Tensor], tokens: Sequence[int]) -> Tensor:
    """One text without padding, by the authors' names alone: models/med.py in mode 'text'."""

    def linear(name: str, rows: Tensor) -> Tensor:
        return rows @ stored[f"{name}.weight"].T + stored[f"{name}.bias"]

    def norm(name: str, rows: Tensor) -> Tensor:
        mean, variance = rows.mean(-1, keepdim=True), rows.var(-1, unbiased=False, keepdim=True)
        return (rows - mean) / (variance + 1e-12).sqrt() * stored[f"{name}.weight"] + stored[f"{name}.bias"]

    words, places = (stored[f"text_encoder.embeddings.{kind}_embeddings.weight"] for kind in ("word", "position"))
    rows_TE = norm("text_encoder.embeddings.LayerNorm", words[list(tokens)] + places[: len(tokens)])
    for block in (f"text_encoder.encoder.layer.{number}" for number in range(DEPTH)):
        query, key, value = (
            linear(f"{block}.attention.self.{each}", rows_TE).unflatten(-1, (HEADS, -1)).transpose(0, 1)
            for each in ("query", "key", "value")
        )
        weights_HTT = (query @ key.transpose(1, 2) / (WIDTH / HEADS) ** 0.5).softmax(dim=-1)
        seen_TE = (weights_HTT @ value).transpose(0, 1).flatten(1)
        rows_TE = norm(
            f"{block}.attention.output.LayerNorm", rows_TE + linear(f"{block}.attention.output.dense", seen_TE)
        )
        wide = linear(f"{block}.intermediate.dense", rows_TE)
        wide = wide * 0.5 * (1 + torch.erf(wide / 2**0.5))
        rows_TE = norm(f"{block}.output.LayerNorm", rows_TE + linear(f"{block}.output.dense", wide))
    return functional.normalize(linear("text_proj", rows_TE[0]), dim=0)


def test_blips_texts_are_those_of_its_authors_formulas(tmp_path: Path) -> None:
    tower, stored = blip_tower(tmp_path), blip_tensors(BLIP)
    expected_MD = torch.stack([by_algebra(stored, each) for each in tower.tokens(TEXTS)])
    torch.testing.assert_close(tower.texts(TEXTS, of="it"), expected_MD, rtol=2e-5, atol=2e-5)
    assert tower.scale == pytest.approx(20)  # the temperature of the file is .05


def test_blips_cosines_are_those_of_transformers(tmp_path: Path) -> None:
    tower, stored, backbone = blip_tower(tmp_path), blip_tensors(BLIP), hugging.build(BLIP, write_blip(BLIP, tmp_path))
    text = {
        "hidden_size": WIDTH,
        "encoder_hidden_size": VISION,
        "num_hidden_layers": DEPTH,
        "vocab_size": len(LINES) + 2,
    }
    text |= {"num_attention_heads": HEADS, "intermediate_size": 4 * WIDTH}
    config = BlipConfig(
        text_config=text, vision_config=backbone.network.config.to_dict(), image_text_hidden_size=SHARED
    )
    whole = BlipForImageTextRetrieval(config).eval()
    whole.vision_model.load_state_dict(backbone.network.state_dict())
    for name in ("text_encoder", "text_proj", "vision_proj", "itm_head"):
        part = {key.removeprefix(f"{name}."): each for key, each in stored.items() if key.startswith(f"{name}.")}
        part.pop("embeddings.position_ids", None)
        getattr(whole, name).load_state_dict(part, strict=True)
    tokens = BertTokenizer(vocab={word: at for at, word in enumerate(LINES)})(
        list(TEXTS), padding=True, return_tensors="pt"
    )
    pixels_NCSS = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected_NM = whole(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=pixels_NCSS,
            use_itm_head=False,
        ).itm_score
        pooled_NE = backbone(pixels_NCSS).pooled_ND
    found_NM = tower.images(pooled_NE) @ tower.texts(TEXTS, of="it").T
    torch.testing.assert_close(found_NM, expected_NM, rtol=2e-5, atol=2e-5)


def test_blip_reads_words_as_transformers_does(tmp_path: Path) -> None:
    by_library = BertTokenizer(vocab={word: at for at, word in enumerate(LINES)})
    assert [list(each) for each in blip_tower(tmp_path).tokens(TEXTS)] == by_library(list(TEXTS)).input_ids


def test_a_vocabulary_with_windows_line_ends_is_the_same(tmp_path: Path) -> None:
    tower, file = blip_tower(tmp_path), tmp_path / "vocab.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert text_towers.build(BLIP, tmp_path / "model_base.pth", file).tokens(TEXTS) == tower.tokens(TEXTS)


@pytest.mark.parametrize(
    "tensor",
    [
        "text_encoder.embeddings.position_embeddings.weight",
        "text_encoder.encoder.layer.1.crossattention.self.key.weight",
        "text_proj.bias",
        "vision_proj.weight",
        "temp",
    ],
)
def test_blips_text_side_fits_to_the_last_tensor(tensor: str, tmp_path: Path) -> None:
    vocabulary = write_vocabulary(tmp_path)
    with pytest.raises(CheckpointMismatch, match=f"{tensor!r} of the architecture is not in the file"):
        text_towers.build(BLIP, write_blip(BLIP, tmp_path, {tensor: None}), vocabulary)
    with pytest.raises(CheckpointMismatch, match=f"{tensor!r} has shape \\(7,\\)"):
        text_towers.build(BLIP, write_blip(BLIP, tmp_path, {tensor: torch.zeros(7)}), vocabulary)


def test_a_tensor_that_the_text_side_has_no_place_for_is_named(tmp_path: Path) -> None:
    path = write_blip(BLIP, tmp_path, {"text_encoder.pooler.dense.weight": torch.zeros(7)})
    with pytest.raises(CheckpointMismatch, match=r"'text_encoder\.pooler\.dense\.weight' of the file"):
        text_towers.build(BLIP, path, write_vocabulary(tmp_path))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (LINES[:-1], rf"has {len(LINES) - 1} lines, and the text tower in .* a vocabulary of {len(LINES)}; put"),
        (LINES[:2] + LINES[4:], r"lacks \[CLS\], \[SEP\]; put"),
        (LINES[1:] + LINES[:1], r"does not begin with \[PAD\]; put"),
    ],
)
def test_another_vocabulary_than_the_trained_one_is_refused(lines: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=said):
        text_towers.build(BLIP, write_blip(BLIP, tmp_path), write_vocabulary(tmp_path, lines))


def test_a_file_that_is_no_text_is_no_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointMismatch, match=r"is no text; put bert-base-uncased's vocab\.txt there"):
        text_towers.build(BLIP, write_blip(BLIP, tmp_path), tmp_path / "vocab.txt")


@pytest.mark.parametrize("spec", [CLIP, BLIP], ids=lambda spec: spec.name)
def test_a_text_alone_is_the_same_among_many(spec: BackboneSpec, tmp_path: Path) -> None:
    tower = clip_tower(tmp_path)[0] if spec is CLIP else blip_tower(tmp_path)
    many_MD = tower.texts(TEXTS * 20, of="it")
    assert many_MD.shape == (4 * 20, 48 if spec is CLIP else SHARED)
    torch.testing.assert_close(many_MD.norm(dim=1), torch.ones(80))
    for text, expected_D in zip(TEXTS, many_MD[-4:], strict=True):
        torch.testing.assert_close(tower.texts([text], of="it")[0], expected_D, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spec", [CLIP, BLIP], ids=lambda spec: spec.name)
def test_a_text_that_is_too_long_is_not_cut(spec: BackboneSpec, tmp_path: Path) -> None:
    tower = clip_tower(tmp_path)[0] if spec is CLIP else blip_tower(tmp_path)
    fits = "a " * (tower.longest - 2)
    assert len(tower.texts([fits], of="it")) == 1
    with pytest.raises(InvalidInput, match=f"of it reads {tower.longest} tokens, and .* has {tower.longest + 1}"):
        tower.texts([f"{fits} a"], of="it")


@pytest.mark.parametrize("spec", [CLIP, BLIP], ids=lambda spec: spec.name)
def test_a_random_text_tower_is_seeded_and_not_the_published_one(spec: BackboneSpec, tmp_path: Path) -> None:
    twin, vocabulary = replace(spec, weights=RandomWeights()), write_vocabulary(tmp_path)
    first, again = (text_towers.build(twin, None, vocabulary).texts(TEXTS, of="it") for _ in range(2))
    assert torch.equal(first, again)
    published = clip_tower(tmp_path)[0] if spec is CLIP else blip_tower(tmp_path)
    assert not torch.allclose(first, published.texts(TEXTS, of="it"), atol=0.1)


@pytest.mark.parametrize(("name", "image_width"), [("blip_vitb16", 768), ("blip_vitl16", 1024)])
def test_blips_text_encoder_is_berts_base_whatever_the_image_encoder(name: str, image_width: int) -> None:
    config = config_of(Registry().backbone(name), 30522)
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (30524, 768, 12)
    assert (config.num_attention_heads, config.max_position_embeddings, config.layer_norm_eps) == (12, 512, 1e-12)
    assert config.encoder_hidden_size == image_width


def test_a_model_that_reads_by_another_vocabulary_is_refused(tmp_path: Path) -> None:
    spec = replace(CLIP, architecture="roberta-ViT-B-32", weights=RandomWeights())
    with pytest.raises(InvalidInput, match="reads text by roberta-base, not by CLIP's own vocabulary"):
        text_towers.build(spec, None, None)


def test_a_backbone_without_a_text_tower_says_who_has_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="dinov2_vitb14 has no text tower; name an OpenCLIP or a BLIP backbone"):
        text_towers.text_tower(Registry().backbone("dinov2_vitb14"), Places(store=tmp_path))
