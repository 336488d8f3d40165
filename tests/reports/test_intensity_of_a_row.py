"""A row's intensity reaches every image, moves the dataset's fingerprint, and is reported by the audit.

Legend: H, W pixels.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytest_fmtransfer import own_folder
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import Intensity
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.data.audit import audit
from pytest_fmtransfer.data.dataset import open_dataset
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.places import Places
from tests.pictures import head

CLASSES = ("no", "yes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Heads of twelve bits, of which those of one class are half as bright; one image has eight bits."""
    for label, name in enumerate(CLASSES):
        for number in range(8):
            path = tmp_path / "images" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            values_HW = head(label * 100 + number).astype(np.uint16) * (8 * (2 - label))
            Image.fromarray(values_HW).save(path)
    Image.fromarray(head(7)).save(tmp_path / "images" / "no" / "7.png")
    return tmp_path / "images"


def brightest(folder: Path, intensity: Intensity) -> dict[str, int]:
    spec = own_folder("mine", folder, intensity=intensity)
    dataset = open_dataset(spec, Places(store=folder.parent / "store"))
    ids = dataset.table.ids_N.tolist()
    return {name: int(dataset.pictures.pixels(row).max()) for row, name in enumerate(ids)}


def test_only_a_stated_range_keeps_how_bright_images_are(folder: Path) -> None:
    stretched, shared = brightest(folder, "image"), brightest(folder, (0, 4095))
    assert {stretched["no/1.png"], stretched["yes/1.png"]} == {255}
    assert shared["no/1.png"] == pytest.approx(float(head(1).max()) * 16 / 4095 * 255, abs=1)
    assert shared["yes/1.png"] == pytest.approx(float(head(101).max()) * 8 / 4095 * 255, abs=1)
    assert stretched["no/7.png"] == shared["no/7.png"] == head(7).max()  # eight bits stay as they are


def test_the_fingerprint_tells_intensities_apart_and_the_default_adds_nothing(folder: Path) -> None:
    places = Places(store=folder.parent / "store")
    plain = own_folder("mine", folder)
    rules: tuple[Intensity, ...] = ("image", "dtype", (0, 4095), (0, 4000))
    found = [open_dataset(replace(plain, intensity=rule), places).fingerprint for rule in rules]
    assert len(set(found)) == 4
    assert found[0] == open_dataset(plain, places).fingerprint


@pytest.mark.parametrize(
    ("intensity", "told"),
    [
        ("image", "each from its own lowest to its own highest value, .* (intensity=image)"),
        ("dtype", "from the lowest to the highest value that their type can hold (intensity=dtype)"),
        ((0, 4095), "from 0 to 4095 (intensity=0/4095)"),
    ],
)
def test_the_audit_says_which_images_were_brought_to_eight_bits(folder: Path, intensity: Intensity, told: str) -> None:
    places = Places(store=folder.parent / "store")
    found = audit(open_dataset(own_folder("mine", folder, intensity=intensity), places), places).findings
    (finding,) = [each for each in found if each.kind == "brought_to_eight_bits"]
    assert (finding.severity, finding.count) == ("note", 15)
    before, _, after = told.partition(".*")
    assert before in finding.sentence
    assert after in finding.sentence
    assert "no/7.png (" not in " ".join(finding.examples)


@pytest.mark.parametrize(
    ("text", "intensity"),
    [("image", "image"), ("dtype", "dtype"), ("0/4095", (0.0, 4095.0)), ("-1000/400", (-1000.0, 400.0))],
)
def test_the_key_is_read_and_written_again(text: str, intensity: Intensity, folder: Path) -> None:
    line = UserDataset.parse(f"mine=folder:{folder},intensity={text}")
    assert line.intensity == line.row.intensity == intensity
    assert UserDataset.parse(str(line)) == line


@pytest.mark.parametrize("text", ["", "window", "5", "4095/0", "1/1", "nan/5", "0/1/2"])
def test_a_wrong_intensity_is_answered_with_the_form(text: str, folder: Path) -> None:
    with pytest.raises(InvalidInput, match="write intensity=image, dtype or two values, the lower first"):
        UserDataset.parse(f"mine=folder:{folder},intensity={text}")


def test_a_row_of_a_conftest_is_checked_too(folder: Path) -> None:
    row = own_folder("mine", folder)
    with pytest.raises(InvalidInput, match=r'intensity \(5, 1\) of mine; write "image", "dtype" or \(low, high\)'):
        Registry().register(replace(row, intensity=(5, 1)))
