"""Backbones that a function of the user's returns, `module:function`.

The function is called without arguments, or with `channels=` where it takes that, under a fixed seed. What its
module gives for normalised images may be

- a pooled embedding, N × D: its one token is the whole picture;
- tokens, N × T × E, without class and register tokens, or a map, N × E × H × W: pooled by their mean;
- `Features`, for anything else.

Legend: N images, D the embedding's width, T tokens, E a token's width, C channels, H and W pixels or places.
"""

import hashlib
import inspect
import traceback
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pytest_fmtransfer.backbones.base import Backbone, Features
from pytest_fmtransfer.backbones.checkpoints import load_strictly
from pytest_fmtransfer.backbones.function_code import hearing
from pytest_fmtransfer.backbones.stem import take_one_channel
from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights
from pytest_fmtransfer.errors import FmTransferError, Impossible, InvalidInput
from pytest_fmtransfer.functions import is_installed, source_of

SEED = 0
LONGEST = 500  # characters of another's error: one of PyTorch's can list every tensor
PACKAGE = Path(__file__).parents[1]

# What each function was seen to open; its module opens its own files only when it is first imported.
_opened: defaultdict[str, set[Path]] = defaultdict(set)


class FunctionBackbone(Backbone):
    """What a user's function returned, where it came from, and the files that were opened for it."""

    def __init__(self, spec: BackboneSpec, network: nn.Module, *, channels: int = 3, trainable: bool = False) -> None:
        super().__init__(spec, network, channels=channels, trainable=trainable)
        self.function = spec.architecture
        self.opened = frozenset(_opened[spec.architecture])

    @property
    def blocks(self) -> Sequence[nn.Module]:
        blocks = getattr(self.network, "blocks", None)
        if not isinstance(blocks, nn.ModuleList | nn.Sequential):
            raise Impossible(
                f"{self.function} returned a module without blocks; give it an attribute `blocks`, an nn.ModuleList "
                "or nn.Sequential of its blocks from the input on"
            )
        return cast(Sequence[nn.Module], blocks)

    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        output: object = self.network(images_NCHW)
        if isinstance(output, Features):
            pooled_ND, tokens_NTE = output.pooled_ND, output.tokens_NTE
        elif isinstance(output, Tensor) and output.ndim == 2:
            pooled_ND, tokens_NTE = output, output.unsqueeze(1)
        elif isinstance(output, Tensor) and output.is_floating_point():
            tokens_NTE = self.block_tokens(output)
            pooled_ND = tokens_NTE.mean(dim=1)
        else:
            raise InvalidInput(f"the module of {self.function} gives {_told(output)}; {_WANTED}")
        sizes = (pooled_ND.ndim, tokens_NTE.ndim, len(pooled_ND), len(tokens_NTE))
        if sizes != (2, 3, len(images_NCHW), len(images_NCHW)) or not pooled_ND.is_floating_point():
            raise InvalidInput(
                f"the module of {self.function} gives {_told(output)} for {len(images_NCHW)} images; {_WANTED}"
            )
        return pooled_ND, tokens_NTE

    def block_tokens(self, output: Tensor) -> Tensor:
        if output.ndim == 4:
            return output.flatten(2).transpose(1, 2)
        if output.ndim != 3:
            raise InvalidInput(f"the module of {self.function} gives {_told(output)}; {_WANTED}")
        return output


_WANTED = (
    "let it give floating-point numbers: N × D, tokens N × T × E, a map N × E × H × W, or "
    "pytest_fmtransfer.backbones.base.Features"
)


def build(spec: BackboneSpec, weights: Path | None, *, channels: int = 3, trainable: bool = False) -> FunctionBackbone:
    """What the function returns, with the tensors of `weights` where a file is given.

    Raises CheckpointMismatch when the file does not fit, InvalidInput for a function that cannot be used; what
    the function itself raises is told in that, and is its cause.
    """
    network = _call(spec.architecture, channels)
    if isinstance(spec.weights, RandomWeights):
        draw_anew(network, spec.weights.seed)
    elif weights is not None:
        load_strictly(network, weights, "same_keys")
    return FunctionBackbone(spec, network, channels=channels, trainable=trainable)


def tensors_digest(spec: BackboneSpec, code: str) -> str:
    """32 hex digits over the names, shapes and values of all tensors of what the function returns.

    The function is called once in this process for a `code` (`function_code.code_of_function`).
    """
    return _tensors_digest(spec.architecture, code)


@lru_cache(maxsize=64)
def _tensors_digest(function: str, code: str) -> str:
    del code  # part of the key only
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(_call(function, 3).state_dict().items()):
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def draw_anew(network: nn.Module, seed: int) -> None:
    """Take from a network, in place, what it has learnt: its random twin.

    A layer that knows how to begin begins again (`reset_parameters`); parameters of other modules are shuffled,
    each within itself.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in network.modules():
            reset = cast(Callable[[], object] | None, getattr(module, "reset_parameters", None))
            if reset is not None:
                reset()
                continue
            for parameter in module.parameters(recurse=False):
                values = parameter.reshape(-1)
                parameter.copy_(values[torch.randperm(len(values))].view_as(parameter))


def _call(function: str, channels: int) -> nn.Module:
    source_of(function)  # says what is wrong with a name better than an import would
    with hearing() as opened:
        network = _made(function, channels)
    _opened[function] |= opened
    return network


def _made(function: str, channels: int) -> nn.Module:
    module, _, name = function.partition(":")
    with _told_in_a_sentence(f"{function} cannot be imported"):
        imported = import_module(module)
    make = cast(object, getattr(imported, name, None))
    if not callable(make):
        raise InvalidInput(f"{function} is no function; name one that returns an nn.Module")
    takes_channels = "channels" in inspect.signature(make).parameters
    called = f"it is called with channels={channels}" if takes_channels else "it is called without arguments"
    with torch.random.fork_rng(devices=[]), _told_in_a_sentence(f"{function} failed", called):
        torch.manual_seed(SEED)
        network = make(channels=channels) if takes_channels else make()
    if not isinstance(network, nn.Module):
        raise InvalidInput(f"{function} returned {_told(network)}; return an nn.Module")
    if channels == 1 and not takes_channels:
        if not any(isinstance(each, nn.Conv2d) and each.in_channels == 3 for each in network.modules()):
            raise InvalidInput(f"{function} returned a module that no grey image fits; let it take `channels`, 1 or 3")
        take_one_channel(network)
    return network


@contextmanager
def _told_in_a_sentence(what: str, remedy: str = "") -> Generator[None]:
    """What the user's own code raises, and the line of theirs that it comes from, as InvalidInput; ours stays ours."""
    try:
        yield
    except FmTransferError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
        place = _own_line(error)
        told = " ".join(part for part in (f"{what}: {reason}", place and f"({place})") if part)
        raise InvalidInput(f"{told}; {remedy}" if remedy else told) from error


def _own_line(error: Exception) -> str:
    """The last line of the user's that an error passed, 'nets.py, line 30'; empty where it passed none."""
    places = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [
        f"{path.name}, line {line}"
        for path, line in places
        if path.is_file() and not is_installed(path) and not path.is_relative_to(PACKAGE)
    ]
    return own[-1] if own else ""


def _told(value: object) -> str:
    """What something is, for an error."""
    if isinstance(value, Features):
        return f"Features of shapes {tuple(value.pooled_ND.shape)} and {tuple(value.tokens_NTE.shape)}"
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"something of type {type(value).__name__}"
