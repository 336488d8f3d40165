"""The judge keeps its levels on synthetic scores; small versions of `python -m benchmarks.calibration`."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from benchmarks.calibration import __main__ as command
from benchmarks.calibration import sources
from benchmarks.calibration.beside_published import BesidePublished
from benchmarks.calibration.false_claims import COVERAGE, STRICT, FalseClaims
from benchmarks.calibration.few_seeds import FewSeedsClaims
from benchmarks.calibration.hidden import Hidden, HiddenClaims
from benchmarks.calibration.noise import SHAPES
from benchmarks.calibration.page import summary, tabulated
from benchmarks.calibration.plan import (
    AUC_90,
    AUC_97,
    FEW_FALL,
    FEW_RECALLS,
    KAPPA,
    LOWEST_GRADE,
    MARGIN,
    ONE_SEEDED,
    PAIRED_POWER,
    PUBLISHED_97,
    PUBLISHED_SEEDS,
    RARE_CLASS,
    RARE_RECALL,
    RARE_RECALLS,
    RECALL,
    SAME_DRAWS,
    SCORES,
    SECTIONS,
    SETTLED,
    SURE_AND_WRONG,
    Section,
    recalls_of_one,
)
from benchmarks.calibration.pooled_gate import PooledGate
from benchmarks.calibration.populations import ONE_IN_TEN
from benchmarks.calibration.power import Power
from benchmarks.calibration.power_kept import PowerKept
from benchmarks.calibration.run import run_all, run_block
from benchmarks.calibration.scenario import CORRELATION, Scenario
from benchmarks.calibration.settled import Settled
from benchmarks.calibration.sources import code_digest
from benchmarks.calibration.study import Band, Study, figures

FEW = 300  # trials: enough to see a rate that is twice what it should be

SMALL_AUC = replace(AUC_90, patients=200)


FEW_KAPPAS = replace(FEW_RECALLS, metric="quadratic_kappa", value=KAPPA.value, shares=KAPPA.shares)
FEW_AUCS = replace(FEW_RECALLS, metric="roc_auc", value=AUC_90.value)

FAIR = Band(low=0.4, high=0.6)


@pytest.mark.parametrize(
    "study",
    [
        FalseClaims(scenario=SMALL_AUC),
        FalseClaims(scenario=replace(SMALL_AUC, images=3)),
        FalseClaims(scenario=replace(KAPPA, patients=2_500, seeds=5)),
        FalseClaims(scenario=replace(SMALL_AUC, images=3, mixed=True)),
        FalseClaims(scenario=replace(KAPPA, patients=200, images=3)),
        FalseClaims(scenario=replace(RECALL, patients=200, seeds=3)),
        FalseClaims(scenario=replace(AUC_97, patients=200, effect=-MARGIN, fewest=50)),
        FalseClaims(scenario=replace(AUC_97, patients=200, effect=MARGIN, fewest=50)),
        FalseClaims(scenario=replace(FEW_RECALLS, patients=200), wider=True),
        FalseClaims(scenario=replace(FEW_RECALLS, gained=0.01, images=3), wider=True),
        FalseClaims(scenario=FEW_KAPPAS, wider=True),
        FalseClaims(scenario=FEW_AUCS, wider=True),
        HiddenClaims(scenario=RARE_RECALL),
        HiddenClaims(scenario=replace(RARE_RECALL, alike=CORRELATION)),
        HiddenClaims(scenario=replace(FEW_FALL, shares=(475, 75), value=0.9)),
        HiddenClaims(scenario=replace(FEW_FALL, shares=(131, 131), patients=262, images=3)),
        HiddenClaims(scenario=SURE_AND_WRONG, former=(0.108, 0.039, 0.901)),
        HiddenClaims(scenario=LOWEST_GRADE),
        BesidePublished(scenario=PUBLISHED_97),
        BesidePublished(scenario=RARE_RECALL),
        BesidePublished(scenario=replace(PUBLISHED_SEEDS, seeds=5), times=2.0),
        recalls_of_one(0.80, 0.95),
        Power(scenario=replace(SMALL_AUC, value=0.70, shares=ONE_IN_TEN), level=STRICT),
        FewSeedsClaims(scenario=replace(ONE_SEEDED, seeds=2, spread=0.05)),
        FewSeedsClaims(scenario=replace(ONE_SEEDED, spread=0.05)),
        FewSeedsClaims(scenario=SAME_DRAWS),
        PAIRED_POWER,
        SETTLED,
        PooledGate(cells=20, datasets=2, alike=0.5, band=Band(high=0.05)),
        PooledGate(noise="failing", cells=20, datasets=20, tolerance=0.5, shift=0.5, band=Band(high=0.05)),
        PooledGate(drift=1, alike=0.2, band=Band(low=0.9)),
        RARE_CLASS,
        replace(RARE_CLASS, scenario=replace(RARE_CLASS.scenario, recalls=((0.80, 0.75),) * 2)),
        PowerKept(scenario=SMALL_AUC),
        Settled(scenario=SMALL_AUC),
        Settled(scenario=RARE_RECALL),
        Power(scenario=SMALL_AUC),
    ],
    ids=lambda study: f"{type(study).__name__}, {study.title}",
)
def test_figures_keep_their_bands(study: Study) -> None:
    found = figures(study, run_block(study, 0, FEW)[0], FEW)
    assert not [name for name, figure in found.items() if figure.clearly_outside]


@pytest.mark.parametrize(
    "scenario",
    [
        replace(SMALL_AUC, images=3, wrong="images taken for patients"),
        replace(RECALL, patients=200, images=3, wrong="images taken for patients"),
        replace(KAPPA, seeds=5, wrong="seeds left out"),
    ],
    ids=lambda scenario: scenario.title,
)
def test_wrong_variants_are_found_out(scenario: Scenario) -> None:
    study = FalseClaims(scenario=scenario)
    found = figures(study, run_block(study, 0, FEW)[0], FEW)
    assert found["beats at .05"].clearly_outside
    assert found[COVERAGE].clearly_outside


@pytest.mark.parametrize(
    "study",
    [
        PooledGate(cells=60, alike=0.5, wrong="cells taken to be independent", band=Band(high=0.05)),
        PooledGate(cells=60, tolerance=0.5, shift=0.5, wrong="tolerance left out", band=Band(high=0.05)),
        PooledGate(drift=1, wrong="cells one by one alone", band=Band(low=0.9)),
    ],
    ids=lambda study: study.wrong,
)
def test_wrong_gates_over_a_suite_are_found_out(study: PooledGate) -> None:
    [figure] = figures(study, run_block(study, 0, FEW)[0], FEW).values()
    assert figure.clearly_outside


def test_a_variance_taken_for_known_is_found_out_where_few_differ() -> None:
    study = Settled(scenario=RARE_RECALL, wrong="the variance taken for known")
    found = figures(study, run_block(study, 0, 60)[0], 60)
    assert all(figure.clearly_outside for figure in found.values())


def test_an_average_taken_for_its_classes_is_found_out() -> None:
    study = replace(RARE_CLASS, average=True)
    found = figures(study, run_block(study, 0, FEW)[0], FEW)
    assert found["no_class_worse_than at .05"].clearly_outside


HIDDEN = [RARE_RECALL, RARE_RECALLS, FEW_FALL, replace(FEW_FALL, lower=None), SURE_AND_WRONG, LOWEST_GRADE]
HIDDEN += [replace(RARE_RECALL, alike=CORRELATION), replace(FEW_FALL, both=True, hidden=0.1)]


@pytest.mark.parametrize("scenario", [RARE_RECALL, FEW_FALL, SURE_AND_WRONG], ids=lambda scenario: scenario.title)
def test_a_t_bound_alone_is_found_out_where_a_loss_hides(scenario: Hidden) -> None:
    study = HiddenClaims(scenario=replace(scenario, wrong="t bound alone"))
    found = figures(study, run_block(study, 0, FEW)[0], FEW)
    assert found["beats at .05"].clearly_outside


@pytest.mark.parametrize("scenario", HIDDEN, ids=lambda scenario: scenario.title)
def test_what_hides_makes_up_for_what_is_gained(scenario: Hidden) -> None:
    candidate, reference = replace(scenario, patients=400_000).draw(np.random.default_rng(0))
    assert candidate.mean == pytest.approx(reference.mean, abs=0.004)
    if scenario.metric in ("roc_auc", "quadratic_kappa"):
        assert reference.mean == pytest.approx(scenario.value, abs=0.006)


@pytest.mark.parametrize(
    "study",
    [
        BesidePublished(scenario=PUBLISHED_97, former=True),
        BesidePublished(scenario=replace(PUBLISHED_SEEDS, seeds=5), former=True),
        recalls_of_one(0.80, 0.95, wrong="t bound alone"),
    ],
    ids=lambda study: study.title,
)
def test_former_rules_beside_a_number_and_of_one_cell_are_found_out(study: Study) -> None:
    found = figures(study, run_block(study, 0, FEW)[0], FEW)
    assert any(figure.clearly_outside for figure in found.values())


def test_half_of_the_excess_is_allowed_where_a_subtype_may_not_show() -> None:
    bands = HiddenClaims(scenario=FEW_FALL, former=(0.15, 0.0045, 0.91)).bands
    assert [str(band) for band in bands.values()] == ["≤ .1", "≤ .005", "≥ .93"]


def test_a_t_bound_alone_is_found_out_where_few_patients_differ() -> None:
    study = FalseClaims(scenario=replace(FEW_RECALLS, patients=200, wrong="t bound alone"))
    found = figures(study, run_block(study, 0, FEW)[0], FEW)
    assert found["not_worse_than at .0025"].clearly_outside


@pytest.mark.parametrize("score", [FEW_RECALLS, replace(FEW_RECALLS, gained=0.01), FEW_KAPPAS, FEW_AUCS])
def test_few_that_differ_make_up_the_margin(score: Scenario) -> None:
    candidate, reference = replace(score, patients=400_000).draw(np.random.default_rng(0))
    assert reference.mean == pytest.approx(score.value, abs=0.003)
    assert candidate.mean - reference.mean == pytest.approx(-MARGIN, abs=0.001)
    differ_N = np.abs(candidate.scores_SNC - reference.scores_SNC).max(axis=(0, 2)) > 0.5
    assert differ_N.mean() < 0.1


@pytest.mark.parametrize("effect", [0.0, MARGIN, -MARGIN])
@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.title)
def test_a_large_sample_has_the_metric_it_was_drawn_for(score: Scenario, effect: float) -> None:
    candidate, reference = replace(score, patients=100_000, effect=effect).draw(np.random.default_rng(0))
    assert reference.mean == pytest.approx(score.value, abs=0.006)
    assert candidate.mean - reference.mean == pytest.approx(effect, abs=0.004)


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.title)
def test_runs_spread_about_the_metric_of_their_cell(score: Scenario) -> None:
    drawn = replace(score, patients=2_500, seeds=60).draw(np.random.default_rng(0))
    for result in drawn:
        assert np.std(result.by_seed) == pytest.approx(0.1 * (1 - score.value), rel=0.35)


@pytest.mark.parametrize("shape", SHAPES)
def test_seed_noise_has_mean_0_and_standard_deviation_1(shape: str) -> None:
    drawn = SHAPES[shape](np.random.default_rng(0), (1_000_000,))
    assert np.mean(drawn) == pytest.approx(0, abs=0.01)
    assert np.std(drawn) == pytest.approx(1, abs=0.05)


def test_classes_are_never_smaller_than_asked_for() -> None:
    for score in SCORES:
        for patients in (200, 550, 2_500):
            counts = replace(score, patients=patients).patients_by_class
            assert counts.sum() == patients
            assert counts.min() >= 20
    with pytest.raises(ValueError, match="too few"):
        _ = replace(RECALL, patients=200, fewest=50).patients_by_class


def test_two_seeds_are_not_judged_at_the_strict_level() -> None:
    assert FalseClaims(scenario=replace(AUC_90, seeds=2)).levels == (0.05,)
    assert FalseClaims(scenario=replace(AUC_90, seeds=3)).levels == (0.05, 0.0025)
    assert FewSeedsClaims(scenario=replace(ONE_SEEDED, seeds=2)).levels == (0.05,)


def test_former_rules_of_seeds_are_found_out() -> None:
    independent = replace(PAIRED_POWER, scenario=replace(PAIRED_POWER.scenario, paired=False))
    found = figures(independent, run_block(independent, 0, FEW)[0], FEW)
    assert found["beats at .05"].clearly_outside
    five = replace(SETTLED, former="five seeds below .01")
    assert figures(five, run_block(five, 0, FEW)[0], FEW)["beats at .0025"].clearly_outside
    former = FewSeedsClaims(scenario=replace(ONE_SEEDED, seeds=2, spread=0.05), former="Satterthwaite's degrees")
    assert figures(former, run_block(former, 0, 2_000)[0], 2_000)["beats at .05"].clearly_outside


@dataclass(frozen=True, kw_only=True)
class Coin:
    """Heads in half of the tosses."""

    band: Band

    @property
    def title(self) -> str:
        return "a coin"

    @property
    def bands(self) -> dict[str, Band]:
        return {"heads": self.band}

    def run(self, rng: Generator, trials: int) -> Counter[str]:
        return Counter(heads=int(rng.integers(0, 2, trials).sum()))


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.jsonl"
    study = FalseClaims(scenario=replace(AUC_90, patients=40))
    whole = run_all([(study, 30)], 1, kept)
    assert "1/1 blocks" in capsys.readouterr().err
    lines = kept.read_text(encoding="utf-8")
    assert run_all([(study, 30)], 1, kept) == whole
    assert capsys.readouterr().err == ""
    kept.write_text(lines[: len(lines) // 2], encoding="utf-8")  # the line was cut short
    assert run_all([(study, 30)], 1, kept) == whole
    assert "1/1 blocks" in capsys.readouterr().err


def test_a_study_draws_the_same_whatever_is_run_beside_it_and_each_block_its_own() -> None:
    first, again, second = (run_block(Coin(band=FAIR), block, 1_000)[0] for block in (0, 0, 1))
    assert first == again != second


def test_a_table_names_what_lies_outside() -> None:
    narrow, wide = Coin(band=Band(high=0.1)), Coin(band=FAIR)
    counts = {repr(coin): run_block(coin, 0, 1_000)[0] for coin in (narrow, wide)}

    def outside(coin: Coin, wrong: bool, *, quick: bool = False) -> list[str]:
        section = Section(heading="Coins", text="", studies=[coin], wrong=wrong)
        return tabulated(section, counts, 1_000, quick=quick).outside

    assert outside(wide, wrong=False) == []
    assert outside(narrow, wrong=False) == ["a coin: heads"]
    assert outside(narrow, wrong=True) == []
    assert outside(wide, wrong=True) == ["a coin: wrong on purpose, and inside every band"]
    assert outside(narrow, wrong=False, quick=True) == ["a coin: heads"]
    assert outside(wide, wrong=True, quick=True) == []


def test_with_few_trials_only_what_lies_clearly_outside_counts() -> None:
    chance = Coin(band=Band(high=0.45))
    counts = {repr(chance): Counter(heads=50)}
    section = Section(heading="Coins", text="", studies=[chance])
    assert tabulated(section, counts, 100).outside == ["a coin: heads"]
    assert tabulated(section, counts, 100, quick=True).outside == []


def test_a_comment_costs_no_trials_and_a_change_of_code_does(monkeypatch: pytest.MonkeyPatch) -> None:
    study = FalseClaims(scenario=FEW_RECALLS)
    before, read = code_digest(study), sources.source_of

    def changed(text: str, name: str) -> str:
        monkeypatch.setattr(sources, "source_of", lambda module: read(module) + text * (module == name))
        return code_digest(study)

    assert changed("\n# why\n", "pytest_fmtransfer.judge.bounds") == before
    assert changed("\nMORE = 1\n", "pytest_fmtransfer.judge.drift") == before
    for module in ("judge.rounding", "judge.bounds", "metrics.roc", "margins"):
        assert changed("\nMORE = 1\n", f"pytest_fmtransfer.{module}") != before, module
    for module in ("false_claims", "few_differ", "scenario"):
        assert changed("\nMORE = 1\n", f"benchmarks.calibration.{module}") != before, module


def test_the_page_says_how_many_lie_outside() -> None:
    narrow = Coin(band=Band(high=0.1))
    counts = {repr(narrow): run_block(narrow, 0, 1_000)[0]}
    table = tabulated(Section(heading="Coins", text="", studies=[narrow]), counts, 1_000)
    assert "1 figures of 1,000 trials or more, 1 outside its band" in summary([table], 1_000)
    assert "| a coin | **." in table.markdown
    assert "heads: ≤ .1" in table.markdown


def test_every_row_has_a_name_of_its_own() -> None:
    for section in SECTIONS:
        titles = [study.title for study in section.studies]
        assert len(set(titles)) == len(titles), section.heading


@pytest.mark.skipif(not command.PAGE.exists(), reason="no page yet: python -m benchmarks.calibration --write")
def test_the_page_has_every_study() -> None:
    written = command.PAGE.read_text(encoding="utf-8")
    for section in SECTIONS:
        _, found, rest = written.partition(f"## {section.heading}\n")
        assert found, section.heading
        rows = rest.partition("\n## ")[0]
        for study in section.studies:
            assert f"| {study.title} |" in rows


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "no such study"], "no row matches"),
        (["--write", "--only", "gate"], "leave --only and --trials out"),
        (["--write", "--trials", "100"], "leave --only and --trials out"),
    ],
)
def test_the_command_refuses_half_a_page(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["calibration", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
