"""How many images each side of a dataset should have, for a plan made before anybody has put the dataset in place.

What a publication or the dataset's own row says is taken as it is. Where only the number of all images is known, the
sides are assumed, and whoever prints such a figure prints `source` with it. A dataset that is here is counted, and
nothing of this is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_fmtransfer.catalog.medmnist_sets import COLLECTIONS
from pytest_fmtransfer.catalog.regime_specs import Caps
from pytest_fmtransfer.catalog.specs import SHUFFLED, DatasetSpec

_SHARES = (0.8, 0.1, 0.1)  # of training, validation and test side, where nothing says
_PAPER = "by the rules of Palés Huix et al. 2024"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Images by side. `by_class` are those of the test side, each taken for a patient; empty where not known."""

    train: int
    validation: int
    test: int
    source: str
    by_class: Mapping[str, int] = field(default_factory=dict[str, int])


# Images of the whole set by class, in the order of the row's classes; the paper's test side is drawn at random, so that
# it has about their shares. APTOS: train.csv of the competition. ISIC 2019: its ground truth.
_WHOLE = {
    "aptos2019": (1805, 370, 999, 193, 295),
    "isic2019": (4522, 12875, 3323, 867, 2624, 239, 253, 628),
}
_PAPERS: Mapping[str, tuple[int, int, int]] = {
    "aptos2019": (2564, 549, 549),
    "ddsm": (8336, 1040, 1044),  # the lists of Wu et al. 2018, as they are given
    "isic2019": (20265, 2533, 2533),
    # int(.2 × 223,414) + 15 held out, half of them for validation; boundaries move to the next patient.
    "chexpert": (178717, 22348, 22349),
}


def expected_of(spec: DatasetSpec, caps: Caps | None) -> Expected | None:
    """What a dataset should have, of which a profile uses at most `caps` of each side; None where nothing tells."""
    whole = _whole(spec)
    if whole is None or caps is None:
        return whole
    test = min(whole.test, caps.test)
    return replace(
        whole,
        train=min(whole.train, caps.train),
        validation=min(whole.validation, caps.validation),
        test=test,
        by_class={name: round(count * test / whole.test) for name, count in whole.by_class.items()},
    )


def _whole(spec: DatasetSpec) -> Expected | None:
    base = spec.name.removesuffix(f".{SHUFFLED}")
    if base in _PAPERS:
        train, validation, test = _PAPERS[base]
        return Expected(
            train=train, validation=validation, test=test, source=_PAPER, by_class=_in_proportion(spec, test)
        )
    for collection in COLLECTIONS:
        if base.startswith(f"medmnist.{collection.name}"):
            train, validation, test = collection.samples
            return Expected(train=train, validation=validation, test=test, source="as MedMNIST splits it")
    if "samples" in spec.options:
        train, validation, test = map(int, spec.options["samples"].split())
        return Expected(train=train, validation=validation, test=test, source="as its authors split it")
    if spec.expected_images is None:
        return None
    validation, test = (round(spec.expected_images * share) for share in _SHARES[1:])
    train = spec.expected_images - validation - test
    return Expected(train=train, validation=validation, test=test, source="assumed: a tenth each to validate and test")


def _in_proportion(spec: DatasetSpec, test: int) -> dict[str, int]:
    counts = _WHOLE.get(spec.name)
    if counts is None:
        return {}
    return {name: round(count * test / sum(counts)) for name, count in zip(spec.classes, counts, strict=True)}
