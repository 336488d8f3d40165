"""`NAME=SOURCE:REF[,key=value…]`: what it is read as, and what row it becomes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pytest_fmtransfer.availability import backbone_ready, weights_file
from pytest_fmtransfer.catalog.backbones import IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import FileWeights, OwnWeights, PublishedWeights, RandomWeights
from pytest_fmtransfer.catalog.user_backbone import Source, UserBackbone
from pytest_fmtransfer.errors import FmTransferError, InvalidInput, InvalidName, Unavailable
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.places import Places
from tests.helpers import LAWS

names = st.from_regex(r"[a-z0-9_.]+", fullmatch=True)
words = st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True)
refs: dict[Source, st.SearchStrategy[str]] = {
    "timm": words,
    "open_clip": st.builds("{}/{}".format, words, words),
    "hf": st.builds("{}/{}".format, words, words) | st.builds("./{}".format, words),
    "py": st.from_regex(r"[a-z_]+(\.[a-z_]+)*:[a-zA-Z_][a-z0-9]*", fullmatch=True),
}
origins = st.one_of([st.tuples(st.just(source), ref) for source, ref in refs.items()])
numbers = st.floats(-1, 1)  # of inputs in [0, 1]
positive = st.floats(0, 10, exclude_min=True)
files = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1).map(Path)


@st.composite
def user_backbones(draw: st.DrawFn) -> UserBackbone:
    source, ref = draw(origins)
    return UserBackbone(
        name=draw(names),
        source=source,
        ref=ref,
        weights=draw(st.none() | files),
        size=draw(st.none() | st.integers(1, 4096)),
        mean=draw(st.none() | st.tuples(numbers, numbers, numbers)),
        std=draw(st.none() | st.tuples(positive, positive, positive)),
    )


@LAWS
@given(user_backbones())
def test_a_line_is_read_as_it_was_written(backbone: UserBackbone) -> None:
    assert UserBackbone.parse(str(backbone)) == backbone


@LAWS
@given(user_backbones(), st.randoms(use_true_random=False))
def test_options_stand_in_any_order(backbone: UserBackbone, random) -> None:
    first, *options = str(backbone).split(",")
    random.shuffle(options)
    assert UserBackbone.parse(",".join([first, *options])) == backbone


@LAWS
@given(
    st.text() | st.builds("{}=timm:x,{}={}".format, names, st.sampled_from(["size", "mean", "std", "sise"]), st.text())
)
def test_any_other_line_is_refused_in_our_words(text: str) -> None:
    try:
        read = UserBackbone.parse(text)
    except FmTransferError:
        return
    assert UserBackbone.parse(str(read)) == read


def test_what_is_left_out_is_usual() -> None:
    row = UserBackbone.parse("mine=timm:resnet18").row
    assert (row.image_size, row.mean, row.std) == (224, IMAGENET_MEAN, IMAGENET_STD)
    assert UserBackbone.parse("mine=timm:resnet18,std=0.5,mean=0").row.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mine", "write NAME=SOURCE:REF"),
        ("mine=resnet18", "write NAME=SOURCE:REF"),
        ("timm:resnet18", "write NAME=SOURCE:REF"),
        ("mine=tim:resnet18", "no source 'tim'; did you mean timm"),
        ("mine=timm:", "write timm:resnet18"),
        ("mine=timm:res net", "write timm:resnet18"),
        ("mine=open_clip:ViT-B-16", "write open_clip:ViT-B-16/laion2b_s34b_b88k"),
        ("mine=py:module", "write py:module:function"),
        ("mine=py:folder/module.py:function", "write py:module:function"),
        ("mine=hf: ", "write hf:facebook/dinov2-base or hf:./folder"),
        ("mine=timm:x,weight=w.pt", "no option 'weight'; did you mean weights"),
        ("mine=timm:x,weights=a,b.pt", "a comma cannot stand in a file's name"),
        ("mine=timm:x,weights=", "write weights=FILE"),
        ("mine=timm:x,size=0", "write size=224"),
        ("mine=timm:x,size=224px", "write size=224"),
        ("mine=timm:x,size=²", "write size=224"),
        ("mine=timm:x,mean=0.5/0.5", "mean=0.485/0.456/0.406"),
        ("mine=timm:x,mean=nan", "one number or three"),
        ("mine=timm:x,std=0.2/0.2/0", "above 0"),
        ("mine=timm:x,std=-1", "above 0"),
        ("mine=timm:x,size=224,size=224", "size= stands twice"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(line: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        UserBackbone.parse(line)
    assert message in str(raised.value)


def test_a_name_that_cannot_stand_in_an_id() -> None:
    with pytest.raises(InvalidName, match="as in 'my_net'"):
        UserBackbone.parse("My-Net=timm:x")


@pytest.mark.parametrize(
    ("origin", "library", "architecture", "weights"),
    [
        ("timm:resnet18,weights=/w/a.pt", "timm", "resnet18", FileWeights(path=Path("/w/a.pt"))),
        ("open_clip:ViT-B-16/tag,weights=/w/a.pt", "open_clip", "ViT-B-16", FileWeights(path=Path("/w/a.pt"))),
        ("hf:/w/saved", "transformers", "hf:/w/saved", FileWeights(path=Path("/w/saved"))),
        ("hf:o/n,weights=/w/a.bin", "transformers", "hf:o/n", FileWeights(path=Path("/w/a.bin"))),
        ("py:nets.mine:make", "python", "nets.mine:make", OwnWeights()),
        ("py:nets.mine:make,weights=/w/a.pt", "python", "nets.mine:make", FileWeights(path=Path("/w/a.pt"))),
    ],
)
def test_each_source_becomes_a_row(origin: str, library: str, architecture: str, weights: object) -> None:
    row = UserBackbone.parse(f"mine={origin}").row
    assert (row.name, row.library, row.architecture, row.weights) == ("mine", library, architecture, weights)
    registry = Registry()
    registry.register(row, candidate=True)
    assert registry.candidates == ("mine",)
    assert registry.backbone("mine.random").weights == RandomWeights()


@pytest.mark.parametrize(
    ("origin", "file"),
    [
        ("timm:resnet18.a1_in1k", "resnet18.a1_in1k.pth"),
        ("hf:facebook/dinov2-base", "facebook/dinov2-base/model.safetensors"),
        ("open_clip:ViT-B-16/laion2b_s34b_b88k", "open_clip/ViT-B-16/laion2b_s34b_b88k/open_clip_model.safetensors"),
    ],
)
def test_without_a_file_the_publishers_is_looked_for(origin: str, file: str, tmp_path: Path) -> None:
    row = UserBackbone.parse(f"mine={origin}").row
    assert isinstance(row.weights, PublishedWeights)
    assert row.weights.file == file
    places = Places(store=tmp_path / "store", weights=tmp_path)
    found = backbone_ready(row, places)
    assert isinstance(found, Missing)
    assert f"put {file} into {tmp_path}" in found.remedy
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert weights_file(row, places) == tmp_path / file


def test_a_file_is_named_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = UserBackbone.parse("mine=timm:resnet18,weights=a.pt").row
    monkeypatch.chdir("/")
    assert row.weights == FileWeights(path=tmp_path / "a.pt")
    with pytest.raises(Unavailable, match=r"name a file that exists; .*a\.pt is none"):
        weights_file(row, Places(store=tmp_path))


def test_a_file_and_a_folder_are_named_by_what_is_in_them(tmp_path: Path) -> None:
    def weights(path: Path) -> str:
        row = UserBackbone.parse(f"mine=hf:o/n,weights={path}").row
        return subject_of(row, "float32", Places(store=tmp_path))["weights"]

    def write(path: Path, value: float) -> None:
        save_file({"a": np.full(3, value, dtype=np.float32)}, path)

    folder, file = tmp_path / "saved", tmp_path / "a.safetensors"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write(folder / "model.safetensors", 1)
    write(file, 1)
    before = weights(folder), weights(file)
    assert (weights(folder), weights(file)) == before
    write(folder / "model.safetensors", 2)
    write(file, 2)
    assert weights(folder) != before[0]
    assert weights(file) != before[1]
    write(folder / "model.safetensors", 1)
    (folder / "config.json").write_text('{"layer_norm_eps": 1e-05}')
    assert weights(folder) != before[0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (224, IMAGENET_MEAN, IMAGENET_STD)),
        (
            {"size": {"height": 256, "width": 256}, "image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1]},
            (256, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
        ),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 192, "width": 192}},
            (192, IMAGENET_MEAN, IMAGENET_STD),
        ),
        ({"size": 384, "do_normalize": False}, (384, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
    ],
)
def test_a_folder_of_transformers_says_how_its_images_are_prepared(
    said: dict[str, object], expected: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said), encoding="utf-8")
    row = UserBackbone.parse(f"mine=hf:{tmp_path}").row
    assert (row.image_size, row.mean, row.std) == expected
    asked = UserBackbone.parse(f"mine=hf:{tmp_path},size=64,mean=0,std=0.5").row
    assert (asked.image_size, asked.mean, asked.std) == (64, (0, 0, 0), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_folder_whose_settings_are_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"preprocessor_config\.json .*or give size=, mean= and std="):
        _ = UserBackbone.parse(f"mine=hf:{tmp_path}").row
