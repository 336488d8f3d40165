"""Families of claims: what belongs together is counted when it is collected, and corrected for what was declared.

What is judged is synthetic.
"""

import json
from pathlib import Path
from textwrap import indent

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

LITE0, MOBILENET = "efficientnet_lite0", "mobilenetv2"


def claim(
    name: str, declared: str, *, backbones: tuple[str, ...] = (LITE0,), datasets: tuple[str, ...] = ("br35h",)
) -> str:
    """A test that claims something of each cell; `declared` is what its mark says."""
    return f"""
import pytest


@pytest.mark.fm_cells(
    backbones={list(backbones)}, datasets={list(datasets)}, regimes=["knn"], reference="shortcut.metadata"
)
@pytest.mark.fm_claim({declared})
def test_{name}(candidate, reference):
    assert candidate.beats(reference)
"""


def write(pytester: pytest.Pytester, **files: str) -> None:
    """`folder__file` names a file in a folder, `file` one at the root."""
    for name, text in files.items():
        path = pytester.path / f"{name.replace('__', '/test_') if '__' in name else f'test_{name}'}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def complaint(pytester: pytest.Pytester, *options: str) -> str:
    """What is wrong, all of it, found at collection."""
    result = pytester.runpytest("--co", "-q", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return result.stderr.str()


def is_fine(pytester: pytest.Pytester) -> None:
    assert pytester.runpytest("--co", "-q").ret == pytest.ExitCode.OK


def test_more_claims_than_declared_are_a_usage_error_that_says_what_to_write(pytester: pytest.Pytester) -> None:
    write(pytester, a__one=claim("better", "family_size=1", backbones=(LITE0, MOBILENET)))
    told = complaint(pytester)
    assert "test_better [br35h-knn] has 2 claims and declares 1; say fm_claim(family_size=2)" in told


def test_also_where_one_of_them_is_selected(pytester: pytest.Pytester) -> None:
    write(pytester, a__one=claim("better", "family_size=1", backbones=(LITE0, MOBILENET)))
    assert "has 2 claims and declares 1" in complaint(pytester, "-k", LITE0)


def test_two_workers_tell_it_once(pytester: pytest.Pytester) -> None:
    write(pytester, a__one=claim("better", "family_size=1", backbones=(LITE0, MOBILENET)))
    result = pytester.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (result.stdout.str() + result.stderr.str()).count("has 2 claims and declares 1") == 1


def test_fewer_claims_than_declared_are_fine(pytester: pytest.Pytester) -> None:
    write(pytester, a__one=claim("better", "family_size=3", backbones=(LITE0, MOBILENET)))
    is_fine(pytester)


def test_datasets_are_families_of_their_own(pytester: pytest.Pytester) -> None:
    write(pytester, a__one=claim("better", "family_size=1", datasets=("br35h", "ddsm")))
    is_fine(pytester)


def test_a_named_family_spans_the_files_of_a_folder(pytester: pytest.Pytester) -> None:
    named = "family='the sentence', family_size=1"
    write(pytester, a__one=claim("better", named), a__two=claim("other", named, backbones=(MOBILENET,)))
    assert "family a: the sentence [br35h-knn] has 2 claims and declares 1" in complaint(pytester)


def test_the_root_is_a_folder_too(pytester: pytest.Pytester) -> None:
    named = "family='the sentence', family_size=1"
    write(pytester, one=claim("better", named), two=claim("other", named, backbones=(MOBILENET,)))
    assert "family .: the sentence [br35h-knn] has 2 claims and declares 1" in complaint(pytester)


def test_datasets_in_another_order_are_the_same_family(pytester: pytest.Pytester) -> None:
    named, both = "family='the sentence', family_size=1", ("br35h", "ddsm")
    one, two = claim("one", named, datasets=both), claim("two", named, datasets=both[::-1], backbones=(MOBILENET,))
    over = [
        text.replace("reference=", 'over="datasets", reference=').replace("(candidate, reference)", "(candidates)")
        for text in (one, two)
    ]
    write(pytester, a__one=over[0], a__two=over[1])
    assert "family a: the sentence [br35h+ddsm-knn] has 2 claims and declares 1" in complaint(pytester)


def test_the_same_name_in_another_folder_is_another_family(pytester: pytest.Pytester) -> None:
    named = "family='the sentence', family_size=1"
    write(pytester, a__one=claim("better", named), b__two=claim("other", named))
    is_fine(pytester)


def test_two_sizes_of_one_family_are_a_usage_error(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        a__one=claim("better", "family='the sentence', family_size=3"),
        a__two=claim("other", "family='the sentence', family_size=2"),
    )
    told = complaint(pytester, "-k", "better")
    assert "family a: the sentence [br35h-knn] declares several sizes (2, 3); give every claim of it the same" in told


def test_a_family_without_a_name_is_its_tests_own(pytester: pytest.Pytester) -> None:
    """Those of the same name in another class or file do not belong to it."""
    one = claim("better", "family_size=1")
    in_a_class = f"\n\nclass TestOther:\n{indent(one, '    ').replace('(candidate', '(self, candidate')}"
    write(pytester, a__one=one + in_a_class, a__two=one)
    assert pytester.runpytest("--co", "-q").parseoutcomes() == {"tests": 3}
    is_fine(pytester)


def test_all_families_that_are_wrong_are_told_at_once(pytester: pytest.Pytester) -> None:
    both = {"backbones": (LITE0, MOBILENET)}
    write(pytester, a__one=claim("better", "family_size=1", **both), b__two=claim("other", "", **both))
    told = complaint(pytester)
    assert "test_better [br35h-knn] has 2 claims" in told
    assert "test_other [br35h-knn] has 2 claims" in told


def test_a_test_that_claims_nothing_belongs_to_no_family(pytester: pytest.Pytester) -> None:
    plain = claim("better", "", backbones=(LITE0, MOBILENET)).replace("@pytest.mark.fm_claim()\n", "")
    write(pytester, a__one=plain)
    is_fine(pytester)


def test_p_values_are_corrected_over_the_files_of_a_family_for_the_size_declared(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    """Also when one of its claims is skipped: it counts as p = 1."""
    named = "family='the sentence', family_size=3"
    write(
        pytester,
        a__one=claim("better", named, backbones=(LITE0, "dinov2_vitb14")),
        a__two=claim("other", named, backbones=(MOBILENET,)),
    )
    for seed, (backbone, signal) in enumerate(((LITE0, 0.8), (MOBILENET, 0.6), ("shortcut.metadata", 0.3))):
        Baselines(folder=tmp_path).write(as_declared(f"{backbone}-br35h-knn", signal, seed=seed))
    pytester.runpytest(f"--fm-collect={tmp_path}", "--fm-report=json:r.json")
    claims = json.loads((pytester.path / "r.json").read_text())["claims"]
    assert [(row["candidate"], row["family"]) for row in claims] == [
        ("efficientnet_lite0-br35h-knn", "a: the sentence [br35h-knn]"),
        ("mobilenetv2-br35h-knn", "a: the sentence [br35h-knn]"),
    ]
    assert claims[0]["p"] < claims[1]["p"]
    assert [row["p_holm"] for row in claims] == pytest.approx([3 * claims[0]["p"], 2 * claims[1]["p"]])
    assert claims[0]["level"] == pytest.approx(0.05 / 3)
