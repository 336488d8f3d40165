"""Where published weights may lie on this machine, and where they can be downloaded. Nothing is opened or imported.

The folder that the user named, then what `--fm-download` fetched, then the caches of torch.hub and of Hugging Face,
in the layouts that these libraries document.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights
from pytest_fmtransfer.places import Places

SAFE = ".safetensors"


def find_weights(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Path | None:
    """The first place that holds the publisher's file, a folder of that name, or what `fmtransfer convert` made of it.

    What was converted comes first: it is there because the publisher's file could not be loaded.
    """
    for place in _places(spec, weights, places):
        if (converted := place.with_suffix(SAFE)).is_file():
            return converted
        if place.exists():
            return place
    return None


def terms(spec: BackboneSpec, weights: PublishedWeights) -> str:
    """Licence and limits of the weights, in a phrase."""
    limits = ["non-commercial use only"] if weights.non_commercial else []
    limits += ["gated: its publisher gives access to those who accept its terms"] if weights.gated else []
    return "; ".join([f"licence {spec.licence}", *limits])


def download_url(weights: PublishedWeights, environ: Mapping[str, str] = os.environ) -> str:
    """Where the file itself can be fetched; empty where the row knows only a page about it."""
    if weights.hub:
        return f"{hub_endpoint(environ)}/{weights.hub}/resolve/main/{weights.file}"
    return weights.url if urlsplit(weights.url).path.endswith(f"/{weights.file}") else ""


def download_target(weights: PublishedWeights, places: Places) -> Path:
    """Where a download goes: files of the Hugging Face hub are often called alike, so each below its repository."""
    return _downloads(places) / weights.hub / weights.file


def ways_to(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> str:
    """Every way to published weights, in a phrase."""
    where = places.weights or "a folder of yours, named with --fm-weights=DIR,"
    file = f"{weights.hub}/{weights.file}" if weights.hub else weights.file
    ways = [f"put {file} into {where} from {weights.url}", f"or into torch.hub's {torch_cache()}"]
    if weights.hub:
        ways.append(f"or have {weights.hub} in Hugging Face's {hub_cache()}")
    if download_url(weights):
        ways.append(f"or add --fm-download ({terms(spec, weights)})")
    return ", ".join(ways)


def short_way_to(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> str:
    """The shortest ways to published weights that can be downloaded, in a phrase; empty for others."""
    if not download_url(weights):
        return ""
    where = f"into {places.weights}" if places.weights else "into a folder and add --fm-weights=DIR"
    return f"add --fm-download ({terms(spec, weights)}), or put {weights.file} {where}"


def hub_endpoint(environ: Mapping[str, str] = os.environ) -> str:
    return (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def torch_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """torch.hub's folder of checkpoints: `TORCH_HOME`, else below the user's cache."""
    home = environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else _cache(environ) / "torch") / "hub" / "checkpoints"


def hub_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Hugging Face's folder of repositories: `HF_HUB_CACHE`, else below `HF_HOME`, else below the user's cache."""
    if named := environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = environ.get("HF_HOME")
    return (Path(home).expanduser() if home else _cache(environ) / "huggingface") / "hub"


def _cache(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser()


def _downloads(places: Places) -> Path:
    return places.weights or places.store / "downloads"


def _places(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Iterator[Path]:
    if places.weights:
        yield places.weights / spec.name / weights.file
        yield places.weights / weights.hub / weights.file  # files of the hub are often called alike
    yield places.store / "downloads" / weights.hub / weights.file
    yield torch_cache() / weights.file
    if weights.hub:
        for snapshot in _snapshots(hub_cache() / f"models--{weights.hub.replace('/', '--')}"):
            yield snapshot / weights.file


def _snapshots(repository: Path) -> list[Path]:
    """The snapshots of a cached repository: its main branch's first, then by name."""
    main = repository / "refs" / "main"
    current = main.read_text(encoding="ascii").strip() if main.is_file() else ""
    return sorted((repository / "snapshots").glob("*"), key=lambda folder: (folder.name != current, folder.name))
