"""Features of augmented views, in the feature store: what a head is trained on where its backbone does not learn.

A view of the training side is every image of it as one epoch of a recipe shows it, drawn at seed 0 whatever the
training's seed: all seeds of a regime, and all heads, learn from the same views. Validation and test sides are seen
once, as every recipe shows them: stretched, and their centre cut out. One forward pass gives the pooled embedding and
the tokens; both are kept where tokens are asked for.

An entry is one file that every process maps, a row of float32 per image: the embedding, then its tokens. While it is
built it lies beside the entry's place, where a killed run leaves it for the next to go on with.

Legend: N images of a view, D features, T tokens, E a token's width, W numbers of a row.
"""

import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pytest_fmtransfer.backbones.computing import computing
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.data.augmentations import NONE, Recipe
from pytest_fmtransfer.data.chunks import PIXELS, GrowingArray, is_sound, take_apart, taken
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.images import check_room
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION
from pytest_fmtransfer.data.transforms import Shown
from pytest_fmtransfer.features import FeatureKey, feature_key
from pytest_fmtransfer.limits import cores
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.printable import inline
from pytest_fmtransfer.progress import progress
from pytest_fmtransfer.store import CorruptEntry, Store
from pytest_fmtransfer.view_keys import Kept, kinds_of, view_key
from pytest_fmtransfer.viewing import Viewer, viewer_of
from pytest_fmtransfer.words import counted

KIND = "features"
SEED = 0  # of what chance does to a stored view
ABOUT = "about.json"


@dataclass(frozen=True, kw_only=True)
class View:
    """Features of the rows of a dataset, mapped from disk: N × D, and N × T × E where tokens were asked for.

    `forward_passes` were made when the view was computed and took `seconds`, augmentation included where the backbone
    had to wait for it.
    """

    pooled_ND: np.ndarray
    tokens_NTE: np.ndarray | None
    forward_passes: int
    seconds: float

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self.pooled_ND.nbytes + (0 if self.tokens_NTE is None else self.tokens_NTE.nbytes)


