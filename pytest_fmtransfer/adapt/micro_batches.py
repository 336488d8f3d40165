"""A batch in parts that fit into memory: its gradient is the sum of theirs, its size is never silently another.

Legend: B images of a batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pytest_fmtransfer.errors import OutOfMemory
from pytest_fmtransfer.limits import free_memory

SHARE = 0.5  # of the memory that is free, for what a step keeps for its backward pass


def first_guess(module: nn.Module, example: Callable[[int], Tensor], batch: int, device: torch.device) -> int:
    """How many images of a batch to pass at once: of a device that says when memory is out, all; on a CPU, whose system
    would stop the process, as many as leave half of the free memory.

    `example` gives so many inputs, on the device.
    """
    free = free_memory() if device.type == "cpu" else None
    if free is None or batch < 2:
        return batch
    two = kept_bytes(module, example(2))
    part = batch
    while part > 1 and part * two / 2 > SHARE * free:
        part = -(-part // 2)
    return part


def kept_bytes(module: nn.Module, inputs: Tensor) -> int:
    """What a forward pass keeps for its backward pass; each piece of memory once, the parameters' not."""
    known = {each.untyped_storage().data_ptr() for each in module.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    training = {name: each.training for name, each in module.named_modules()}
    module.eval()  # no statistic moves
    try:
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            module(inputs)
    finally:
        for name, each in module.named_modules():
            each.training = training[name]
    return sum(kept.values())


def halved(micro: int, batch: int, epoch: int, notes: list[str], *, too_large: str, device: torch.device) -> int:
    """How many images to pass at once where memory did not hold `micro`, which `notes` are told; epochs count from 0.

    Not to be called while the error is handled, which holds on to what is to be freed. Raises OutOfMemory, in the words
    of `too_large`, where it was one image already.
    """
    if (before := min(micro, batch)) == 1:
        raise OutOfMemory(too_large)
    part = -(-before // 2)
    notes.append(f"out of memory in epoch {epoch + 1}: batches of {batch} in parts of {part} from there on")
    if device.type in ("cuda", "mps"):
        torch.get_device_module(device).empty_cache()
    return part
