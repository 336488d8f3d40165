"""What cells would take whose weights or data are absent: steps of training, images, passes and room for pictures.

By the sizes that the catalogue expects of a dataset, and the settings of the regime under the profile. How long it
takes nobody can say of a network that has never run here.
"""

from dataclasses import dataclass

from pytest_fmtransfer.catalog.expected import Expected
from pytest_fmtransfer.catalog.regime_settings import RegimeSettings, TrainingSettings
from pytest_fmtransfer.catalog.specs import SHUFFLED, BackboneSpec, DatasetSpec, NoWeights
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.data.augmentations import recipe_named
from pytest_fmtransfer.training_costs import Counts, passes_beside, rows_of_view, steps_of_training, stored_views


@dataclass(frozen=True, kw_only=True)
class ExpectedCost:
    """Of one cell, all seeds, where the cells before it have been measured.

    `trained_images` pass forward and backward through a network that learns, `forward_passes` forward alone through one
    that does not; those of validation and test in each epoch are in neither. `bytes` are those of the pictures that are
    decoded and kept, and no features. `source` says where the sizes are from.
    """

    training_steps: int
    trained_images: int
    forward_passes: int
    bytes: int
    source: str


class ExpectedWalk:
    """Goes through absent cells, and knows what the store would hold after each."""

    def __init__(self) -> None:
        self._coming: set[tuple[object, ...]] = set()

    def on(
        self,
        cell: Cell,
        spec: BackboneSpec,
        settings: RegimeSettings,
        seeds: int,
        dataset: DatasetSpec,
        sizes: Expected,
    ) -> ExpectedCost:
        """What the next cell adds; `spec` and `settings` are the backbone's and the regime's under the profile."""
        counts = Counts(train=sizes.train, validation=sizes.validation, test=sizes.test)
        pictures = dataset.name.removesuffix(f".{SHUFFLED}")  # labels are shuffled, and no picture
        steps = trained = passes = 0
        side = spec.image_size
        if isinstance(settings, TrainingSettings):
            recipe = recipe_named(settings.recipe).at(spec.image_size)
            side = recipe.resize
            steps = seeds * steps_of_training(settings, counts)
            if settings.trained != "head":
                trained = steps * min(settings.batch, counts.train)
            kind = (pictures, cell.backbone, settings.recipe, settings.cut_after, settings.head_takes)
            passes = sum(rows_of_view(counts, view) for view in stored_views(settings) if self._is_new((*kind, view)))
            passes += passes_beside(settings, counts, seeds=seeds)
        elif not isinstance(spec.weights, NoWeights) and self._is_new((pictures, cell.backbone)):
            passes = counts.images
        kept = spec.is_network and self._is_new(("pictures", pictures, side))
        return ExpectedCost(
            training_steps=steps,
            trained_images=trained,
            forward_passes=passes,
            bytes=counts.images * side**2 * dataset.stored_channels if kept else 0,
            source=sizes.source,
        )

    def _is_new(self, key: tuple[object, ...]) -> bool:
        known = key in self._coming
        self._coming.add(key)
        return not known
