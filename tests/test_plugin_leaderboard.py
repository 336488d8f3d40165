"""suites/leaderboard and `ranked`: which cells have a test, and the tables that they end in."""

import csv
import json
import shutil
from dataclasses import replace

import pytest

from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.plugin.registered import cells_of_the_catalogue
from tests.helpers import as_declared, collected

EVERYTHING = """
import pytest

@pytest.mark.fm_cells(registered=True, regimes=["knn"])
def test_place(ranked):
    assert ranked.mean > 0
"""

SUITE = """
import pytest

CELLS = dict(datasets=["br35h", "br35h.naive"], regimes=["knn"])

@pytest.mark.fm_cells(backbones=["efficientnet_lite0", "efficientnet_lite1", "mobilenetv2"], **CELLS)
def test_place(ranked):
    assert ranked.mean > 0

@pytest.mark.fm_cells(backbones=["mobilenetv2.random", "shortcut.metadata"], **CELLS)
def test_beside(candidate):
    assert candidate.mean > 0
"""

# On br35h lite1 is far ahead, and the other two are equal but for chance.
SIGNALS = {"efficientnet_lite0": 0.5, "efficientnet_lite1": 3.0, "mobilenetv2": 0.5, "shortcut.metadata": 0.1}


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    stored = Baselines(folder=pytester.path / "out")
    for at, (backbone, signal) in enumerate(SIGNALS.items()):
        stored.write(as_declared(f"{backbone}-br35h-knn", signal, seed=at))
    stored.write(as_declared("mobilenetv2-br35h.naive-knn", 2.0))
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    return suite.runpytest("--fm-collect=out", *options)


def test_every_backbone_that_learnt_something_is_tested_on_every_dataset(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=EVERYTHING)
    pytester.makeconftest(
        "from dataclasses import replace\n"
        "def pytest_fmtransfer_register(registry):\n"
        "    registry.register(replace(registry.backbone('mobilenetv2'), name='ours', image_size=96))\n"
    )
    (pytester.path / "w.pt").touch()
    (pytester.path / "scans.csv").write_text("image,label\n1.png,a\n2.png,b\n")
    found = collected(
        pytester,
        "--fm-backbone=mine=timm:resnet18,weights=w.pt",
        "--fm-dataset=scans=table:scans.csv,label=label,classes=a+b",
        "--fm-regime=ridge",
    )
    registry = Registry()
    backbones = {row.name for row in registry.rows(BackboneSpec) if not row.is_control} | {"ours", "mine"}
    datasets = {row.name for row in registry.rows(DatasetSpec)} | {"scans"}
    expected = [f"test_place[{backbone}-{dataset}-ridge]" for backbone in backbones for dataset in datasets]
    assert sorted(found) == sorted(expected)
    assert not [line for line in found if "shortcut" in line or ".random" in line or ".shuffled" in line]


def test_every_regime_that_is_named_is_one_of_the_catalogue_and_has_a_cell_of_each_backbone_on_each_dataset() -> None:
    one, both = (cells_of_the_catalogue(Registry(), regimes) for regimes in (["ridge"], ["knn", "ridge"]))
    assert sorted(both) == sorted([*one, *(replace(cell, regime="knn") for cell in one)])


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("registered=True", "takes regimes and nothing else"),
        ("registered=True, regimes=['knn'], datasets=['br35h']", "takes regimes and nothing else"),
        ("registered='all', regimes=['knn']", "fm_cells(registered='all'): give True or False"),
        ("registered=True, regimes=['knm']", "unknown regime 'knm'; did you mean knn"),
    ],
)
def test_a_wrong_mark_fails_its_test(pytester: pytest.Pytester, mark: str, told: str) -> None:
    pytester.makepyfile(test_suite=EVERYTHING.replace('registered=True, regimes=["knn"]', mark))
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert told in result.stdout.str()


