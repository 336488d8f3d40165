"""The control `<dataset>.shuffled`: one shuffle a seed of what is learnt from, and nothing else is another.

The pictures are synthetic. Legend: A, V, T images of the training, validation and test side; D features.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Cell, Places, Registry, transfer
from pytest_fmtransfer.adapt.sides import Sides, shuffle_labels
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.errors import InvalidInput, UnknownName
from pytest_fmtransfer.work import Tally, counting
from tests.helpers import LAWS
from tests.small import DATASET, EACH, catalogue, write_weights

PLAIN, SHUFFLED = Cell("tiny", "stripes", "knn"), Cell("tiny", "stripes.shuffled", "knn")
REGISTRY = catalogue()

labels = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(np.array)


def sides(train_labels_A: np.ndarray, validation_labels_V: np.ndarray) -> Sides:
    return Sides(
        train_AD=np.arange(len(train_labels_A))[:, None],
        train_labels_A=train_labels_A,
        validation_VD=np.arange(len(validation_labels_V))[:, None],
        validation_labels_V=validation_labels_V,
        test_TD=np.zeros((2, 1)),
        classes=4,
    )


def other_weights(small: Places, folder: Path) -> Places:
    """An upgrade: another checkpoint under the same name, with which nearest neighbours learn less."""
    write_weights(folder / "weights", seed=3)
    return replace(small, weights=folder / "weights")


def test_every_dataset_has_it() -> None:
    assert REGISTRY.dataset("stripes.shuffled") == replace(DATASET, name="stripes.shuffled", shuffled=True)
    assert {"br35h.shuffled", "br35h.naive.shuffled", "stripes.shuffled"} <= set(REGISTRY.names(DatasetSpec))
    assert REGISTRY.check(SHUFFLED) == SHUFFLED


@pytest.mark.parametrize("name", ["stripe.shuffled", "stripes.shuffled.shuffled", "shuffled"])
def test_what_is_no_datasets_control_is_unknown(name: str) -> None:
    with pytest.raises(UnknownName, match=name):
        REGISTRY.dataset(name)


def test_nobody_registers_it() -> None:
    with pytest.raises(InvalidInput, match=r"'\.shuffled' is the control that every dataset has"):
        Registry().register(replace(DATASET, name="stripes.shuffled"))


@LAWS
@given(labels, labels, st.integers(0, 2**32))
def test_each_sides_labels_stay_on_it_and_features_stay_where_they_are(
    train_A: np.ndarray, validation_V: np.ndarray, seed: int
) -> None:
    before = sides(train_A, validation_V)
    after, again = shuffle_labels(before, seed), shuffle_labels(before, seed)
    np.testing.assert_array_equal(np.sort(after.train_labels_A), np.sort(train_A))
    np.testing.assert_array_equal(np.sort(after.validation_labels_V), np.sort(validation_V))
    np.testing.assert_array_equal(after.train_labels_A, again.train_labels_A)
    np.testing.assert_array_equal(after.validation_labels_V, again.validation_labels_V)
    assert after.train_AD is before.train_AD
    assert after.validation_VD is before.validation_VD
    assert after.test_TD is before.test_TD


def test_a_seed_is_a_shuffle_of_its_own_and_no_side_is_left_as_it_was() -> None:
    before = sides(np.arange(40), np.arange(40))
    orders = [tuple(part) for seed in range(20) for part in _labels(shuffle_labels(before, seed))]
    assert len({*orders, tuple(range(40))}) == 41


def _labels(of: Sides) -> tuple[list[int], list[int]]:
    return of.train_labels_A.tolist(), of.validation_labels_V.tolist()


def test_it_runs_at_twenty_seeds_on_the_same_test_side_with_the_labels_that_it_has(small: Places) -> None:
    plain, shuffled = (transfer(cell, registry=REGISTRY, places=small) for cell in (PLAIN, SHUFFLED))
    assert (plain.seeds, plain.seeded) == ((0,), False)
    assert (shuffled.seeds, shuffled.seeded) == (tuple(range(20)), True)
    assert len({scores_NC.tobytes() for scores_NC in shuffled.scores_SNC}) == 20
    for name in ("ids_N", "patients_N", "labels_N"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(shuffled, name))
    assert plain.question.dataset_fingerprint == shuffled.question.dataset_fingerprint
    assert plain.mean > 0.9
    assert abs(shuffled.mean - 0.5) < 0.1


def test_a_seed_has_the_same_scores_alone_as_among_the_twenty(small: Places, tmp_path: Path) -> None:
    own = replace(small, store=tmp_path)  # of one pass: features of another's batches may be rounded otherwise
    twenty = transfer(SHUFFLED, registry=REGISTRY, places=own)
    alone = transfer(SHUFFLED, seeds=(3,), registry=REGISTRY, places=own)
    assert (alone.seeds, alone.origin) == ((3,), "computed")
    np.testing.assert_array_equal(alone.scores_SNC, twenty.scores_SNC[[3]])


def test_no_seed_at_all_is_no_default(small: Places) -> None:
    with pytest.raises(InvalidInput, match=r"as in seeds=\(0, 1, 2\), or leave `seeds` out"):
        transfer(SHUFFLED, seeds=(), registry=REGISTRY, places=small)


def test_a_further_seed_is_a_further_shuffle(small: Places) -> None:
    further = transfer(SHUFFLED, seeds=(20,), registry=REGISTRY, places=small)
    twenty = transfer(SHUFFLED, registry=REGISTRY, places=small)
    assert further.seeds == (20,)
    assert all(not np.array_equal(further.scores_SNC[0], scores_NC) for scores_NC in twenty.scores_SNC)


@pytest.mark.parametrize("order", [(PLAIN, SHUFFLED), (SHUFFLED, PLAIN)], ids=["plain first", "shuffled first"])
def test_features_are_computed_once_for_both(small: Places, tmp_path: Path, order: tuple[Cell, Cell]) -> None:
    tally, own = Tally(), replace(small, store=tmp_path)
    with counting(tally):
        for cell in order:
            transfer(cell, registry=REGISTRY, places=own)
            assert tally.forward_passes == 2 * EACH
    assert len(list((tmp_path / "features").rglob("entry.json"))) == 1


def test_labels_that_are_no_longer_shuffled_are_drift(
    small: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control itself is gated: the screen's seed and the six fresh ones are really run."""
    recorded = transfer(SHUFFLED, registry=REGISTRY, places=small)
    monkeypatch.setattr("pytest_fmtransfer._transfer.shuffle_labels", lambda sides, seed: sides)
    verdict = transfer(SHUFFLED, registry=REGISTRY, places=replace(small, store=tmp_path)).unchanged_from(recorded)
    assert verdict.outcome == "refuted"
    assert f"drifted: roc_auc {recorded.mean:.4f} → 0.98" in verdict.summary
    assert "third tier, screen: seed 20 has roc_auc 0.98" in verdict.text
    assert "second stage, run once: seeds 21 to 26 have roc_auc 0.98" in verdict.text
    assert "nothing known changed since the baseline" in verdict.text


