"""Verdicts held to what is planted, whatever reached them; and where stand-ins have their data, also on workers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.judge.court import Outcome, Verdict
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.plugin import stand_ins
from pytest_fmtransfer.plugin.cases import Case
from pytest_fmtransfer.stand_ins import planted
from pytest_fmtransfer.stand_ins.registry import StandIns

DINOV2, DEIT, DINO, SAM = (
    f"{name}-{{}}-finetune_linear" for name in ("dinov2_vitb14", "imagenet_deitb16", "dino_vitb16", "sam_vitb16")
)


def case(candidates: list[str], references: list[str]) -> Case:
    return Case(id="case", cells=tuple(map(Cell.parse, candidates)), references=tuple(map(Cell.parse, references)))


ONE = case([DINOV2.format("chexpert")], [DEIT.format("chexpert")])


def reached(outcome: Outcome, kind: str = "beats", **more: Any) -> Verdict:
    told: dict[str, Any] = {"candidate": ONE.cells[0].id, "reference": ONE.references[0].id}
    return Verdict(kind=kind, outcome=outcome, summary=f"{outcome}: Δ", **told | more)


def complaint(of: Case, *verdicts: Verdict) -> str:
    """Empty where every verdict is the one that is planted."""
    try:
        stand_ins.compare(of, verdicts, StandIns())
    except pytest.fail.Exception as failure:
        return str(failure)
    return ""


def test_every_verdict_of_a_test_is_held_to_what_is_planted() -> None:
    right, wrong = reached("supported"), reached("inconclusive")
    assert complaint(ONE, right, right) == ""
    for both in ((right, wrong), (wrong, right)):
        assert complaint(ONE, *both) == (
            "dinov2_vitb14-chexpert-finetune_linear beats imagenet_deitb16-chexpert-finetune_linear is planted to be "
            "supported, but is found inconclusive: Δ"
        )
    assert "reached no verdict" in complaint(ONE)
    assert complaint(ONE, reached("supported", kind="unchanged_from")) == (
        "case: no rule says which verdict of the kind 'unchanged_from' is planted; leave out --fm-stand-ins"
    )


def test_what_is_planted_knows_the_family_and_the_published_number() -> None:
    assert complaint(ONE, reached("inconclusive", family_size=6)) == ""
    far = reached("refuted", kind="consistent_with", reference="paper", published=0.6)
    assert complaint(ONE, far) == ""


def test_gains_are_planted_over_one_reference_alone() -> None:
    names = "dinov2_vitb14-finetune_linear", "sam_vitb16-finetune_linear"
    order = reached("supported", kind="gains_in_order", candidate=names[0], reference=names[1])
    on = ("chexpert", "isic2019")
    candidates = [cell.format(name) for cell in (DINOV2, SAM) for name in on]
    assert complaint(case(candidates, [DINO.format(name) for name in on * 2]), order) == ""
    several = [cell.format(name) for cell in (DINO, DEIT) for name in on]
    assert "names one reference on every dataset" in complaint(case(candidates, several), order)


def test_a_report_tells_what_was_expected_of_the_last_verdict() -> None:
    def told(*verdicts: Verdict) -> dict[str, str] | None:
        return stand_ins.expected(ONE, verdicts, StandIns())

    other = reached("refuted", candidate=ONE.references[0].id, reference=ONE.cells[0].id)
    assert told(other, reached("supported")) == {"outcome": "supported", "reason": "planted"}
    assert told(reached("supported"), other) == {"outcome": "refuted", "reason": "planted"}
    assert told() is None
    assert told(reached("supported", kind="unchanged_from")) is None


def test_data_of_every_cell_are_grown_and_none_where_one_has_no_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRAIN_EACH", "VALIDATION_EACH", "TEST_EACH"):
        monkeypatch.setattr(planted, name, 1)
    places, registry = Places(store=tmp_path, data_root=tmp_path), StandIns()
    cells = [Cell("dinov2_vitb14", name, "knn") for name in ("ddsm", "medmnist.breastmnist_64")]
    probe, real = Cell("shortcut.metadata", "ddsm", "knn"), Cell("dinov2_vitb14", "br35h", "knn")
    for lacking, why in ((probe, "shortcut.metadata has no network"), (real, "nothing is generated in the layout of")):
        told = stand_ins.prepare([*cells, lacking], registry, places)
        assert told is not None
        assert told.startswith(f"{lacking} has no stand-in: {why}")
    assert not any(tmp_path.iterdir())
    assert stand_ins.prepare(cells, registry, places) is None
    assert all(any(folder.iterdir()) for folder in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2


def test_places_are_in_a_folder_of_the_session_and_workers_are_told_which(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfigure("--fm-stand-ins")
    users = Places(store=Path("s"), weights=Path("w"), data_root=Path("d"), download=True, device="cpu", compiled=True)
    places = stand_ins.places_of(config, users)
    assert (places.weights, places.download, places.device, places.compiled) == (None, False, "cpu", True)
    assert places.data_root is not None
    folder = places.store.parent
    assert folder == places.data_root.parent
    assert folder.is_dir()
    node = SimpleNamespace(workerinput={})
    plugin: Any = config.pluginmanager.getplugin("fmtransfer-stand-ins")
    plugin.pytest_configure_node(node)
    worker: Any = SimpleNamespace(workerinput=node.workerinput, pluginmanager=pytest.PytestPluginManager())
    assert stand_ins.places_of(worker, users) == places
