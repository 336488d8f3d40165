"""What a killed training is gone on with: one file, written whole or not at all at the end of an epoch."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pytest_fmtransfer.store import write_atomically

SECONDS = 5.0  # of training that may be lost: epochs that are shorter are not worth a file each


class Checkpoints:
    """The file of one training; `seconds` is how much of it may be lost."""

    def __init__(self, file: Path, *, seconds: float = SECONDS) -> None:
        self._file, self._seconds, self._saved = file, seconds, time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None where nothing was, or where it cannot be read."""
        try:
            return torch.load(self._file, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception:  # a damaged file raises what it likes: begin again
            self._file.unlink(missing_ok=True)
            return None

    def save(self, content: Callable[[], dict[str, Any]], *, last: bool) -> None:
        """Called at the end of every epoch; `content` is asked for only where it is written."""
        if not last and time.monotonic() - self._saved < self._seconds:
            return
        stream = io.BytesIO()
        torch.save(content(), stream)
        write_atomically(self._file, stream.getvalue())
        self._saved = time.monotonic()
