"""The one interface of every backbone: images in, a pooled embedding and tokens out.

Legend: N images, C channels, S the square side in pixels, H and W pixels, D the embedding's width, T tokens, E a
token's width.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn

from pytest_fmtransfer.catalog.specs import BackboneSpec, RandomWeights


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a backbone makes of images: an embedding each, and a token for every place of the picture.

    Tokens stand row by row, without class and register tokens. `blocks` are the tokens after each block that was
    asked for, by its number.
    """

    pooled_ND: Tensor
    tokens_NTE: Tensor
    blocks: Mapping[int, Tensor] = field(default_factory=dict[int, Tensor])


class Backbone(nn.Module, ABC):
    """A network in evaluation mode, and how its publisher normalises images.

    `channels` is 3, or 1 for a network whose stem takes grey images (`backbones/stem.py`). Unless it is `trainable`, no
    parameter requires a gradient; if it is, those do that its library or its author lets train.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: BackboneSpec, network: nn.Module, *, channels: int = 3, trainable: bool = False) -> None:
        super().__init__()
        if not trainable:
            network.requires_grad_(False)
        self.spec, self.network, self.channels = spec, network, channels
        self.memory_format = torch.contiguous_format
        self._still: tuple[nn.Module, ...] = ()
        for name, values in (("mean", spec.mean), ("std", spec.std)):
            self.register_buffer(name, torch.tensor(values[:channels]).view(1, channels, 1, 1), persistent=False)
        self.eval()

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 grey, N × S × S, or colour, N × S × S × 3, to float32 images, N × C × S × S.

        Grey is repeated as often as the network takes channels.
        """
        images_NCSS = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.movedim(-1, 1)
        return (images_NCSS.to(torch.float32) / 255 - self.mean) / self.std

    def lay_out(self, memory_format: torch.memory_format) -> None:
        """Lay weights, and the images to come, out in memory: `torch.contiguous_format` or `torch.channels_last`."""
        self.network.to(memory_format=memory_format)  # pyright: ignore[reportCallIssue]
        self.memory_format = memory_format

    def keep_still(self, modules: Iterable[nn.Module]) -> None:
        """Have some of its modules stay in evaluation mode from now on, also when it is set to train."""
        self._still = tuple(dict.fromkeys((*self._still, *modules)))
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for each in self._still:
            each.eval()
        return self

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The network's blocks from the input on: what may be trained from some block on, or cut off after one."""

    @abstractmethod
    def embed(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The pooled embedding, N × D, and the tokens, N × T × E, of normalised images."""

    @abstractmethod
    def block_tokens(self, output: Tensor) -> Tensor:
        """What a block returned, as tokens, N × T × E."""

    def forward(self, images_NCHW: Tensor, blocks: Sequence[int] = ()) -> Features:
        """Features of normalised images of any size that the architecture allows, in one pass.

        `blocks` are the numbers of those whose tokens are wanted too; negative ones count from the last.
        """
        tokens: dict[int, Tensor] = {}

        def keep(number: int) -> torch.utils.hooks.RemovableHandle:
            def hook(module: nn.Module, arguments: object, output: Tensor) -> None:
                tokens[number] = self.block_tokens(output)

            return self.blocks[number].register_forward_hook(hook)

        hooks = [keep(number) for number in blocks]
        try:
            pooled_ND, tokens_NTE = self.embed(images_NCHW.contiguous(memory_format=self.memory_format))
        finally:
            for hook in hooks:
                hook.remove()
        return Features(pooled_ND=pooled_ND, tokens_NTE=tokens_NTE, blocks=tokens)


@contextmanager
def seeded(spec: BackboneSpec) -> Generator[None]:
    """Inside, weights are drawn under a random backbone's seed, 0 for any other; then chance goes on as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.weights.seed if isinstance(spec.weights, RandomWeights) else 0)
        yield
