"""The Hugging Face hub's library, pointed at folders and servers of a test: it reads its environment at import."""

from pathlib import Path

import pytest
from huggingface_hub import constants


def use_hub_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let `folder` be the library's cache of repositories."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


def use_hub_server(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let `address` be the hub, as `HF_ENDPOINT` says it."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `HF_HUB_OFFLINE=1` does."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def cached(cache: Path, repository: str, file: str, *, revision: str = "main", commit: str = "a1") -> Path:
    """The place of a repository's file in the library's cache, at a commit that the revision names."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / revision).write_text(commit)
    place = folder / "snapshots" / commit / file
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
