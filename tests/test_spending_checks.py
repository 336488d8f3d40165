"""A profile's and a regime's numbers and words are checked when the row is registered."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Registry
from pytest_fmtransfer.catalog.regime_families import FORMS
from pytest_fmtransfer.catalog.regime_settings import FewShotSettings, LinearProbeSettings
from pytest_fmtransfer.catalog.regime_specs import Caps, Profile, RegimeSpec, SeedVariance
from pytest_fmtransfer.catalog.regimes import PROFILES, REGIMES
from pytest_fmtransfer.catalog.spending_checks import check_spending
from pytest_fmtransfer.errors import InvalidInput
from tests.helpers import LAWS

PROFILE = Profile(name="mine", forward_dtype="float32")
ROWS = {row.name: row for row in REGIMES}
WRONG: tuple[object, ...] = (
    0,
    -1,
    True,
    2.5,
    float("nan"),
    float("inf"),
    10**30,
    "",
    "3",
    b"3",
    None,
    (),
    [3],
    {},
    object,
)
junk = st.sampled_from(WRONG) | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.none(), max_size=2)


def refused(row: Any, *parts: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Registry(rows=()).register(row)
    assert all(part in str(caught.value) for part in (repr(row.name), "give", *parts))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", float("nan"), 10**30])
@pytest.mark.parametrize("name", ["epochs", "scratch_epochs", "head_epochs", "batch", "size", "seeds"])
def test_what_a_profile_counts_is_a_whole_number_from_1(name: str, value: object) -> None:
    refused(replace(PROFILE, **{name: value}), name, "a whole number from 1 on")


@pytest.mark.parametrize("value", [0, -1e-3, float("nan"), float("inf"), "1e-3", True, [1e-3]])
def test_a_profiles_rate_is_a_number_above_0(value: Any) -> None:
    refused(replace(PROFILE, learning_rate=value), "learning_rate", "a number above 0, or None")


@pytest.mark.parametrize("side", ["train", "validation", "test"])
@pytest.mark.parametrize("value", [0, -5, 2.0, None])
def test_a_profiles_caps_are_counts(side: str, value: Any) -> None:
    caps = replace(Caps(train=10, validation=10, test=10), **{side: value})
    refused(replace(PROFILE, caps=caps), "caps", side)


@pytest.mark.parametrize("name", ["forward_dtype", "training_dtype"])
def test_a_profiles_dtype_is_a_rule(name: str) -> None:
    refused(replace(PROFILE, **{name: "float16"}), name, "'bfloat16_where_native' or 'float32'")


@pytest.mark.parametrize(
    ("regime", "name", "value"),
    [
        ("knn", "neighbours", ()),
        ("knn", "neighbours", (0,)),
        ("knn", "temperature", 0.0),
        ("linear_probe", "steps", 0),
        ("linear_probe", "smallest_c", float("nan")),
        ("ridge", "largest_penalty", float("inf")),
        ("zeroshot", "prompts", "both"),
        ("finetune_linear", "learning_rate", -1.0),
        ("finetune_linear", "batch", 0),
        ("finetune_linear", "epochs", 1.5),
        ("finetune_linear", "head", "lineal"),
        ("finetune_linear", "clip", 0),
        ("finetune_linear", "views", "all"),
        ("finetune_linear", "rates", (1e-3, 0.0)),
        ("finetune_linear", "warm_up_epochs", float("inf")),
    ],
)
def test_a_regimes_settings_are_checked(regime: str, name: str, value: object) -> None:
    row = ROWS[regime]
    refused(replace(row, name="mine", settings=replace(row.settings, **{name: value})), f"settings: {name}=")


def test_the_settings_inside_settings_are_checked() -> None:
    settings = FewShotSettings(shots=5, probe=LinearProbeSettings(steps=0))
    refused(replace(ROWS["knn"], name="mine", settings=settings), "settings, probe: steps=0")


def test_a_range_has_its_ends_in_order() -> None:
    row = replace(ROWS["linear_probe"], name="mine", settings=LinearProbeSettings(smallest_c=1.0, largest_c=0.1))
    with pytest.raises(InvalidInput, match="smallest_c is above largest_c"):
        Registry(rows=()).register(row)


@pytest.mark.parametrize("variance", [SeedVariance(variance=-1.0, degrees=9, source="x"), 0.5])
def test_a_recorded_variance_is_checked(variance: Any) -> None:
    refused(replace(ROWS["scratch"], name="mine", seed_variances={"br35h": variance}), "seed_variances of br35h")


@LAWS
@given(st.sampled_from([*PROFILES, *REGIMES]), st.data())
def test_any_value_is_refused_in_a_sentence_or_taken(row: Profile | RegimeSpec, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in fields(row) if field.name != "name"]))
    try:
        check_spending(replace(row, **{name: data.draw(junk)}))
    except InvalidInput as error:
        assert name in str(error)  # noqa: PT017 - a value that will do raises nothing


def test_every_form_of_a_regime_keeps_the_rules(registry: Registry) -> None:
    for form in FORMS:
        name = form.replace("<k>", "5").replace("<r>", "8").replace("<V>", "4")
        if "<" not in name:
            check_spending(registry.regime(name))
