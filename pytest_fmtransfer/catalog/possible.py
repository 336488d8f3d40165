"""Whether a backbone has the blocks that a regime trains from or cuts after, and layers that its additions fit; told
from their rows, before anything is built."""

from collections.abc import Sequence

from pytest_fmtransfer.catalog.narrowest_layers import narrowest_layer
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import Impossible
from pytest_fmtransfer.words import counted

BEFORE_A_BLOCK = ("partial", "drop", "from")  # what stands before a block's number in a regime's name

Told = tuple[str, str]
"""Why something is impossible, and what to write instead."""


def check_blocks(backbone: BackboneSpec, regime: RegimeSpec) -> None:
    """Raises Impossible for a block that there is none of, with those there are, and for blocks without layers that
    low-rank additions fit, with the ranks that do.

    A backbone whose row does not say what it has is checked when it is built.
    """
    if (told := impossible(backbone, regime)) is not None:
        reason, remedy = told
        raise Impossible(f"{regime.name}: {reason}; {remedy}")


def impossible(backbone: BackboneSpec, regime: RegimeSpec) -> Told | None:
    """Why a regime cannot adapt a backbone, and what to write instead; None where nothing is against it."""
    settings = regime.settings
    if not isinstance(settings, TrainingSettings):
        return None
    return _no_such_block(backbone, regime.name, settings) or _no_such_layer(backbone, regime.name, settings)


def most_room(regime: RegimeSpec, backbones: Sequence[BackboneSpec]) -> BackboneSpec:
    """The backbone with the most blocks; of a regime that names none, the one whose narrowest layer is the widest."""
    settings = regime.settings
    by_blocks = isinstance(settings, TrainingSettings) and _blocks_of(settings)
    return max(backbones, key=lambda row: (row.blocks if by_blocks else narrowest_layer(row)) or 0)


def no_block(name: str, count: int, number: int) -> str:
    """'dino_vitb16 has 12 blocks, 0 to 11; it has no block 12'."""
    those = "0" if count == 1 else f"0 to {count - 1}"
    return f"{name} has {counted(count, 'block')}, {those}; it has no block {number}"


def _no_such_block(backbone: BackboneSpec, regime: str, settings: TrainingSettings) -> Told | None:
    if (count := backbone.blocks) is None:
        return None
    beyond = next((number for number in _blocks_of(settings) if not 0 <= number < count), None)
    if beyond is None:
        return None
    return no_block(backbone.name, count, beyond), _instead(regime, beyond, count - 1)


def _blocks_of(settings: TrainingSettings) -> list[int]:
    """The blocks that a regime names."""
    return [number for number in (settings.first_block, settings.cut_after) if number is not None]


def _no_such_layer(backbone: BackboneSpec, regime: str, settings: TrainingSettings) -> Told | None:
    """Of additions from a later block on it is told only that there is no layer at all: later ones may be wider."""
    rank, width = settings.rank, narrowest_layer(backbone)
    if rank is None or width is None:
        return None
    if width == 0:
        told = f"{backbone.name} has no linear layer and no 1 × 1 convolution in its blocks to add to"
        return told, "write finetune_linear or partial<k>_linear"
    if rank <= width or settings.first_block:
        return None
    ranks = f"with r from 1 to {width}"
    there = f"lora{rank}" in regime
    instead = f"write {regime.replace(f'lora{rank}', 'lora<r>', 1)}" if there else f"register regime {regime}"
    return f"{backbone.name}'s narrowest layer to add to has rank {width}, and not {rank}", f"{instead} {ranks}"


def _instead(regime: str, number: int, last: int) -> str:
    for word in BEFORE_A_BLOCK:
        if f"{word}{number}" in regime:
            return f"write {regime.replace(f'{word}{number}', f'{word}<k>', 1)} with k from 0 to {last}"
    return f"register regime {regime} with a block from 0 to {last}"
