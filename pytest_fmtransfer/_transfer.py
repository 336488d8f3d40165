"""transfer(cell) -> result: the one verb, public as `pytest_fmtransfer.transfer`.

It looks the result up, or adapts the backbone and stores it. Values in and out are plain, and calls meet only
in the stores: the same call serves a test, a notebook and a worker. A second call is a look-up that imports no
torch.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from pytest_fmtransfer.adapt.embeddings import check_width
from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.pooled import on_pooled
from pytest_fmtransfer.adapt.sides import Adapted, Sides, shuffle_labels
from pytest_fmtransfer.availability import DEIT_B, adapted_from, ready
from pytest_fmtransfer.backbones.checking import looked_at
from pytest_fmtransfer.backbones.inputs import as_published
from pytest_fmtransfer.backbones.precision import Dtype, dtype_of
from pytest_fmtransfer.catalog.possible import check_blocks
from pytest_fmtransfer.catalog.regime_settings import (
    FewShotSettings,
    RegimeSettings,
    TrainingSettings,
    ZeroShotSettings,
    plain,
)
from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import backbone_under, draws_on, seeds_on, settings_on
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec, NoWeights
from pytest_fmtransfer.cell import FORM, Cell
from pytest_fmtransfer.cell_result import CellResult, tolerance_of
from pytest_fmtransfer.data.capped import capped
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.labels import check_validation
from pytest_fmtransfer.data.named_side import named_test_side
from pytest_fmtransfer.data.subsets import check_shots
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.errors import InvalidInput, Unavailable, require, shown
from pytest_fmtransfer.features import FeatureKey, computed_on, feature_key, met_by, subject_of
from pytest_fmtransfer.libraries import of_data, of_regime, of_tower, versions
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.result_code import code_of
from pytest_fmtransfer.results import Cost, Question, Result
from pytest_fmtransfer.store import CorruptEntry, Store, fingerprint, remembered_digest
from pytest_fmtransfer.text_places import tower_of, vocabulary_file

SEEDS = 2**32  # numpy's and scikit-learn's generators take none from here on


def transfer(
    cell: Cell | str,
    *,
    profile: str = "ci",
    seeds: Sequence[int] | None = None,
    registry: Registry | None = None,
    places: Places | None = None,
) -> CellResult:
    """What a cell yields under a profile. The cell may be given by its id, `backbone-dataset-regime`.

    `seeds` are distinct whole numbers from 0. By default they are those of the profile where training depends on a
    seed, 0 to 19 on shuffled labels, one shuffle a seed, and 0 elsewhere (`catalog.resolving.seeds_on`). `registry` is
    the catalogue to look names up in, by default our own and that of entry points; `places` are by default what the
    environment says.

    Raises InvalidInput for what is of another type, for seeds that cannot be used, a block that the backbone has not,
    and more images of each class than there are; UnknownName for a name nobody registered, Unavailable with the remedy
    when weights, data or the regime are not here, UnreadableImage, CheckpointMismatch or DatasetError for files that
    are not as they should be, and DatasetError for a dataset in which an audit finds something severe that its row does
    not acknowledge.
    """
    cell = Cell.parse(cell) if isinstance(cell, str) else require(cell, Cell, "transfer(cell)", FORM)
    seeds = None if seeds is None else _checked_seeds(seeds)
    registry = Registry() if registry is None else require(registry, Registry, "registry=", "give a Registry")
    places = Places.from_environment() if places is None else require(places, Places, "places=", "give Places(store=…)")
    check_blocks(registry.backbone(cell.backbone), registry.regime(cell.regime))
    state = ready(cell, registry, places)
    if isinstance(state, Missing):
        raise Unavailable(f"{cell}: {state}")
    regime, store = registry.regime(cell.regime), Store(root=places.store)
    dataset = open_under(registry.profile(profile), registry.dataset(cell.dataset), places)
    asked = ask(cell, dataset, profile=profile, seeds=seeds, registry=registry, places=places)
    workspace = store.root / "training" / asked.key
    notes = tuple(notice.sentence for notice in dataset.table.notices)
    test = named_test_side(dataset)

    def compute(entry: Path) -> None:
        # Here, not above: what is in the store was audited when it was computed, and a warm run imports and does
        # nothing more. An acknowledgement that is taken back is therefore noticed when a result is next computed.
        from pytest_fmtransfer.data.audit import check

        check(dataset, places)
        job = Job(
            cell=cell,
            dataset=dataset,
            spec=asked.spec,
            dtype=asked.dtype,
            training_dtype=asked.training_dtype,
            places=places,
            workspace=workspace,
            head_spec=head_of(asked.settings, registry),
        )
        found = _looked_at(job, asked)
        started = time.perf_counter()
        module: ModuleType = import_module(f"pytest_fmtransfer.adapt.{regime.method}")
        run = module.run if hasattr(module, "run") else partial(at_each_seed, module.adapt)
        ran: Ran = run(job, asked.settings, asked.seeds)
        cost = Cost(
            forward_passes=ran.forward_passes,
            forward_seconds=ran.forward_seconds,
            adapt_seconds=time.perf_counter() - started - ran.loading_seconds + ran.earlier_seconds,
            feature_bytes=ran.feature_bytes,
        )
        scores_STC = np.stack([each.scores_TC for each in ran.adapted])
        result = Result(
            cell=cell,
            question=asked.question,
            subject={**asked.subject, **({"activation": found} if found else {})},
            ids_N=test.images_T,
            patients_N=test.patients_T,
            labels_N=test.labels_T,
            scores_SNC=scores_STC[:, test.order_T],
            seeds=asked.seeds,
            seeded=asked.seeded,
            classes=dataset.spec.classes,
            patient_unit=dataset.spec.patient_unit,
            margin=dataset.spec.margin,
            chosen=tuple(dict(each.chosen) for each in ran.adapted),
            cost=cost,
            training=ran.training,
            data_notes=notes,
        )
        (entry / "result.json").write_text(json.dumps(result.record(), indent=1), encoding="utf-8")
        (entry / "scores.npz").write_bytes(result.scores_file())

    about = {"cell": cell.id, "profile": profile}
    entry, computed = store.fetch("results", asked.key, compute, about=about)
    shutil.rmtree(workspace, ignore_errors=True)  # only now: until the result is whole, it is what a run goes on with
    origin = "computed" if computed else "store"

    def rerun(others: tuple[int, ...]) -> CellResult:
        return transfer(cell, profile=profile, seeds=others, registry=registry, places=places)

    found = CellResult.read(
        entry / "result.json",
        entry / "scores.npz",
        origin=origin,
        tolerance=tolerance_of(regime),
        rerun=rerun,
        key=asked.key,
        hidden_share=dataset.spec.hidden_share,
        draws=draws_on(regime, dataset.spec),
    )
    if not test.matches(found.ids_N, found.patients_N, found.labels_N):
        raise CorruptEntry(
            f"store entry {entry} is not of the test images, patients and labels of {cell.dataset}, although it was "
            "stored under their name; remove that folder, and run this again"
        )
    # A file that is passed over moves no score and no key: what is told of the data is what is there now.
    return found if found.data_notes == notes else replace(found, data_notes=notes)


def _checked_seeds(seeds: object) -> tuple[int, ...]:
    """Raises InvalidInput for anything but distinct whole numbers that every library's generator takes."""
    given = (
        cast(Sequence[object], seeds) if isinstance(seeds, Sequence) and not isinstance(seeds, str | bytes) else None
    )
    whole = given is not None and all(isinstance(each, Integral) and not isinstance(each, bool) for each in given)
    found = tuple(int(cast(int, each)) for each in given) if given and whole else ()
    if not found or len(set(found)) != len(found) or not 0 <= min(found) <= max(found) < SEEDS:
        raise InvalidInput(
            f"seeds={shown(seeds)}: give distinct whole numbers from 0 to {SEEDS - 1}, as in seeds=(0, 1, 2), or leave "
            "`seeds` out"
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a cell is asked of what subject, at which seeds, and the keys of its features and its result.

    `spec` and `settings` are the backbone's and the regime's as they are on the dataset and under the profile.
    """

    question: Question
    subject: Mapping[str, Any]
    spec: BackboneSpec
    settings: RegimeSettings
    dtype: Dtype
    training_dtype: Dtype
    seeds: tuple[int, ...]
    seeded: bool
    features: FeatureKey
    key: str


def open_under(profile: Profile, spec: DatasetSpec, places: Places) -> Dataset:
    """A dataset with as many of its images as a profile uses. Raises as `open_dataset` does."""
    dataset = capped(open_dataset(spec, places), profile.caps)
    check_validation(dataset.folder, spec, dataset.table)
    return dataset


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

    `dataset` is as `open_under` opens it. Raises Unavailable, with the remedy, when the backbone's weights are not
    here, and InvalidInput for a regime on more images of each class than the training side has.
    """
    spent, regime = registry.profile(profile), registry.regime(cell.regime)
    settings = settings_on(regime, dataset.spec, spent)
    if isinstance(settings, FewShotSettings):
        check_shots(dataset.table, dataset.spec.classes, settings.shots)
    row = backbone_under(as_published(adapted_from(registry.backbone(cell.backbone), settings), places), spent)
    reads = isinstance(settings, ZeroShotSettings)
    # Words are compared with images as the publisher trained on them: nothing learns what another input does.
    spec = row if reads else met_by(row, dataset.spec)
    dtype = dtype_of(spent.forward_dtype, places.device)
    training_dtype = dtype_of(spent.training_dtype, places.device)
    question = Question(
        dataset=cell.dataset,
        dataset_fingerprint=dataset.fingerprint,
        regime=cell.regime,
        settings=plain(settings),
        metric=dataset.spec.metric,
        profile=profile,
        forward_dtype=spent.forward_dtype,
    )
    seeded = regime.seeded or dataset.spec.shuffled
    chosen_seeds = seeds_on(regime, dataset.spec, spent) if seeds is None else seeds
    skipped = {"skipped_images": len(dataset.skipped)} if dataset.skipped else {}
    used = {"used_images": {side: list(counts) for side, counts in dataset.used.items()}} if dataset.used else {}
    trained = isinstance(settings, TrainingSettings)
    head = head_of(settings, registry)
    libraries = [*of_data(dataset.spec), *of_regime(settings)]
    if reads and (tower := tower_of(spec)) is not None:
        libraries += of_tower(tower)
    subject = (
        _subject(spec, dtype, places, libraries)
        | ({"given": list(spec.own_input.given)} if spec.own_input and spec.own_input.given else {})
        | skipped
        | used
        | ({"training_dtype": training_dtype} | computed_on(places) if trained else {})
        | ({"compiled": True} if trained and settings.trained != "head" and places.compiled else {})
        | ({"head_weights": subject_of(head, dtype, places)["weights"]} if head else {})
        | (_vocabulary(spec, places) if reads else {})
    )
    features = feature_key(dataset, spec, dtype, places)
    kept = (dataset.spec.margin, dataset.spec.classes, dataset.spec.patient_unit, seeded)
    key = fingerprint(
        cell.id, chosen_seeds, asdict(question), subject, features.whole, kept, code_of(regime.method, settings)
    )
    return Asked(
        question=question,
        subject=subject,
        spec=spec,
        settings=settings,
        dtype=dtype,
        training_dtype=training_dtype,
        seeds=chosen_seeds,
        seeded=seeded,
        features=features,
        key=key,
    )


def _looked_at(job: Job, asked: Asked) -> str:
    """The activations of the backbone's network, which is fit to be read; empty for what has none.

    Raises InvalidInput for a backbone whose embeddings nothing can be learnt from.
    """
    if isinstance(job.spec.weights, NoWeights):
        return ""
    tokens = isinstance(asked.settings, TrainingSettings) and asked.settings.head_takes == "tokens"
    subject = subject_of(job.spec, job.dtype, job.places)
    found = looked_at(job.spec, job.dtype, job.places, subject, tokens=tokens)
    check_width(job, found.width)
    return found.activation


def head_of(settings: RegimeSettings, registry: Registry) -> BackboneSpec | None:
    """The backbone whose weights a regime's head begins with; None for a head of its own."""
    deitb = isinstance(settings, TrainingSettings) and settings.head == "deitb"
    return registry.backbone(DEIT_B) if deitb else None


def at_each_seed(adapt: Callable[..., Adapted], job: Job, settings: RegimeSettings, seeds: Sequence[int]) -> Ran:
    """A method that reads pooled features and labels alone, at each seed."""

    def adapted(pooled_ND: np.ndarray) -> Iterator[Adapted]:
        sides = sides_of(job.dataset, pooled_ND)
        for seed in seeds:
            yield adapt(shuffle_labels(sides, seed) if job.dataset.spec.shuffled else sides, settings, seed)

    return on_pooled(job, adapted)


def _vocabulary(spec: BackboneSpec, places: Places) -> dict[str, str]:
    """What a text tower reads by, where that is no part of its library. Raises Unavailable when it is not here."""
    return {"vocabulary": remembered_digest(vocabulary_file(spec, places))} if tower_of(spec) == "blip_text" else {}


def _subject(spec: BackboneSpec, dtype: Dtype, places: Places, libraries: Sequence[str]) -> dict[str, Any]:
    """What may change under a question: weights, transform, versions, processor."""
    subject = subject_of(spec, dtype, places)
    return subject | {"versions": subject["versions"] | versions(libraries)}


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
