"""The text towers of OpenCLIP, which read by the vocabulary that the library ships.

Legend: M texts, N images, D the width of the shared space.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.open_clip import build_model, hushed, open_clip
from pytest_fmtransfer.backbones.text_towers import TextTower
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.text_places import foreign_tokenizer


class OpenClipText(TextTower):
    """Both towers' model; the pooled embedding of its images is in the shared space already."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        model.visual = nn.Identity()  # built elsewhere; the largest is 2.5 GB
        self._model, self._tokenizer, self.longest = model, tokenizer, model.context_length

    @property
    def scale(self) -> float:
        return float(self._model.logit_scale.exp())

    def tokens(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        first, last = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        return [[first, *self._tokenizer.encode(text), last] for text in texts]

    def encode(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        padded_MT = torch.zeros(len(tokens), self.longest, dtype=torch.long)
        for row, each in enumerate(tokens):
            padded_MT[row, : len(each)] = torch.tensor(each)
        return self._model.encode_text(padded_MT)

    def project(self, pooled_NE: Tensor) -> Tensor:
        return pooled_NE


def build(spec: BackboneSpec, weights: Path | None, vocabulary: Path | None) -> OpenClipText:
    """The text tower with its weights.

    Raises as `open_clip.build_model` does, and InvalidInput for a model that reads by another vocabulary than CLIP's.
    """
    del vocabulary  # it is in the library
    if foreign := foreign_tokenizer(spec):
        raise InvalidInput(f"{spec.architecture} reads text by {foreign}, not by CLIP's own vocabulary; name ViT-B-16")
    model = build_model(spec, weights)
    with hushed():
        tokenizer = open_clip.get_tokenizer(spec.architecture)
    return OpenClipText(model, tokenizer)
