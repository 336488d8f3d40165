"""Keys of the store: equal for equal values, different for different ones."""

import ast
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_fmtransfer import store
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.result_code import code_of, files_of
from pytest_fmtransfer.store import code_digest, file_digest, fingerprint
from tests.helpers import LAWS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.randoms(use_true_random=False))
@LAWS
def test_a_fingerprint_does_not_depend_on_the_order_of_a_mapping(value: dict[str, object], random: Random) -> None:
    pairs = list(value.items())
    random.shuffle(pairs)
    assert fingerprint(dict(pairs)) == fingerprint(value)


def canonical(value: object) -> object:
    """A value as text that keeps 1, 1.0 and True apart and does not heed the order of a mapping."""
    if isinstance(value, dict):
        return "map", tuple(sorted((key, repr(canonical(inner))) for key, inner in value.items()))
    if isinstance(value, list):
        return "list", tuple(canonical(inner) for inner in value)
    return repr(value)


@given(JSON, JSON)
@LAWS
def test_different_values_have_different_fingerprints(one: object, other: object) -> None:
    assume(canonical(one) != canonical(other))
    assert fingerprint(one) != fingerprint(other)


@given(st.lists(st.text(max_size=3), min_size=2, max_size=4))
@LAWS
def test_parts_do_not_run_into_each_other(parts: list[str]) -> None:
    assert fingerprint(*parts) != fingerprint("".join(parts))


def test_a_fingerprint_is_the_same_everywhere() -> None:
    assert fingerprint("br35h", 224, {"b": None, "a": 0.5}) == fingerprint("br35h", 224, {"a": 0.5, "b": None})
    assert len(fingerprint()) == 32


def test_a_file_digest_is_of_the_content(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "Same")):
        (tmp_path / name).write_text(text)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")


def test_a_code_digest_tells_modules_apart() -> None:
    assert code_digest("cell.py") == code_digest("cell.py") != code_digest("store.py")


def files_under(regime: str) -> set[str]:
    row = Registry().regime(regime)
    return set(files_of(row.method, row.settings))


def test_a_result_that_was_learnt_from_images_is_keyed_by_all_that_showed_them() -> None:
    shown = {
        "catalog/regime_settings.py",
        "data/augmentations.py",
        "viewing.py",
        "views.py",
        "data/chunks.py",
        "data/transforms.py",
        "adapt/frozen.py",
        "backbones/cutting.py",
    }
    assert shown <= files_under("frozen_linear")
    assert not shown & files_under("knn")


@pytest.mark.parametrize(
    ("regime", "file"),
    [
        ("zeroshot", "backbones/open_clip_text.py"),
        ("zeroshot", "backbones/text_towers.py"),
        ("zeroshot", "catalog/prompts.py"),
        ("fewshot5", "data/subsets.py"),
        ("lora8", "adapt/lora.py"),
        ("ridge", "adapt/ridge.py"),
    ],
)
def test_what_one_kind_of_regime_alone_uses_is_in_no_key_of_another(regime: str, file: str) -> None:
    assert file in files_under(regime)
    assert file not in files_under("knn")


def called_on(file: str) -> set[str]:
    """The modules of adapt and metrics that one of ours imports, as paths below the package."""
    package = Path(store.__file__).parent
    found: set[str] = set()
    for node in ast.walk(ast.parse((package / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pytest_fmtransfer"):
            module = "/".join((node.module or "").split(".")[1:])
            found |= {f"{module}.py", *(f"{module}/{name.name}.py" for name in node.names)}
    return {name for name in found if name.startswith(("adapt/", "metrics/")) and (package / name).is_file()}


@pytest.mark.parametrize("regime", ["knn", "ridge", "linear_probe", "fewshot5", "zeroshot", "frozen_linear", "lora8"])
def test_a_result_is_keyed_by_what_asks_and_records_it_and_by_all_that_its_method_calls_on(regime: str) -> None:
    row, keyed = Registry().regime(regime), files_under(regime)
    method = row.method
    assert len(files_of(method, row.settings)) == len(keyed)
    assert {"_transfer.py", "results.py", f"adapt/{method}.py", "metrics/roc.py"} <= keyed
    reached, new = set[str](), {f"adapt/{method}.py", "_transfer.py"}
    while new:
        reached |= new
        new = {each for file in new for each in called_on(file)} - reached
    assert len(reached) > 3
    assert reached <= keyed


def test_every_text_tower_is_in_the_key_of_what_takes_one() -> None:
    towers = {f"backbones/{file.name}" for file in (Path(store.__file__).parent / "backbones").glob("*_text.py")}
    assert len(towers) > 1
    assert towers <= files_under("zeroshot")


def test_a_change_of_a_module_changes_the_keys_of_its_regimes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "pytest_fmtransfer"
    shutil.copytree(Path(store.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "*.csv"))
    monkeypatch.setattr(store, "__file__", str(package / "store.py"))
    rows = {name: Registry().regime(name) for name in ("knn", "ridge")}

    def codes() -> dict[str, str]:
        return {name: code_of(row.method, row.settings) for name, row in rows.items()}

    before = codes()
    with (package / "adapt" / "ridge.py").open("a") as file:
        file.write("# another\n")
    after = codes()
    assert after["knn"] == before["knn"]
    assert after["ridge"] != before["ridge"]
