"""(backbone, images) to features: one forward pass per distinct image and backbone, kept in the store.

An entry's key holds whatever can move a feature: weights, architecture, library versions, transform, size,
dtype, our code and the dataset's content. A new entry takes over the rows of pictures that another entry
of the same backbone has seen, and passes each of the others through the backbone once.

Legend: N images, U distinct images still to be seen, B images of a batch, S pixels of a side, D features.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.fingerprints import weights_fingerprint
from pytest_fmtransfer.backbones.function_code import code_of_function
from pytest_fmtransfer.backbones.precision import Dtype, model_of, processor
from pytest_fmtransfer.backbones.shards import saved_folder
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.catalog.specs import (
    STRETCHED,
    BackboneSpec,
    DatasetSpec,
    NoWeights,
    OwnWeights,
    RandomWeights,
    StandInWeights,
)
from pytest_fmtransfer.data.bad_images import DECODING, decoders
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.libraries import of_backbone, of_data, versions
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store, code_digest, fingerprint, remembered_digest
from pytest_fmtransfer.work import count_passes


@dataclass(frozen=True, kw_only=True)
class StoredFeatures:
    """Pooled features, N × D float32, and what this entry's extraction cost when it was computed.

    `forward_passes` counts distinct images that went through the backbone for this entry; `seconds` is
    for those, decoding not included.
    """

    pooled_ND: np.ndarray
    forward_passes: int
    seconds: float


def met_by(spec: BackboneSpec, dataset: DatasetSpec) -> BackboneSpec:
    """A backbone as it meets a dataset: its stem of one channel and normalised by the dataset, where that says so."""
    if isinstance(spec.weights, NoWeights):
        return spec
    mean, std = (
        own if given is None else cast(tuple[float, float, float], given * 3 if len(given) == 1 else given)
        for own, given in ((spec.mean, dataset.mean), (spec.std, dataset.std))
    )
    return replace(spec, mean=mean, std=std, channels=1 if dataset.channels == 1 else 3)


def subject_of(spec: BackboneSpec, dtype: Dtype, places: Places) -> dict[str, Any]:
    """Everything about a backbone that may move its features, as plain values.

    Imports no torch, except for a function of the user's that gives no file of weights: it is called, once in a
    process, for its tensors. Raises Unavailable, with the remedy, when its weights are not here.
    """
    uses_torch = not isinstance(spec.weights, NoWeights)
    # Told where it is not as usual, so that whatever is usual keeps its key.
    framing = {} if spec.framing == STRETCHED else {"framing": asdict(spec.framing) | {"fill": list(spec.framing.fill)}}
    order = {} if spec.channel_order == "RGB" else {"channel_order": spec.channel_order}
    activation = {"activation": spec.activation} if spec.activation else {}
    own_code = {"code": _code_of(spec, places)} if spec.library == "python" else {}
    one_channel = {"channels": 1} if spec.channels == 1 else {}
    return (
        own_code
        | one_channel
        | framing
        | order
        | activation
        | {
            "weights": weights_of(spec, places),
            "architecture": f"{spec.architecture}, tiny" if spec.tiny else spec.architecture,
            "image_size": spec.image_size,
            "mean": list(spec.mean),
            "std": list(spec.std),
            "forward_dtype": dtype if uses_torch else "float32",
            **(computed_on(places) if uses_torch else {"processor": processor(), "device": "cpu"}),
            "versions": versions(of_backbone(spec)),
        }
    )


def _code_of(spec: BackboneSpec, places: Places) -> str:
    return code_of_function(spec.architecture, spec.channels, Store(root=places.store))


def computed_on(places: Places) -> dict[str, Any]:
    """What a subject holds of what torch computes on; of determinism only where it was asked for."""
    deterministic = {"deterministic": True} if places.deterministic else {}
    return {"processor": model_of(places.device), "device": places.device} | deterministic


def weights_of(spec: BackboneSpec, places: Places) -> str:
    """What names a backbone's weights: a fingerprint of their tensors, or words where there are none."""
    if isinstance(spec.weights, OwnWeights):
        import_torch()
        return import_module(f"pytest_fmtransfer.backbones.{spec.library}").tensors_digest(spec, _code_of(spec, places))
    if isinstance(spec.weights, StandInWeights):
        sees, opens = ("+".join(each) or "nothing" for each in (spec.weights.sees, spec.weights.opens))
        return f"stand-in, seed {spec.weights.seed}, sees {sees}, opens {opens}, misses {spec.weights.misses}"
    if isinstance(spec.weights, RandomWeights):
        config = _config_of(spec, None)
        return spec.weights.words + (f", configured as {config}" if config else "")
    path = weights_file(spec, places)
    if path is None:
        return "none"
    weights = weights_fingerprint(path, Store(root=places.store), since=places.verify_since)
    config = _config_of(spec, path)
    return fingerprint(weights, config) if config else weights


def _config_of(spec: BackboneSpec, weights: Path | None) -> str:
    """A digest of what says what tensors are put into, of a model that transformers has saved; empty for any other.

    `config.json` may name other files of the folder, for versions of the library.
    """
    folder = saved_folder(spec.architecture, weights) if spec.library == "transformers" else None
    if folder is None or not (folder / "config.json").is_file():
        return ""
    files = sorted(path for path in folder.glob("*.json") if not path.name.endswith(".index.json"))
    return fingerprint({path.name: remembered_digest(path) for path in files})


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """`backbone` names everything but the images; `whole` the images too."""

    backbone: str
    whole: str


