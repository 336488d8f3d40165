"""Which items a suite has, and how they are selected."""

import re
from pathlib import Path

import pytest
from _pytest.mark import KeywordMatcher, MarkMatcher
from _pytest.mark.expression import Expression

from pytest_fmtransfer.plugin.collection import cells_of

SUITE = """
import pytest

@pytest.mark.fm_cells(
    backbones=["efficientnet_lite0", "dinov2_vitb14"], datasets=["br35h", "br35h.naive", "aptos2019"],
    regimes=["knn", "linear_probe"], reference="shortcut.metadata",
)
def test_beats(candidate, reference):
    assert candidate.beats(reference)

@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["br35h"], regimes=["linear_probe"],
                      reference="{backbone}-{dataset}-knn")
def test_beats_knn(candidate, reference):
    assert candidate.beats(reference)

def test_plain():
    pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def collected(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    lines = pytester.runpytest("--co", "-q", *arguments).outlines
    return [line.partition("::")[2] for line in lines if "::" in line]


def test_ids_are_sorted_and_plain(suite: pytest.Pytester) -> None:
    ids = [found.group(1) for line in collected(suite, "-k", "test_beats") if (found := re.search(r"\[(.*)\]", line))]
    assert len(ids) == 13
    assert ids[:12] == sorted(ids[:12])
    assert all(re.fullmatch(r"[a-z0-9_.]+-[a-z0-9_.]+-[a-z0-9_.]+", cell) for cell in ids)


@pytest.mark.parametrize(
    ("keyword", "mark"),
    [
        ("br35h", "fm_cell(dataset='br35h')"),
        ("aptos2019", "fm_cell(dataset='aptos2019')"),
        ("shortcut.metadata", "fm_cell(backbone='shortcut.metadata')"),
        ("dinov2_vitb14 and aptos2019", "fm_cell(backbone='dinov2_vitb14', dataset='aptos2019')"),
        ("mobilenetv2", "fm_cell(backbone='mobilenetv2')"),
    ],
)
def test_keywords_and_marks_select_the_same(suite: pytest.Pytester, keyword: str, mark: str) -> None:
    by_keyword = collected(suite, "-k", keyword)
    assert by_keyword
    assert by_keyword == collected(suite, "-m", mark)


def test_a_variant_is_selected_alone_by_its_full_name(suite: pytest.Pytester) -> None:
    naive = collected(suite, "-m", "fm_cell(dataset='br35h.naive')")
    assert naive == collected(suite, "-k", "br35h.naive")
    assert all("br35h.naive" in line for line in naive)


def test_the_reference_is_a_name_too(suite: pytest.Pytester) -> None:
    # The candidate is linear_probe; knn is only the reference's regime.
    assert "test_beats_knn[mobilenetv2-br35h-linear_probe]" in collected(suite, "-m", "fm_cell(regime='knn')")


class Collected:
    """Every item of an inner session."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.items.append(item)


@pytest.fixture(scope="module")
def of_the_suites() -> list[pytest.Item]:
    heard = Collected()
    suites = Path(__file__).parents[1] / "suites"
    options = ("--co", "-q", "-p", "no:cacheprovider", "-p", "no:pytest-retry", "--assert=plain")
    code = pytest.main([*options, str(suites)], plugins=[heard])
    assert code == pytest.ExitCode.OK
    return heard.items


def test_in_the_suites_keywords_and_marks_select_the_same_of_every_pair_of_names(
    of_the_suites: list[pytest.Item],
) -> None:
    """Tests over data sets, which have several cells, among them: a mark names two parts of one of their cells.

    A keyword is found in longer names too, and selects what marks of all these select.
    """
    matchers = [
        (item.nodeid, KeywordMatcher.from_item(item), MarkMatcher.from_markers(item.iter_markers()))
        for item in of_the_suites
    ]
    pairs = sorted({(cell.backbone, cell.dataset) for item in of_the_suites for cell in cells_of(item)})
    by_mark = {}
    for backbone, dataset in pairs:
        mark = Expression.compile(f"fm_cell(backbone={backbone!r}, dataset={dataset!r})")
        by_mark[backbone, dataset] = {name for name, _, marks in matchers if mark.evaluate(marks)}
    for backbone, dataset in pairs:
        keyword = Expression.compile(f"{backbone} and {dataset}")
        by_keyword = {name for name, keywords, _ in matchers if keyword.evaluate(keywords)}
        longer = [found for (one, other), found in by_mark.items() if backbone in one and dataset in other]
        assert by_keyword == set.union(*longer), (backbone, dataset)
    asked = by_mark["dinov2_vitb14", "aptos2019"]
    assert any("test_gains_are_in_the_order_of_the_figure" in name for name in asked)
    assert any("test_beats_imagenet[dinov2_vitb14-aptos2019-finetune_linear]" in name for name in asked)
    assert not any("chexpert" in name for name in asked)


def test_what_claims_nothing_is_collected_only_where_it_is_named(of_the_suites: list[pytest.Item]) -> None:
    files = {item.nodeid.partition("::")[0] for item in of_the_suites}
    assert "suites/huix2024/test_cells.py" in files
    assert not [file for file in files if "leaderboard" in file or "throughput" in file]


def test_without_the_plugin_nothing_of_it_is_left(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain():\n    pass\n")
    pytester.runpytest_subprocess("-p", "no:fmtransfer").assert_outcomes(passed=1)


def test_a_project_registers_its_own_rows(pytester: pytest.Pytester) -> None:
    sub = pytester.mkdir("sub")
    (sub / "conftest.py").write_text(
        "from dataclasses import replace\n"
        "def pytest_fmtransfer_register(registry):\n"
        "    registry.register(replace(registry.backbone('mobilenetv2'), name='ours'))\n"
    )
    (sub / "test_ours.py").write_text(
        "import pytest\n"
        "@pytest.mark.fm_cells(backbones=['ours'], datasets=['br35h'], regimes=['knn'])\n"
        "def test_it(cell):\n    assert cell.id == 'ours-br35h-knn'\n"
    )
    # The whole tree is named, so that the conftest of the sub-folder is loaded late.
    pytester.runpytest().assert_outcomes(passed=1)
