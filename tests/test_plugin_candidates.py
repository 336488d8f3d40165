"""A user's own backbones among a suite's candidates, and a user's own reference, through the plugin.

What is judged is synthetic.
"""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from pytest_fmtransfer.backbones.python import build
from pytest_fmtransfer.baselines import Baselines
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.places import Places
from tests.helpers import as_declared, collected
from tests.small import ARCHITECTURE, EACH

SUITE = """
import pytest

CELLS = {"backbones": ["efficientnet_lite0"], "datasets": ["br35h"], "regimes": ["knn"]}


@pytest.mark.fm_cells(**CELLS, reference="mobilenetv2")
@pytest.mark.fm_claim(family_size=4, expected={"efficientnet_lite0-br35h-knn": ("refuted", "found so")})
def test_named(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells(**CELLS, reference="{backbone}.random")
def test_twin(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells(**CELLS, reference="shortcut.metadata")
def test_shortcut(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells(**CELLS, reference="{backbone}-{dataset}-linear_probe")
def test_regime(candidate, reference):
    assert candidate.beats(reference)


@pytest.mark.fm_cells(**CELLS | {"datasets": ["br35h", "ddsm"]}, reference="mobilenetv2", over="datasets")
def test_everywhere(candidates, references):
    pass


@pytest.mark.fm_cells(**CELLS | {"backbones": ["efficientnet_lite0", "efficientnet_lite1"]}, over="backbones",
                      reference="mobilenetv2")
def test_ranking(candidates):
    pass


@pytest.mark.fm_cells(**CELLS, reference="mobilenetv2")
def test_unchanged(candidate, baseline):
    pass


@pytest.mark.fm_cells(**CELLS)
def test_alone(candidate):
    pass


@pytest.mark.fm_cells(**CELLS, reference="mobilenetv2")
def test_controls(controls):
    pass


@pytest.mark.fm_cells(**CELLS | {"backbones": ["shortcut.metadata"]}, reference="mobilenetv2")
def test_of_a_control(candidate, reference):
    pass
"""
MINE = "--fm-backbone=mine=timm:resnet18"
ADDED = [
    "test_named[mine-br35h-knn]",
    "test_twin[mine-br35h-knn]",
    "test_shortcut[mine-br35h-knn]",
    "test_regime[mine-br35h-knn]",
    "test_everywhere[mine-knn]",
]
CONFTEST = """
from dataclasses import replace

def pytest_fmtransfer_register(registry):
    row = replace(registry.backbone("mobilenetv2"), name="mine")
    registry.register(row, candidate=True)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def complaint(pytester: pytest.Pytester, *options: str) -> str:
    result = pytester.runpytest("--co", "-q", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return result.stderr.str()


def exported(pytester: pytest.Pytester, signals: dict[str, float]) -> str:
    folder = pytester.path / "exported"
    for seed, (cell, signal) in enumerate(signals.items()):
        result = as_declared(cell.replace("mine", "efficientnet_lite0"), signal, seed=seed)
        Baselines(folder=folder).write(replace(result, cell=Cell.parse(cell)))
    return f"--fm-collect={folder}"


def test_it_joins_where_candidates_are_held_against_a_reference(suite: pytest.Pytester) -> None:
    without = collected(suite)
    assert collected(suite, MINE, "-k", "mine") == ADDED
    assert sorted(collected(suite, MINE)) == sorted([*without, *ADDED])


CLOSED = """
import pytest

@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0", "efficientnet_lite1"], datasets=["br35h"], regimes=["knn"], {}
)
def test_it({}):
    pass
