"""`--fm-stand-ins`: verdicts are held to what is planted, and nothing of it is taken for evidence."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

# pytester forgets the modules that an inner run imports, and torch cannot be imported twice.
import pytest_fmtransfer.backbones.building
import pytest_fmtransfer.backbones.focalnet
import pytest_fmtransfer.backbones.segment_anything
import pytest_fmtransfer.backbones.timm
import pytest_fmtransfer.data.audit
import pytest_fmtransfer.data.readers.ddsm
import pytest_fmtransfer.extraction
import pytest_fmtransfer.stand_ins.rules
import pytest_fmtransfer.stand_ins.trees  # noqa: F401
from pytest_fmtransfer.backbones import sight
from pytest_fmtransfer.catalog.specs import SIGNALS, StandInWeights
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.plugin import stand_ins
from pytest_fmtransfer.stand_ins.planted import LABEL

SUITE = """
import pytest
import pytest_fmtransfer as fm

@pytest.mark.fm_cells(backbones=["dinov2_vitb14", "seem_focalt"], datasets=["ddsm"], regimes=["knn"],
                      reference="imagenet_deitb16")
@pytest.mark.fm_claim(source="arXiv:2310.19522", where="abstract", family_size=2)
def test_beats_imagenet(candidate, reference):
    assert candidate.beats(reference)

@pytest.mark.fm_cells(backbones=["imagenet_deitb16"], datasets=["ddsm"], regimes=["knn"], reference="dinov2_vitb14")
@pytest.mark.fm_claim(family_size=1)
def test_beats_dinov2(candidate, reference):
    assert candidate.beats(reference)
"""
OTHERS = """
import pytest

@pytest.mark.fm_cells(backbones=["seem_focalt"], datasets=["ddsm"], regimes=["knn"], reference="imagenet_deitb16")
@pytest.mark.fm_claim(family_size=1)
def test_says_nothing(candidate, reference):
    pass

@pytest.mark.fm_cells(backbones=["seem_focalt"], datasets=["ddsm"], regimes=["knn"], reference="imagenet_deitb16")
@pytest.mark.fm_claim(family_size=1)
def test_fails_for_another_reason(candidate, reference):
    candidate.beats(reference)
    assert 1 + 1 == 3

@pytest.mark.fm_cells(backbones=["seem_focalt"], datasets=["ddsm"], regimes=["knn"])
def test_unchanged(candidate, baseline):
    assert candidate.unchanged_from(baseline)

@pytest.mark.fm_cells(backbones=["efficientnet_lite0"], datasets=["br35h"], regimes=["knn"])
def test_has_no_generated_images(candidate):
    pass
"""

TABLE = """
import pytest

