"""How fast a backbone is run here, and that nothing of it stays behind."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_fmtransfer.backbones import pace as home
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.computing import computing
from pytest_fmtransfer.backbones.pace import FEWEST, USUAL, pace_of
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.backbones.timm import build
from pytest_fmtransfer.catalog.specs import RandomWeights
from pytest_fmtransfer.store import Store
from tests.small import BACKBONE

ABOUT = {"weights": "none", "threads": 1}


@pytest.fixture
def backbone() -> Backbone:
    return build(replace(BACKBONE, weights=RandomWeights()), None)


def is_channels_last(backbone: Backbone) -> bool:
    return all(
        weight.is_contiguous(memory_format=torch.channels_last)
        for weight in backbone.parameters()
        if weight.ndim == 4 and weight.shape[1] > 1 and weight.shape[2] > 1
    )


def test_few_images_go_at_the_usual_pace(backbone: Backbone, tmp_path: Path) -> None:
    assert not is_channels_last(backbone)
    assert pace_of(backbone, 32, FEWEST - 1, ABOUT, Store(root=tmp_path)) == USUAL
    assert is_channels_last(backbone)
    assert not (tmp_path / "paces").exists()


def test_for_many_the_fastest_is_measured_once_and_remembered(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(root=tmp_path)
    with computing("float32"):
        measured = pace_of(backbone, 32, FEWEST, ABOUT, store)
        assert measured.batch in home.BATCHES
        assert backbone.memory_format == getattr(torch, measured.memory_format)
        monkeypatch.setattr(home, "_fastest", lambda *_: pytest.fail("measured again"))
        assert pace_of(backbone, 32, FEWEST, ABOUT, store) == measured
        with pytest.raises(pytest.fail.Exception, match="measured again"):
            pace_of(backbone, 32, FEWEST, ABOUT | {"threads": 2}, store)


def test_no_pace_moves_a_feature(backbone: Backbone) -> None:
    pixels = torch.randint(0, 256, (32, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with computing("float32"):
        whole = backbone(backbone.normalise(pixels)).pooled_ND
        backbone.lay_out(torch.channels_last)
        singly = torch.cat([backbone(backbone.normalise(pixel[None])).pooled_ND for pixel in pixels])
    torch.testing.assert_close(singly, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "precision"), [("float32", "highest"), ("bfloat16", "medium")])
def test_how_torch_computes_is_ours_inside_and_the_users_outside(dtype: Dtype, precision: str) -> None:
    torch.set_float32_matmul_precision("high")
    threads = torch.get_num_threads()
    try:
        with computing(dtype):
            assert torch.get_float32_matmul_precision() == precision
            assert torch.is_inference_mode_enabled()
            assert torch.is_autocast_enabled("cpu") == (dtype == "bfloat16")
        with pytest.raises(ZeroDivisionError):
            _fail(dtype)
        assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == ("high", threads)
        assert not torch.is_inference_mode_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")


def _fail(dtype: Dtype) -> None:
    with computing(dtype):
        print(1 / 0)