"""


def test_none_joins_a_claim_about_the_named_backbones_alone(pytester: pytest.Pytester) -> None:
    """A reference of the user's own stands in it as in any other, and so does a dataset."""
    names = ["test_it[efficientnet_lite0-br35h-knn]", "test_it[efficientnet_lite1-br35h-knn]"]
    for closed, added in ((False, ["test_it[mine-br35h-knn]"]), (True, [])):
        suite = CLOSED.format(f'reference="mobilenetv2", closed={closed}', "candidate, reference")
        pytester.makepyfile(test_suite=suite)
        assert collected(pytester, MINE) == [*names, *added]
    assert collected(pytester, MINE, "--fm-reference=efficientnet_lite2", "-k", "efficientnet_lite2") == names
    (pytester.path / "scans.csv").write_text("image,label\n1.png,a\n2.png,b\n")
    scans = "--fm-dataset=scans=table:scans.csv,label=label,classes=a+b"
    assert collected(pytester, MINE, scans, "-k", "scans") == [name.replace("br35h", "scans") for name in names]


@pytest.mark.parametrize(
    ("keywords", "fixtures", "told"),
    [
        ('reference="mobilenetv2", closed="all"', "candidate", "fm_cells(closed='all'): give True or False"),
        ("closed=True", "candidate", "leave it out"),
        ('reference="mobilenetv2", over="backbones", closed=True', "candidates", "leave it out"),
        (
            'reference="mobilenetv2", over="datasets", closed=True, cells=["{backbone}-ddsm-knn"]',
            "candidates",
            "it out",
        ),
    ],
)
def test_closed_is_said_where_backbones_would_join(
    pytester: pytest.Pytester, keywords: str, fixtures: str, told: str
) -> None:
    suite = CLOSED.replace(' regimes=["knn"],', "") if "cells=" in keywords else CLOSED
    pytester.makepyfile(test_suite=suite.format(keywords, fixtures))
    listed = pytester.runpytest("--co", "-q")
    assert listed.ret == pytest.ExitCode.OK
    assert told in listed.stdout.str()
    pytester.runpytest().assert_outcomes(failed=1)


def test_several_join_in_the_order_of_names(suite: pytest.Pytester) -> None:
    both = collected(suite, "--fm-backbone=b.two=timm:resnet34", "--fm-backbone=b.one=timm:resnet18", "-k", "test_twin")
    assert both == [f"test_twin[{name}-br35h-knn]" for name in ("b.one", "b.two", "efficientnet_lite0")]


def test_a_conftest_adds_candidates_too(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST)
    assert collected(suite, "-k", "mine") == ADDED
    suite.makeconftest(CONFTEST.replace(", candidate=True", ""))
    assert "mine" not in "".join(collected(suite))


def test_a_conftest_that_is_heard_late_adds_none(suite: pytest.Pytester) -> None:
    sub = suite.mkdir("sub")
    (sub / "conftest.py").write_text(CONFTEST)
    (sub / "test_it.py").write_text("def test_it():\n    pass\n")
    assert "'mine' is heard too late to be a candidate" in complaint(suite)
    assert "test_it" in collected(suite, "sub")


def test_a_mark_that_names_it_has_it_once(pytester: pytest.Pytester) -> None:
    suite = SUITE.replace('"backbones": ["efficientnet_lite0"]', '"backbones": ["mine"]', 1)
    pytester.makepyfile(test_suite=suite.replace("efficientnet_lite0-br35h-knn", "mine-br35h-knn"))
    assert collected(pytester, MINE, "-k", "mine and test_named").count("test_named[mine-br35h-knn]") == 1


def test_its_claims_have_a_family_beside_the_suites(suite: pytest.Pytester) -> None:
    """The suite's own verdicts stay as they were declared."""
    cells = ("mine-br35h-knn", "other-br35h-knn", "efficientnet_lite0-br35h-knn", "mobilenetv2-br35h-knn")
    collect = exported(suite, dict(zip(cells, (2.0, 1.8, -1.0, 0.3), strict=True)))
    more = "--fm-backbone=other=timm:resnet34"
    result = suite.runpytest(collect, MINE, more, "-k", "test_named", "--fm-report=json:r.json", "-rP")
    result.assert_outcomes(passed=3)
    claims = {row["candidate"]: row for row in json.loads((suite.path / "r.json").read_text())["claims"]}
    mine, other, own = (claims[cell] for cell in cells[:3])
    assert (mine["family_size"], other["family_size"], own["family_size"]) == (6, 6, 4)
    assert mine["level"] == pytest.approx(0.05 / 6)
    assert own["level"] == pytest.approx(0.05 / 4)
    assert own["family"] == "test_suite.py::test_named [br35h-knn]"
    assert mine["family"] == other["family"] == "test_suite.py::test_named with candidates of yours [br35h-knn]"
    smaller, larger = sorted((mine["p"], other["p"]))
    assert sorted((mine["p_holm"], other["p_holm"])) == pytest.approx([6 * smaller, 5 * larger])
    result.stdout.fnmatch_lines(["*(0.05 over 4 declared claims and 2 of candidates added to them)*"])
    result.stdout.fnmatch_lines(["*(0.05 over 4 declared claims)*"])


