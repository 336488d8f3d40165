"""How the learning rate goes: up in a line, then constant (Palés Huix et al. 2024)."""

from pytest_fmtransfer.catalog.regime_settings import TrainingSettings


def warm_up_of(settings: TrainingSettings, steps_of_epoch: int) -> int:
    """Over how many steps the rate rises: `warm_up_steps`, or so many epochs."""
    return settings.warm_up_steps or round(settings.warm_up_epochs * steps_of_epoch)


def share_of_rate(step: int, warm_up: int) -> float:
    """The part of the full rate at which a step is made; steps count from 0.

    The first step of W is made at 1/W of the rate, the last of them and all that follow at the full rate.
    """
    return 1.0 if step >= warm_up else (step + 1) / warm_up