@dataclass(frozen=True, kw_only=True)
class Views:
    """The views of a dataset that a backbone, cut off after a block where one is named, has under a recipe."""

    dataset: Dataset
    spec: BackboneSpec
    dtype: Dtype
    places: Places
    recipe: Recipe
    kept: Kept
    cut_after: int | None = None
    loaders: int = cores()

    def training(self, views: int) -> tuple[View, ...]:
        """So many views of the training side, each in the order of the table.

        Raises Unavailable, CheckpointMismatch, UnreadableImage and InvalidInput as their makers do, and StorageError,
        with the figure, when the disk cannot hold them.
        """
        numbers = range(views)
        self._check_room(numbers)
        return tuple(self._load(number) for number in numbers)

    def evaluation(self) -> tuple[View, int]:
        """The validation side and then the test side, and how many images the validation side has. Raises likewise."""
        self._check_room([None])
        return self._load(None), len(self.dataset.table.side(VALIDATION))

    def key(self, view: int | None, kept: Kept) -> str:
        """What an entry of the feature store is found under; `view` None is that of validation and test side."""
        return view_key(
            self._features, self.recipe, size=self.spec.image_size, cut_after=self.cut_after, kept=kept, view=view
        )

    @cached_property
    def _features(self) -> FeatureKey:
        return feature_key(self.dataset, self.spec, self.dtype, self.places)

    @property
    def _by_chance(self) -> bool:
        """Whether one view differs from another."""
        return self.recipe != NONE

    @cached_property
    def viewer(self) -> Viewer:
        """The backbone in front of the images. Raises as `training` does."""
        images = len(self.dataset.table.side(TRAIN))
        return viewer_of(
            self.dataset,
            self.spec,
            self.dtype,
            self.places,
            self.recipe,
            cut_after=self.cut_after,
            images=images,
            loaders=self.loaders,
        )

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        """D, T and E, as a batch of blanks has them."""
        with computing(self.dtype, self.places.device, self.places.deterministic, self.places.card):
            pooled_BD, tokens_BTE = self.viewer.forward(self.viewer.blank())
        return pooled_BD.shape[1], tokens_BTE.shape[1], tokens_BTE.shape[2]

    @property
    def _width(self) -> int:
        features, tokens, width = self._shape
        return features + (tokens * width if self.kept == "tokens" else 0)

    def _rows(self, view: int | None) -> np.ndarray:
        table = self.dataset.table
        return np.concatenate([table.side(name) for name in ((VALIDATION, TEST) if view is None else (TRAIN,))])

    def _check_room(self, views: Sequence[int | None]) -> None:
        store = Store(root=self.places.store)
        keys = {self.key(view, self.kept): view for view in views if self._found(store, view) is None}
        if keys:
            what = f"features of {self.spec.name} on {self.dataset.spec.name}, {counted(len(keys), 'view')}"
            bytes_of_rows = 4 * self._width * sum(len(self._rows(view)) for view in keys.values())
            there = sum(taken(_growing(store, key)) for key in keys)
            check_room(what, bytes_of_rows - there, self.places.store)

    def _found(self, store: Store, view: int | None) -> Path | None:
        """An entry that holds what is asked for, and perhaps more."""
        for kept in kinds_of(self.kept):
            entry = store.load(KIND, self.key(view, kept))
            if entry is not None and is_sound(entry):
                return entry
        return None

    def _load(self, view: int | None) -> View:
        store = Store(root=self.places.store)
        entry = self._found(store, view) or self._computed(store, view)
        rows_NW = np.load(entry / PIXELS, mmap_mode="r", allow_pickle=False).view(np.float32)
        about = json.loads((entry / ABOUT).read_text(encoding="utf-8"))
        features, tokens, width = about["shape"]
        return View(
            pooled_ND=rows_NW[:, :features],
            tokens_NTE=rows_NW[:, features:].reshape(len(rows_NW), tokens, width) if self.kept == "tokens" else None,
            forward_passes=about["forward_passes"],
            seconds=about["seconds"],
        )

    def _computed(self, store: Store, view: int | None) -> Path:
        key = self.key(view, self.kept)
        growing = _growing(store, key)
        place = store.place(KIND, key)
        if place.exists() and store.load(KIND, key) is not None:  # its bytes are not those that were written
            warnings.warn(inline(f"store entry {place} is corrupt; what is damaged is computed again"), stacklevel=2)
            with store.locked(KIND, key, key):
                if place.exists() and not is_sound(place):  # nobody else has mended it
                    take_apart(place, growing)
        entry, computed = store.fetch(
            KIND,
            key,
            lambda entry: self._build(view, growing, entry),
            about={
                "backbone": self.spec.name,
                "dataset": self.dataset.spec.name,
                "recipe": self.recipe.name,
                "view": "validation and test" if view is None else view,
            },
            unlisted=(PIXELS,),
        )
        if not is_sound(entry, known=computed):
            raise CorruptEntry(f"store entry {entry} is corrupt again; look at the disk, or name another store")
        return entry

    def _build(self, view: int | None, growing: Path, entry: Path) -> None:
        rows_N, width = self._rows(view), self._width
        array = GrowingArray(growing, (len(rows_N), 4 * width))
        todo, written_NW = array.todo, array.rows_N.view(np.float32)
        shown = None if view is None else Shown(epoch=view, seed=SEED)
        name = "validation and test" if view is None else f"view {view + 1}" if self._by_chance else "training"
        started = time.perf_counter()
        features = self._shape[0]
        with (
            computing(self.dtype, self.places.device, self.places.deterministic, self.places.card),
            progress(f"{self.spec.name} {name}", total=len(todo), unit="image") as bar,
        ):
            for start, pooled_BD, tokens_BTE in self.viewer.see([int(rows_N[at]) for at in todo], shown):
                places = todo[start : start + len(pooled_BD)]
                written_NW[places, :features] = pooled_BD.cpu().numpy()
                if self.kept == "tokens":
                    written_NW[places, features:] = tokens_BTE.flatten(1).cpu().numpy()
                for at in places:
                    array.finished(at)
                bar.update(len(places))
        seconds = time.perf_counter() - started
        del written_NW
        array.close_into(entry)
        about = {"shape": self._shape, "forward_passes": len(todo), "seconds": seconds}
        (entry / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _growing(store: Store, key: str) -> Path:
    """Where an entry is while it is built."""
    return store.place(KIND, key).with_name(f"{key}.partial")
