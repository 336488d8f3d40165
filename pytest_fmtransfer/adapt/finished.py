"""What a training came to, on disk in the place of its checkpoint: a killed run does not train it again.

A checkpoint holds weights and moments, of a large head more than a gigabyte; this, scores and history.
"""

import io
import json
from pathlib import Path

import numpy as np

from pytest_fmtransfer.adapt.loop import Trained
from pytest_fmtransfer.store import read_checked, write_checked


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
    write_checked(file, stream.getbuffer())


def finished(file: Path) -> Trained | None:
    """What a killed run kept, all of whose seconds are earlier ones.

    None where nothing was, or, with a warning, where it is damaged and training begins again.
    """
    data = read_checked(file)
    if data is None:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return Trained(
            scores_RTC=archive["scores_RTC"],
            best_R=archive["best_R"],
            epoch_R=archive["epoch_R"],
            training=tuple(json.loads(str(archive["training"]))),
            seconds=float(archive["seconds"]),
            earlier_seconds=float(archive["seconds"]),
        )
