"""What is planned is what is done: forward passes to the last one, and nothing where nothing is to do."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pytest_fmtransfer._transfer import open_under, transfer
from pytest_fmtransfer.catalog.expected import Expected
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import FINDING_KINDS, DataRoot
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.costs import CellPlan, Plan
from pytest_fmtransfer.data.readers import br35h
from pytest_fmtransfer.judge.court import Court
from pytest_fmtransfer.judge.foresight import Foresight
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.planning import Planner
from pytest_fmtransfer.results import Result
from pytest_fmtransfer.store import file_digest
from pytest_fmtransfer.training_costs import Counts
from pytest_fmtransfer.work import Tally, counting
from tests.pictures import head, noisy, save

EACH = 30  # heads of each class


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Heads, a near copy of one, and a second file of the same picture; both are listed."""
    root = tmp_path_factory.mktemp("data") / "MRI"
    for number in range(EACH):
        save(head(number), root / "no" / f"{number:02}.png")
        save(head(100 + number), root / "yes" / f"{number:02}.jpg")
    for path in (root / "no").glob("*.png"):
        path.rename(path.with_suffix(".jpg"))  # the decoder looks at the bytes
    save(noisy(head(0)), root / "no" / "noisy.jpg")
    (root / "no" / "same.jpg").write_bytes((root / "no" / "05.jpg").read_bytes() + b"a trailer that no decoder reads")
    copies = {"no/noisy.jpg": "no/00.jpg", "no/same.jpg": "no/05.jpg"}
    lines = [f"{name},{file_digest(root / name)},{group}\n" for name, group in copies.items()]
    (root.parent / "groups.csv").write_text("image,digest,group\n" + "".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(br35h, "GROUPS", root.parent / "groups.csv")
        yield root.parent


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Places:
    return Places(store=tmp_path / "store", data_root=folder)


@pytest.fixture(scope="module")
def ours() -> Registry:
    """A real network at a small input, and the heads as two datasets: one image a group, and every image."""
    ours = Registry()
    ours.register(replace(ours.backbone("mobilenetv2"), name="small", image_size=32))
    row = replace(
        ours.dataset("br35h"),
        location=DataRoot(folder="MRI", url="https://x.org"),
        expected_images=None,
        acknowledged=dict.fromkeys(FINDING_KINDS, "made for these tests"),
    )
    ours.register(replace(row, name="heads"))
    ours.register(replace(row, name="heads.all", options={"keep": "all"}))
    return ours


def nothing(cell: Cell) -> Result | None:
    del cell
    return None


def planned(ours: Registry, own: Places, *cells: Cell) -> Plan:
    return Planner(profile="ci", registry=ours, places=own, baseline=nothing).plan(cells)


def cells(*datasets: str, backbones: tuple[str, ...] = ("small",)) -> list[Cell]:
    return [Cell(*parts) for parts in product(backbones, datasets, ("knn", "linear_probe"))]


@pytest.mark.parametrize(
    ("datasets", "passes"), [(("heads", "heads.all"), [60, 0, 1, 0]), (("heads.all", "heads"), [61, 0, 0, 0])]
)
def test_forward_passes_are_those_that_are_made(
    datasets: tuple[str, ...], passes: list[int], ours: Registry, own: Places
) -> None:
    wanted = [*cells(*datasets, backbones=("small", "small.random")), *cells("heads", backbones=("shortcut.metadata",))]
    plan = planned(ours, own, *wanted)
    assert [line.forward_passes for line in plan.cells] == [*passes, *passes, 0, 0]
    assert plan.to_run == len(wanted)
    tally = Tally()
    with counting(tally):
        for cell in wanted:
            transfer(cell, registry=ours, places=own)
    assert tally.forward_passes == plan.forward_passes == 122
    assert not any(line.steps for line in planned(ours, own, *wanted).cells)


def test_a_plan_computes_nothing_but_hashes(ours: Registry, own: Places) -> None:
    tally = Tally()
    with counting(tally):
        planned(ours, own, *cells("heads"))
    assert tally.forward_passes == 0
    assert {path.name for path in own.store.iterdir()} == {"contents", "weights", "locks"}


def test_what_is_half_done_is_planned_from_there(ours: Registry, own: Places) -> None:
    knn, probe = cells("heads")
    transfer(knn, registry=ours, places=own)
    plan = planned(ours, own, knn, probe, *cells("heads.all"))
    assert [[step.kind for step in line.steps] for line in plan.cells] == [
        [],
        ["result"],
        ["audit", "images", "features", "result"],
        ["result"],
    ]
    assert plan.forward_passes == 1


def test_every_step_says_where_its_figures_are_from(ours: Registry, own: Places) -> None:
    [line] = planned(ours, own, Cell("small", "heads", "knn")).cells
    told = {step.kind: (step.seconds.source, step.bytes.source) for step in line.steps}
    assert told == {
        "audit": ("assumed", "assumed"),
        "images": ("24 images just decoded", "its shape"),
        "features": ("speed unknown", "width of features unknown"),
        "result": ("time of the regime unknown", "assumed"),
    }
    plan = Plan(cells=(line,))
    assert plan.seconds.at_least
    assert plan.bytes.at_least
    assert plan.seconds.amount > (plan.starting.amount or 0.0) > 0


def test_what_one_cell_took_tells_of_the_next(ours: Registry, own: Places) -> None:
    transfer(Cell("small", "heads", "knn"), registry=ours, places=own)
    [line] = planned(ours, own, Cell("small.random", "heads", "knn")).cells
    told = {step.kind: (step.seconds.source, step.bytes.source) for step in line.steps}
    # The images are decoded, and a twin is what its original is.
    assert told == {"features": ("this machine", "this machine"), "result": ("this machine", "assumed")}
    [again] = planned(ours, own, Cell("small", "heads.all", "knn")).cells
    told = {step.kind: (step.seconds.source, step.bytes.source) for step in again.steps}
    assert told == {
        "audit": ("this machine", "assumed"),
        "images": ("24 images just decoded", "its shape"),
        "features": ("this machine", "this machine, scaled from heads"),
        "result": ("this machine, scaled from heads", "assumed"),
    }
    assert not Plan(cells=(again,)).bytes.at_least


def test_sizes_are_those_on_disk(ours: Registry, own: Places) -> None:
    for cell in cells("heads"):
        transfer(cell, registry=ours, places=own)
    predicted = {
        step.kind: step.bytes.amount for step in planned(ours, own, Cell("small", "heads.all", "knn")).cells[0].steps
    }
    before = {kind: on_disk(own, kind) for kind in ("images", "features", "results")}
    transfer(Cell("small", "heads.all", "knn"), registry=ours, places=own)
    added = {kind: on_disk(own, kind) - before[kind] for kind in before}
    assert predicted["audit"] == pytest.approx(on_disk(own, "audits") / 2, rel=0.9)  # of the two datasets
    assert predicted["images"] == pytest.approx(added["images"], rel=0.02)
    assert predicted["features"] == pytest.approx(added["features"], rel=0.02)
    assert predicted["result"] == pytest.approx(added["results"], rel=0.7)


def on_disk(own: Places, kind: str) -> int:
    return sum(path.stat().st_size for path in (own.store / kind).rglob("*") if path.is_file())


def test_a_cell_is_planned_once_and_an_absent_one_says_what_is_missing(ours: Registry, own: Places) -> None:
    absent = Cell("dinov2_vitb14", "aptos2019", "finetune_linear")
    here = Cell("small", "heads", "knn")
    plan = planned(ours, own, here, absent, here)
    assert [line.cell for line in plan.cells] == [here, absent]
    assert plan.to_run == 1
    assert "no weights of dinov2_vitb14; no images of aptos2019" in plan.cells[1].lacks


def test_a_dataset_that_cannot_be_opened_says_why(ours: Registry, own: Places) -> None:
    wrong = Registry()
    wrong.register(replace(ours.dataset("heads"), name="heads", expected_images=7))
    [line] = planned(wrong, own, Cell("mobilenetv2", "heads", "knn")).cells
    assert line == CellPlan(cell=line.cell, lacks=line.lacks)
    assert "holds 62 images, heads has 7" in line.lacks


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("mine=py:nets_of_a_plan:number", "nets_of_a_plan:number returned something of type int; return an nn.Module"),
        (
            "mine=py:nets_of_a_plan:broken",
            "nets_of_a_plan:broken failed: KeyError: 'their own' (nets_of_a_plan.py, line 2)",
        ),
    ],
)
def test_a_backbone_that_cannot_be_built_says_why(
    line: str, told: str, ours: Registry, own: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = "def number(): return 3\ndef broken(): raise KeyError('their own')\n"
    (tmp_path / "nets_of_a_plan.py").write_text(nets)
    monkeypatch.syspath_prepend(tmp_path)
    theirs = Registry()
    theirs.register(replace(ours.dataset("heads")))
    theirs.register(UserBackbone.parse(line.format(folder=tmp_path)).row)
    planner = Planner(profile="ci", registry=theirs, places=own, baseline=nothing)
    mine, other = (Cell(name, "heads", "knn") for name in ("mine", "shortcut.metadata"))
    [found] = planner.plan([mine]).cells
    assert told in found.lacks
    assert found == CellPlan(cell=mine, lacks=found.lacks)
    assert planner.foresee("beats", [(mine, other)], Court()).source


def test_a_folder_without_weights_is_missing_and_says_why(ours: Registry, own: Places, tmp_path: Path) -> None:
    theirs = Registry()
    theirs.register(replace(ours.dataset("heads")))
    theirs.register(UserBackbone.parse(f"mine=hf:{tmp_path}").row)
    [found] = (
        Planner(profile="ci", registry=theirs, places=own, baseline=nothing).plan([Cell("mine", "heads", "knn")]).cells
    )
    assert "is a folder without a file of weights" in found.lacks
    assert found.missing


def test_a_claim_is_foretold_from_a_pair_else_from_an_assumption(ours: Registry, own: Places) -> None:
    def foretold(baseline=nothing):
        planner = Planner(profile="ci", registry=ours, places=own, baseline=baseline)
        knn, probe = cells("heads")
        return planner.foresee("beats", [(probe, knn)], Court())

    assert foretold().source == "assumed: roc_auc 0.85 in both, scores correlated 0.8"
    results = {cell: transfer(cell, registry=ours, places=own) for cell in cells("heads")}
    assert foretold().source == "this pair, from store"
    assert foretold().answer == (
        "not enough groups of near copies to tell: class 'no tumour' has 12 in the test side, beats needs 20"
    )
    (own.store / "results").rename(own.store / "elsewhere")
    assert foretold(results.get).source == "this pair, from computed"
    other = replace(results[cells("heads")[0]].question, dataset_fingerprint="older")
    stale = results | {cells("heads")[0]: replace(results[cells("heads")[0]], question=other)}
    assert foretold(stale.get).source.startswith("assumed")


def test_a_claim_over_several_pairs_is_as_strong_as_its_weakest(ours: Registry, own: Places) -> None:
    planner = Planner(profile="ci", registry=ours, places=own, baseline=nothing)
    one, other = ((Cell("small", name, "knn"), Cell("small.random", name, "knn")) for name in ("heads", "heads.all"))
    alone, both = planner.foresee("beats", [one], Court()), planner.foresee("beats", [other, one], Court())
    assert alone.detectable is not None
    assert both.detectable is not None
    assert both.detectable > alone.detectable  # each of the two must be found, so each needs more power


def test_shuffled_labels_share_images_and_features_and_are_run_at_every_seed(ours: Registry, own: Places) -> None:
    transfer(Cell("small", "heads", "knn"), registry=ours, places=own)
    plan = planned(ours, own, Cell("small", "heads.shuffled", "knn"), Cell("small", "heads.all", "knn"))
    [shuffled], [*_, once] = (line.steps for line in plan.cells)
    assert (shuffled.kind, plan.cells[0].forward_passes) == ("result", 0)
    assert shuffled.seconds.amount is not None
    assert once.seconds.amount is not None
    assert shuffled.seconds.amount == pytest.approx(20 * once.seconds.amount, rel=0.1)


@pytest.mark.parametrize(
    ("dataset", "answer"),
    [
        ("ddsm", "absent; the sizes of its classes are not known"),
        ("chexpert", "absent; the error of mean_roc_auc is not known before a pair of results is"),
        ("untold", "absent; the sizes of its classes are not known"),
    ],
)
def test_a_claim_about_what_is_absent_is_not_known(dataset: str, answer: str, ours: Registry, own: Places) -> None:
    theirs = Registry()
    theirs.register(replace(theirs.dataset("ddsm"), name="untold", expected_images=None))
    planner = Planner(profile="full", registry=theirs, places=own, baseline=nothing)
    dinov2, deit = (Cell(name, dataset, "finetune_linear") for name in ("dinov2_vitb14", "imagenet_deitb16"))
    found = planner.foresee("beats", [(dinov2, deit)], Court())
    assert found == Foresight(detectable=None, settled=False, answer=answer, source="")


def test_a_claim_about_what_is_absent_is_foretold_from_the_classes_that_are_expected(
    ours: Registry, own: Places
) -> None:
    def foretold(kind: str, profile: str, dataset: str) -> Foresight:
        planner = Planner(profile=profile, registry=ours, places=own, baseline=nothing)
        return planner.foresee(
            kind, [(Cell("dinov2_vitb14", dataset, "knn"), Cell("sam_vitb16", dataset, "knn"))], Court()
        )

    found = foretold("beats", "full", "aptos2019")
    assert found.expected
    assert found.answer.startswith("absent; underpowered: ")
    assert found.source.startswith("expected classes; assumed: quadratic_kappa")
    assert found.detectable is not None
    assert 0.02 < found.detectable < (foretold("beats", "smoke", "aptos2019").detectable or 0)
    assert foretold("not_worse_than", "full", "isic2019").answer == (
        "absent; not enough lesions to tell: class 'DF' has 24 in the test side, not_worse_than needs 50"
    )


def test_where_weights_alone_are_absent_images_are_counted(ours: Registry, own: Places) -> None:
    """The catalogue would expect another number of them."""
    here, absent = planned(ours, own, Cell("small", "heads", "knn"), Cell("imagenet_resnet18", "heads", "knn")).cells
    assert absent.expected is not None
    assert absent.expected.source == "counted"
    assert absent.expected.forward_passes == here.forward_passes > 0


@pytest.mark.parametrize(
    "regime", ["knn", "finetune_linear", "partial5_linear", "frozen_linear", "frozen_linear.every"]
)
def test_what_an_absent_cell_would_take_is_what_it_takes_once_it_is_here(
    regime: str, ours: Registry, own: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = Cell("small", "heads", regime)
    here = planned(ours, own, cell).cells[0]
    counts = Counts.of(open_under(ours.profile("ci"), ours.dataset("heads"), own))
    sizes = Expected(train=counts.train, validation=counts.validation, test=counts.test, source="counted")
    monkeypatch.setattr("pytest_fmtransfer.planning.expected_of", lambda spec, caps: sizes)
    twice = [cell, Cell("small", "heads", regime)]
    nowhere = replace(own, data_root=own.store)
    [absent] = planned(ours, nowhere, *twice).cells
    assert absent.missing == (absent.lacks,)
    assert absent.expected is not None
    assert absent.expected.training_steps == here.training_steps
    assert absent.expected.forward_passes == here.forward_passes
    assert absent.expected.bytes == next(step.bytes.amount for step in here.steps if step.kind == "images")
    learns = regime in ("finetune_linear", "partial5_linear")
    assert absent.expected.trained_images == (16 * here.training_steps if learns else 0)


def test_planning_needs_no_torch(places: Places) -> None:
    script = (
        "import sys, pytest\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name.partition('.')[0] not in ('torch', 'timm', 'sklearn', 'pandas'), name\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "sys.exit(pytest.main(['suites', '--fm-plan', '-p', 'no:cacheprovider']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"FMTRANSFER_DEVICE": "cpu"},  # the best device is told by looking where torch lies
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "cells to measure:" in done.stdout or "nothing to measure" in done.stdout
    assert re.search(r"\n  \d+ cells: no weights of dinov2_vitb14: put ", done.stdout)
    assert re.search(r"\naptos2019 +finetune_linear +\d", done.stdout)
    assert re.search(r"\n\d+ absent cells would take [\d,]+ training steps", done.stdout)


def briefly(name: str, like: str, **changed: Any) -> RegimeSpec:
    """A regime that is over at once: one seed, two epochs."""
    row = Registry().regime(like)
    assert isinstance(row.settings, TrainingSettings)
    return replace(row, name=name, seeds=1, settings=replace(row.settings, epochs=2, batch=8, **changed))


def test_training_is_planned_as_it_is_done(ours: Registry, own: Places) -> None:
    """36 heads learn, 12 are validated and 12 tested on; a batch takes eight."""
    theirs = Registry()
    theirs.register(ours.backbone("small"))
    theirs.register(ours.dataset("heads"))
    for row in (
        briefly("views", "frozen_linear", views=1),
        briefly("more_views", "frozen_linear", views=2),
        briefly("every", "frozen_linear", views="every"),
        briefly("plain", "frozen_linear.unaugmented"),
        briefly("tuned", "finetune_linear"),
        replace(ours.regime("fewshot1"), name="shots", seeds=2),
    ):
        theirs.register(row)
    wanted = [
        Cell("small", "heads", name) for name in ("views", "more_views", "every", "plain", "tuned", "knn", "shots")
    ]
    table = open_under(theirs.profile("ci"), theirs.dataset("heads"), own).table
    learnt, others = len(table.side("train")), len(table.side("validation")) + len(table.side("test"))
    steps, images = 2 * (learnt // 8), learnt + others
    plan = planned(theirs, own, *wanted)
    # The view of validation and test side is shared; the plain transform has images of another size, and all of them.
    assert [line.forward_passes for line in plan.cells] == ([learnt + others, learnt, 8 * steps, learnt, 0, images, 0])
    assert [line.training_steps for line in plan.cells] == [steps, steps, steps, steps, steps, 0, 0]
    assert [line.networks for line in plan.cells] == [1, 1, 1, 1, 1, 1, 0]
    assert [[step.kind for step in line.steps] for line in plan.cells] == [
        ["audit", "images", "features", "result"],
        ["features", "result"],
        ["result"],
        ["features", "result"],
        ["result"],
        ["images", "features", "result"],
        ["result"],
    ]
    tally = Tally()
    with counting(tally):
        for cell in wanted:
            transfer(cell, registry=theirs, places=own)
    assert tally.forward_passes == plan.forward_passes
    assert not any(line.steps for line in planned(theirs, own, *wanted).cells)
    # What these took tells of others like them.
    theirs.register(replace(ours.dataset("heads"), name="again", margin=0.03))
    again = planned(theirs, own, *(Cell("small", "again", name) for name in ("views", "tuned")))
    told = {(line.cell.regime, step.kind): step.seconds.source for line in again.cells for step in line.steps}
    assert told[("views", "result")] == told[("tuned", "result")] == "this machine"
