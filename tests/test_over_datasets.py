"""Who is best over datasets: the model's own calibration, its laws, and what reports say of it. Synthetic results.

Legend: K backbones, D datasets, T trials.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import kstest

from pytest_fmtransfer.judge.over_datasets import OnDataset, Overall, on_dataset, overall, posterior
from pytest_fmtransfer.judge.verdicts import compare
from pytest_fmtransfer.reports.over_datasets import HOW_OVERALL_READS, overall_parts, overall_rows
from pytest_fmtransfer.reports.rankings import completed, ranking_row
from pytest_fmtransfer.reports.rows import Row, as_json, cell_row, gather
from pytest_fmtransfer.reports.tables import markdown, terminal
from pytest_fmtransfer.results import Result
from tests.helpers import labels_of, make_result, noisy_scores, result, retrained

NAMES = ("a", "b", "c")
Floats = NDArray[np.float64]


def drawn(rng: Generator, mu_K: Floats, datasets: int, spread: float) -> list[OnDataset]:
    """Datasets of the model: correlated errors that differ between them, and departures of this spread."""
    tables: list[OnDataset] = []
    for number in range(datasets):
        own = rng.uniform(0.2, 1.5)
        covariance_KK = own**2 * (0.6 + 0.4 * np.eye(len(mu_K)))
        theta_K = rng.normal() * 30 + mu_K + spread * rng.normal(size=len(mu_K))
        means_K = rng.multivariate_normal(theta_K, covariance_KK)
        named = tuple(NAMES[: len(mu_K)])
        tables.append(OnDataset(dataset=f"d{number}", backbones=named, means_K=means_K, covariance_KK=covariance_KK))
    return tables


def standing(found: Overall | None) -> dict[str, tuple[float, float, float]]:
    assert found is not None
    return {each.backbone: (each.best, each.within, each.behind) for each in found.standings}


def exact(*means: Sequence[float], sd: float = 0.1) -> list[OnDataset]:
    return [
        OnDataset(
            dataset=f"d{number}",
            backbones=NAMES[: len(means_K)],
            means_K=np.array(means_K, dtype=np.float64),
            covariance_KK=sd**2 * np.eye(len(means_K)),
        )
        for number, means_K in enumerate(means)
    ]


@pytest.mark.parametrize("datasets", [3, 8])
def test_posteriors_are_calibrated_under_their_own_prior(datasets: int) -> None:
    """Simulation-based calibration (Talts et al. 2018): the truth's place among the draws is uniform.

    Contrasts are pivotal under the flat prior, so that it holds whatever the true means are.
    """
    rng = np.random.default_rng(20261201 + datasets)
    places: list[float] = []
    spread_places: list[float] = []
    for _ in range(250):
        mu_K, spread = rng.normal(size=3), abs(rng.normal())
        found = posterior(drawn(rng, mu_K, datasets, spread), NAMES, draws=400)
        assert found is not None
        means_RK, spreads_R = found
        places.append(float((means_RK[:, 0] - means_RK[:, 1] < mu_K[0] - mu_K[1]).mean()))
        spread_places.append(float((spreads_R < spread).mean()))
    assert kstest(places, "uniform").pvalue > 0.01
    assert kstest(spread_places, "uniform").pvalue > 0.01


def test_probabilities_are_as_often_right_as_they_say() -> None:
    """With true means that are nearly flat on the scale of the errors, as the prior has them."""
    rng = np.random.default_rng(7)
    said: list[tuple[float, bool]] = []
    near: list[tuple[float, bool]] = []
    for _ in range(400):
        mu_K = rng.uniform(-4, 4, size=3)
        found = overall(drawn(rng, mu_K, 4, abs(rng.normal())), draws=1000)
        for name, (best, within, _) in standing(found).items():
            at = NAMES.index(name)
            said.append((best, bool(mu_K[at] == mu_K.max())))
            near.append((within, bool(mu_K.max() - mu_K[at] < 1)))
    for told in (said, near):
        p_T, true_T = np.array([p for p, _ in told]), np.array([true for _, true in told], dtype=np.float64)
        between_T = (p_T > 0.2) & (p_T < 0.8)
        assert between_T.sum() > 100
        for part_T in (between_T, p_T <= 0.2, p_T >= 0.8):
            error = np.sqrt((p_T[part_T] * (1 - p_T[part_T])).sum())
            assert abs((true_T - p_T)[part_T].sum()) < 4 * error


def test_a_clear_best_is_sure_and_what_lies_within_its_margin_is_said_to() -> None:
    found = standing(overall(exact((5.0, 4.6, 0.0), (5.1, 4.7, 0.1), (4.9, 4.5, 0.0), (5.0, 4.6, -0.1))))
    assert found["c"][:2] == (0, 0)
    assert found["a"][0] > 0.9
    assert found["b"][1] > 0.9
    assert found["c"][2] == pytest.approx(5.0, abs=0.3)
    assert sum(best for best, _, _ in found.values()) == pytest.approx(1)


def test_how_easy_a_dataset_is_says_nothing_nor_does_the_order() -> None:
    tables = exact((1.0, 0.2), (0.5, 0.1), (0.9, 0.8))
    moved = [replace(table, means_K=table.means_K + 10 * at) for at, table in enumerate(tables)]
    turned = [
        replace(table, backbones=table.backbones[::-1], means_K=table.means_K[::-1].copy()) for table in tables[::-1]
    ]
    for others in (moved, turned):
        for name, told in standing(overall(others)).items():
            assert told == pytest.approx(standing(overall(tables))[name], abs=0.02)


def test_a_dataset_that_tells_little_counts_less_and_all_alike_where_backbones_depart_widely() -> None:
    tables = exact((1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (-6.0, 0.0))
    vague = [*tables[:3], replace(tables[3], covariance_KK=100 * np.eye(2))]
    assert standing(overall(vague))["a"][0] > 0.95 > standing(overall(tables))["a"][0] + 0.2


def test_the_same_tables_give_the_same_figures() -> None:
    tables = exact((1.0, 0.2), (0.5, 0.1), (0.9, 0.8))
    assert overall(tables) == overall(tables)


def test_too_few_datasets_or_backbones_say_nothing() -> None:
    three = exact((1.0, 0.0), (1.0, 0.0), (1.0, 0.0))
    assert overall(three) is not None
    assert overall(three[:2]) is None
    assert overall([]) is None
    assert overall(exact((1.0,), (1.0,), (1.0,))) is None


def test_a_backbone_on_fewer_than_three_datasets_is_left_out_and_the_others_are_not() -> None:
    tables = [*exact((1.0, 0.0, 2.0), (1.0, 0.0, 2.0)), *exact((1.0, 0.0))]
    found = overall([replace(table, dataset=f"d{at}") for at, table in enumerate(tables)])
    assert found is not None
    assert {each.backbone: each.datasets for each in found.standings} == {"a": 3, "b": 3}


def test_backbones_that_no_dataset_ties_together_are_not_compared() -> None:
    apart = exact((1.0, 0.0), (1.0, 0.0), (1.0, 0.0))
    others = [replace(table, dataset=f"e{at}", backbones=("x", "y")) for at, table in enumerate(apart)]
    assert overall([*apart, *others]) is None


def test_what_a_dataset_says_is_in_its_margins_with_the_errors_of_the_comparison() -> None:
    one, other = result("a-data-knn", 1.0, seed=1), result("b-data-knn", 0.4, seed=2)
    found = on_dataset([one, other])
    assert found is not None
    pair = compare(one, other)
    assert found.means_K[0] - found.means_K[1] == pytest.approx(pair.effect / one.margin)
    contrast = np.array([1, -1])
    assert pair.patient_piece is not None
    assert contrast @ found.covariance_KK @ contrast == pytest.approx(pair.patient_piece.variance / one.margin**2)


def test_seeds_add_their_variance_and_one_that_was_not_measured_leaves_its_backbone_out() -> None:
    steady, seeded = retrained("a-data-knn", 0.1, 0.2, 0.3), retrained("b-data-knn", 0.3, 0.9, 0.1)
    found = on_dataset([steady, seeded])
    assert found is not None
    pair = compare(steady, seeded)
    assert pair.patient_piece is not None
    variance = pair.patient_piece.variance + sum(piece.variance for piece in pair.seed_pieces)
    contrast = np.array([1, -1])
    assert contrast @ found.covariance_KK @ contrast == pytest.approx(variance / steady.margin**2)
    assert on_dataset([steady, result("b-data-knn", 0.3, seeded=True)]) is None


@pytest.mark.parametrize("metric", ["log_loss", "macro_f1"])
def test_a_loss_is_better_lower_and_a_metric_without_influences_is_resampled(metric: str) -> None:
    labels_N = labels_of(60, 60)
    pair = [make_result(f"{name}-data-knn", labels_N, noisy_scores(labels_N, signal, seed=at), metric=metric)
            for at, (name, signal) in enumerate((("good", 2.0), ("bad", 0.0)))]  # fmt: skip
    found = on_dataset(pair)
    assert found is not None
    assert found.means_K[0] > found.means_K[1]
    assert np.linalg.eigvalsh(found.covariance_KK).min() > 0


def ranking(dataset: str, *names: str, seed: int = 0) -> tuple[Row, list[Result]]:
    found = [result(f"{name}-{dataset}-knn", 1.0 - 0.3 * at, seed=seed + at) for at, name in enumerate(names)]
    return ranking_row(found), found


def test_tables_of_three_datasets_become_one_in_json_values_and_in_text() -> None:
    rankings = [ranking(name, "a", "b", seed=10 * at)[0] for at, name in enumerate(("x", "y", "z"))]
    assert json.loads(json.dumps(rankings)) == rankings
    [row] = overall_rows(rankings)
    assert (row["regime"], list(row["datasets"])) == ("knn", ["x", "y", "z"])
    text = "\n".join(overall_parts([row], str, lambda rows: "\n".join(" | ".join(line.values()) for line in rows)))
    assert text.startswith("Over all datasets (information only), knn: 3 datasets\n")
    assert "a | 3 | " in text
    assert text.endswith(HOW_OVERALL_READS)
    assert overall_rows(rankings[:2]) == ()
    assert overall_parts([], str, str) == []


def test_of_datasets_that_share_their_images_one_is_taken() -> None:
    rankings = [ranking(name, "a", "b")[0] for name in ("x", "x.naive", "y", "z")]
    [row] = overall_rows(rankings[::-1])
    assert list(row["datasets"]) == ["x", "y", "z"]
    assert overall_rows(rankings[:3]) == ()


def test_a_report_has_no_covariances() -> None:
    row, results = ranking("x", "a", "b")
    told = completed(row, {each.cell.id: cell_row(each) for each in results})
    assert row["measured"] is not None
    assert "measured" not in told


def test_reports_show_the_table_below_those_that_it_is_of() -> None:
    tables = [ranking(name, "a", "b", seed=10 * at) for at, name in enumerate(("x", "y", "z"))]
    nothing = {"file": "", "test": "", "family": None, "expected": None, "claim": {}, "verdicts": [], "telling": None}
    rows = [nothing | {"cells": [cell_row(each) for each in results]} for _, results in tables]
    report = gather(rows, rankings=[row for row, _ in tables])
    assert [row["regime"] for row in json.loads(as_json(report))["overall"]] == ["knn"]
    for render in (terminal, markdown):
        text = render(report)
        assert text.index("Ranks on z, knn") < text.index("Over all datasets (information only), knn: 3 datasets")
    assert gather(rows).overall == ()
