"""Every claim of suites/medmnistplus2025 can be supported and can fail: it judges results with planted effects.

Cells are as good as the abstract, the tables' averages and the suite's own directions have it, or the other way round
(`tests/planted_worlds.py`), on samples of OCTMNIST and on all data sets together. Numbers of the tables are agreed with
where they are planted.
"""

import csv
from pathlib import Path

import pytest

from pytest_fmtransfer.catalog.medmnist_sets import COLLECTIONS
from pytest_fmtransfer.cell import Cell
from suites.medmnistplus2025.paper import CNNS, DATASETS, END_TO_END, FOUNDATION, KNN, MODELS, PROBED
from suites.medmnistplus2025.tables import AUC, FILE, average, models, published, read
from tests.planted_worlds import Outcomes, Sample, Watcher, Worlds, alike, failed, judged, names, run, scoring

SUITE = "medmnistplus2025"
STEP, CENTRE, MIDDLE = 0.2, 1.5, 1.0  # of the signal, and the step and signal about which a world is reversed
OCT = "medmnist.octmnist_224"
# Claims about one data set; about one model on all of them, whose families take five seeds; about every model of the
# tables on all of them.
PARTS = {
    "octmnist and (dino_vitb16 and (agrees or nothing) or imagenet_resnet18 and competitive)": Sample(),
    "octmnist and dino_vitb16 and (higher_average or more_than_knn)": Sample(each=24, seeds=5),
    "octmnist and cnns_gain": Sample(each=24),
}
MANY, OFF = Sample(each=600, seeds=5), 0.05  # OFF: another value than the tables'


def steps(cell: Cell) -> float:
    """Cheap schemes are worth more than training end to end for a foundation model, and less for any other."""
    whole = 3 if cell.backbone in CNNS else 0
    if cell.backbone in FOUNDATION:
        return {END_TO_END: whole, KNN: 1, PROBED: 2}[cell.regime]
    return whole - {END_TO_END: 0, PROBED: 1, KNN: 2}[cell.regime]


@pytest.fixture(scope="module")
def parts() -> list[Watcher]:
    return [run(SUITE, selected, "--co") for selected in PARTS]


@pytest.fixture(scope="module")
def worlds(parts: list[Watcher], tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    def world(sign: int) -> Outcomes:
        ended: dict[str, str] = {}
        for (selected, sample), part in zip(PARTS.items(), parts, strict=True):
            signals = {cell: MIDDLE + sign * STEP * (steps(cell) - CENTRE) for cell in part.cells}
            ended |= judged(SUITE, selected, tmp_path_factory.mktemp("world"), signals, sample)
        return ended

    return world(1), world(-1)


def test_every_test_of_the_suite_is_among_those_that_are_judged(parts: list[Watcher], worlds: Worlds) -> None:
    for world in worlds:
        assert names(world) == parts[0].functions


def test_what_the_paper_says_is_supported_where_it_is_planted(worlds: Worlds) -> None:
    assert {name for name in failed(worlds[0]) if "agrees" not in name} == set()


def test_every_claim_fails_in_one_world_and_is_supported_in_the_other(worlds: Worlds) -> None:
    assert {name for name in alike(worlds) if "agrees" not in name} == set()


def test_a_number_of_the_tables_is_agreed_with_where_it_is_planted_and_not_where_another_is(tmp_path: Path) -> None:
    cells = [Cell("dino_vitb16", OCT, regime) for regime in (END_TO_END, PROBED)]
    for off, outcome in ((0.0, "passed"), (OFF, "failed")):
        signals = {cell: scoring(cell, AUC[cell] - off, MANY) for cell in cells}
        ended = judged(SUITE, "agrees and octmnist and dino_vitb16", tmp_path / outcome, signals, MANY)
        assert ended == {
            f"test_end_to_end_agrees_with_the_tables[{cells[0]}]": outcome,
            f"test_linear_probing_agrees_with_the_tables[{cells[1]}]": outcome,
        }


def test_the_tables_are_read_from_their_file(tmp_path: Path) -> None:
    """Every AUC at 224 px, under the names of the catalogue; another file, other numbers."""
    with FILE.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["size"] == "224"]
    assert [100 * value for value in AUC.values()] == pytest.approx([float(row["auc"]) for row in rows])
    assert {cell.dataset for cell in AUC} == set(DATASETS)
    assert {*models(END_TO_END), *models(PROBED)} < set(MODELS)
    other = tmp_path / "other.csv"
    other.write_text("scheme,model,size,dataset,acc,auc\nLP,EVA-02 ViT-B/16,224,oct,1,50\nLP,ResNet-18,28,oct,1,2\n")
    assert read(other) == {Cell("eva02_vitb16", OCT, PROBED): 0.5}


def test_a_published_number_has_the_patients_of_the_official_test_side() -> None:
    (images,) = (each.samples[-1] for each in COLLECTIONS if each.name == "octmnist")
    assert published(Cell("dino_vitb16", OCT, PROBED)).patients == images


def test_averages_are_those_of_the_published_table() -> None:
    """On average DINO is better probed than trained end to end, and ResNet-18 the other way round."""
    assert average("dino_vitb16", PROBED) > average("dino_vitb16", END_TO_END)
    assert average("imagenet_resnet18", PROBED) < average("imagenet_resnet18", END_TO_END)
