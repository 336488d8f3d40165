"""`NAME=folder:DIR[,key=value…]` and `NAME=table:FILE,…`: what they are read as, and what row they become."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fmtransfer import Places, Registry, own_folder, own_table
from pytest_fmtransfer.availability import dataset_ready
from pytest_fmtransfer.catalog.user_dataset import SEVERAL_LABELS, TWO_CLASSES, UserDataset
from pytest_fmtransfer.cli import main
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.errors import FmTransferError, InvalidInput, Unavailable
from pytest_fmtransfer.metrics.registry import METRICS
from pytest_fmtransfer.missing import Missing, Ready
from tests.helpers import LAWS
from tests.pictures import save, scan

NOWHERE = Places(store=Path("unused"))
names = st.from_regex(r"[a-z0-9_.]+", fullmatch=True)
columns = st.text(st.characters(exclude_characters=",+", exclude_categories=["Cs"]), min_size=1)
files = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1).map(Path)
shares = st.floats(0.01, 0.4)


@st.composite
def user_datasets(draw: st.DrawFn) -> UserDataset:
    keys: dict[str, Any] = {
        "name": draw(names),
        "path": draw(files),
        "channels": draw(st.sampled_from([1, 3, "repeat"])),
    }
    keys |= draw(st.fixed_dictionaries({}, optional={"validation": shares, "test": shares, "margin": shares}))
    numbers = draw(st.none() | st.tuples(*[shares] * (3 if keys["channels"] == 3 else 1)))
    keys |= {"mean": numbers, "std": numbers}
    if draw(st.booleans()):
        return UserDataset(reader="folder", ordered=draw(st.booleans()), **keys)
    keys |= draw(
        st.fixed_dictionaries({}, optional={"image": columns, "patient": columns, "suffix": columns, "root": files})
    )
    keys |= draw(
        st.fixed_dictionaries({"label": columns, "ordered": st.booleans()})
        | st.fixed_dictionaries(
            {
                "labels": st.lists(columns, min_size=1, unique=True).map(tuple),
                "uncertain": st.sampled_from(["ignore", "zeros", "ones"]),
            }
        )
    )
    return UserDataset(reader="table", **keys)


@LAWS
@given(user_datasets())
def test_a_line_is_read_as_it_was_written(dataset: UserDataset) -> None:
    assert UserDataset.parse(str(dataset)) == dataset


@LAWS
@given(st.text() | st.builds("{}=table:x,label=y,{}={}".format, names, st.sampled_from(["mean", "test"]), st.text()))
def test_any_other_line_is_refused_in_our_words(text: str) -> None:
    try:
        read = UserDataset.parse(text)
    except FmTransferError:
        return
    assert UserDataset.parse(str(read)) == read


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mine", "write NAME=folder:DIR"),
        ("mine=images", "write NAME=folder:DIR"),
        ("mine=folder:", "write NAME=folder:DIR"),
        ("mine=foldr:x", "no kind of dataset 'foldr'; did you mean folder"),
        ("My-Set=folder:x", "as in 'my_set'"),
        ("mine=folder:x,label=y", "no option 'label' of a folder"),
        ("mine=table:x", "say label=COLUMN"),
        ("mine=table:x,label=y,labels=a+b", "not both"),
        ("mine=table:x,label=y,pateint=p", "no option 'pateint' of a table; did you mean patient"),
        ("mine=table:a,b.csv,label=y", "a comma cannot stand in a name"),
        ("mine=table:x,label=", "write label=COLUMN"),
        ("mine=table:x,labels=a+a", "names a column twice"),
        ("mine=table:x,labels=a++b", "write labels=COLUMN+COLUMN"),
        ("mine=table:x,label=y,uncertain=ones", "uncertain= is of the columns of labels="),
        ("mine=table:x,labels=a,uncertain=one", "write uncertain=ignore, zeros or ones"),
        ("mine=table:x,label=y,split=s,test=0.2", "leave test= out"),
        ("mine=folder:x,test=1.5", "below 1 together"),
        ("mine=folder:x,test=0.5,validation=0.5", "below 1 together"),
        ("mine=folder:x,metric=auc", "one of accuracy"),
        ("mine=folder:x,metric=mean_roc_auc", "does not go with one label an image"),
        ("mine=table:x,labels=a,metric=accuracy", "does not go with labels"),
        ("mine=folder:x,margin=0", "margin= is above 0"),
        ("mine=folder:x,margin=nan", "write margin=0.02"),
        ("mine=folder:x,channels=2", "write channels=1, 3 or repeat"),
        ("mine=folder:x,mean=0.5", "give mean= and std= together"),
        ("mine=folder:x,channels=1,mean=0/0/0,std=1", "channels=1 takes one number"),
        ("mine=folder:x,mean=0,std=0", "above 0"),
        ("mine=folder:x,classes=a", "names one class"),
        ("mine=folder:x,ordered=no", "write ordered"),
        ("mine=folder:x,test=0.2,test=0.2", "test= stands twice"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(line: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        UserDataset.parse(line)
    assert message in str(raised.value)


def test_metrics_are_of_the_tasks_that_the_metrics_say() -> None:
    tasks = {
        task: {name for name, metric in METRICS.items() if metric.task == task} for task in ("binary", "multilabel")
    }
    assert (set(TWO_CLASSES), set(SEVERAL_LABELS)) == (tasks["binary"], tasks["multilabel"])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(10):
        for name in ("well", "ill"):
            save(scan(2 * number + (name == "ill"), 32), tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


def test_what_is_left_out_is_usual_and_said_to_be(images: Path) -> None:
    row = own_folder("mine", images)
    assert (row.metric, row.margin, row.margin_reason) == (
        "roc_auc",
        0.02,
        "the default; nobody chose it for these data",
    )
    assert own_folder("mine", images, margin=0.05).margin_reason == "chosen by the user"
    assert own_folder("mine", images, margin=0.05, margin_reason="a trial's").margin_reason == "a trial's"
    assert row.caveats == ("no patients named: images of one patient may be on two sides",)


def test_classes_can_be_put_in_order(images: Path) -> None:
    assert own_folder("mine", images).classes == ("ill", "well")
    row = UserDataset.parse(f"mine=folder:{images},classes=well+ill,channels=repeat,mean=0.5,std=0.25").row
    assert (row.classes, row.channels, row.mean, row.std) == (("well", "ill"), "repeat", (0.5,), (0.25,))
    dataset = open_dataset(row, Places(store=images.parent / "store"))
    assert dataset.table.labels_N.tolist() == [1] * 10 + [0] * 10
    assert dataset.pictures.pixels(0).shape == (32, 32)
    with pytest.raises(InvalidInput, match="classes= leaves out ill"):
        own_folder("mine", images, classes=("well", "unwell"))
    with pytest.raises(InvalidInput, match="metric=roc_auc is of two classes, and mine has 3"):
        own_folder("mine", images, classes=("well", "ill", "worse"), metric="roc_auc")


def test_data_that_are_not_here_make_a_row_whose_cells_are_skipped(tmp_path: Path) -> None:
    registry = Registry()
    for row, kind in (
        (own_folder("mine", tmp_path / "no"), "folder"),
        (own_table("other", tmp_path / "no.csv", label="y"), "file"),
        (own_table("third", tmp_path / "no.csv", label="y", root=tmp_path), "file"),
    ):
        registry.register(row, everywhere=True)
        state = dataset_ready(row, NOWHERE)
        assert isinstance(state, Missing)
        assert state.remedy.startswith(f"name a {kind} that exists; {tmp_path / 'no'}")
        with pytest.raises(Unavailable, match="no images of"):
            open_dataset(row, NOWHERE)
    assert registry.everywhere == ("mine", "other", "third")


def test_data_that_are_here_are_ready(images: Path) -> None:
    assert dataset_ready(own_folder("mine", images), NOWHERE) == Ready()


def test_only_a_dataset_can_stand_everywhere() -> None:
    registry = Registry()
    with pytest.raises(InvalidInput, match="only a dataset can"):
        registry.register(replace(registry.backbone("mobilenetv2"), name="net"), everywhere=True)


def test_the_command_line_takes_the_same_line(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", f"mine=folder:{images}", f"--store={images.parent / 'store'}"]) == 1
    assert "class_too_small" in capsys.readouterr().out
    assert main(["audit", f"mine=folder:{images / 'ill'}"]) == 2
    assert "has 0 class folders" not in capsys.readouterr().out
    assert main(["audit", f"mine=folder:{images / 'no'}"]) == 2
    assert "name a folder that exists" in capsys.readouterr().err


@pytest.mark.parametrize("sides", [(), ("train", "test")], ids=["drawn", "given"])
def test_a_key_is_advised_where_a_key_would_help(sides: tuple[str, ...], tmp_path: Path) -> None:
    from pytest_fmtransfer.data.audit import audit

    for number in range(76):
        side = sides[number // 2 % 2] if sides else ""
        folder = tmp_path / "images" / side / ("ill" if number % 2 else "no")
        folder.mkdir(parents=True, exist_ok=True)
        save(scan(number, 16), folder / f"{number}.png")
    places = Places(store=tmp_path / "store")
    found = {
        each.kind: each
        for each in audit(open_dataset(own_folder("mine", tmp_path / "images"), places), places).findings
    }
    assert found["class_too_small"].remedy.startswith("hold out more patients" if sides else "say `test=0.6`")


def test_a_severe_finding_says_how_to_list_it_and_where_to_answer_it(images: Path) -> None:
    from pytest_fmtransfer.data.audit import check

    places = Places(store=images.parent / "store")
    with pytest.raises(FmTransferError) as raised:
        check(open_dataset(own_folder("mine", images), places), places)
    assert f"`fmtransfer audit mine=folder:{images} --all`" in str(raised.value)
    assert 'own_folder(…, acknowledged={"class_too_small": "…"})' in str(raised.value)
    row = own_folder("mine", images, acknowledged={"class_too_small": "a trial"})
    check(open_dataset(row, places), places)