def test_a_family_that_spans_tests_grows_by_as_many_claims_as_it_declares(pytester: pytest.Pytester) -> None:
    test = (
        '@pytest.mark.fm_cells(backbones=["efficientnet_lite0"], datasets=["br35h"], regimes=["knn"], '
        'reference="mobilenetv2")\n@pytest.mark.fm_claim(family="sentence", family_size=2)\n'
        "def test_{}(candidate, reference):\n    assert candidate.beats(reference)\n\n"
    )
    pytester.makepyfile(test_suite="import pytest\n\n" + test.format("one") + test.format("two"))
    signals = {"mine-br35h-knn": 2.0, "efficientnet_lite0-br35h-knn": 2.0, "mobilenetv2-br35h-knn": 0.3}
    pytester.runpytest(exported(pytester, signals), MINE, "--fm-report=json:r.json").assert_outcomes(passed=4)
    claims = json.loads((pytester.path / "r.json").read_text())["claims"]
    assert {(row["candidate"], row["family_size"]) for row in claims} == {
        ("mine-br35h-knn", 4),
        ("efficientnet_lite0-br35h-knn", 2),
    }


def test_a_reference_replaces_those_that_are_named(suite: pytest.Pytester) -> None:
    """Cells answer to their names, so that a reference selects what is held against it."""
    held = collected(suite, "--fm-reference=efficientnet_lite2", "-k", "efficientnet_lite2")
    assert [name.partition("[")[0] for name in held] == [
        "test_named",
        "test_everywhere",
        "test_ranking",
        "test_unchanged",
        "test_controls",
        "test_of_a_control",
    ]
    gone = suite.runpytest("--co", "-q", "--fm-reference=efficientnet_lite2", "-k", "mobilenetv2")
    assert gone.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_known_exception_is_one_against_the_suites_reference(suite: pytest.Pytester) -> None:
    signals = {"efficientnet_lite0-br35h-knn": 1.0, "mobilenetv2-br35h-knn": 3.0, "efficientnet_lite2-br35h-knn": 0.0}
    collect = exported(suite, signals)
    suite.runpytest(collect, "-k", "test_named").assert_outcomes(passed=1)  # refuted, as expected
    suite.runpytest(collect, "-k", "test_named", "--fm-reference=efficientnet_lite2").assert_outcomes(passed=1)
    signals["efficientnet_lite2-br35h-knn"] = 3.5
    collect = exported(suite, signals)
    suite.runpytest(collect, "-k", "test_named", "--fm-reference=efficientnet_lite2").assert_outcomes(failed=1)


def test_nothing_is_held_against_itself(suite: pytest.Pytester) -> None:
    collect = exported(suite, {"mine-br35h-knn": 1.0, "efficientnet_lite0-br35h-knn": 2.0})
    result = suite.runpytest(collect, MINE, "--fm-reference=mine", "-k", "test_named", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*mine-br35h-knn is the reference itself: --fm-reference=mine*"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fm-backbone=mine=tim:resnet18"], "--fm-backbone=mine=tim:resnet18: no source 'tim'; did you mean timm"),
        (["--fm-backbone=mobilenetv2=timm:resnet18"], "'mobilenetv2' is registered already; choose another name"),
        (["--fm-backbone=mine.random=timm:resnet18"], "register the backbone itself"),
        ([MINE, MINE], "'mine' is registered already"),
        ([f"{MINE},weights=nothing.pt"], "no such file: "),
        (["--fm-backbone=mine=py:nowhere:make"], "no module 'nowhere'"),
        (["--fm-backbone=mine=py:nets:mkae"], "has no function 'mkae'; did you mean make"),
        (["--fm-backbone"], "expected one argument"),
        (
            ["--fm-reference=mobilenet"],
            "--fm-reference=mobilenet: unknown backbone 'mobilenet'; did you mean mobilenetv2",
        ),
    ],
)
def test_mistakes_are_usage_errors(suite: pytest.Pytester, options: list[str], message: str) -> None:
    suite.makepyfile(nets="def make():\n    pass\n")
    assert message in complaint(suite, *options)


