"""A backbone that a user names in one line, `NAME=SOURCE:REF[,key=value…]`, becomes a row of the catalogue."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

from pytest_fmtransfer.catalog.normalisation import IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.preprocessor import SIZE, Preprocessor, Triple, following
from pytest_fmtransfer.catalog.specs import (
    BackboneSpec,
    FileWeights,
    Library,
    OwnInput,
    OwnWeights,
    PublishedWeights,
    Weights,
)
from pytest_fmtransfer.catalog.transformers_input import preprocessor_in
from pytest_fmtransfer.cell import check_name
from pytest_fmtransfer.errors import InvalidInput, nearest

Source = Literal["timm", "open_clip", "hf", "py"]
SOURCES: tuple[Source, ...] = get_args(Source)
_LIBRARIES: dict[Source, Library] = {
    "timm": "timm",
    "open_clip": "open_clip",
    "hf": "transformers",
    "py": "python",
}
# What follows each source, and how a wrong one is answered.
_REFERENCES: dict[Source, tuple[str, str]] = {
    "timm": (r"\S+", "timm:resnet18"),
    "open_clip": (r"[^/\s]+/[^/\s]+", "open_clip:ViT-B-16/laion2b_s34b_b88k"),
    "hf": (r".*\S.*", "hf:facebook/dinov2-base or hf:./folder"),
    "py": (r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", "py:module:function"),
}
FORM = "write NAME=SOURCE:REF[,weights=FILE][,size=PIXELS][,mean=M][,std=S], as in mine=timm:resnet18,weights=mine.pt"


@dataclass(frozen=True, kw_only=True)
class UserBackbone:
    """What the line says. `str` gives the line again; `row` is the backbone's row.

    `size` is the square side of the input in pixels; `mean` and `std` are per channel, for inputs in [0, 1]. What is
    None is what a folder of transformers says of its images, else 224 pixels and ImageNet's.
    """

    name: str
    source: Source
    ref: str
    weights: Path | None = None
    size: int | None = None
    mean: Triple | None = None
    std: Triple | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidInput for a line that cannot be used, with what to write."""
        first, *options = text.split(",")
        name, equals, origin = first.partition("=")
        source, colon, ref = origin.partition(":")
        if not equals or not colon:
            raise InvalidInput(FORM)
        check_name("backbone", name)
        if source not in SOURCES:
            raise InvalidInput(f"no source {source!r}; {nearest(source, SOURCES)}")
        pattern, example = _REFERENCES[source]
        if not re.fullmatch(pattern, ref):
            raise InvalidInput(f"{ref!r} is nothing to find with {source}; write {example}")
        given: dict[str, Any] = {}
        for option in options:
            key, equals, value = option.partition("=")
            if key not in _OPTIONS:
                hint = "" if equals else " (a comma cannot stand in a file's name here)"
                raise InvalidInput(f"no option {key!r}; {nearest(key, _OPTIONS)}{hint}")
            if key in given:
                raise InvalidInput(f"{key}= stands twice; give it once")
            read, form = _OPTIONS[key]
            try:
                given[key] = read(value)
            except ValueError:
                raise InvalidInput(f"{option!r}; write {form}") from None
        return cls(name=name, source=source, ref=ref, **given)

    def __str__(self) -> str:
        parts = [f"{self.name}={self.source}:{self.ref}"]
        parts += [] if self.weights is None else [f"weights={self.weights}"]
        parts += [] if self.size is None else [f"size={self.size}"]
        parts += [] if self.mean is None else [f"mean={_slashed(self.mean)}"]
        parts += [] if self.std is None else [f"std={_slashed(self.std)}"]
        return ",".join(parts)

    @property
    def row(self) -> BackboneSpec:
        """The row; a file that is named relative to where the user stands is named in full.

        Its input is what the user says, and of a folder what its files say. What else the model's own files or its
        library say is found when it is used (`pytest_fmtransfer.backbones.inputs`). Raises InvalidInput for a
        transformers folder whose files say what cannot be done, or nothing.
        """
        weights = self._weights
        own = OwnInput(
            size=self.size,
            mean=self.mean,
            std=self.std,
            tag=self.ref.partition("/")[2] if self.source == "open_clip" else "",
            weights=weights if isinstance(weights, PublishedWeights | FileWeights) else None,
        )
        said = preprocessor_in(self._folder, own.given) if self._folder else Preprocessor()
        row = BackboneSpec(
            name=self.name,
            library=_LIBRARIES[self.source],
            architecture=self._architecture,
            weights=weights,
            image_size=SIZE,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            licence="the user's own",
            source=f"given by the user as {self.source}:{self.ref}",
        )
        row = following(row, said, own)
        return row if self.source != "py" else replace(row, own_input=None)

    @property
    def _architecture(self) -> str:
        if self.source == "open_clip":
            return self.ref.partition("/")[0]
        return f"hf:{self._folder or self.ref}" if self.source == "hf" else self.ref

    @property
    def _folder(self) -> Path | None:
        """A transformers folder of the user's; a repository's name is `owner/name`."""
        here = self.ref.startswith((".", "/", "~")) or Path(self.ref).is_absolute()
        return Path(self.ref).expanduser().absolute() if self.source == "hf" and here else None

    @property
    def _weights(self) -> Weights:
        if (own := self.weights or self._folder) is not None:
            return FileWeights(path=own.expanduser().absolute())
        if self.source == "py":
            return OwnWeights()
        hub = "https://huggingface.co"
        if self.source == "timm":  # as the row `timm.<name>` has it
            return PublishedWeights(file=f"{self.ref}.pth", url=f"{hub}/timm?search_models={self.ref}")
        # Every model of a hub has the same file name, so each has a folder of its own.
        if self.source == "hf":
            return PublishedWeights(file=f"{self.ref}/model.safetensors", url=f"{hub}/{self.ref}")
        tag = self.ref.partition("/")[2]
        return PublishedWeights(
            file=f"open_clip/{self.ref}/open_clip_model.safetensors",
            url=f"{hub}/models?library=open_clip&search={tag}",
        )


def _file(text: str) -> Path:
    if not text:
        raise ValueError
    return Path(text)


def _pixels(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError
    return int(text)


def _mean(text: str) -> Triple:
    """One number for every channel, or three. Raises ValueError for other texts."""
    numbers = tuple(float(part) for part in text.split("/"))
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise ValueError
    return cast(Triple, numbers * 3 if len(numbers) == 1 else numbers)


def _mean_in_range(text: str) -> Triple:
    numbers = _mean(text)
    if not all(abs(each) <= 1 for each in numbers):  # of inputs in [0, 1]; of bytes, 127 is meant as 0.498
        raise ValueError
    return numbers


def _std(text: str) -> Triple:
    numbers = _mean(text)
    if not all(0 < each <= 10 for each in numbers):
        raise ValueError
    return numbers


_OPTIONS: dict[str, tuple[Callable[[str], object], str]] = {
    "weights": (_file, "weights=FILE"),
    "size": (_pixels, "size=224, a whole number of pixels"),
    "mean": (
        _mean_in_range,
        "one number or three, of inputs from 0 to 1, as in mean=0.5 or mean=0.485/0.456/0.406; 127 of 255 is 0.498",
    ),
    "std": (_std, "one number or three, of inputs from 0 to 1 and above 0, as in std=0.5 or std=0.229/0.224/0.225"),
}


def _slashed(numbers: Triple) -> str:
    return "/".join(map(repr, numbers))
