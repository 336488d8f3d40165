"""Adds a backbone to the pocket suite: what is trained again and again is trained on small pictures."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_fmtransfer import Registry


@pytest.hookimpl(optionalhook=True)
def pytest_fmtransfer_register(registry: "Registry") -> None:
    # A fifth of the pixels: fine-tuning at 224 would take longer than everything else in this suite together.
    registry.register(replace(registry.backbone("efficientnet_lite0"), name="pocket.lite0_at_96", image_size=96))
