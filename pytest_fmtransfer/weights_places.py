"""Where published weights may lie on this machine, and where they can be downloaded. No file of weights is opened.

The folder that the user named, then what `--fm-download` fetched, then the caches of torch.hub and of the Hugging Face
hub. A file is looked for by its publisher: below its repository, or under a name that belongs to one network alone.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights
from pytest_fmtransfer.places import Places

SAFE = ".safetensors"
# What libraries call the file of any network; a name of these words alone says nothing of what is in it.
_GENERIC = {
    *("adapter", "backbone", "best", "checkpoint", "ckpt", "clip", "compatible", "dict", "encoder", "epoch", "final"),
    *("last", "latest", "model", "net", "network", "open", "pretrained", "pytorch", "state", "weights"),
}
_HASHED = re.compile(r"-[0-9a-f]{8,}\.\w+$")  # torch.hub's own mark of a file that it checks


def find_weights(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Path | None:
    """The first place that holds the publisher's file, a folder of that name, or what `fmtransfer convert` made of it.

    What was converted comes first: it is there because the publisher's file could not be loaded.
    """
    for place in _places(spec, weights, places):
        if (converted := place.with_suffix(SAFE)).is_file():
            return converted
        if place.exists():
            return place
    return _in_hub_cache(weights)


def terms(spec: BackboneSpec, weights: PublishedWeights) -> str:
    """Licence and limits of the weights, in a phrase."""
    limits = ["non-commercial use only"] if weights.non_commercial else []
    limits += ["gated: its publisher gives access to those who accept its terms"] if weights.gated else []
    return "; ".join([f"licence {spec.licence}", *limits])


def download_url(weights: PublishedWeights) -> str:
    """Where the file itself can be fetched; empty where the row knows only a page about it."""
    if weights.hub:
        return f"{hub_endpoint()}/{weights.hub}/resolve/{weights.revision or 'main'}/{weights.file}"
    return weights.url if _basename(weights.url) == weights.file else ""


def can_download(weights: PublishedWeights, places: Places) -> bool:
    """Whether the user allows a download, the row knows the file's address, and `HF_HUB_OFFLINE` does not forbid it."""
    return places.download and bool(download_url(weights)) and not (weights.hub and hub_is_offline())


def own_folder(spec: BackboneSpec, weights: PublishedWeights) -> Path:
    """The folder that keeps a file apart from others of its name: its repository's, or its row's.

    Empty for a name that belongs to one network alone.
    """
    if weights.hub:
        return Path(f"{weights.hub}@{weights.revision}" if weights.revision else weights.hub)
    return Path(spec.name if _is_generic(weights.file) else "")


def download_target(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Path:
    """Where the download of an address goes: the folder that the user named, else torch.hub's cache, else the store."""
    if places.weights:
        return places.weights / own_folder(spec, weights) / weights.file
    shared = _torch_place(spec, weights)
    return shared or places.store / "downloads" / own_folder(spec, weights) / weights.file


def place_for(spec: BackboneSpec, weights: PublishedWeights) -> str:
    """What to call the file below the folder of `--fm-weights`."""
    return (own_folder(spec, weights) / weights.file).as_posix()


def ways_to(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> str:
    """Every way to published weights, in a phrase."""
    where = places.weights or "a folder of yours, named with --fm-weights=DIR,"
    ways = [f"put {place_for(spec, weights)} into {where} from {weights.url}"]
    if _torch_place(spec, weights):
        ways.append(f"or into torch.hub's {torch_cache()}")
    if weights.hub:
        revision = f" at {weights.revision}" if weights.revision else ""
        ways.append(f"or have {weights.hub}{revision} in Hugging Face's {hub_cache()}")
    if download_url(weights):
        ways.append(f"or {_download_option(spec, weights)}")
    return ", ".join(ways)


def short_way_to(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> str:
    """The shortest ways to published weights that can be downloaded, in a phrase; empty for others."""
    if not download_url(weights):
        return ""
    where = f"into {places.weights}" if places.weights else "into a folder and add --fm-weights=DIR"
    return f"{_download_option(spec, weights)}, or put {place_for(spec, weights)} {where}"


def torch_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """torch.hub's folder of checkpoints by the rule of `torch.hub.get_dir`, whose import would take seconds."""
    home = environ.get("TORCH_HOME") or f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_cache() -> Path:
    """The Hugging Face hub's folder of repositories, as its library reads `HF_HUB_CACHE` and `HF_HOME`."""
    from huggingface_hub import constants  # collection asks for none of it

    return Path(constants.HF_HUB_CACHE)


def hub_endpoint() -> str:
    """The server of the Hugging Face hub, as its library reads `HF_ENDPOINT`."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def hub_is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids the hub's library any download."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _download_option(spec: BackboneSpec, weights: PublishedWeights) -> str:
    unset = "unset HF_HUB_OFFLINE and " if weights.hub and hub_is_offline() else ""
    return f"{unset}add --fm-download ({terms(spec, weights)})"


def _places(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Iterator[Path]:
    if places.weights:
        yield places.weights / spec.name / weights.file
        yield places.weights / own_folder(spec, weights) / weights.file
    yield places.store / "downloads" / own_folder(spec, weights) / weights.file
    if (shared := _torch_place(spec, weights)) is not None:
        yield shared


def _torch_place(spec: BackboneSpec, weights: PublishedWeights) -> Path | None:
    """Where torch.hub keeps the file of this address.

    None for files that it does not fetch, and for names that any network's file may have: its cache is flat.
    """
    its_own = _basename(weights.url) == weights.file or _HASHED.search(weights.file)
    flat = own_folder(spec, weights) == Path() and Path(weights.file).name == weights.file
    return torch_cache() / weights.file if its_own and flat else None


def _in_hub_cache(weights: PublishedWeights) -> Path | None:
    """The file in the snapshot of its repository that the row's revision names."""
    if not weights.hub:
        return None
    from huggingface_hub import try_to_load_from_cache

    for name in (Path(weights.file).with_suffix(SAFE).as_posix(), weights.file):
        found = try_to_load_from_cache(weights.hub, name, revision=weights.revision or None)
        if isinstance(found, str):  # else it knows of none, or that there is none
            return Path(found)
    return None


def _is_generic(file: str) -> bool:
    """Whether a file's name, without a folder, says nothing of the network in it."""
    return Path(file).name == file and not set(re.findall(r"[a-z]+", Path(file).stem.lower())) - _GENERIC


def _basename(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]
