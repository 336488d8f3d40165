"""What is offered in place of a name that nobody knows: what was probably meant, or how to list all; nothing silly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import BackboneSpec, DatasetSpec, RegimeSpec, Registry
from pytest_fmtransfer.catalog.registry import Spec
from pytest_fmtransfer.cli import VERBS, main
from pytest_fmtransfer.errors import InvalidInput, near_names, nearest
from tests.helpers import LAWS

KINDS: dict[str, type[Spec]] = {"backbone": BackboneSpec, "dataset": DatasetSpec, "regime": RegimeSpec}
MEANT = [
    ("dataset", "br35", "br35h"),
    ("dataset", "brh35", "br35h"),
    ("dataset", "BR35H", "br35h"),
    ("dataset", "pathmnist", "medmnist.pathmnist"),
    ("dataset", "aptos", "aptos2019"),
    ("dataset", "chest", "medmnist.chestmnist"),
    ("dataset", "cbis", "cbis_ddsm"),
    ("dataset", "br35h.shufled", "br35h.shuffled"),
    ("backbone", "resnet50", "imagenet_resnet50"),
    ("backbone", "mobilenet", "mobilenetv2"),
    ("backbone", "dinov2", "dinov2_vitb14"),
    ("regime", "linear", "linear_probe"),
    ("regime", "finetune", "finetune_linear"),
    ("regime", "k-nn", "knn"),
    ("regime", "knm", "knn"),
]
FAR = [
    ("dataset", "mine"),
    ("dataset", "brain"),
    ("dataset", "my_data"),
    ("backbone", "vit"),
    ("backbone", "mymodel"),
    ("regime", "nearest"),
    ("regime", "svm"),
]


@pytest.mark.parametrize(("kind", "name", "meant"), MEANT)
def test_what_was_meant_is_offered_first_or_second(kind: str, name: str, meant: str) -> None:
    known = Registry().names(KINDS[kind])
    assert meant in near_names(name, known)
    assert nearest(name, known).startswith("did you mean ")


@pytest.mark.parametrize(
    ("kind", "typed", "first"),
    [("regime", "linear", "linear_probe"), ("backbone", "MobileNet", "mobilenetv2"), ("dataset", "aptos", "aptos2019")],
)
def test_a_name_that_begins_with_what_was_typed_is_offered_first(kind: str, typed: str, first: str) -> None:
    assert near_names(typed, Registry().names(KINDS[kind]))[0] == first


@pytest.mark.parametrize(("kind", "name"), FAR)
def test_nothing_far_off_is_offered_and_no_long_list_is_printed(kind: str, name: str) -> None:
    look_up = getattr(Registry(), kind)
    with pytest.raises(InvalidInput) as raised:
        look_up(name)
    assert str(raised.value) == f"unknown {kind} {name!r}; none is near: `fmtransfer list {kind}s` names all"


@pytest.mark.parametrize("word", ["help", "run", "test", "check", "show"])
def test_a_word_that_is_no_verb_is_answered_with_the_verbs(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([word])
    assert f"valid names: {', '.join(sorted(VERBS))}" in capsys.readouterr().err


def test_of_many_names_that_no_command_lists_some_are_shown_with_their_number() -> None:
    known = [f"net_{number:02}" for number in range(40)]
    assert nearest("zzz", known) == "valid names: net_00, net_01, net_02, net_03, net_04, … (40 in all)"
    assert nearest("zzz", known[:12]) == f"valid names: {', '.join(known[:12])}"
    assert nearest("zzz", [], listed_by="fmtransfer list nets") == "nothing is registered under that kind"


def test_a_model_of_timm_is_not_looked_for_in_our_lists() -> None:
    with pytest.raises(InvalidInput, match=r"none is near: `timm.list_models\(\)` in Python names all"):
        Registry().backbone("timm.zzzzzzzzzzzzzzzzzzzzzz")


def test_an_unknown_dataset_is_told_how_images_of_ones_own_are_audited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "mine"]) == 2
    told = capsys.readouterr().err
    assert "`fmtransfer list datasets` names all" in told
    assert "mine=folder:DIR" in told
    assert len(told) < 500
    assert "medmnist" not in told


# Of characters that casefold() leaves alone.
WORDS = st.text("abcdefgh_0123456789", min_size=1, max_size=12)


@LAWS
@given(name=WORDS, known=st.lists(WORDS, max_size=30, unique=True))
def test_what_is_offered_is_known_and_shares_most_of_its_letters(name: str, known: list[str]) -> None:
    near = near_names(name, known)
    assert len(near) <= 3
    assert set(near) <= set(known)
    for each in near:
        shared = sum(min(name.count(letter), each.count(letter)) for letter in set(name))
        assert name in each or each in name or 2 * shared >= 0.65 * (len(name) + len(each))


@LAWS
@given(name=WORDS, known=st.lists(WORDS, max_size=30, unique=True), at=st.integers(0, 11))
def test_a_letter_that_is_missing_in_a_name_is_forgiven(name: str, known: list[str], at: int) -> None:
    at %= len(name)
    typed = name[:at] + name[at + 1 :]
    if len(name) >= 4 and typed != name:
        assert name in near_names(typed, [name])
        assert near_names(name, [*known, name])[0] == name
