"""BLIP's text encoder as its contrastive loss uses it: a BERT that does not look at the image.

Texts begin with [CLS]; the encoder's own token for looking at an image, [ENC], and the decoder's, [DEC], follow the
vocabulary of BERT and stand in no text here. The file has cross attention between the layers, which this mode passes
over. After Li et al. 2022, models/blip_pretrain.py and models/med.py.

Legend: M texts, N images, T tokens, D the width of the shared space, E the width of a pooled embedding.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel

from pytest_fmtransfer.backbones.base import seeded
from pytest_fmtransfer.backbones.blip import INSIDE
from pytest_fmtransfer.backbones.checkpoints import load_tensors, read_tensors
from pytest_fmtransfer.backbones.text_towers import TextTower
from pytest_fmtransfer.backbones.transformers import blip_width
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import CheckpointMismatch
from pytest_fmtransfer.text_places import VOCABULARY

# Width, depth and heads of the text encoder, and the width of the shared space: configs/bert_config.json.
_SIZE, _TINY = (768, 12, 12, 256), (48, 2, 4, 16)
_ADDED = 2  # [DEC] and [ENC]
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_TEMPERATURE = 0.07
_WORDS = "text_encoder.embeddings.word_embeddings.weight"
_COUNTER = "text_encoder.embeddings.position_ids"  # 0, 1, 2 … in the file; the library keeps them elsewhere


class BlipText(TextTower):
    """Its parts are called as in the publisher's file."""

    def __init__(self, config: BlipTextConfig, shared: int, vocabulary: Path) -> None:
        super().__init__()
        self.text_encoder = BlipTextModel(config, add_pooling_layer=False)
        self.text_proj = nn.Linear(config.hidden_size, shared)
        self.vision_proj = nn.Linear(config.encoder_hidden_size, shared)
        self.temp = nn.Parameter(torch.tensor(_TEMPERATURE))
        self.longest = config.max_position_embeddings
        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)

    @property
    def scale(self) -> float:
        return 1 / float(self.temp)

    def tokens(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        # One by one: a batch would start threads, of which the library complains when a worker is forked later.
        return [self._tokenizer.encode(text).ids for text in texts]

    def encode(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        shape = (len(tokens), max(map(len, tokens)))
        ids_MT, read_MT = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        for row, each in enumerate(tokens):
            ids_MT[row, : len(each)], read_MT[row, : len(each)] = torch.tensor(each), 1
        last_MTE = self.text_encoder(input_ids=ids_MT, attention_mask=read_MT).last_hidden_state
        return self.text_proj(last_MTE[:, 0])

    def project(self, pooled_NE: Tensor) -> Tensor:
        return self.vision_proj(pooled_NE)


def build(spec: BackboneSpec, weights: Path | None, vocabulary: Path | None) -> BlipText:
    """The text tower with its weights; both projections are in the same file.

    Raises CheckpointMismatch when the file does not fit, to the last tensor of the text side, and for a vocabulary
    that is not the one it was trained with.
    """
    assert vocabulary is not None, "whoever builds it has found one"
    words = _checked(vocabulary)
    with seeded(spec):
        tower = BlipText(config_of(spec, words), _size(spec)[-1], vocabulary)
    if weights is not None:
        tensors = _text_side(read_tensors(weights, INSIDE))
        if _WORDS in tensors and len(tensors[_WORDS]) != words + _ADDED:
            raise CheckpointMismatch(
                f"{vocabulary} has {words} lines, and the text tower in {weights} reads by a vocabulary of "
                f"{len(tensors[_WORDS]) - _ADDED}; {_RESTORE}"
            )
        load_tensors(tower, tensors, {}, weights)
    return tower


def config_of(spec: BackboneSpec, words: int) -> BlipTextConfig:
    """Of the text encoder with a vocabulary of so many words: the same for every size of image encoder."""
    width, depth, heads, _ = _size(spec)
    return BlipTextConfig(
        vocab_size=words + _ADDED,
        hidden_size=width,
        encoder_hidden_size=blip_width(spec),
        intermediate_size=4 * width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
    )


def _size(spec: BackboneSpec) -> tuple[int, int, int, int]:
    return _TINY if spec.tiny else _SIZE


_RESTORE = f"put bert-base-uncased's {VOCABULARY.file} there, from {VOCABULARY.url}"


def _text_side(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the momentum copies beside it, `text_encoder_m.` and the like, and what other losses use."""
    parts = ("text_encoder.", "text_proj.", "vision_proj.")
    return {
        name: tensor
        for name, tensor in tensors.items()
        if (name.startswith(parts) and name != _COUNTER) or name == "temp"
    }


def _checked(vocabulary: Path) -> int:
    """How many lines a vocabulary has. Raises CheckpointMismatch for a file that is none."""
    try:
        lines = [line.rstrip() for line in vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    except UnicodeDecodeError as error:
        raise CheckpointMismatch(f"{vocabulary} is no text; {_RESTORE}") from error
    lacking = [token for token in _SPECIAL if token not in lines]
    if lacking or lines[0] != _SPECIAL[0]:  # a text is padded with word 0
        wrong = f"lacks {', '.join(lacking)}" if lacking else f"does not begin with {_SPECIAL[0]}"
        raise CheckpointMismatch(f"{vocabulary} is no vocabulary of BERT: it {wrong}; {_RESTORE}")
    return len(lines)
