"""Whether a backbone has the blocks that a regime trains from or cuts after; told from their rows, before anything is
built."""

from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.words import counted

BEFORE_A_BLOCK = ("partial", "drop", "from")  # what stands before a block's number in a regime's name


def check_blocks(backbone: BackboneSpec, regime: RegimeSpec) -> None:
    """Raises InvalidInput for a block that there is none of, with those there are.

    A backbone whose row does not say how many it has is checked when it is built.
    """
    if (told := impossible(backbone, regime)) is not None:
        reason, remedy = told
        raise InvalidInput(f"{regime.name}: {reason}; {remedy}")


def impossible(backbone: BackboneSpec, regime: RegimeSpec) -> tuple[str, str] | None:
    """Why a regime cannot adapt a backbone, and what to write instead; None where nothing is against it."""
    settings, count = regime.settings, backbone.blocks
    if not isinstance(settings, TrainingSettings) or count is None:
        return None
    asked = [number for number in (settings.first_block, settings.cut_after) if number is not None]
    beyond = next((number for number in asked if not 0 <= number < count), None)
    if beyond is None:
        return None
    return no_block(backbone.name, count, beyond), _instead(regime.name, beyond, count - 1)


def no_block(name: str, count: int, number: int) -> str:
    """'dino_vitb16 has 12 blocks, 0 to 11; it has no block 12'."""
    those = "0" if count == 1 else f"0 to {count - 1}"
    return f"{name} has {counted(count, 'block')}, {those}; it has no block {number}"


def _instead(regime: str, number: int, last: int) -> str:
    for word in BEFORE_A_BLOCK:
        if f"{word}{number}" in regime:
            return f"write {regime.replace(f'{word}{number}', f'{word}<k>', 1)} with k from 0 to {last}"
    return f"register regime {regime} with a block from 0 to {last}"
