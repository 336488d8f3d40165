"""The input of a backbone that a user names: what the model's own files say of it, where the user does not.

What a library says is kept in the store, so that a warm run imports none.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.shards import FOLDER
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.catalog.preprocessor import Preprocessor, following
from pytest_fmtransfer.catalog.specs import BackboneSpec, OwnInput, PublishedWeights, RandomWeights
from pytest_fmtransfer.catalog.transformers_input import FILES, preprocessor_in
from pytest_fmtransfer.errors import Unavailable
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store, code_digest, file_digest, fingerprint


def as_published(spec: BackboneSpec, places: Places) -> BackboneSpec:
    """A row with the input that its model's own files ask for; a row that says it itself as it is.

    Raises InvalidInput, naming the key, for an input that we cannot prepare, and for a model that its library has not.
    """
    own = spec.own_input
    if own is None:
        return spec
    folder = _folder(spec, own, places)
    if spec.library == "timm":
        return with_timms(spec, own, folder, lambda make: _kept(make, spec, own, folder, places))
    if spec.library == "open_clip":
        said = _restored(_kept(lambda: asdict(_of_open_clip(spec, own, folder)), spec, own, folder, places))
        return following(spec, said, own)
    if folder is None:  # its files are not here, and nothing of it can be computed
        return following(spec, Preprocessor(), own)
    usual = _kept(lambda: _processor_of(folder), spec, own, folder, places)
    found = following(spec, preprocessor_in(folder, own.given, usual), own)
    # A twin has no weights beside which its shape would be looked for.
    drawn = isinstance(spec.weights, RandomWeights)
    return replace(found, architecture=f"{FOLDER}{folder}") if drawn else found


def with_timms(
    spec: BackboneSpec,
    own: OwnInput,
    folder: Path | None,
    kept: Callable[[Callable[[], dict[str, Any]]], dict[str, Any]] = lambda make: make(),
) -> BackboneSpec:
    """A row as that of `timm.<architecture>` is, but for its name, and for its weights where they are a user's own."""

    def ask() -> dict[str, Any]:
        import_torch()
        rows = import_module("pytest_fmtransfer.backbones.timm_row")
        rows.check_known(spec.architecture, spec.name)
        said: Preprocessor = rows.said_of(spec.architecture, own.given, folder)
        return {"said": asdict(said), "classes": rows.record(spec.architecture).num_classes}

    found = kept(ask)
    if isinstance(spec.weights, PublishedWeights):
        spec = replace(spec, weights=replace(spec.weights, num_classes=found["classes"]))
    return following(spec, _restored(found["said"]), own)


def _of_open_clip(spec: BackboneSpec, own: OwnInput, folder: Path | None) -> Preprocessor:
    import_torch()
    return import_module("pytest_fmtransfer.backbones.open_clip_input").said_of(
        spec.architecture, own.tag, name=spec.name, published=isinstance(own.weights, PublishedWeights), beside=folder
    )


def _processor_of(folder: Path) -> dict[str, Any]:
    """What the folder's image processor does where its file does not say; nothing where the library has none of it."""
    if not any((folder / name).is_file() for name in FILES):
        return {}
    import_torch()
    found: dict[str, Any] = import_module("pytest_fmtransfer.backbones.transformers_processors").usual(folder)
    return found


def _folder(spec: BackboneSpec, own: OwnInput, places: Places) -> Path | None:
    """What holds the model's own files, beside its weights; None where it is not here."""
    named = Path(spec.architecture.removeprefix(FOLDER))
    if spec.library == "transformers" and named.is_absolute():
        return named
    if own.weights is None or (spec.library == "timm" and isinstance(own.weights, PublishedWeights)):
        return None  # timm's record is of what it publishes; many such files may lie in one folder
    try:
        path = weights_file(replace(spec, weights=own.weights), places)
    except Unavailable:
        return None
    return path if path is None or path.is_dir() else path.parent


def _kept(
    make: Callable[[], dict[str, Any]], spec: BackboneSpec, own: OwnInput, folder: Path | None, places: Places
) -> dict[str, Any]:
    """What a library says, asked once for its version and for the files beside the weights."""
    distribution = {"timm": "timm", "open_clip": "open_clip_torch"}.get(spec.library, "transformers")
    files = ("config.json", "open_clip_config.json", *FILES)
    beside = {name: file_digest(folder / name) for name in files if folder and (folder / name).is_file()}
    architecture = spec.architecture if not spec.architecture.startswith(FOLDER) else ""
    asked: Mapping[str, Any] = {
        "library": spec.library,
        "architecture": architecture,
        "name": spec.name,
        "tag": own.tag,
    }
    code = code_digest(
        "backbones/inputs.py",
        "backbones/open_clip_input.py",
        "backbones/timm_row.py",
        "backbones/transformers_processors.py",
        "catalog/preprocessor.py",
    )
    key = fingerprint(asked, list(own.given), beside, version(distribution), code)

    def compute(entry: Path) -> None:
        (entry / "said.json").write_text(json.dumps(make()), encoding="utf-8")

    entry, _ = Store(root=places.store).fetch("inputs", key, compute, about=asked)
    return json.loads((entry / "said.json").read_text(encoding="utf-8"))


def _restored(said: Mapping[str, Any]) -> Preprocessor:
    """From JSON, which knows no tuples."""
    values: dict[str, Any] = {
        name: tuple(cast(list[Any], value)) if isinstance(value, list) else value for name, value in said.items()
    }
    return Preprocessor(**values)
