"""Regimes whose names hold a number, and what any regime comes to under a profile and on a dataset."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_fmtransfer.catalog.regime_families import DECAYS, DRAWS, FORMS, RATES, VIEWS, regime_of
from pytest_fmtransfer.catalog.regime_settings import (
    FewShotSettings,
    TrainingSettings,
    ZeroShotSettings,
    method_of,
    plain,
)
from pytest_fmtransfer.catalog.regime_specs import Profile, RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.resolving import backbone_under, seeds_on, settings_on
from pytest_fmtransfer.catalog.specs import SHUFFLES
from pytest_fmtransfer.errors import InvalidInput, UnknownName
from tests.helpers import LAWS

REGISTRY = Registry()
DATASET = REGISTRY.dataset("br35h")
numbers, counts = st.integers(0, 300), st.integers(1, 300)

Named = tuple[str, dict[str, Any]]


@st.composite
def headed(draw: st.DrawFn) -> Named:
    """A name of the paper's regimes or of their variants, and what its settings are beside the paper's own."""
    how = draw(st.sampled_from(["frozen", "finetune", "partial", "drop"]))
    told: dict[str, Any] = {"trained": {"finetune": "all", "partial": "from_block"}.get(how, "head")}
    learns, name = how in ("finetune", "partial"), how
    if how in ("partial", "drop"):
        block = draw(numbers)
        told["first_block" if how == "partial" else "cut_after"] = block
        name += str(block)
    head = draw(st.sampled_from(["linear", "deitb", "small_random"]))
    name += {"linear": "_linear", "deitb": "_deitb", "small_random": "_deitb.small_random"}[head]
    told |= {"head": head, "views": "every" if learns else VIEWS}
    match draw(st.sampled_from(["", ".unaugmented", *([] if learns else [".views", ".every"])])):
        case ".unaugmented":
            name, told = f"{name}.unaugmented", told | {"recipe": "none", "views": "every" if learns else 1}
        case ".every":
            name, told = f"{name}.every", told | {"views": "every"}
        case ".views":
            views = draw(counts)
            name, told = f"{name}.views{views}", told | {"views": views}
    if not learns and draw(st.booleans()):
        name, told = f"{name}.sweep", told | {"rates": RATES, "decays": DECAYS}
    return name, told


@st.composite
def loras(draw: st.DrawFn) -> Named:
    rank, first, plainly = draw(counts), draw(st.none() | numbers), draw(st.booleans())
    name = f"lora{rank}" + ("" if first is None else f".from{first}") + (".unaugmented" if plainly else "")
    own = {"head": "linear", "trained": "lora", "learning_rate": 1e-3}
    return name, own | {"rank": rank, "first_block": first, "recipe": "none" if plainly else "plain"}


trained = headed() | loras()
names = (
    st.tuples(trained).map(lambda one: one[0][0])
    | counts.map(lambda k: f"fewshot{k}")
    | st.sampled_from(
        ["attention_probe.sweep", "scratch.unaugmented", *(row.name for row in REGISTRY.rows(RegimeSpec))]
    )
)


@LAWS
@given(trained)
def test_every_name_of_the_grammar_stands_for_its_settings_and_no_others(named: Named) -> None:
    name, told = named
    row = REGISTRY.regime(name)
    assert row.name == name
    assert row.settings == TrainingSettings(**told)
    anew = told.get("views") == "every"
    assert row.costly == (told["trained"] != "head" or told["head"] in ("deitb", "small_random") or anew)
    assert row.seeded


@LAWS
@given(st.lists(trained, min_size=2, max_size=2))
def test_two_names_of_the_same_settings_differ_only_where_one_says_the_default(pair: list[Named]) -> None:
    (one, told), (other, also) = pair
    if told == also and one != other:
        assert {name.replace(f".views{VIEWS}", "") for name in (one, other)} == {one.replace(f".views{VIEWS}", "")}


@LAWS
@given(counts)
def test_few_shot_names_hold_how_many_images_of_each_class(shots: int) -> None:
    row = REGISTRY.regime(f"fewshot{shots}")
    assert isinstance(row.settings, FewShotSettings)
    assert (row.settings.shots, row.seeds, row.seeded, row.costly) == (shots, DRAWS, True, False)


@LAWS
@given(names)
def test_every_regime_says_what_it_is_and_which_module_runs_it(name: str) -> None:
    row = REGISTRY.regime(name)
    assert row.summary
    assert row.method == method_of(row.settings)
    assert plain(row.settings) == plain(REGISTRY.regime(name).settings)


@LAWS
@given(trained)
def test_a_summary_names_the_number_and_that_there_is_no_augmentation(named: Named) -> None:
    name, told = named
    summary = REGISTRY.regime(name).summary
    for key in ("first_block", "cut_after", "rank"):
        assert told.get(key) is None or str(told[key]) in summary or (key == "first_block" and "rank" in told)
    assert ("no augmentation" in summary) == (told.get("recipe") == "none")
    assert ("at once" in summary) == ("rates" in told)


@pytest.mark.parametrize(
    "name",
    [
        "partial_linear", "partial-1_linear", "partial09_linear", "partial٣_linear", "partial9", "partial9_attention",
        "drop_deitb", "drop00_linear", "frozen", "frozen_linear.views0", "frozen_linear.views04", "frozen_linear.views",
        "frozen_linear.every.views4", "frozen_linear.every.unaugmented", "frozen_linear.sweep.every",
        "frozen_linear.small_random", "frozen_deitb.every.small_random", "finetune_linear.views4",
        "finetune_linear.every", "finetune_linear.sweep", "partial9_deitb.sweep", "partial9_linear.views2",
        "lora", "lora0", "lora08", "lora8.from", "lora8.unaugmented.from9", "lora8.sweep", "fewshot", "fewshot0",
        "fewshot05", "fewshot5.shuffled", "fewshot-5", "scratch.sweep", "attention_probe.unaugmented", "Frozen_linear",
        "frozen_linear ", " frozen_linear", "frozen_linear\n", "",
    ],
)  # fmt: skip
def test_what_is_no_name_of_the_grammar_is_unknown(name: str) -> None:
    assert regime_of(name) is None
    with pytest.raises(UnknownName):
        REGISTRY.regime(name)


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("partial9_liner", "partial<k>_linear"),
        ("drop5_linaer", "drop<k>_linear"),
        ("loro8", "lora<r>"),
        ("fewshots5", "fewshot<k>"),
        ("frozen_lienar", "frozen_linear"),
        ("finetune_deitB", "finetune_deitb"),
        ("ridges", "ridge"),
    ],
)
def test_whoever_mistypes_a_name_is_told_the_nearest(mistyped: str, meant: str) -> None:
    with pytest.raises(UnknownName) as raised:
        REGISTRY.regime(mistyped)
    assert meant in str(raised.value)


@pytest.mark.parametrize(
    ("mistaken", "told"),
    [
        ("fewshot0", "k is how many training images of each class there are, from 1 on; write fewshot5"),
        ("fewshot", "write fewshot5"),
        ("fewshot05", "a number has no zeros before it; write fewshot5"),
        ("lora0", "r is the rank of what is learnt, from 1 on; write lora8"),
        ("lora0.from9", "write lora8.from9"),
        ("lora08", "write lora8"),
        ("lora008", "write lora8"),
        ("partial_linear", "k is a block, counted from 0; write partial9_linear"),
        ("drop_deitb.every", "write drop9_deitb.every"),
        ("frozen_linear.views0", "V is how many views are stored, from 1 on; write frozen_linear.views4"),
        ("finetune_linear.sweep", "a sweep trains heads on a backbone that does not learn: frozen_…, drop<k>_… and"),
        ("lora8.sweep", "write frozen_linear.sweep, or lora8 without one"),
        ("knn.sweep", "write frozen_linear.sweep, or knn without one"),
        ("finetune_linear.views4", "views are stored of a backbone that does not learn"),
        ("finetune_linear.views16", "views are stored of a backbone that does not learn"),
        ("finetune_linear.sweep.unaugmented", "or finetune_linear.unaugmented without one"),
        ("partial9_linear.every", "write partial9_linear"),
        ("ridge.unaugmented", "this regime augments nothing, and has no variant .unaugmented; write ridge"),
        ("frozen_linear.small_random", "the small head takes the place of deitb's; write frozen_deitb.small_random"),
        ("frozen_linear.sweep.every", "what follows a dot has an order; write frozen_linear.every.sweep"),
        ("lora8.unaugmented.from9", "write lora8.from9.unaugmented"),
    ],
)
def test_whoever_breaks_a_rule_of_the_grammar_is_told_the_rule_and_a_name_that_keeps_it(
    mistaken: str, told: str
) -> None:
    with pytest.raises(UnknownName) as raised:
        REGISTRY.regime(mistaken)
    assert str(raised.value).startswith(f"unknown regime '{mistaken}'; ")
    assert told in str(raised.value)
    REGISTRY.regime(re.findall(r"write ([a-z0-9_.]+)", str(raised.value))[0])


def test_no_rule_is_told_of_a_variant_whose_regime_is_mistyped_itself() -> None:
    with pytest.raises(UnknownName) as raised:
        REGISTRY.regime("frozen_lienar.sweep")
    assert "without one" not in str(raised.value)
    assert "frozen_linear" in str(raised.value)


def test_the_forms_are_listed_with_the_names_and_each_has_an_example() -> None:
    assert set(FORMS) <= set(REGISTRY.names(RegimeSpec))
    for form, text in FORMS.items():
        assert text.strip(), form


@LAWS
@given(trained)
def test_nobody_registers_another_regime_under_a_name_of_the_grammar(named: Named) -> None:
    row = REGISTRY.regime(named[0])
    assume(named[0] not in {each.name for each in REGISTRY.rows(RegimeSpec)})
    with pytest.raises(InvalidInput, match="already stands for a regime"):
        REGISTRY.register(replace(row, summary="another"))


@LAWS
@given(names, st.sampled_from(["smoke", "ci", "full"]))
def test_a_profile_limits_epochs_and_batch_and_scales_the_warm_up(name: str, profile_name: str) -> None:
    regime, profile = REGISTRY.regime(name), REGISTRY.profile(profile_name)
    resolved = settings_on(regime, DATASET, profile)
    if isinstance(regime.settings, ZeroShotSettings):
        return  # its prompts are the dataset's
    if not isinstance(regime.settings, TrainingSettings):
        assert resolved == regime.settings
        return
    assert isinstance(resolved, TrainingSettings)
    stored = resolved.trained == "head" and resolved.views != "every"
    scratch = resolved.initial == "random"
    most = {"smoke": (60, 40, 8), "ci": (100, 10, 10), "full": (100, 100, 100)}[profile_name][
        0 if stored else 1 if scratch else 2
    ]
    assert resolved.epochs == min(most, regime.settings.epochs)
    assert resolved.batch == (64 if profile_name == "full" else 16)
    assert resolved.warm_up_epochs / resolved.epochs == pytest.approx(
        regime.settings.warm_up_epochs / regime.settings.epochs
    )
    hurried = scratch and profile_name != "full"
    assert resolved.learning_rate == (1e-3 if hurried else regime.settings.learning_rate)
    scaled = {"epochs", "batch", "warm_up_epochs", "warm_up_steps", *(["learning_rate"] if hurried else [])}
    before, after = plain(regime.settings), plain(resolved)
    assert {key for key in before if before[key] != after[key]} <= scaled


@pytest.mark.parametrize("name", ["finetune_linear", "scratch"])
def test_under_full_a_regime_is_as_its_row_says(name: str) -> None:
    regime = REGISTRY.regime(name)
    assert settings_on(regime, DATASET, REGISTRY.profile("full")) == regime.settings


@LAWS
@given(st.integers(1, 5000), st.integers(1, 100))
def test_a_datasets_warm_up_steps_are_scaled_as_epochs_are(steps: int, epochs: int) -> None:
    regime = REGISTRY.regime("finetune_linear")
    profile = replace(REGISTRY.profile("ci"), epochs=epochs)
    resolved = settings_on(regime, replace(DATASET, warm_up_steps=steps), profile)
    assert isinstance(resolved, TrainingSettings)
    assert resolved.warm_up_steps == round(steps * epochs / 100)


@LAWS
@given(names, st.sampled_from(["smoke", "ci", "full"]))
def test_how_many_seeds_a_regime_has_on_labels_as_they_are_and_on_shuffled_ones(name: str, profile_name: str) -> None:
    regime, profile = REGISTRY.regime(name), REGISTRY.profile(profile_name)
    own = 1 if not regime.seeded else DRAWS if name.startswith("fewshot") else {"full": 5}.get(profile_name, 3)
    assert seeds_on(regime, DATASET, profile) == tuple(range(own))
    shuffled = own if regime.costly else max(own, SHUFFLES)
    control = REGISTRY.dataset("br35h.shuffled")
    assert seeds_on(regime, control, profile) == tuple(range(shuffled))


def test_a_profile_makes_a_backbone_smaller_and_never_larger() -> None:
    smoke = REGISTRY.profile("smoke")
    lite0 = REGISTRY.backbone("efficientnet_lite0")
    assert backbone_under(lite0, smoke) == replace(lite0, image_size=112)
    small = replace(lite0, image_size=96)
    assert backbone_under(small, smoke) is small
    for profile in ("ci", "full"):
        assert backbone_under(lite0, REGISTRY.profile(profile)) is lite0


@pytest.mark.parametrize("suffix", [".random", ".tiny"])
def test_the_twins_of_a_backbone_are_made_smaller_as_it_is(suffix: str) -> None:
    twin = REGISTRY.backbone(f"efficientnet_lite0{suffix}")
    assert backbone_under(twin, REGISTRY.profile("smoke")) == replace(twin, image_size=112)


def test_a_probe_of_files_and_backbones_that_a_user_brings_keep_their_size() -> None:
    smoke = REGISTRY.profile("smoke")
    metadata = REGISTRY.backbone("shortcut.metadata")
    assert backbone_under(metadata, smoke) is metadata
    own = replace(REGISTRY.backbone("efficientnet_lite0"), name="timm.resnet50")
    assert backbone_under(own, smoke) is own


def test_profiles_differ_in_what_they_spend() -> None:
    rows: tuple[Profile, ...] = REGISTRY.rows(Profile)
    assert {row.name: row.seeds for row in rows} == {"smoke": 3, "ci": 3, "full": 5}
    assert [row.caps is None for row in rows if row.name == "full"] == [True]
