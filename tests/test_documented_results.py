"""What docs say of a result's values is what it has. Real images; the cell needs no torch."""

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_fmtransfer import Places
from tests.helpers import retrained

DOC = Path(__file__).parents[1] / "docs" / "writing-a-suite.md"
(BLOCK,) = re.findall(r"```python\n([^`]*fm\.transfer\(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
SAID = dict(re.findall(r"^result\.(\w+)  # .*?: (.+)$|^result\.(?:\w+)  # \(0,\)$", BLOCK, re.MULTILINE))
CELL = "shortcut.metadata-br35h-knn"


def test_the_block_runs(monkeypatch: pytest.MonkeyPatch, places: Places) -> None:
    monkeypatch.setenv("FMTRANSFER_STORE", str(places.store))
    assert "mobilenetv2-br35h-knn" in BLOCK
    scope: dict[str, Any] = {}
    exec(BLOCK.replace("mobilenetv2-br35h-knn", CELL), scope)
    result = scope["result"]
    assert repr(result) == f"<{CELL}: {result.metric_of} {result.mean:.4f}>"
    assert result.by_seed == (result.mean,)
    assert result.seeds == (0,)
    # What does not depend on the backbone is as the comments say.
    assert SAID["metric_of"] == repr(result.metric_of)
    assert SAID["patients"] == repr(result.patients)
    assert SAID["patient_unit"] == repr(result.patient_unit)


def test_the_mean_is_that_of_the_seeds_in_their_order() -> None:
    result = retrained(CELL, 0.5, 1.0, 1.5)
    assert len(result.by_seed) == len(result.seeds) == 3
    assert result.by_seed == tuple(sorted(result.by_seed))  # the classes of later seeds lie further apart
    assert result.mean == pytest.approx(sum(result.by_seed) / 3)