def test_results_of_another_machine_need_no_file(suite: pytest.Pytester) -> None:
    collect = exported(suite, {"mine-br35h-knn": 2.0, "mobilenetv2-br35h-knn": 0.3})
    options = (f"{MINE},weights=nothing.pt", "-k", "test_named and mine")
    suite.runpytest(collect, *options).assert_outcomes(passed=1)


def test_only_a_learnt_backbone_can_be_a_candidate(suite: pytest.Pytester) -> None:
    suite.makeconftest(CONFTEST.replace('"mobilenetv2"', '"shortcut.metadata"'))
    assert "'mine' cannot be a candidate" in complaint(suite)


STRIPES = """
import pytest

@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0"], datasets=["stripes"], regimes=["knn"], reference="shortcut.metadata"
)
@pytest.mark.fm_claim(family_size=1)
def test_sees_stripes(candidate, reference):
    assert candidate.beats(reference)
"""
REGISTER = f"""
from dataclasses import replace
from pytest_fmtransfer.catalog.specs import DataRoot

def pytest_fmtransfer_register(registry):
    location = DataRoot(folder="stripes", url="https://example.org")
    row = replace(registry.dataset("br35h"), name="stripes", location=location, expected_images={2 * EACH})
    registry.register(row)
"""
NETS = f"""
import timm
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = timm.create_model("{ARCHITECTURE}", num_classes=0)

    def forward(self, images):
        return self.body.forward_features(images)


def make():
    return Net()
"""


