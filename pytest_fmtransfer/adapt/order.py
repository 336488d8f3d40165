"""In which order training images are seen: drawn from seed and epoch alone, so that a resumed run sees the same.

Legend: A images of the training side, K batches of an epoch, B images of a batch.
"""

import numpy as np


def batches(images: int, batch: int, *, seed: int, epoch: int) -> np.ndarray:
    """Positions on the training side, K × B int64; the last images that fill no batch are left out, as in the paper.

    Where there are fewer images than a batch takes, they are one batch. `epoch` counts from 0.
    """
    size = min(batch, images)
    # PCG64 and its `permutation` are numpy's; a seed sequence of two words makes streams that have nothing in common.
    order_A = np.random.default_rng([seed, epoch]).permutation(images)
    steps = images // size
    return order_A[: steps * size].reshape(steps, size).astype(np.int64)


def steps_of(images: int, batch: int) -> int:
    """Of an epoch."""
    return images // min(batch, images)
