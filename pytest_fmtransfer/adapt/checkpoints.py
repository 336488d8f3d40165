"""What a killed training is gone on with: one file, written whole or not at all at the end of an epoch."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pytest_fmtransfer.store import read_checked, write_checked

SECONDS = 5.0  # of training that may be lost: epochs that are shorter are not worth a file each


class Checkpoints:
    """The file of one training; `seconds` is how much of it may be lost."""

    def __init__(self, file: Path, *, seconds: float = SECONDS) -> None:
        self._file, self._seconds, self._saved = file, seconds, time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None where nothing was. A damaged one is none, with a warning: training begins again."""
        data = read_checked(self._file)
        return None if data is None else torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)

    def save(self, content: Callable[[], dict[str, Any]], *, last: bool) -> None:
        """Called at the end of every epoch; `content` is asked for only where it is written."""
        if not last and time.monotonic() - self._saved < self._seconds:
            return
        stream = io.BytesIO()
        torch.save(content(), stream)
        write_checked(self._file, stream.getbuffer())
        self._saved = time.monotonic()
