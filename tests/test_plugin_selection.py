"""Which items a suite has, and how they are selected."""

import re

import pytest

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
