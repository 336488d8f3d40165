"""BLIP's text side as its authors publish it, at tiny width with random weights, and a vocabulary to go with it.

Names and shapes after Li et al. 2022, models/blip_pretrain.py and models/med.py: the encoder with its cross attention
and its counter of positions, projections, temperature, matching head, momentum copies, queues, and a decoder.

Legend: E a token's width of the text side, V of the image side, D the width of the shared space.
"""

import string
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.parity.published import TINY, drawn, tensors_of, write
from pytest_fmtransfer.catalog.specs import BackboneSpec

WIDTH, DEPTH, HEADS, SHARED, POSITIONS = 48, 2, 4, 16, 512
WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(string.ascii_lowercase + string.digits + ".,-&'"),
    *(f"##{letter}" for letter in string.ascii_lowercase + string.digits),
    *("a", "of", "image", "medical", "tumour", "##our", "apple", "pear"),
)
LINES = tuple(dict.fromkeys(WORDS))
VISION = TINY["transformers"].width


def write_vocabulary(folder: Path, lines: tuple[str, ...] = LINES) -> Path:
    path = folder / "vocab.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def blip_tensors(spec: BackboneSpec, words: int = len(LINES)) -> dict[str, Tensor]:
    """All that the authors' file of a tiny BLIP holds."""
    sides = tensors_of(spec) | _encoder("text_encoder", words) | _encoder("text_encoder_m", words, plus=1.0)
    heads = drawn(
        {
            "text_proj.weight": (SHARED, WIDTH),
            "text_proj.bias": (SHARED,),
            "vision_proj.weight": (SHARED, VISION),
            "vision_proj.bias": (SHARED,),
            "itm_head.weight": (2, WIDTH),
            "itm_head.bias": (2,),
            "image_queue": (SHARED, 8),
            "text_queue": (SHARED, 8),
            "text_decoder.cls.predictions.bias": (words + 2,),
        }
    )
    momentum = {
        f"{part}_m.{kind}": heads[f"{part}.{kind}"] + 1
        for part in ("text_proj", "vision_proj")
        for kind in ("weight", "bias")
    }
    return {**sides, **heads, **momentum, "temp": torch.tensor(0.05), "queue_ptr": torch.zeros(1, dtype=torch.long)}


def write_blip(spec: BackboneSpec, folder: Path, change: Mapping[str, Tensor | None] | None = None) -> Path:
    """The authors' file; tensors of `change` stand in for its own, and None takes one out."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {**blip_tensors(spec), **(change or {})}
    return write(spec, {name: each for name, each in tensors.items() if each is not None}, folder)


def _encoder(prefix: str, words: int, plus: float = 0.0) -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (words + 2, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }

    def layer(name: str, out: int, given: int, normed: bool = False) -> None:
        shapes.update({f"{name}.weight": (out, given), f"{name}.bias": (out,)})
        if normed:
            norm = f"{name.removesuffix('.dense')}.LayerNorm"
            shapes.update({f"{norm}.weight": (out,), f"{norm}.bias": (out,)})

    for block in (f"encoder.layer.{number}" for number in range(DEPTH)):
        for kind, seen in (("attention", WIDTH), ("crossattention", VISION)):
            layer(f"{block}.{kind}.self.query", WIDTH, WIDTH)
            layer(f"{block}.{kind}.self.key", WIDTH, seen)
            layer(f"{block}.{kind}.self.value", WIDTH, seen)
            layer(f"{block}.{kind}.output.dense", WIDTH, WIDTH, normed=True)
        layer(f"{block}.intermediate.dense", 4 * WIDTH, WIDTH)
        layer(f"{block}.output.dense", WIDTH, 4 * WIDTH, normed=True)
    tensors = {f"{prefix}.{name}": tensor + plus for name, tensor in drawn(shapes).items()}
    return tensors | {f"{prefix}.embeddings.position_ids": torch.arange(POSITIONS).unsqueeze(0)}
