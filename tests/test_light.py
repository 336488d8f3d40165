"""Who imports what: collection and warm runs stay light, and imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fmtransfer import Places

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "timm", "transformers", "torchvision", "open_clip"}

# Floors of the house, from the ground: a room may import its own floor and those below.
FLOORS = (
    {"errors", "printable", "words", "weights_headers"},
    {"devices", "disk"},
    {"device_runs", "limits"},
    {"cell", "missing", "places", "progress", "work"},
    {"baseline_names", "margins"},
    {"metrics", "catalog"},
    {"weights_places", "functions", "store"},
    {"checksums"},
    {"download", "text_places"},
    {"never", "pseudonyms", "result_files"},
    {"results", "availability"},
    {"libraries"},
    {"data", "backbones", "stand_ins"},
    {"extraction"},
    {"features"},
    {"view_keys"},
    {"viewing"},
    {"views"},
    {"adapt"},
    {"judge", "result_code"},
    {"cell_result"},
    {"_transfer"},
    {"claims", "baselines"},
    {"exports", "kept", "migration"},
    {"throughput", "training_costs"},
    {"expected_costs"},
    {"costs"},
    {"planning"},
    {"reports"},
    {"plugin", "cli"},
    {"__main__"},
)


def modules_after(*arguments: str) -> tuple[set[str], str]:
    """Top-level modules that a pytest run imported, and what it printed."""
    script = (
        "import sys, pytest\n"
        "code = pytest.main(sys.argv[1:])\n"
        "print('MODULES', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("MODULES ")[2].split()), done.stdout


def test_collection_imports_nothing_heavy() -> None:
    imported, told = modules_after("suites", "--co", "-q", "-p", "no:cacheprovider")
    assert "test_beats_imagenet[dinov2_vitb14-aptos2019-finetune_linear]" in told
    assert not imported & {*HEAVY, "pandas", "sklearn", "scipy", "numpy", "pydicom", "huggingface_hub"}


def test_the_list_of_claims_imports_nothing_that_could_compute() -> None:
    imported, told = modules_after("suites/pocket", "--fm-claims", "-k", "beats_random", "-p", "no:cacheprovider")
    assert "from baselines, recorded" in told
    assert not imported & {*HEAVY, "pandas", "sklearn", "PIL", "pydicom"}


def test_a_warm_run_imports_no_torch(places: Places) -> None:
    # The cell that tests/test_suite_mutations.py computes too.
    selection = ("suites/pocket", "-k", "efficientnet_lite0 and beats_random and knn", "-q", "-p", "no:cacheprovider")
    modules_after(*selection)
    imported, told = modules_after(*selection, "--fm-report=terminal")
    assert "1 passed" in told
    assert "store" in told
    assert not imported & HEAVY


def room_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pytest_fmtransfer").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_imports_point_one_way(path: Path) -> None:
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    relative = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    if relative == "pytest_fmtransfer":
        return
    own = floors[room_of(relative)]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.startswith("pytest_fmtransfer."):
                assert floors[room_of(name)] <= own, f"{relative} imports {name}, which is above it"
            assert room_of(relative) == "plugin" or name.partition(".")[0] != "pytest", f"{relative} imports pytest"
            if room_of(relative) in ("judge", "metrics", "results", "claims", "catalog"):
                assert name.partition(".")[0] not in HEAVY, f"{relative} imports {name}"
