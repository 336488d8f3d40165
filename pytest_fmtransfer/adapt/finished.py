"""What a training came to, on disk in the place of its checkpoint: a killed run does not train it again.

A checkpoint holds weights and moments, of a large head more than a gigabyte; this, scores and history.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from pytest_fmtransfer.adapt.loop import Trained
from pytest_fmtransfer.store import write_atomically


def finish(file: Path, trained: Trained) -> None:
    """Keep what a training came to."""
    stream = io.BytesIO()
    np.savez(
        stream,
        scores_RTC=trained.scores_RTC,
        best_R=trained.best_R,
        epoch_R=trained.epoch_R,
        training=json.dumps(trained.training),
        seconds=trained.seconds,
    )
    write_atomically(file, stream.getvalue())


def finished(file: Path) -> Trained | None:
    """What a killed run kept, all of whose seconds are earlier ones; None where nothing was, or it cannot be read."""
    try:
        # Of a damaged archive numpy would leave the file that it has opened itself open.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return Trained(
                scores_RTC=archive["scores_RTC"],
                best_R=archive["best_R"],
                epoch_R=archive["epoch_R"],
                training=tuple(json.loads(str(archive["training"]))),
                seconds=float(archive["seconds"]),
                earlier_seconds=float(archive["seconds"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
