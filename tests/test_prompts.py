"""Prompts: every dataset of the catalogue is described whole, a user's own are checked, and a regime's question holds
them.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_fmtransfer import Prompts, Registry, own_folder, own_table
from pytest_fmtransfer.catalog.datasets import DATASETS
from pytest_fmtransfer.catalog.prompts import by_class_names, check_prompts, fill
from pytest_fmtransfer.catalog.regime_settings import ZeroShotSettings, plain
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.resolving import settings_on
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.errors import InvalidInput

ZEROSHOT = Registry().regime("zeroshot")
CI = Registry().profile("ci")
BR35H = Registry().dataset("br35h")
MINE = Prompts(templates=("a scan of {}.",), phrases={"no tumour": ("health",), "tumour": ("a lump", "a growth")})


def asked(dataset: DatasetSpec, regime: RegimeSpec = ZEROSHOT) -> ZeroShotSettings:
    settings = settings_on(regime, dataset, CI)
    assert isinstance(settings, ZeroShotSettings)
    return settings


def with_settings(settings: ZeroShotSettings) -> RegimeSpec:
    """A regime of one's own, as the catalogue gives it back."""
    registry = Registry()
    registry.register(replace(ZEROSHOT, name="mine", settings=settings))
    return registry.regime("mine")


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_every_class_of_every_dataset_of_ours_is_described(dataset: DatasetSpec) -> None:
    assert dataset.prompts is not None
    assert dataset.prompts.source
    check_prompts(dataset.prompts, dataset.name, dataset.classes, several=dataset.several_labels)
    found = asked(dataset)
    assert len(found.templates) >= 3
    assert len(found.phrases) == len(dataset.classes)
    assert len(found.absent) == (len(dataset.classes) if dataset.several_labels else 0)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_no_two_classes_share_a_prompt(dataset: DatasetSpec) -> None:
    found = asked(dataset)
    prompts = [text for phrases in (*found.phrases, *found.absent) for text in fill(found.templates, phrases)]
    assert len(set(prompts)) == len(prompts)
    assert all(text == text.strip() and "{" not in text for text in prompts)


def test_the_regimes_question_holds_every_prompt_of_the_dataset() -> None:
    held = plain(asked(replace(BR35H, prompts=MINE)))
    assert held == {
        "prompts": "ensemble",
        "templates": ["a scan of {}."],
        "phrases": [["health"], ["a lump", "a growth"]],
        "absent": [],
    }
    reworded = replace(MINE, phrases=dict(MINE.phrases) | {"tumour": ("a lump",)})
    assert plain(asked(replace(BR35H, prompts=reworded))) != held


def test_phrases_stand_in_the_order_of_the_classes() -> None:
    turned = replace(BR35H, prompts=MINE, classes=BR35H.classes[::-1])
    assert asked(turned).phrases == (("a lump", "a growth"), ("health",))


def test_where_the_wording_is_from_is_not_part_of_the_question() -> None:
    told = replace(MINE, source="a radiologist")
    assert asked(replace(BR35H, prompts=told)) == asked(replace(BR35H, prompts=MINE))


def test_a_dataset_without_prompts_is_described_by_the_names_of_its_classes() -> None:
    found = asked(replace(BR35H, prompts=None))
    assert (found.templates, found.phrases, found.absent) == (
        ("a medical image of {}.",),
        (("no tumour",), ("tumour",)),
        (),
    )
    several = replace(Registry().dataset("chexpert"), prompts=None)
    assert asked(several).absent[:2] == (("no No Finding",), ("no Enlarged Cardiomediastinum",))


def test_single_is_the_first_template_with_the_first_phrase() -> None:
    chexpert = Registry().dataset("chexpert")
    whole, first = asked(chexpert), asked(chexpert, with_settings(ZeroShotSettings(prompts="single")))
    assert first.templates == whole.templates[:1]
    assert first.phrases == tuple(phrases[:1] for phrases in whole.phrases)
    assert first.absent == tuple(phrases[:1] for phrases in whole.absent)


def test_templates_of_the_regimes_own_stand_in_for_the_datasets() -> None:
    own = with_settings(ZeroShotSettings(templates=("a photo of {}.",)))
    assert asked(BR35H, own).templates == ("a photo of {}.",)
    assert asked(BR35H, own).phrases == asked(BR35H).phrases
    with pytest.raises(InvalidInput, match=r"template 'a photo' of the prompts of regime mine needs \{\} once"):
        asked(BR35H, with_settings(ZeroShotSettings(templates=("a photo",))))


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (replace(MINE, templates=()), r"prompts of mine have no template; give one"),
        (replace(MINE, templates=("a scan",)), r"template 'a scan' of the prompts of mine needs \{\} once"),
        (replace(MINE, templates=("{} {}",)), r"template '\{\} \{\}' of the prompts of mine needs \{\} once"),
        (replace(MINE, phrases={"tumour": ("x",)}), r"no phrase for 'no tumour' in `phrases`; write phrases="),
        (replace(MINE, phrases=dict(MINE.phrases) | {"tumour": ()}), r"no phrase for 'tumour' in `phrases`"),
        (replace(MINE, phrases=dict(MINE.phrases) | {"tumour": (" ",)}), r"no phrase for 'tumour' in `phrases`"),
        (replace(MINE, phrases=dict(MINE.phrases) | {"tumor": ("x",)}), r"'tumor', which is no class; did you mean"),
        (replace(MINE, absent={"tumour": ("x",)}), r"say what is absent, and each of its images has one class"),
    ],
)
def test_prompts_that_do_not_describe_the_classes_are_refused(prompts: Prompts, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Registry().register(replace(BR35H, name="mine", prompts=prompts))


def test_several_labels_need_words_for_an_image_without_each() -> None:
    chexpert = Registry().dataset("chexpert")
    assert chexpert.prompts is not None
    lacking = replace(chexpert, name="mine", prompts=replace(chexpert.prompts, absent={}))
    with pytest.raises(InvalidInput, match="no phrase for 'No Finding' in `absent`"):
        Registry().register(lacking)


def test_a_folder_of_ones_own_takes_prompts(tmp_path: Path) -> None:
    for name in ("round", "striped"):
        (tmp_path / name).mkdir()
    prompts = Prompts(templates=("a {} pattern.",), phrases={"round": ("round", "dotted"), "striped": ("striped",)})
    registry = Registry()
    registry.register(own_folder("mine", tmp_path, prompts=prompts))
    assert asked(registry.dataset("mine")).phrases == (("round", "dotted"), ("striped",))
    with pytest.raises(InvalidInput, match="no phrase for 'striped'"):
        Registry().register(own_folder("mine", tmp_path, prompts=replace(prompts, phrases={"round": ("round",)})))


def test_prompts_for_data_that_are_not_here_wait_for_them(tmp_path: Path) -> None:
    registry = Registry()
    registry.register(own_folder("mine", tmp_path / "absent", prompts=MINE))
    table = own_table("other", tmp_path / "absent.csv", labels=("mass", "oedema"))
    registry.register(table)
    assert asked(registry.dataset("other")).absent == (("no mass",), ("no oedema",))


def test_the_control_of_a_dataset_is_described_as_the_dataset_is() -> None:
    assert asked(Registry().dataset("br35h.shuffled")) == asked(BR35H)


def test_every_template_is_filled_with_every_phrase() -> None:
    assert fill(("a {}.", "the {}."), ("cat", "dog")) == ("a cat.", "a dog.", "the cat.", "the dog.")
    assert by_class_names(("a", "b"), several=True).absent == {"a": ("no a",), "b": ("no b",)}
