"""Images as a recipe shows them, through a backbone that does not learn: threads augment while batches are computed.

The images come from the image store, stretched by Pillow's bicubic filter to the recipe's `resize` pixels, so that
the recipe's own stretching finds nothing left to do. The released code of Palés Huix et al. 2024 stretches with
torchvision's default there, the bilinear filter; both antialias. Every later step is the recipe's.

Legend: N images of a dataset, B images of a batch, C channels, S pixels of a crop's side, D features, T tokens, E a
token's width.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.building import build_backbone
from pytest_fmtransfer.backbones.computing import computing, torch_device
from pytest_fmtransfer.backbones.pace import pace_of
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.data.augmentations import Recipe
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.framing import framing_under
from pytest_fmtransfer.data.images import load_images
from pytest_fmtransfer.data.transforms import Shown, shown
from pytest_fmtransfer.features import subject_of
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store
from pytest_fmtransfer.work import count_passes


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """A backbone in front of a dataset's images; `recipe` is that for images of its size."""

    backbone: Backbone
    recipe: Recipe
    pixels: np.ndarray
    ids: Sequence[str]
    batch: int
    dtype: Dtype
    loaders: int

    def see(self, rows: Sequence[int], by: Shown | None) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Of each batch of the rows, in their order: where it begins among them, pooled features B × D and tokens
        B × T × E, both float32 and on the backbone's device.

        `by` None: as validation and test images are shown. To be called within `computing`; forward passes are
        counted.
        """
        starts = deque(range(0, len(rows), self.batch))
        coming: deque[tuple[int, Future[Tensor]]] = deque()
        with ThreadPoolExecutor(self.loaders) as pool:
            while starts or coming:
                while starts and len(coming) <= self.loaders:
                    start = starts.popleft()
                    chosen = rows[start : start + self.batch]
                    coming.append((start, pool.submit(self._images, chosen, by)))
                start, images = coming.popleft()
                pooled_BD, tokens_BTE = self.forward(images.result())
                there = len(rows[start : start + self.batch])
                count_passes(there)
                yield start, pooled_BD[:there], tokens_BTE[:there]

    def forward(self, images_BCSS: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features and tokens, float32, of images in [0, 1]."""
        mean, std = self.backbone.mean, self.backbone.std
        features = self.backbone((images_BCSS.to(mean.device, non_blocking=True) - mean) / std)
        return features.pooled_ND.float(), features.tokens_NTE.float()

    def blank(self) -> Tensor:
        """A batch that shows nothing."""
        channels = 1 if self.pixels.ndim == 3 else 3
        return torch.zeros(self.batch, channels, self.recipe.crop, self.recipe.crop)

    def _images(self, rows: Sequence[int], by: Shown | None) -> Tensor:
        """In [0, 1]. The last batch is filled up with blanks: kernels are chosen by a batch's size, and its pictures
        must not be computed another way."""
        images_BCSS = self.blank()
        images_BCSS[: len(rows)] = shown(self.pixels, np.asarray(rows), self.recipe, ids=self.ids, by=by)
        return images_BCSS.pin_memory() if self.backbone.mean.is_cuda else images_BCSS


def viewer_of(
    dataset: Dataset,
    spec: BackboneSpec,
    dtype: Dtype,
    places: Places,
    recipe: Recipe,
    *,
    cut_after: int | None = None,
    images: int,
    loaders: int,
) -> Viewer:
    """The backbone with its weights, cut off after a block where one is named, in front of the dataset's images.

    `images` is how many are to be passed: for many, the pace is measured. `loaders` threads read and
    augment. Raises Unavailable and CheckpointMismatch as weights and devices do, InvalidInput for a block that the
    backbone does not have, UnreadableImage and DatasetError as images do.
    """
    recipe = recipe.at(spec.image_size)
    pixels = load_images(dataset, recipe.resize, places, framing_under(spec, recipe))
    device = torch_device(places.device, places.card)
    backbone = build_backbone(spec, places, cut_after=cut_after).to(device)
    with computing(dtype, places.device, places.deterministic, places.card):
        about = {**subject_of(spec, dtype, places), "cut_after": cut_after, "threads": torch.get_num_threads()}
        pace = pace_of(backbone, spec.image_size, images, about, Store(root=places.store))
    return Viewer(
        backbone=backbone,
        recipe=recipe,
        pixels=pixels,
        ids=dataset.table.ids_N.tolist(),
        batch=pace.batch,
        dtype=dtype,
        loaders=loaders,
    )
