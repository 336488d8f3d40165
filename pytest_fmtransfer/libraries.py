"""The distributions whose version can move a score, as each part of a cell declares them.

Results name the versions, and are computed again when one changes. A test runs cells and holds what is declared here
against what was called (`tests/test_libraries.py`).
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from pytest_fmtransfer.availability import DISTRIBUTIONS, READS_WITH
from pytest_fmtransfer.catalog.regime_settings import (
    FewShotSettings,
    LinearProbeSettings,
    RegimeSettings,
    TrainingSettings,
)
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec, NoWeights
from pytest_fmtransfer.text_places import Tower

_TOWERS: Mapping[Tower, tuple[str, ...]] = {
    # CLIP's own vocabulary is read by these two.
    "open_clip_text": ("torch", "open_clip_torch", "ftfy", "regex"),
    "blip_text": ("torch", "transformers", "tokenizers"),
}


def of_backbone(spec: BackboneSpec) -> tuple[str, ...]:
    """From an image's pixels to features."""
    if isinstance(spec.weights, NoWeights):
        return ("pillow",)
    own = DISTRIBUTIONS.get(spec.library)
    return ("torch", "timm", "pillow", *([own] if own else []))


def of_tower(tower: Tower) -> tuple[str, ...]:
    """From a prompt to a vector."""
    return _TOWERS[tower]


def of_data(spec: DatasetSpec) -> tuple[str, ...]:
    """From a file to pixels, beside Pillow."""
    own = READS_WITH.get(spec.reader or "")
    return (own,) if own else ()


def of_regime(settings: RegimeSettings) -> tuple[str, ...]:
    """From features, or images, to scores and their metric."""
    common = ("numpy", "scipy")
    match settings:
        case LinearProbeSettings() | FewShotSettings():
            return (*common, "scikit-learn")
        case TrainingSettings():
            learnt = ("torch", "torchvision", "timm")
            return (*common, *learnt, "peft") if settings.trained == "lora" else (*common, *learnt)
        case _:
            return common


def versions(names: Iterable[str]) -> dict[str, str]:
    """What is installed of these distributions."""
    return {name: version(name) for name in dict.fromkeys(names)}
