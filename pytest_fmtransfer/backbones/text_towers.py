"""Texts in the space in which a backbone's images are compared with them.

Legend: M texts, N images, D the width of the shared space, E the width of a pooled embedding.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.computing import computing
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.text_places import tower_of, vocabulary_file

BATCH = 32


class TextTower(nn.Module, ABC):
    """The text side of a backbone, in evaluation mode and float32. `longest` is how many tokens it reads."""

    longest: int

    @property
    @abstractmethod
    def scale(self) -> float:
        """What a cosine is multiplied by to become a logit: the inverse of the temperature that was learnt."""

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Of each text, the first and the last token included; none is cut."""

    @abstractmethod
    def encode(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Texts by their tokens, M × D, not yet of unit length."""

    @abstractmethod
    def project(self, pooled_NE: Tensor) -> Tensor:
        """A backbone's pooled embeddings in the shared space, N × D, not yet of unit length."""

    def texts(self, texts: Sequence[str], *, of: str) -> Tensor:
        """Unit vectors, M × D. Raises InvalidInput, naming `of`, for a text that is longer than what was trained."""
        tokens = self.tokens(texts)
        for text, each in zip(texts, tokens, strict=True):
            if len(each) > self.longest:
                raise InvalidInput(
                    f"the text tower of {of} reads {self.longest} tokens, and {text!r} has {len(each)}; shorten the "
                    "template or the phrase"
                )
        done: list[Tensor] = []
        with computing("float32"), progress(f"{of} texts", total=len(texts), unit="text") as bar:
            for start in range(0, len(tokens), BATCH):
                batch = tokens[start : start + BATCH]
                done.append(_unit(self.encode(batch)))
                bar.update(len(batch))
        return torch.cat(done)

    def images(self, pooled_NE: Tensor) -> Tensor:
        """Unit vectors, N × D, of pooled embeddings."""
        with computing("float32"):
            return _unit(self.project(pooled_NE))


def text_tower(spec: BackboneSpec, places: Places) -> TextTower:
    """The text tower of a backbone that has one.

    Raises Unavailable, with the remedy, when its weights or its vocabulary are not here, CheckpointMismatch when they
    do not fit, InvalidInput for a backbone without a text tower.
    """
    module = tower_of(spec)
    if module is None:
        raise InvalidInput(f"{spec.name} has no text tower; name an OpenCLIP or a BLIP backbone")
    vocabulary = vocabulary_file(spec, places) if module == "blip_text" else None
    return build(spec, weights_file(spec, places), vocabulary)


def build(spec: BackboneSpec, weights: Path | None, vocabulary: Path | None) -> TextTower:
    """As `text_tower`, from files."""
    tower: TextTower = import_module(f"pytest_fmtransfer.backbones.{tower_of(spec)}").build(spec, weights, vocabulary)
    return tower.requires_grad_(False).eval()


def _unit(rows_MD: Tensor) -> Tensor:
    return nn.functional.normalize(rows_MD.float(), dim=-1)
