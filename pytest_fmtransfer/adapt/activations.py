"""What a part of a network that does not learn makes of every image, computed once.

Legend: N images of a dataset, B images of a batch.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from pytest_fmtransfer.adapt.inputs import Feed, Inputs
from pytest_fmtransfer.adapt.job import Job
from pytest_fmtransfer.data.images import check_room
from pytest_fmtransfer.disk import new_array
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import discard_damaged, file_digest, remembered_digest, write_atomically
from pytest_fmtransfer.work import count_passes

BATCH = 16
NAME, RECORD = "activations.npy", "activations.digest"


def store_activations(part: nn.Module, inputs: Inputs, images: int, job: Job, device: torch.device) -> np.ndarray:
    """Of every image, in the table's order, mapped from a file of the workspace, which one seed leaves to the next.

    A file that is damaged is written again, with a warning. Raises StorageError, with the figure, when the disk cannot
    hold them.
    """
    file, record = job.workspace / NAME, job.workspace / RECORD
    if file.is_file() and not _is_sound(file, record):
        discard_damaged(file)
    if not file.is_file():
        _write(part, inputs, images, job, device, file, record)
    return np.load(file, mmap_mode="r+", allow_pickle=False)  # torch warns of what may not be written to


def _is_sound(file: Path, record: Path) -> bool:
    """Whether a file is what was written; it is read once in this process while its state stays the same."""
    return record.is_file() and record.read_bytes() == remembered_digest(file).encode()


def _write(
    part: nn.Module, inputs: Inputs, images: int, job: Job, device: torch.device, file: Path, record: Path
) -> None:
    growing = file.with_name(f".{NAME}")
    stored_N: np.ndarray | None = None
    feed = Feed(inputs, loaders=job.loaders, pinned=device.type == "cuda")
    try:
        with progress(f"{job.cell} activations", total=images, unit="image") as bar, torch.no_grad():
            start = 0
            for batch in feed.evaluation(np.arange(images), BATCH):
                made_B = part(batch.to(device, non_blocking=True)).float().cpu().numpy()
                if stored_N is None:
                    shape = (images, *made_B.shape[1:])
                    check_room(f"activations of {job.cell}", 4 * int(np.prod(shape)), job.workspace)
                    stored_N = new_array(growing, np.float32, shape)
                stored_N[start : start + len(made_B)] = made_B
                start += len(made_B)
                bar.update(len(made_B))
    finally:
        feed.close()
    count_passes(images)
    if isinstance(stored_N, np.memmap):
        stored_N.flush()
    write_atomically(record, file_digest(growing).encode())  # first: a file without a record would be none
    growing.replace(file)