@pytest.fixture
def stripes(pytester: pytest.Pytester, small: Places, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite that runs in seconds; a user's module lies at the root, which is not where Python looks by itself."""
    for variable, place in (("STORE", small.store), ("WEIGHTS", small.weights), ("DATA", small.data_root)):
        monkeypatch.setenv(f"FMTRANSFER_{variable}", str(place))
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib\n")
    pytester.makeconftest(REGISTER)
    pytester.mkdir("suite")
    (pytester.path / "suite" / "test_stripes.py").write_text(STRIPES)
    (pytester.path / "nets.py").write_text(NETS)
    return pytester


def run(pytester: pytest.Pytester, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, from the root, as a user does; prints whether torch was imported."""
    code = (
        "import sys, pytest; code = pytest.main(sys.argv[1:]); print('TORCH', 'torch' in sys.modules); sys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "suite", "-q", "-p", "no:cacheprovider", "-k", "mine", *options],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_users_file_and_a_users_function_go_the_whole_way(stripes: pytest.Pytester) -> None:
    """The same weights by two ways give the same scores; neither listing nor a warm run imports torch."""
    torch.manual_seed(0)
    network = timm.create_model(ARCHITECTURE, num_classes=10)  # a file of a classifier, which most are
    torch.save(network.state_dict(), stripes.path / "whole.pt")
    body = {f"body.{name}": value for name, value in network.state_dict().items() if "classifier" not in name}
    torch.save(body, stripes.path / "body.pt")
    how = "size=32,mean=0.5,std=0.5"
    options = (
        f"--fm-backbone=mine.timm=timm:{ARCHITECTURE},weights=whole.pt,{how}",
        f"--fm-backbone=mine.py=py:nets:make,{how},weights=body.pt",
        "--fm-report=json:r.json",
    )
    assert "TORCH False" in run(stripes, *options, "--co").stdout
    stripes.runpytest("suite", "-k", "mine", *options).assert_outcomes(passed=2)
    cells = {row["cell"]: row for row in json.loads((stripes.path / "r.json").read_text())["cells"]}
    ours, theirs = cells["mine.timm-stripes-knn"], cells["mine.py-stripes-knn"]
    assert ours["mean"] == pytest.approx(theirs["mean"], abs=1e-3)
    assert "TORCH False" in run(stripes, *options).stdout


def test_a_function_that_has_its_weights_goes_the_whole_way(stripes: pytest.Pytester) -> None:
    mine = "--fm-backbone=mine=py:nets:make,size=32,mean=0.5,std=0.5"
    stripes.runpytest("suite", "-k", "mine", mine).assert_outcomes(passed=1)


def test_a_model_that_timm_does_not_have_is_a_usage_error_in_one_sentence(stripes: pytest.Pytester) -> None:
    torch.save({}, stripes.path / "empty.pt")
    found = stripes.runpytest("suite", "-k", "mine", "--fm-backbone=mine=timm:resnet1888,weights=empty.pt,size=32")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["*backbone mine: timm has no model 'resnet1888'; did you mean resnet*"])


def examples(language: str) -> list[str]:
    """The blocks of code in the page about this."""
    page = (Path(__file__).parents[1] / "docs" / "own-backbone.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_the_examples_of_the_page_work(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    function, conftest = examples("python")
    suite.makeconftest(conftest)
    (suite.path / "page_nets.py").write_text(function)
    monkeypatch.syspath_prepend(suite.path)
    assert collected(suite, "-k", "ours") == [name.replace("mine", "ours") for name in ADDED]
    encoder = timm.create_model("resnet18", num_classes=0).state_dict()
    torch.save({f"network.{name}": tensor for name, tensor in encoder.items()}, suite.path / "encoder.pt")
    with torch.inference_mode():
        found = build(UserBackbone.parse("mine=py:page_nets:make").row, None)(torch.rand(2, 3, 64, 64))
    assert found.tokens_NTE.shape == (2, 4, 512)


CANDIDATES = """
import pytest

@pytest.mark.fm_cells(backbones=["efficientnet_lite0"], datasets=["br35h"], regimes=["knn"], reference="mobilenetv2")
@pytest.mark.fm_claim(family_size={size}{family})
def test_it(candidate, reference):
    candidate.beats(reference)
"""


@pytest.mark.parametrize(("family", "added"), [("", 1), (', family="sentence"', 3)])
def test_the_users_reference_is_no_claim_that_is_added(pytester: pytest.Pytester, family: str, added: int) -> None:
    """It is held against nothing: one candidate beside it is one claim more, and two are two."""
    pytester.makepyfile(test_suite=CANDIDATES.format(size=3, family=family))
    signals = {"cand-br35h-knn": 2.0, "other-br35h-knn": 2.0, "prod-br35h-knn": 0.3, "efficientnet_lite0-br35h-knn": 2}
    options = [exported(pytester, signals), "--fm-collect-unknown=skip", "--fm-report=json:r.json"]
    options += ["--fm-reference=prod"]
    options += [f"--fm-backbone={name}=timm:resnet18" for name in ("prod", "cand")]
    for more, count in ((), added), (("--fm-backbone=other=timm:resnet34",), 2 * added):
        pytester.runpytest(*options, *more).assert_outcomes(passed=2 + len(more), skipped=1)
        claims = json.loads((pytester.path / "r.json").read_text())["claims"]
        sizes = {claim["candidate"].partition("-")[0]: claim["family_size"] for claim in claims}
        assert sizes == dict.fromkeys(("cand", *(["other"] if more else [])), 3 + count) | {"efficientnet_lite0": 3}


def test_a_reference_alone_makes_no_family_too_large(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_suite=CANDIDATES.format(size=1, family=""))
    options = ("--fm-backbone=prod=timm:resnet18", "--fm-reference=prod")
    signals = {"prod-br35h-knn": 0.3, "efficientnet_lite0-br35h-knn": 2}
    pytester.runpytest(exported(pytester, signals), *options).assert_outcomes(passed=1, skipped=1)
