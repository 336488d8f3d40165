"""What training by gradient takes, told from a regime's settings: steps, stored views, and passes of frozen parts.

As `adapt.frozen` and `adapt.finetune` have it. Told without importing torch.
"""

from dataclasses import dataclass

from pytest_fmtransfer.adapt.order import steps_of
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Images of each side."""

    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, dataset: Dataset) -> "Counts":
        train, validation, test = (len(dataset.table.side(side)) for side in (TRAIN, VALIDATION, TEST))
        return cls(train=train, validation=validation, test=test)

    @property
    def images(self) -> int:
        return self.train + self.validation + self.test


def steps_of_training(settings: TrainingSettings, counts: Counts) -> int:
    """Of one seed; every point of a sweep makes them together."""
    return settings.epochs * steps_of(counts.train, settings.batch)


def stored_views(settings: TrainingSettings) -> tuple[int | None, ...]:
    """The views whose features are stored, None for that of validation and test side; none where a backbone learns."""
    return (None, *range(settings.stored_views)) if settings.trained == "head" else ()


def rows_of_view(counts: Counts, view: int | None) -> int:
    """How many images it shows."""
    return counts.validation + counts.test if view is None else counts.train


def passes_beside(settings: TrainingSettings, counts: Counts, *, seeds: int) -> int:
    """Images that pass through what does not learn without being kept in the store.

    Each step's, where a frozen backbone sees a new view in every epoch; each image once, where blocks before the first
    that learns see no augmentation.
    """
    if settings.trained == "head":
        if not settings.sees_anew:
            return 0
        return seeds * steps_of_training(settings, counts) * min(settings.batch, counts.train)
    return counts.images if settings.recipe == "none" and settings.first_block else 0
