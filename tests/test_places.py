"""Where things are kept: the environment and the defaults."""

import sys
from pathlib import Path

import pytest

from pytest_fmtransfer.places import Places

LINUX = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the default of Linux and its like")


def test_each_place_has_a_variable() -> None:
    environ = {"FMTRANSFER_STORE": "/s", "FMTRANSFER_WEIGHTS": "/w", "FMTRANSFER_DATA": "/d"}
    expected = Places(store=Path("/s"), weights=Path("/w"), data_root=Path("/d"))
    assert Places.from_environment(environ) == expected


def test_weights_and_data_are_nowhere_unless_named() -> None:
    places = Places.from_environment({"FMTRANSFER_STORE": "/s"})
    assert places.weights is None
    assert places.data_root is None


def test_an_empty_variable_counts_as_none() -> None:
    empty = {"FMTRANSFER_STORE": "", "FMTRANSFER_WEIGHTS": "", "FMTRANSFER_DATA": ""}
    assert Places.from_environment(empty) == Places.from_environment({})


@pytest.mark.parametrize("variable", ["FMTRANSFER_STORE", "FMTRANSFER_WEIGHTS", "FMTRANSFER_DATA"])
def test_a_tilde_is_the_home_folder(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    places = Places.from_environment({variable: "~/kept"})
    assert tmp_path / "kept" in (places.store, places.weights, places.data_root)


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMTRANSFER_STORE", "/from/the/process")
    assert Places.from_environment().store == Path("/from/the/process")


@LINUX
def test_the_store_is_below_the_users_cache_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Places.from_environment({}).store == tmp_path / ".cache" / "fmtransfer"


@LINUX
def test_the_users_own_cache_folder_is_heeded(tmp_path: Path) -> None:
    assert Places.from_environment({"XDG_CACHE_HOME": str(tmp_path)}).store == tmp_path / "fmtransfer"


def test_naming_places_makes_no_folder(tmp_path: Path) -> None:
    Places.from_environment({"FMTRANSFER_STORE": str(tmp_path / "store")})
    assert list(tmp_path.iterdir()) == []