def test_chance_is_chance_under_other_weights(small: Places, tmp_path: Path) -> None:
    """Shuffled labels say nothing of an upgrade: a new seed is within noise of those recorded."""
    recorded = transfer(SHUFFLED, registry=REGISTRY, places=small)
    upgraded = transfer(SHUFFLED, registry=REGISTRY, places=other_weights(small, tmp_path))
    verdict = upgraded.unchanged_from(recorded)
    assert verdict.outcome == "supported"
    assert "unchanged within noise: a new seed moved roc_auc" in verdict.summary
    was, now = recorded.subject["weights"], upgraded.subject["weights"]
    assert f"changed since the baseline: weights {was} → {now}" in verdict.text
    assert transfer(SHUFFLED, seeds=(20,), registry=REGISTRY, places=small).origin == "store"


def test_an_upgrade_that_makes_transfer_worse_is_drift_of_a_seeded_regime_and_not_stale(
    small: Places, tmp_path: Path
) -> None:
    """Ten recorded seeds, and a screen and six fresh seeds that are run with the new weights."""
    registry, cell = catalogue(), Cell("tiny", "stripes", "retrained")
    registry.register(replace(registry.regime("knn"), name="retrained", seeded=True))
    recorded = transfer(cell, seeds=tuple(range(10)), registry=registry, places=small)
    places = other_weights(small, tmp_path)
    upgraded = transfer(cell, seeds=tuple(range(10)), registry=registry, places=places)
    verdict = upgraded.unchanged_from(recorded)
    assert verdict.outcome == "refuted"
    assert verdict.summary == f"drifted: roc_auc {recorded.mean:.4f} → {upgraded.mean:.4f}, all 6 fresh seeds"
    was, now = recorded.subject["weights"], upgraded.subject["weights"]
    assert f"changed since the baseline: weights {was} → {now}\n" in verdict.text
    assert "stale" not in verdict.text
    for seeds in ((10,), (11, 12, 13, 14, 15, 16)):
        assert transfer(cell, seeds=seeds, registry=registry, places=places).origin == "store"
