"""What is planted, by rules: who sees what, and which verdict that makes of each kind of claim.

Legend: N images, C classes.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import DataRoot
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.metrics import evaluate
from pytest_fmtransfer.stand_ins import planted
from pytest_fmtransfer.stand_ins.planted import Sight
from pytest_fmtransfer.stand_ins.registry import StandIns
from pytest_fmtransfer.stand_ins.rules import Claimed, planted_verdicts
from pytest_fmtransfer.stand_ins.world import World

FOUR = ("aptos2019", "chexpert", "ddsm", "isic2019")
LINEAR = "finetune_linear"
BLIND, COARSE, ALL = "sam_vitb16", "imagenet_deitb16", "openclip_vitb16"
# They see all, as ALL does, which misses mark 3 as dinov2_vitb14 does.
MARK_0, MARK_1 = "clip_vitb16", "dino_vitb16"


@pytest.fixture(autouse=True)
def _sights(monkeypatch: pytest.MonkeyPatch) -> None:
    sights = {BLIND: Sight(), COARSE: Sight(sees=("coarse",)), ALL: Sight(sees=("coarse", "fine", "colour"))}
    monkeypatch.setattr(planted, "SIGHTS", sights | {"dinov2_vitb14": Sight(sees=("colour",), opens=("fine",))})


def found(kind: str, candidate: str, reference: str, *, family_size: int = 1, **more: Any) -> str:
    claim = Claimed(kind=kind, candidate=candidate, reference=reference, family_size=family_size, datasets=FOUR)
    return " or ".join(planted_verdicts(replace(claim, **more), World(registry=StandIns())))


def on(backbone: str, dataset: str, regime: str = LINEAR) -> str:
    return f"{backbone}-{dataset}-{regime}"


@pytest.mark.parametrize(
    ("regime", "sees"),
    [
        ("finetune_linear", True),
        ("finetune_deitb", True),
        ("partial9_linear", True),
        ("partial0_linear.unaugmented", True),
        ("finetune_linear.unaugmented", True),
        ("frozen_linear.every", False),
        ("frozen_deitb", False),
        ("drop2_linear.every", False),
        ("knn", False),
        ("linear_probe", False),
        ("lora8", False),
        ("scratch", False),
    ],
)
def test_a_door_is_open_where_blocks_are_trained_that_have_learnt_before(regime: str, sees: bool) -> None:
    assert World(registry=StandIns()).sees(Cell("dinov2_vitb14", "chexpert", regime)) is sees


def test_one_of_several_signals_that_carry_a_class_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(planted.CARRIERS, "ddsm", ("fine", "coarse"))
    world = World(registry=StandIns())
    assert [world.sees(Cell(name, "ddsm", LINEAR)) for name in (BLIND, COARSE, ALL)] == [False, True, True]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("shortcut.metadata-ddsm-knn", "shortcut.metadata has no stand-in"),
        ("dinov2_vitb14-ddsm.shuffled-knn", "its labels are shuffled"),
        ("dinov2_vitb14-br35h-knn", "nothing is generated in its layout"),
        ("openclip_vitb16-ddsm-zeroshot", "no rule says what a stand-in learns under zeroshot"),
        ("dinov2_vitb14-ddsm-fewshot5", "no rule says"),
        ("dinov2_vitb14-ddsm-partial6_linear.unaugmented", "not what blocks make of them"),
    ],
)
def test_a_cell_of_which_nothing_is_planted_is_an_error(cell: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        found("beats", cell, on(COARSE, "ddsm"))


def test_a_stand_in_is_of_a_network_at_pictures_of_whole_patches_and_no_function_has_one() -> None:
    sizes = {
        name: StandIns().backbone(name).image_size for name in ("dinov2_vitb14", "dino_vitb16", "imagenet_resnet18")
    }
    assert sizes == {"dinov2_vitb14": 56, "dino_vitb16": 64, "imagenet_resnet18": 64}
    with pytest.raises(
        InvalidInput, match="mine is a function and has no stand-in; leave it out, or leave out --fm-st"
    ):
        planted.stands_in(UserBackbone.parse("mine=py:nets:make").row)


def test_what_carries_a_class_fits_the_picture_and_is_one_for_all_datasets_of_a_folder() -> None:
    told = [planted.carriers_of("own", channels=channels, side=side) for channels, side in ((3, 28), (1, 64), (1, 28))]
    assert told == [("colour",), ("fine",), ("coarse",)]
    of_folder: dict[str, set[tuple[str, ...]]] = {}
    for name, carriers in planted.CARRIERS.items():
        location = Registry().dataset(name).location
        assert isinstance(location, DataRoot)
        of_folder.setdefault(location.folder, set()).add(carriers)
    assert [len(found) for found in of_folder.values()] == [1] * len(of_folder)


def test_what_depends_on_its_seed_runs_at_two() -> None:
    world = World(registry=StandIns())
    assert [world.seeds(Cell(ALL, "ddsm", regime)) for regime in (LINEAR, "knn")] == [2, None]


def test_a_random_twin_is_blind_and_has_learnt_nothing() -> None:
    world = World(registry=StandIns())
    assert not world.sees(Cell(f"{ALL}.random", "ddsm", LINEAR))
    assert StandIns().backbone(f"{ALL}.random").is_control
    assert not StandIns().backbone(BLIND).is_control


@pytest.mark.parametrize("kind", ["beats", "not_worse_than"])
def test_who_sees_is_above_who_does_not_and_of_others_nothing_is_told(kind: str) -> None:
    assert found(kind, on(ALL, "chexpert"), on(COARSE, "chexpert")) == "supported"
    assert found(kind, on(COARSE, "chexpert"), on(ALL, "chexpert")) == "refuted"
    assert found(kind, on(COARSE, "ddsm"), on(ALL, "ddsm")) == "inconclusive"
    assert found(kind, on(BLIND, "chexpert"), on(COARSE, "chexpert")) == "inconclusive"


def test_equivalent_are_no_two_that_differ_and_of_others_nothing_is_told() -> None:
    assert found("equivalent_to", on(ALL, "chexpert"), on(COARSE, "chexpert")) == "refuted"
    assert found("equivalent_to", on(ALL, "ddsm"), on(COARSE, "ddsm")) == "inconclusive"


def test_blind_cells_that_learn_without_a_seed_score_alike_and_that_is_shown() -> None:
    pair = on(BLIND, "chexpert", "knn"), on(COARSE, "chexpert", "knn")
    assert [found(kind, *pair) for kind in ("beats", "not_worse_than", "equivalent_to")] == [
        "refuted",
        "supported",
        "supported",
    ]
    for one, other in (("knn", LINEAR), (LINEAR, "knn")):
        assert found("beats", on(BLIND, "chexpert", one), on(COARSE, "chexpert", other)) == "inconclusive"


@pytest.mark.parametrize(("dataset", "missed"), [("ddsm", 0), ("isic2019", 1), ("aptos2019", 3)])
def test_what_a_metric_comes_to_is_that_of_pictures_of_which_one_mark_in_four_is_taken_for_the_middle(
    dataset: str, missed: int
) -> None:
    """Scores fall off with the distance between a picture's level and a class's; of who is blind they are all alike."""
    world = World(registry=StandIns())
    spec = world.registry.dataset(dataset)
    levels_C = np.arange(len(spec.classes))
    labels_N, marks_N = (each.ravel() for each in np.meshgrid(np.repeat(levels_C, 9), range(planted.MARKS)))
    seen_N = np.where(marks_N == missed, levels_C.mean(), labels_N).astype(np.float64)
    for backbone, scores_NC in (
        (ALL, -((seen_N[:, None] - levels_C) ** 2.0)),
        (BLIND, np.zeros((len(labels_N), len(levels_C)))),
    ):
        value = evaluate(spec.metric, labels_N, scores_NC).value
        assert world.value(Cell(backbone, dataset, LINEAR)) == pytest.approx(value, abs=0.005)


def test_no_value_is_planted_in_a_metric_without_a_rule() -> None:
    registry = StandIns()
    registry.register(replace(Registry().dataset("ddsm"), name="lost", metric="log_loss"))
    with pytest.raises(InvalidInput, match="no value in log_loss is planted, the metric of lost"):
        World(registry=registry).value(Cell(ALL, "lost", LINEAR))


def test_consistently_better_takes_every_dataset_and_one_refutes_it() -> None:
    def over(backbone: str, *datasets: str) -> str:
        return f"{backbone}-{'+'.join(datasets)}-{LINEAR}"

    two, three = ("chexpert", "isic2019"), ("chexpert", "ddsm", "isic2019")
    for candidate, reference, datasets, whole, other in [
        (ALL, COARSE, two, "supported", "refuted"),
        (COARSE, ALL, two, "refuted", "supported"),
        (ALL, COARSE, three, "inconclusive", "inconclusive"),
        (COARSE, ALL, three, "refuted", "supported"),
    ]:
        pair = over(candidate, *datasets), over(reference, *datasets)
        assert found("consistently_better", *pair) == whole
        assert found("not_consistently_better", *pair) == other


def test_a_ranking_takes_every_step() -> None:
    above = f"{on(COARSE, 'ddsm')} > {on(BLIND, 'ddsm')}"
    assert found("ranks_above", on(ALL, "ddsm"), above) == "inconclusive"
    assert found("ranks_above", on(ALL, "ddsm"), on(BLIND, "ddsm")) == "supported"
    assert found("ranks_above", on(BLIND, "ddsm"), f"{on(ALL, 'ddsm')} > {on(COARSE, 'ddsm')}") == "refuted"


def test_a_published_number_is_refuted_from_afar_and_not_told_from_near() -> None:
    assert found("consistent_with", on(ALL, "ddsm"), "paper", published=0.97) == "inconclusive"
    assert found("consistent_with", on(BLIND, "ddsm"), "paper", published=0.97) == "refuted"
    assert found("above_published", on(ALL, "ddsm"), "paper", published=0.5) == "supported"
    assert found("above_published", on(BLIND, "ddsm"), "paper", published=0.97) == "refuted"
    assert found("consistent_with", on(ALL, "ddsm"), "paper", published=0.8) == "refuted"
    with pytest.raises(InvalidInput, match="names no published number"):
        found("consistent_with", on(ALL, "ddsm"), "paper")


def test_between_near_and_far_a_published_number_is_never_agreed_with() -> None:
    above, below = (("above_published", on(ALL, "ddsm"), "paper"), ("above_published", on(BLIND, "ddsm"), "paper"))
    assert found("consistent_with", on(ALL, "ddsm"), "paper", published=0.9) == "refuted or inconclusive"
    assert found(*above, published=0.9) == "supported or inconclusive"
    assert found(*below, published=0.6) == "refuted or inconclusive"
    assert found(*above, published=0.9, family_size=6) == "inconclusive"
    assert (
        found("above_published", on(BLIND, "ddsm"), "paper", published=0.7) == "refuted or inconclusive"
    )  # at chance more is near


def test_gains_are_in_order_where_each_is_above_the_next() -> None:
    on_these: dict[str, Any] = {"datasets": ("chexpert", "ddsm"), "gains_over": (ALL, LINEAR)}
    higher, lower = f"dinov2_vitb14-{LINEAR}", f"{BLIND}-{LINEAR}"
    assert found("gains_in_order", f"{COARSE}-{LINEAR}", f"{COARSE}-frozen_linear.every", **on_these) == "inconclusive"
    assert (
        found("gains_in_order", higher, lower, **on_these) == "inconclusive"
    )  # both are blind on ddsm: nothing varies
    sees_both: dict[str, Any] = {"datasets": ("chexpert", "isic2019"), "gains_over": (ALL, LINEAR)}
    assert found("gains_in_order", higher, lower, **sees_both) == "supported"
    assert found("gains_in_order", lower, higher, **sees_both) == "refuted"
    assert found("gains_in_order", f"{MARK_0}-{LINEAR}", f"{MARK_1}-{LINEAR}", **sees_both) == "inconclusive"
    below = f"{lower} = {MARK_0}-{LINEAR}"  # above the first of these, and like the second
    assert found("gains_in_order", higher, below, **sees_both) == "inconclusive"


def test_of_an_order_that_rests_on_two_that_miss_the_same_nothing_is_planted_but_that_a_part_refutes_it() -> None:
    """On APTOS both see and miss the pictures of one mark, and on CheXpert one of them is blind."""
    over: dict[str, Any] = {"datasets": ("aptos2019", "chexpert"), "gains_over": (MARK_1, LINEAR)}
    frozen = "dinov2_vitb14-frozen_linear.every"
    with pytest.raises(InvalidInput, match="rests on gains that nothing tells apart"):
        found("gains_in_order", f"{ALL}-{LINEAR}", frozen, **over)
    assert found("gains_in_order", f"{ALL}-{LINEAR}", f"{frozen} > {MARK_1}-{LINEAR}", **over) == "refuted"


def test_of_gains_that_score_alike_nothing_is_planted() -> None:
    alike: dict[str, Any] = {"datasets": ("chexpert", "isic2019"), "gains_over": (COARSE, "knn")}
    with pytest.raises(InvalidInput, match="are of cells that score alike"):
        found("gains_in_order", f"{BLIND}-knn", f"{COARSE}-knn", **alike)
    with pytest.raises(InvalidInput, match="where its test names one reference on every dataset"):
        found("gains_in_order", f"{ALL}-{LINEAR}", f"{BLIND}-{LINEAR}")


def test_gains_that_are_not_far_apart_are_told_or_not_and_never_against_their_order() -> None:
    six: dict[str, Any] = {
        "datasets": (
            "chexpert",
            "ddsm",
            "isic2019",
            *(f"medmnist.{name}mnist_224" for name in ("blood", "path", "derma")),
        ),
        "gains_over": (ALL, LINEAR),
    }
    pair = f"dino_vitb16-{LINEAR}", f"dinov2_vitb14-{LINEAR}"  # to which coarse stripes, ddsm's, are nothing
    told = [found("gains_in_order", *names, **six) for names in (pair, pair[::-1])]
    assert told == ["supported or inconclusive", "refuted or inconclusive"]


def test_a_gain_agrees_with_no_number_that_is_far_from_it() -> None:
    gain: dict[str, Any] = {"datasets": ("chexpert", "isic2019"), "gains_over": (ALL, LINEAR)}
    name = f"{BLIND}-chexpert+isic2019-{LINEAR}"
    assert found("gain_consistent_with", name, "paper", published=1.9, **gain) == "refuted"
    same = f"dinov2_vitb14-chexpert+isic2019-{LINEAR}"
    assert found("gain_consistent_with", same, "paper", published=1.9, **gain) == "inconclusive"


def test_far_off_a_published_gain_it_counts_whether_what_is_missed_shows_the_error() -> None:
    datasets = ("chexpert", "isic2019")

    def far(backbone: str, over: str) -> str:
        name = f"{backbone}-{'+'.join(datasets)}-{LINEAR}"
        return found(
            "gain_consistent_with", name, "paper", published=60.0, datasets=datasets, gains_over=(over, LINEAR)
        )

    assert far(MARK_0, ALL) == "refuted"
    assert far(ALL, ALL) == "refuted"  # nothing is open of what is held against itself
    assert far(BLIND, COARSE) == "inconclusive"  # at chance nothing is missed
    with pytest.raises(InvalidInput, match="rests on a gain of which nothing tells the error"):
        far("dinov2_vitb14", ALL)  # both miss the same pictures


def test_no_gain_is_planted_over_a_metric_of_nothing() -> None:
    over_blind: dict[str, Any] = {"datasets": ("aptos2019", "ddsm"), "gains_over": (BLIND, LINEAR)}
    with pytest.raises(InvalidInput, match="0 is planted for sam_vitb16-aptos2019-finetune_linear"):
        found("gains_in_order", f"{ALL}-{LINEAR}", f"{COARSE}-{LINEAR}", **over_blind)


def test_three_seeds_tell_nothing_in_a_large_family() -> None:
    seeded, not_seeded = (on(ALL, "chexpert", regime) for regime in (LINEAR, "knn"))
    assert found("beats", seeded, on(COARSE, "chexpert"), family_size=5) == "supported"
    assert found("beats", seeded, on(COARSE, "chexpert"), family_size=6) == "inconclusive"
    assert found("beats", not_seeded, on(COARSE, "chexpert", "knn"), family_size=6) == "supported"
    for one, other in (("knn", LINEAR), (LINEAR, "knn")):
        assert found("beats", on(ALL, "chexpert", one), on(COARSE, "chexpert", other), family_size=6) == "inconclusive"
    gains: dict[str, Any] = {"datasets": ("chexpert", "isic2019"), "gains_over": (ALL, LINEAR)}
    for kind, candidate, reference, told, more in (
        ("equivalent_to", seeded, on(COARSE, "chexpert"), "refuted", {}),
        ("consistent_with", on(BLIND, "ddsm"), "paper", "refuted", {"published": 0.97}),
        ("above_published", on(ALL, "ddsm"), "paper", "supported", {"published": 0.5}),
        ("gains_in_order", f"dinov2_vitb14-{LINEAR}", f"{BLIND}-{LINEAR}", "supported", gains),
        (
            "gain_consistent_with",
            f"{BLIND}-chexpert+isic2019-{LINEAR}",
            "paper",
            "refuted",
            gains | {"published": 1.9},
        ),
    ):
        assert found(kind, candidate, reference, family_size=5, **more) == told
        assert found(kind, candidate, reference, family_size=6, **more) == "inconclusive"


def test_a_kind_without_a_rule_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no rule says which verdict of the kind 'unchanged_from'"):
        found("unchanged_from", on(ALL, "ddsm"), on(ALL, "ddsm"))


def test_rows_say_that_they_stand_in() -> None:
    row = StandIns().backbone("dinov2_vitb14")
    assert (row.source, row.licence, row.tiny) == (planted.LABEL, "none", True)


def test_of_a_loss_less_than_published_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is planted in a loss yet; what is said of one follows the metric's direction."""
    cell = on(ALL, "ddsm")
    monkeypatch.setattr(World, "value", lambda *_: 0.5)
    told: list[list[str]] = []
    for higher in (True, False):
        monkeypatch.setattr(World, "higher_is_better", lambda *_, higher=higher: higher)
        told.append([found("above_published", cell, "", published=value) for value in (0.1, 0.9)])
    assert told == [["supported", "refuted"], ["refuted", "supported"]]
