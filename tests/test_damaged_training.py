"""One flipped byte in what a killed training left begins that training again, with one warning, and moves no score."""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pytest_fmtransfer import Cell, Places, transfer
from pytest_fmtransfer.adapt import finetune, frozen
from pytest_fmtransfer.adapt.checkpoints import Checkpoints
from pytest_fmtransfer.catalog.regime_specs import Profile
from pytest_fmtransfer.store import read_checked, write_checked
from tests.helpers import LAWS
from tests.small import catalogue

FEW = settings(LAWS, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
# A head, a whole network, and a part of one behind stored activations.
REGIMES = ("frozen_linear", "finetune_linear", "partial1_linear.unaugmented")
LEAST = Profile(name="least", forward_dtype="float32", epochs=3, head_epochs=3, batch=16, size=32, seeds=2)


class Killed(BaseException):
    """What Ctrl-C and a signal look like from inside."""


def scores(regime: str, places: Places) -> np.ndarray:
    registry = catalogue()
    registry.register(LEAST)
    cell = Cell("imagenet_deitb16.tiny", "stripes", regime)
    return transfer(cell, profile="least", registry=registry, places=places).scores_SNC


def kill_in(epoch: int, patch: pytest.MonkeyPatch) -> None:
    """In this epoch of the last seed."""
    for module, learner in ((finetune, finetune.NetworkLearner), (frozen, frozen.StackedLearner)):
        # Heads of all seeds are trained together.
        patch.setattr(learner, "begin", _dying(learner.begin, epoch, seeds=2 if module is finetune else 1))
        patch.setattr(module, "Checkpoints", lambda file: Checkpoints(file, seconds=0))


def _dying(begin: Callable[..., None], epoch: int, *, seeds: int) -> Callable[..., None]:
    begun: list[int] = []

    def killed(self: object, number: int, rows_KRB: Tensor) -> None:
        begun.append(number)
        if begun.count(epoch) == seeds:
            raise Killed
        begin(self, number, rows_KRB)

    return killed


@pytest.fixture(scope="module", params=REGIMES)
def killed(
    request: pytest.FixtureRequest,
    small: Places,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, np.ndarray, Path]:
    """A regime, the scores that it comes to undisturbed, and a store in which a run of it was killed."""
    regime = str(request.param)
    whole = scores(regime, replace(small, store=tmp_path_factory.mktemp("whole")))
    store = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        kill_in(2, patch)
        with pytest.raises(Killed):
            scores(regime, replace(small, store=store))
    return regime, whole, store


@FEW
@given(data=st.data())
def test_a_flipped_byte_below_training_moves_no_score(
    data: st.DataObject,
    killed: tuple[str, np.ndarray, Path],
    small: Places,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    regime, whole, left = killed
    store = tmp_path_factory.mktemp("damaged") / "store"
    shutil.copytree(left, store)
    files = sorted(path for path in (store / "training").rglob("*") if path.is_file())
    assert files
    file = data.draw(st.sampled_from(files), label="file")
    at = data.draw(st.integers(0, file.stat().st_size - 1), label="byte")
    content = bytearray(file.read_bytes())
    content[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    file.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = scores(regime, replace(small, store=store))
    assert np.array_equal(found, whole)
    assert len([each for each in caught if "is damaged; what it held is computed again" in str(each.message)]) == 1
    shutil.rmtree(store)


@pytest.mark.parametrize("damage", [b"", b"short", b"longer than a digest, and none"])
def test_a_file_that_is_none_of_ours_is_deleted_with_a_warning(damage: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(damage)
    with pytest.warns(UserWarning, match="is damaged") as caught:
        assert read_checked(file) is None
    assert len(caught) == 1
    assert not file.exists()
    assert read_checked(file) is None  # without a warning, which would be an error


@LAWS
@given(data=st.binary())
def test_what_was_written_is_read(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("checked") / "file"
    write_checked(file, data)
    assert read_checked(file) == data