@pytest.mark.parametrize(
    ("regime", "told"),
    [
        ("knm", "--fm-regime=knm: unknown regime 'knm'; did you"),
        ("lora8.from99", "--fm-regime=lora8.from99: no backbone of the catalogue can run it"),
    ],
)
def test_a_wrong_regime_of_the_command_line_is_a_usage_error(pytester: pytest.Pytester, regime: str, told: str) -> None:
    pytester.makepyfile(test_suite=EVERYTHING)
    result = pytester.runpytest(f"--fm-regime={regime}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert told in result.stderr.str()


def test_one_wrong_regime_of_a_mark_leaves_the_others(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=EVERYTHING.replace('regimes=["knn"]', 'regimes=["knn", "knm"]'))
    found = pytester.runpytest("--co", "-q")
    assert found.ret == pytest.ExitCode.OK
    found.stdout.fnmatch_lines(["*?knm?", "*-br35h-knn?", "*?knm?: unknown regime 'knm'; did you mean knn*"])


def test_what_was_measured_is_ranked_at_the_end_without_being_asked(suite: pytest.Pytester) -> None:
    result = run(suite, "-q")
    result.assert_outcomes(passed=5, skipped=5)
    result.stdout.fnmatch_lines(
        [
            "*= fmtransfer: leaderboard =*",
            "Ranks on br35h, knn: 3 backbones, roc_auc on 120 groups of near copies",
            "rank     backbone            mean [[]interval]       seeds",
            "1 (1-1)  efficientnet_lite1  1.000 [[]0.9*, 1.000]  1",
            "2 (2-3)  *",
            "3 (2-3)  *",
            "control  shortcut.metadata   0.5* [[]*]  1",
            "Assumes independent groups of near copies: the dataset names no patients.",
            "Ranks on br35h.naive, knn: 1 backbone, roc_auc on 120 groups of near copies",
            "1 (1-1)  mobilenetv2  *",
            "An audit found exact copies across sides, and the dataset's row acknowledges it: *",
            "The rank is a backbone's place in the table*",
        ]
    )


def test_reports_of_every_kind_have_the_ranks(suite: pytest.Pytester) -> None:
    result = run(suite, *(f"--fm-report={kind}:r.{kind}" for kind in ("json", "csv", "markdown")), "--fm-report")
    assert result.stdout.str().count("Ranks on br35h, knn") == 1  # in the report, and not above it again
    told = json.loads((suite.path / "r.json").read_text())
    table, naive = told["rankings"]
    assert (table["dataset"], table["regime"], table["metric"]) == ("br35h", "knn", "roc_auc")
    assert (table["patients"], table["patient_unit"]) == (120, "group of near copies")
    first, *others = table["places"]
    assert first["cell"] == "efficientnet_lite1-br35h-knn"
    assert (first["rank"], first["best"], first["worst"], first["reason"]) == (1, 1, 1, "")
    assert first["lower"] < first["mean"] < first["upper"]
    assert [(each["best"], each["worst"]) for each in others] == [(2, 3), (2, 3)]
    assert [each["cell"] for each in table["controls"]] == ["shortcut.metadata-br35h-knn"]
    assert [each["cell"] for each in naive["places"]] == ["mobilenetv2-br35h.naive-knn"]
    of_cell = {cell["cell"]: cell["place"] for cell in told["cells"]}
    assert of_cell["shortcut.metadata-br35h-knn"] is None
    assert of_cell["efficientnet_lite1-br35h-knn"] == {"rank": 1, "best": 1, "worst": 1, "among": 3, "reason": ""}
    with (suite.path / "r.csv").open(encoding="utf-8", newline="") as file:
        lines = {line["cell"]: line for line in csv.DictReader(file)}
    ranked = [lines["efficientnet_lite1-br35h-knn"][name] for name in ("rank", "rank_best", "rank_worst", "rank_among")]
    assert [float(value) for value in ranked] == [1, 1, 1, 3]
    assert lines["shortcut.metadata-br35h-knn"]["rank"] == ""
    markdown = (suite.path / "r.markdown").read_text()
    assert "## Ranks on br35h, knn: 3 backbones, roc_auc on 120 groups of near copies\n\n| rank " in markdown


def test_a_selection_is_ranked_among_itself(suite: pytest.Pytester) -> None:
    result = run(suite, "-k", "efficientnet_lite0 and br35h and not naive")
    result.stdout.fnmatch_lines(["Ranks on br35h, knn: 1 backbone, *", "1 (1-1)  efficientnet_lite0 *"])


def test_too_few_patients_open_every_place_and_the_table_says_why(suite: pytest.Pytester) -> None:
    stored = Baselines(folder=suite.path / "out")
    for at, backbone in enumerate(("efficientnet_lite0", "mobilenetv2")):
        whole = as_declared(f"{backbone}-br35h-knn", 3.0 * at)
        kept = [*range(60), *range(len(whole.ids_N) - 12, len(whole.ids_N))]
        stored.write(
            replace(
                whole,
                ids_N=whole.ids_N[kept],
                patients_N=whole.patients_N[kept],
                labels_N=whole.labels_N[kept],
                scores_SNC=whole.scores_SNC[:, kept],
            )
        )
    result = run(suite, "-k", "br35h and not naive and (lite0 or mobilenet) and not random")
    result.stdout.fnmatch_lines(
        [
            "1 (1-2)  mobilenetv2 *",
            "2 (1-2)  efficientnet_lite0 *",
            "No place is told: not enough groups of near copies to tell: class 'tumour' has 12 in the test side, "
            "beats needs 20.",
        ]
    )


def test_without_tests_that_take_a_place_nothing_is_said_of_any(suite: pytest.Pytester) -> None:
    assert "leaderboard" not in run(suite, "-k", "test_beside").stdout.str()
    assert "leaderboard" not in run(suite, "--co").stdout.str()


def test_a_place_is_no_claim_and_costs_what_its_cell_does(suite: pytest.Pytester) -> None:
    claims = run(suite, "--fm-claims", "-k", "lite1").stdout.str()
    assert "no claim about cells is selected" in claims
    plan = suite.runpytest("--fm-plan", "-k", "lite1 and not naive").stdout.str()
    assert "efficientnet_lite1-br35h-knn" in plan


SMALL = """
from dataclasses import replace

from tests import small

def pytest_fmtransfer_register(registry):
    small.register(registry)
    registry.register(replace(small.BACKBONE, name="tiny2", image_size=48))
"""


def test_ranks_are_of_what_was_just_measured_and_of_nothing_that_is_gone(
    pytester: pytest.Pytester, small: Places
) -> None:
    pytester.makeconftest(SMALL)
    pytester.makepyfile(
        test_suite=SUITE.replace('"efficientnet_lite0", "efficientnet_lite1", "mobilenetv2"', '"tiny", "tiny2"')
        .replace('"br35h", "br35h.naive"', '"stripes"')
        .replace('"mobilenetv2.random", ', "")
    )
    places = [f"--fm-store={small.store}", f"--fm-weights={small.weights}", f"--fm-data-root={small.data_root}"]
    pytester.runpytest(*places, "--fm-report=json:r.json").assert_outcomes(passed=3)
    (table,) = json.loads((pytester.path / "r.json").read_text())["rankings"]
    assert {place["backbone"] for place in table["places"]} == {"tiny", "tiny2"}
    assert [control["backbone"] for control in table["controls"]] == ["shortcut.metadata"]

    store = pytester.path / "store"
    shutil.copytree(small.store, store)
    gone = "import shutil\ndef pytest_sessionfinish():\n    shutil.rmtree({!r})\n".format(str(store / "results"))
    pytester.makeconftest(SMALL + gone)
    result = pytester.runpytest(f"--fm-store={store}", *places[1:])
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["Ranks on stripes, knn", "not told: tiny*-stripes-knn is not in the store of the *"])


def test_workers_tell_the_same_ranks(suite: pytest.Pytester) -> None:
    told: list[object] = []
    for workers in ("0", "2"):
        run(suite, "-n", workers, f"--fm-report=json:{workers}.json").assert_outcomes(passed=5, skipped=5)
        told.append(json.loads((suite.path / f"{workers}.json").read_text())["rankings"])
    assert told[0] == told[1]
