"""Whose text is in a result's key: the modules of ours that compute its scores, so that none outlives a change to them.

The key's other parts are the question, the subject and the features, which have keys of their own.
"""

from pathlib import Path

from pytest_fmtransfer.catalog.regime_settings import (
    FewShotSettings,
    RegimeSettings,
    TrainingSettings,
    ZeroShotSettings,
)
from pytest_fmtransfer.store import code_digest

# Of every result: what asks and records, and what a method is given.
ALWAYS = (
    "_transfer.py",
    "results.py",
    "pseudonyms.py",
    "data/named_side.py",
    "adapt/embeddings.py",
    "adapt/sides.py",
    "adapt/label_odds.py",
    "adapt/job.py",
    "adapt/pooled.py",
)
# What says which features are learnt from, and what is done to images.
IMAGES = (
    "catalog/regime_settings.py",
    "data/augmentations.py",
    "data/chunks.py",
    "data/transforms.py",
    "viewing.py",
    "views.py",
)
# What turns prompts into vectors.
TEXT = (
    "catalog/prompts.py",
    "backbones/blip_text.py",
    "backbones/open_clip_text.py",
    "backbones/text_towers.py",
    "backbones/checkpoints.py",
)
# What chooses the images of a draw, and fits on them.
SHOTS = ("adapt/linear_probe.py", "data/subsets.py")


def code_of(method: str, settings: RegimeSettings) -> str:
    """A digest of what computes scores from features, or from images; `method` is the module of `adapt` that does."""
    return code_digest(*files_of(method, settings))


def files_of(method: str, settings: RegimeSettings) -> tuple[str, ...]:
    """The modules, as paths below the package, each once."""
    own = (*ALWAYS, f"adapt/{method}.py", *_every("metrics"))
    match settings:
        case TrainingSettings():  # calls on too much to be told one by one
            own += (*_every("adapt"), *_every("backbones"), *IMAGES)
        case ZeroShotSettings():
            own += TEXT
        case FewShotSettings():
            own += SHOTS
        case _:
            pass
    return tuple(dict.fromkeys(own))


def _every(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{file.name}" for file in sorted((Path(__file__).parent / folder).glob("*.py")))
