"""Data that cannot be used are told in full once; every further test says where."""

import re

import numpy as np
import pytest
from PIL import Image

SUITE = """
import pytest

CELLS = dict(backbones=["shortcut.metadata"], datasets=["mine", "other"], regimes=["knn", "linear_probe"])

@pytest.mark.fm_cells(**CELLS)
def test_one(candidate):
    pass

@pytest.mark.fm_cells(**CELLS)
def test_two(candidate):
    pass
"""
CONFTEST = """
from pytest_fmtransfer import own_folder

def pytest_fmtransfer_register(registry):
    for name in ("mine", "other"):
        registry.register(own_folder(name, f"{name}-images"))
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Two datasets of few images, which no audit lets pass."""
    rng = np.random.default_rng(0)
    for name in ("mine", "other"):
        for label in ("no", "yes"):
            folder = pytester.path / f"{name}-images" / label
            folder.mkdir(parents=True)
            for number in range(8):
                Image.fromarray(rng.integers(0, 256, (32, 32), dtype=np.uint8)).save(folder / f"{number}.png")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def test_each_is_told_in_full_once(suite: pytest.Pytester) -> None:
    result = suite.runpytest()
    result.assert_outcomes(errors=8)
    for name in ("mine", "other"):
        assert result.stdout.str().count(f"scores on {name} could not be trusted:") == 1
        first = f"test_suite.py::test_one[shortcut.metadata-{name}-knn]"
        assert len(re.findall(rf"^{name}: as above, in {re.escape(first)}$", result.stdout.str(), re.MULTILINE)) == 3


def test_each_worker_tells_it_in_full(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("-n", "2")
    result.assert_outcomes(errors=8)
    for name in ("mine", "other"):
        in_full = result.stdout.str().count(f"scores on {name} could not be trusted:")
        assert 1 <= in_full <= 2
        assert result.stdout.str().count(f"{name}: as above, in test_suite.py::test_") == 4 - in_full


def test_a_test_that_is_run_again_tells_it_again(suite: pytest.Pytester) -> None:
    """Only its last attempt is printed."""
    result = suite.runpytest("--reruns=1", "-k", "test_one and mine and knn")
    assert "scores on mine could not be trusted:" in result.stdout.str()
    assert "as above" not in result.stdout.str()


def test_an_image_that_is_damaged_is_told_once(suite: pytest.Pytester) -> None:
    (suite.path / "mine-images" / "no" / "3.png").write_bytes(b"no image")
    result = suite.runpytest("-k", "mine")
    result.assert_outcomes(errors=4)
    assert result.stdout.str().count("1 of 16 images of mine cannot be read: no/3.png") == 1
    assert result.stdout.str().count("mine: as above, in test_suite.py::test_one") == 3
