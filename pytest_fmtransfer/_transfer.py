"""transfer(cell) -> result: the one verb, public as `pytest_fmtransfer.transfer`.

It looks the result up, or adapts the backbone and stores it. Values in and out are plain, and calls meet only
in the stores: the same call serves a test, a notebook and a worker. A second call is a look-up that imports no
torch.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pytest_fmtransfer.adapt.sides import Sides, shuffle_labels
from pytest_fmtransfer.availability import Missing, ready
from pytest_fmtransfer.backbones.precision import Dtype, forward_dtype
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import SHUFFLES, BackboneSpec
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cell_result import CellResult, tolerance_of
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import InvalidInput, Unavailable
from pytest_fmtransfer.features import FeatureKey, feature_key, load_features, met_by, subject_of
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.results import Cost, Question, Result
from pytest_fmtransfer.store import Store, code_digest, fingerprint


def transfer(
    cell: Cell,
    *,
    profile: str = "ci",
    seeds: tuple[int, ...] | None = None,
    registry: Registry | None = None,
    places: Places | None = None,
) -> CellResult:
    """What a cell yields under a profile.

    `seeds` are by default 0 to 19 on shuffled labels, one shuffle a seed, and 0 elsewhere. `registry` is the
    catalogue to look names up in, by default our own and that of entry points; `places` are by default what the
    environment says. Raises InvalidInput for no seed at all, UnknownName for a name nobody registered, Unavailable
    with the remedy when weights, data or the regime are not here, UnreadableImage, CheckpointMismatch or DatasetError
    for files that are not as they should be, and DatasetError for a dataset in which an audit finds something severe
    that its row does not acknowledge.
    """
    if seeds is not None and not seeds:
        raise InvalidInput("seeds=() asks for no run; give at least one, seeds=(0,), or leave `seeds` out")
    registry = registry or Registry()
    places = places or Places.from_environment()
    state = ready(cell, registry, places)
    if isinstance(state, Missing):
        raise Unavailable(f"{cell}: {state}")
    regime, dataset = registry.regime(cell.regime), open_dataset(registry.dataset(cell.dataset), places)
    spec = met_by(registry.backbone(cell.backbone), dataset.spec)
    asked = ask(cell, dataset, profile=profile, seeds=seeds, registry=registry, places=places)

    def compute(entry: Path) -> None:
        # Here, not above: what is in the store was audited when it was computed, and a warm run imports and does
        # nothing more. An acknowledgement that is taken back is therefore noticed when a result is next computed.
        from pytest_fmtransfer.data.audit import check

        check(dataset, places)
        features = load_features(dataset, spec, asked.dtype, places)
        started = time.perf_counter()
        module: ModuleType = import_module(f"pytest_fmtransfer.adapt.{regime.method}")
        sides = sides_of(dataset, features.pooled_ND)
        adapted = [
            module.adapt(shuffle_labels(sides, seed) if dataset.spec.shuffled else sides, regime.settings, seed)
            for seed in asked.seeds
        ]
        cost = Cost(
            forward_passes=features.forward_passes,
            forward_seconds=features.seconds,
            adapt_seconds=time.perf_counter() - started,
            feature_bytes=features.pooled_ND.nbytes,
        )
        test = dataset.table.side(TEST)
        result = Result(
            cell=cell,
            question=asked.question,
            subject=asked.subject,
            ids_N=dataset.table.ids_N[test],
            patients_N=dataset.table.patients_N[test],
            labels_N=dataset.table.labels_N[test],
            scores_SNC=np.stack([each.scores_TC for each in adapted]),
            seeds=asked.seeds,
            seeded=asked.seeded,
            classes=dataset.spec.classes,
            patient_unit=dataset.spec.patient_unit,
            margin=dataset.spec.margin,
            chosen=tuple(dict(each.chosen) for each in adapted),
            cost=cost,
        )
        (entry / "result.json").write_text(json.dumps(result.record(), indent=1), encoding="utf-8")
        (entry / "scores.npz").write_bytes(result.scores_file())

    about = {"cell": cell.id, "profile": profile}
    entry, computed = Store(root=places.store).fetch("results", asked.key, compute, about=about)
    record: dict[str, Any] = json.loads((entry / "result.json").read_text(encoding="utf-8"))
    scores = (entry / "scores.npz").read_bytes()
    origin = "computed" if computed else "store"

    def rerun(others: tuple[int, ...]) -> CellResult:
        return transfer(cell, profile=profile, seeds=others, registry=registry, places=places)

    return CellResult.restore(record, scores, origin=origin, tolerance=tolerance_of(regime), rerun=rerun)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a cell is asked of what subject, at which seeds, and the keys of its features and its result."""

    question: Question
    subject: Mapping[str, Any]
    dtype: Dtype
    seeds: tuple[int, ...]
    seeded: bool
    features: FeatureKey
    key: str


def ask(
    cell: Cell,
    dataset: Dataset,
    *,
    profile: str,
    registry: Registry,
    places: Places,
    seeds: tuple[int, ...] | None = None,
) -> Asked:
    """Everything a result is found by, without computing anything. Imports no torch.

    Raises Unavailable, with the remedy, when the backbone's weights are not here.
    """
    spec, regime = met_by(registry.backbone(cell.backbone), dataset.spec), registry.regime(cell.regime)
    dtype = forward_dtype(registry.profile(profile))
    question = Question(
        dataset=cell.dataset,
        dataset_fingerprint=dataset.fingerprint,
        regime=cell.regime,
        settings=regime.plain_settings,
        metric=dataset.spec.metric,
        profile=profile,
        forward_dtype=registry.profile(profile).forward_dtype,
    )
    seeded = regime.seeded or dataset.spec.shuffled
    default = tuple(range(SHUFFLES)) if dataset.spec.shuffled else (0,)
    chosen_seeds = default if seeds is None else seeds
    skipped = {"skipped_images": len(dataset.skipped)} if dataset.skipped else {}
    subject = _subject(spec, dtype, places) | skipped
    features = feature_key(dataset, spec, dtype, places)
    metrics = sorted(f"metrics/{file.name}" for file in (Path(__file__).parent / "metrics").glob("*.py"))
    code = code_digest(
        "_transfer.py", "results.py", *metrics, "adapt/sides.py", "adapt/label_odds.py", f"adapt/{regime.method}.py"
    )
    kept = (dataset.spec.margin, dataset.spec.classes, dataset.spec.patient_unit, seeded)
    key = fingerprint(cell.id, chosen_seeds, asdict(question), subject, features.whole, kept, code)
    return Asked(
        question=question,
        subject=subject,
        dtype=dtype,
        seeds=chosen_seeds,
        seeded=seeded,
        features=features,
        key=key,
    )


def _subject(spec: BackboneSpec, dtype: Dtype, places: Places) -> dict[str, Any]:
    """What may change under a question: weights, transform, versions, processor."""
    subject = subject_of(spec, dtype, places)
    versions = {name: version(name) for name in ("numpy", "scipy", "scikit-learn")}
    return subject | {"versions": subject["versions"] | versions}


def sides_of(dataset: Dataset, pooled_ND: np.ndarray) -> Sides:
    """What a regime is given of a dataset's features: everything but the labels of the test side."""
    train, validation, test = (dataset.table.side(name) for name in (TRAIN, VALIDATION, TEST))
    labels_N = dataset.table.labels_N
    return Sides(
        train_AD=pooled_ND[train],
        train_labels_A=labels_N[train],
        validation_VD=pooled_ND[validation],
        validation_labels_V=labels_N[validation],
        test_TD=pooled_ND[test],
        classes=len(dataset.spec.classes),
    )
