"""Cells that can never run: a backbone without the blocks, the layers or the text tower that a regime takes.

What is told here is what rows tell, before anything is opened or built; a row that does not say what its network has
speaks against nothing.
"""

from collections.abc import Sequence

from pytest_fmtransfer.catalog.possible import impossible, most_room
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings, ZeroShotSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.catalog.specs import BackboneSpec, NoWeights
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.text_places import never_reads


def never_runs(backbone: BackboneSpec, regime: RegimeSpec) -> Missing | None:
    """Why a regime cannot run on a backbone, whatever is put in place, as far as their rows tell; else None."""
    settings = regime.settings
    if isinstance(settings, ZeroShotSettings):
        return never_reads(backbone)
    if (told := impossible(backbone, regime)) is not None:
        return Missing(reason=told[0], remedy=told[1])
    if isinstance(settings, TrainingSettings) and isinstance(backbone.weights, NoWeights):
        return Missing(
            reason=f"{backbone.name} has no network to put a head on",
            remedy=f"choose a regime on pooled features: {backbone.name} runs under knn, linear_probe and ridge",
        )
    return None


def nobody_runs(regime: RegimeSpec, backbones: Sequence[BackboneSpec]) -> Missing | None:
    """Why a regime can run on none of some backbones: what is told of the one that comes nearest; else None."""
    if not backbones or not all(never_runs(row, regime) for row in backbones):
        return None
    return never_runs(most_room(regime, backbones), regime)