@pytest.mark.fm_cells(backbones=["seem_focalt"], datasets=["ddsm"], regimes=["knn"])
def test_place(ranked):
    assert ranked.mean > 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all runs here, so that data and features are made once."""
    return tmp_path_factory.mktemp("stand-ins")


@pytest.fixture
def shared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def places_of(config: pytest.Config, places: Places) -> Places:
        del config, places
        return Places(store=folder / "store", data_root=folder / "data", device="cpu")

    monkeypatch.setattr(stand_ins, "places_of", places_of)


def run(pytester: pytest.Pytester, suite: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test_suite=suite)
    return pytester.runpytest("--fm-stand-ins", "--fm-profile=smoke", "-p", "no:cacheprovider", *options)


@pytest.mark.usefixtures("shared")
def test_claims_pass_where_their_verdicts_are_those_that_are_planted(pytester: pytest.Pytester) -> None:
    result = run(pytester, SUITE, "--fm-report=json:report.json", "--fm-report=markdown:report.md", "--fm-report")
    result.assert_outcomes(passed=3)
    report = json.loads((pytester.path / "report.json").read_text())
    outcomes = {claim["candidate"].partition("-")[0]: claim["outcome"] for claim in report["claims"]}
    assert outcomes == {
        "dinov2_vitb14": "refuted",
        "seem_focalt": "inconclusive",
        "imagenet_deitb16": "supported",
    }
    assert {claim["expected"]["outcome"] for claim in report["claims"]} == set(outcomes.values())
    assert {row["note"] for row in (*report["cells"], *report["claims"])} == {LABEL}
    tables = [line for line in (pytester.path / "report.md").read_text().splitlines() if line.startswith("| ")]
    assert len(tables) > 6
    assert all(line.endswith((f"| {LABEL} |", "| note                        |")) for line in tables)
    result.stdout.fnmatch_lines([f"fmtransfer: {LABEL}: generated images, *", f"*This is {LABEL}.*"])


@pytest.mark.usefixtures("shared")
def test_a_stand_in_that_sees_what_it_should_not_is_found(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = sight.give_sight

    def too_much(backbone, *, trainable=False):  # pyright: ignore
        object.__setattr__(backbone.spec, "weights", StandInWeights(sees=SIGNALS, seed=1))
        return right(backbone, trainable=trainable)

    monkeypatch.setattr(sight, "give_sight", too_much)
    # What is planted for both, and in the store for neither.
    suite = SUITE.replace("dinov2_vitb14", "dinov2_vits14").replace("seem_focalt", "sam_vitb16")
    result = run(pytester, suite, "-k", "test_beats_imagenet and sam")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*sam_vitb16-ddsm-knn beats imagenet_deitb16-ddsm-knn is planted to be refuted, but is*"]
    )


@pytest.mark.usefixtures("shared")
def test_what_is_not_planted_is_red_or_skipped_and_never_passes(pytester: pytest.Pytester) -> None:
    result = run(pytester, OTHERS, "-rs")
    result.assert_outcomes(failed=2, errors=1, skipped=1)
    text = result.stdout.str()
    assert "its test reached no verdict that could be held to what is planted" in text
    assert "assert (1 + 1) == 3" in text
    assert "a baseline is of real data; leave out --fm-stand-ins, or this test" in text
    assert "efficientnet_lite0-br35h-knn has no stand-in: nothing is generated in the layout of br35h" in text


@pytest.mark.usefixtures("shared")
def test_a_place_in_a_table_is_skipped(pytester: pytest.Pytester) -> None:
    result = run(pytester, TABLE, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*a table claims nothing that could be planted"])


@pytest.mark.usefixtures("shared")
def test_programs_that_read_junit_xml_meet_no_row_without_the_label(pytester: pytest.Pytester) -> None:
    run(pytester, SUITE, "-k", "test_beats_imagenet and dinov2", "--junitxml=junit.xml").assert_outcomes(passed=1)
    rows = [json.loads(each.get("value", "")) for each in ElementTree.parse("junit.xml").iter("property")]
    assert [row["note"] for row in rows] == [LABEL]


@pytest.mark.parametrize(
    "option",
    [
        "--fm-update=new",
        "--fm-export=out",
        "--fm-collect=.",
        "--fm-plan",
        "--fm-claims",
        "--fm-controls",
        "--fm-backbone=mine=timm:resnet18",
        "--fm-dataset=mine=folder:here",
        "--fm-reference=dino_vitb16",
        "--fm-store=here",
        "--fm-weights=here",
        "--fm-data-root=here",
        "--fm-download",
    ],
)
def test_options_that_make_no_sense_with_it_are_refused(pytester: pytest.Pytester, option: str) -> None:
    result = run(pytester, SUITE, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --fm-stand-ins with {option.partition('=')[0]}: *; leave out one of the two"])


def test_another_profile_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest("--fm-stand-ins", "--fm-profile=full")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--fm-stand-ins runs under --fm-profile=smoke alone, not full*"])


def test_names_of_tests_are_those_of_real_cells(pytester: pytest.Pytester) -> None:
    result = run(pytester, SUITE, "--co", "-q", "-k", "dinov2_vitb14 and ddsm")
    result.stdout.fnmatch_lines(["*test_beats_imagenet?dinov2_vitb14-ddsm-knn?"])


def test_data_and_results_go_with_the_session(pytester: pytest.Pytester, places: Places) -> None:
    suite = """
    import pytest
    from pathlib import Path
    from pytest_fmtransfer.plugin.settings import settings_of

    def test_where(request):
        places = settings_of(request.config).places
        assert places.weights is None
        Path("where").write_text(str(places.store.parent))
        places.store.mkdir()
    """
    run(pytester, suite).assert_outcomes(passed=1)
    where = Path((pytester.path / "where").read_text())
    assert where != places.store.parent
    assert not where.exists()