def feature_key(dataset: Dataset, spec: BackboneSpec, dtype: Dtype, places: Places) -> FeatureKey:
    """What an entry of the feature store is found under. Imports no torch."""
    code = code_digest(
        "extraction.py",
        "features.py",
        "backbones/aimv2.py",
        "backbones/base.py",
        "backbones/blip.py",
        "backbones/building.py",
        "backbones/checkpoints.py",
        "backbones/computing.py",
        "backbones/dinov3.py",
        "backbones/folding.py",
        "backbones/grids.py",
        "backbones/layouts.py",
        "backbones/pace.py",
        "backbones/positions.py",
        "backbones/selective_scan.py",
        "backbones/shards.py",
        "backbones/siglip.py",
        "backbones/stages.py",
        "backbones/stem.py",
        "backbones/tensor_files.py",
        "backbones/timm.py",
        "backbones/timm_parts.py",
        "backbones/transformers_folder.py",
        "backbones/trees.py",
        "backbones/vgg.py",
        f"backbones/{spec.library}.py",
        *DECODING,
        "data/framing.py",
        "data/images.py",
        f"data/readers/{dataset.spec.reader}.py",
    )
    seen = (dataset.spec.stored_channels, *decoders(), versions(of_data(dataset.spec)))
    backbone = fingerprint(subject_of(spec, dtype, places), *seen, code)
    return FeatureKey(backbone=backbone, whole=fingerprint(backbone, dataset.fingerprint))


def load_features(dataset: Dataset, spec: BackboneSpec, dtype: Dtype, places: Places) -> StoredFeatures:
    """Features of every image of a dataset, from the store or computed.

    Raises Unavailable, CheckpointMismatch and UnreadableImage as their makers do.
    """
    key = feature_key(dataset, spec, dtype, places)
    store = Store(root=places.store)

    def compute(entry: Path) -> None:
        if isinstance(spec.weights, NoWeights):
            started = time.perf_counter()
            pooled_ND, passes = (
                import_module(f"pytest_fmtransfer.backbones.{spec.library}").embed(
                    dataset.pictures, len(dataset.table.ids_N)
                ),
                0,
            )
            seconds = time.perf_counter() - started
        else:
            pixels = load_images(dataset, spec.image_size, places, spec.framing)
            known = _rows_of_other_entries(store, key.backbone)
            pooled_ND, passes, seconds = _extract(pixels, dataset.contents.pictures_N, spec, dtype, places, known)
        np.save(entry / "pooled.npy", pooled_ND)
        np.save(entry / "pictures.npy", dataset.contents.pictures_N)
        (entry / "cost.json").write_text(json.dumps({"forward_passes": passes, "seconds": seconds}))

    entry, _ = store.fetch(
        "features",
        key.whole,
        compute,
        about={"backbone": spec.name, "backbone_key": key.backbone, "dataset": dataset.spec.name},
        lock=key.backbone,
    )
    cost = json.loads((entry / "cost.json").read_text())
    return StoredFeatures(pooled_ND=np.load(entry / "pooled.npy", allow_pickle=False), **cost)


def pictures_seen(store: Store, backbone_key: str) -> set[str]:
    """The pictures whose features the store holds for a backbone, transform, code and dtype."""
    return {
        picture
        for folder in _sound_entries(store, backbone_key)
        for picture in np.load(folder / "pictures.npy", allow_pickle=False).tolist()
    }


def _extract(
    pixels: np.ndarray,
    pictures_N: np.ndarray,
    spec: BackboneSpec,
    dtype: Dtype,
    places: Places,
    known: dict[str, np.ndarray],
) -> tuple[np.ndarray, int, float]:
    """Features of all images; forward passes made; seconds they took."""
    pictures: list[str] = pictures_N.tolist()
    first_of_distinct = {picture: row for row, picture in reversed(list(enumerate(pictures)))}
    todo_U = sorted(row for picture, row in first_of_distinct.items() if picture not in known)
    seconds = 0.0
    if todo_U:
        import_torch()
        from pytest_fmtransfer.extraction import extract

        fresh_UD, seconds = extract(pixels, todo_U, spec, dtype, places, subject_of(spec, dtype, places))
        known = known | {pictures[row]: fresh_UD[at] for at, row in enumerate(todo_U)}
        count_passes(len(todo_U))
    return np.stack([known[picture] for picture in pictures]), len(todo_U), seconds


def _rows_of_other_entries(store: Store, backbone_key: str) -> dict[str, np.ndarray]:
    """Features by picture, from every sound entry of the same backbone, transform, code and dtype."""
    known: dict[str, np.ndarray] = {}
    for folder in _sound_entries(store, backbone_key):
        pooled_ND = np.load(folder / "pooled.npy", allow_pickle=False)
        pictures_N = np.load(folder / "pictures.npy", allow_pickle=False)
        known |= dict(zip(pictures_N.tolist(), pooled_ND, strict=True))
    return known


def _sound_entries(store: Store, backbone_key: str) -> Iterator[Path]:
    for folder in store.entries("features"):
        try:
            about = json.loads((folder / "entry.json").read_text(encoding="utf-8"))["about"]
        except (OSError, ValueError, KeyError):  # damaged: whoever asks for that entry computes it again
            continue
        if about.get("backbone_key") == backbone_key and store.load("features", folder.name) is not None:
            yield folder
