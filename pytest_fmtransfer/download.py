"""Fetch published weights or data where the user asked for it: told first, checked, whole or not at all.

Files of the Hugging Face hub are its library's work: the cache, locks, `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE`.
Files of any other address are resumed where a download broke off, which neither that library nor torch.hub does.
"""

import hashlib
import os
from collections.abc import Iterable
from http.client import HTTPResponse
from pathlib import Path
from typing import cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock

from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec, Download, PublishedWeights
from pytest_fmtransfer.errors import Unavailable
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.progress import Bar, progress, tell
from pytest_fmtransfer.weights_places import (
    download_target,
    download_url,
    hub_endpoint,
    own_folder,
    terms,
)

_CHUNK = 1 << 20
_TIMEOUT = 60  # seconds without a byte
_REFUSED = (401, 403)  # what a server answers to those who may not have a file
_ALGORITHMS = {"sha256": "SHA-256", "md5": "MD5"}  # MD5 is all that some publishers tell: a check against damage


def download(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Path:
    """The file of published weights, fetched unless another process has done so meanwhile.

    Raises Unavailable when the server refuses, the connection breaks or the checksum is another.
    """
    if weights.hub:
        return _from_hub(spec, weights, places)
    return _download(
        download_url(weights),
        download_target(spec, weights, places),
        what=f"weights of {spec.name}",
        name=spec.name,
        terms=terms(spec, weights),
        digest=("sha256", weights.sha256),
        refused=f"accept its terms at {weights.url}",
    )


def _from_hub(spec: BackboneSpec, weights: PublishedWeights, places: Places) -> Path:
    """Through the hub's library: into the folder that the user named, else into the library's own cache."""
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]

    url = download_url(weights)
    tell(f"{spec.name}: downloading {url} ({terms(spec, weights)})")
    try:
        path = hf_hub_download(
            weights.hub,
            weights.file,
            revision=weights.revision or None,
            local_dir=places.weights / own_folder(spec, weights) if places.weights else None,
            tqdm_class=Bar,
        )
    except Exception as error:  # the errors of its HTTP client are no part of its interface
        # It wraps some refusals in an error that says nothing but "not found in the local cache".
        answers = [getattr(each, "response", None) for each in (error, error.__cause__)]
        refused = any(answer is not None and answer.status_code in _REFUSED for answer in answers)
        remedy = "run again; HF_HUB_DOWNLOAD_TIMEOUT gives a slow connection more time"
        if refused:
            page = f"{hub_endpoint()}/{weights.hub}"
            remedy = f"accept its terms at {page}, and set HF_TOKEN where it is on Hugging Face, or run: hf auth login"
        told = str(error).strip().partition("\n")[0]
        raise Unavailable(f"no weights of {spec.name}: {url} cannot be downloaded ({told}); {remedy}") from error
    return Path(path)


def download_data(spec: DatasetSpec, wanted: Iterable[Download], folder: Path) -> None:
    """Fetch files of a dataset into its folder. Raises as `download` does."""
    for each in wanted:
        _download(
            each.url,
            folder / each.file,
            what=f"images of {spec.name}",
            name=spec.name,
            terms=f"licence {spec.licence}",
            digest=("md5", each.md5),
            refused=f"get it from {each.url}",
        )


def _download(
    url: str, target: Path, *, what: str, name: str, terms: str, digest: tuple[str, str], refused: str
) -> Path:
    """`digest` is an algorithm and the digits that the file's begins with; `refused` what to do without access."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file():
            return target
        tell(f"{name}: downloading {url} ({terms})")
        part = target.with_name(f".{target.name}.part")
        try:
            _fetch(url, part, name)
        except OSError as error:  # what urllib raises; a gated repository answers 401 or 403
            gated = isinstance(error, HTTPError) and error.code in _REFUSED
            remedy = refused if gated else "run again, what has arrived is kept"
            raise Unavailable(f"no {what}: {url} cannot be downloaded ({error}); {remedy}") from error
        algorithm, expected = digest
        with part.open("rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if not found.startswith(expected):
            part.unlink()
            _validator(part).unlink(missing_ok=True)
            raise Unavailable(
                f"no {what}: {url} has {_ALGORITHMS[algorithm]} {found}, its row says {expected}; "
                "run again, and if it stays so, the file is not the one that was published"
            )
        os.replace(part, target)
        _validator(part).unlink(missing_ok=True)
    return target


def _fetch(url: str, part: Path, name: str) -> None:
    """Fill `part`. Raises OSError, a connection that ends early included."""
    request = Request(url)
    kept = part.stat().st_size if part.is_file() and _validator(part).is_file() else 0
    if kept:
        request.add_header("Range", f"bytes={kept}-")
        request.add_header("If-Range", _validator(part).read_text(encoding="latin1"))
    try:
        answer = cast(HTTPResponse, urlopen(request, timeout=_TIMEOUT))
    except HTTPError as error:
        if error.code != 416 or not kept:
            raise
        part.unlink()  # all of it had arrived, or the file is shorter now: begin anew
        _fetch(url, part, name)
        return
    with answer:
        if answer.status != 206:
            kept = 0
            _keep_validator(answer, part)
        total = kept + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if kept else "wb") as stream, progress(f"{name} download", total=total, unit="B") as bar:
            bar.update(kept)
            while chunk := answer.read(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
        if answer.headers.get("Content-Length") and part.stat().st_size != total:
            raise ConnectionError(f"{part.stat().st_size} of {total} bytes arrived")


def _keep_validator(answer: HTTPResponse, part: Path) -> None:
    """What tells that the server still has the same file; without it a download is begun anew."""
    tag = answer.headers.get("ETag", "")
    told = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    if told:
        _validator(part).write_text(told, encoding="latin1")
    else:
        _validator(part).unlink(missing_ok=True)


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}-of")
