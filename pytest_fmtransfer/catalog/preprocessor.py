"""What a model's own files say of the images that it takes, and a row of the catalogue that follows them."""

from dataclasses import dataclass, replace
from typing import Literal

from pytest_fmtransfer.catalog.normalisation import IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, Fit, Framing, Interpolation, OwnInput

Triple = tuple[float, float, float]
SIZE = 224
INTERPOLATIONS: dict[str, Interpolation] = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
    "box": "box",
    "hamming": "hamming",
}


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """Side of the square input in pixels, mean and deviation of red, green and blue for inputs in [0, 1], and how an
    image becomes the square; None: not said.
    """

    size: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    fit: Fit | None = None
    crop: float | None = None
    interpolation: Interpolation | None = None
    fill: tuple[int, int, int] = (0, 0, 0)
    channel_order: Literal["RGB", "BGR"] = "RGB"
    activation: str = ""


def following(spec: BackboneSpec, said: Preprocessor, own: OwnInput) -> BackboneSpec:
    """The row with the input that its model's files ask for, where the user does not ask for another.

    A size of the user's is a square to which images are stretched: files that say how to reach a size, and what to cut
    out there, mean their own. What nobody says is 224 pixels, ImageNet's mean and deviation, and bicubic.
    """
    usual = Framing()
    framing = Framing(
        fit=said.fit if said.fit is not None and own.size is None else usual.fit,
        crop=said.crop if said.crop is not None and own.size is None else usual.crop,
        interpolation=said.interpolation or usual.interpolation,
        fill=said.fill if own.size is None else usual.fill,
    )
    return replace(
        spec,
        image_size=own.size or said.size or SIZE,
        mean=own.mean or said.mean or IMAGENET_MEAN,
        std=own.std or said.std or IMAGENET_STD,
        framing=framing,
        channel_order=said.channel_order,
        activation=said.activation,
        own_input=own,
    )
