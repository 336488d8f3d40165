"""What training by gradient takes, told from a regime's settings: steps, stored views, and passes of frozen parts.

As `adapt.frozen` and `adapt.finetune` have it. Told without importing torch.
"""

from pytest_fmtransfer.adapt.order import steps_of
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION


def steps_of_training(settings: TrainingSettings, dataset: Dataset) -> int:
    """Of one seed; every point of a sweep makes them together."""
    return settings.epochs * steps_of(len(dataset.table.side(TRAIN)), settings.batch)


def stored_views(settings: TrainingSettings) -> tuple[int | None, ...]:
    """The views whose features are stored, None for that of validation and test side; none where a backbone learns."""
    return (None, *range(settings.stored_views)) if settings.trained == "head" else ()


def rows_of_view(dataset: Dataset, view: int | None) -> int:
    """How many images it shows."""
    return sum(len(dataset.table.side(side)) for side in ((VALIDATION, TEST) if view is None else (TRAIN,)))


def passes_beside(settings: TrainingSettings, dataset: Dataset, *, seeds: int) -> int:
    """Images that pass through what does not learn without being kept in the store.

    Each step's, where a frozen backbone sees a new view in every epoch; each image once, where blocks before the first
    that learns see no augmentation.
    """
    if settings.trained == "head":
        if not settings.sees_anew:
            return 0
        learnt = len(dataset.table.side(TRAIN))
        return seeds * steps_of_training(settings, dataset) * min(settings.batch, learnt)
    return len(dataset.table.ids_N) if settings.recipe == "none" and settings.first_block else 0
