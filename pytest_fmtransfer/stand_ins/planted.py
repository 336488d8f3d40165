"""What is planted: which signal carries a dataset's class, who sees it, and how many images there are of each.

Rows of the catalogue become rows of stand-ins here, under their own names, so that ids, `-k` and `-m` agree. Nothing is
opened and nothing heavy imported: collection asks for these rows.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_fmtransfer.catalog.regime_specs import Caps, Profile
from pytest_fmtransfer.catalog.specs import (
    SIGNALS,
    BackboneSpec,
    DataRoot,
    DatasetSpec,
    NoWeights,
    RandomWeights,
    Signal,
    StandInWeights,
)
from pytest_fmtransfer.errors import InvalidInput

LABEL = "stand-in data, not evidence"
PROFILE = "smoke"
MARKS = 4  # pictures of every class bear one of so many, and each stand-in misses those of one

# Of each class on each side, where a publisher's split leaves that open: as many of each mark, and more than the fifty
# patients that `not_worse_than` takes. Batches of tests are all of one size then, so that a network that sees nothing
# rounds alike in each: otherwise a ranking would tell the last batch from the others.
TRAIN_EACH, VALIDATION_EACH, TEST_EACH = 16, 8, 64


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Signals that a stand-in sees as it is, and those that it learns to see where its blocks are trained."""

    sees: tuple[Signal, ...] = ()
    opens: tuple[Signal, ...] = ()


CARRIERS: dict[str, tuple[Signal, ...]] = {
    "aptos2019": ("colour",),
    "aptos2019.mirror": ("colour",),
    "ddsm": ("coarse",),
    "chexpert": ("fine",),
    "chexpert.uones": ("fine",),
    "chexpert.uignore": ("fine",),
    "isic2019": ("fine",),
    "isic2019.by_lesion": ("fine",),
}
"""Any of them tells the class, all of it. A relative gain needs a reference above 0, which kappa is not at chance: on
APTOS the reference of Palés Huix et al. sees."""

_REFERENCE = Sight(sees=("coarse", "colour"))
SIGHTS: dict[str, Sight] = {
    # Palés Huix et al. 2024. On each dataset somebody is above the reference, below it or like it.
    "imagenet_deitb16": _REFERENCE,
    "imagenet_resnet152": _REFERENCE,
    "blip_vitb16": _REFERENCE,
    "dinov2_vitb14": Sight(sees=("colour",), opens=("fine",)),
    "dino_vitb16": Sight(sees=("fine", "colour")),
    "openclip_vitb16": Sight(sees=SIGNALS),
    "sam_vitb16": Sight(),
    "seem_focalt": Sight(sees=("coarse",), opens=("colour",)),
    # Backbones of other suites.
    "imagenet_densenet121": Sight(sees=("coarse", "colour")),
    "imagenet_resnet18": Sight(sees=("coarse",), opens=("fine",)),
    "imagenet_vgg16": Sight(sees=("coarse",)),
    "imagenet_vitb16": Sight(sees=("coarse",), opens=("fine", "colour")),
    "clip_vitb16": Sight(sees=("fine", "colour")),
    "openclip_vitb16_in1k": Sight(sees=("fine", "colour")),
    "mae_vitb16": Sight(opens=SIGNALS),
    "mae_vitl16": Sight(opens=SIGNALS),
    "mae_vith14": Sight(opens=SIGNALS),
    "sam2_hierabplus": Sight(),
    "sam2_hieral": Sight(),
}
ANY_OTHER = Sight(sees=SIGNALS)


def stands_in(row: BackboneSpec) -> BackboneSpec:
    """The stand-in of a backbone: tiny, small pictures, random weights, sight. A control of random weights is blind.

    A probe without a network stays what it is. Raises InvalidInput for a function of a user's, which has no tiny
    version.
    """
    if isinstance(row.weights, NoWeights):
        return row
    if row.library == "python":
        raise InvalidInput(f"{row.name} is a function and has no stand-in; leave it out, or leave out --fm-stand-ins")
    learnt = not isinstance(row.weights, RandomWeights)
    sight = SIGHTS.get(row.name, ANY_OTHER) if learnt else Sight()
    return replace(
        row,
        weights=StandInWeights(
            sees=sight.sees, opens=sight.opens, misses=zlib.crc32(row.name.encode()) % MARKS, learnt=learnt
        ),
        tiny=True,
        image_size=56 if re.search(r"(?<!\d)14(?!\d)", row.architecture) else 64,  # multiples of its patch
        licence="none",
        source=LABEL,
    )


def carriers_of(dataset: str, *, channels: int, side: int) -> tuple[Signal, ...]:
    """What carries the class of a dataset, of its name without `.shuffled`. Fine stripes do not fit a small picture."""
    if (declared := CARRIERS.get(dataset)) is not None:
        return declared
    return ("colour",) if channels == 3 else ("fine",) if side >= 64 else ("coarse",)


def kinds_of(spec: DatasetSpec) -> int:
    """How many kinds of images there are: one a class, or with several labels two, which have none in common."""
    return 2 if spec.several_labels else len(spec.classes)


def side_of(spec: DatasetSpec) -> int:
    """Of a generated picture, in pixels."""
    return int(spec.options.get("side", 64))


def generated(row: DatasetSpec) -> DatasetSpec:
    """A dataset's row as its generated folder needs it; of a layout that nothing is generated for, the row itself."""
    if not is_generated(row):
        return row
    images, options = sum(samples_of(row)), {**row.options}
    if "samples" in options:
        options["samples"] = " ".join(map(str, samples_of(row)))
    return replace(
        row,
        expected_images=images,
        options=options,
        licence="none",
        source=LABEL,
        caveats=(LABEL,),
    )


def is_generated(row: DatasetSpec) -> bool:
    """Whether there is a generator of its layout."""
    return row.reader in _SAMPLES and isinstance(row.location, DataRoot)


def samples_of(row: DatasetSpec) -> tuple[int, int, int]:
    """How many training, validation and test images are generated."""
    return _SAMPLES[row.reader or ""](kinds_of(row))


def under(profile: Profile) -> Profile:
    """What stand-ins spend: every image that tests, few that teach, and larger steps, for there are few of them."""
    return replace(
        profile,
        forward_dtype="float32",
        training_dtype="float32",
        caps=Caps(train=96, validation=48, test=11 * TEST_EACH),
        epochs=4,
        scratch_epochs=4,
        head_epochs=4,
        batch=16,
        learning_rate=1e-2,
        seeds=2,
    )


def _dealt(kinds: int) -> tuple[int, int, int]:
    return kinds * TRAIN_EACH, kinds * VALIDATION_EACH, kinds * TEST_EACH


def _held_out(share: float, more: int = 0) -> Callable[[int], tuple[int, int, int]]:
    """Where so large a part of a list, and `more` rows, are held out, one half of them to test."""

    def samples(kinds: int) -> tuple[int, int, int]:
        images = next(n for n in range(1, 10**6) if (held := int(n * share) + more) - held // 2 >= kinds * TEST_EACH)
        held = int(images * share) + more
        return images - held, held // 2, held - held // 2

    return samples


_SAMPLES: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "aptos2019": _held_out(0.3),
    "isic2019": _held_out(0.2),
    "chexpert": _held_out(0.2, 15),
    "ddsm": _dealt,
    "medmnist": _dealt,
}
