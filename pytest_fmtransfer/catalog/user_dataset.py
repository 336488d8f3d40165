"""A dataset that a user names in one line, `NAME=folder:DIR[,key=value…]` or `NAME=table:FILE,label=COLUMN[,key=…]`, or
in a conftest by `own_folder` and `own_table`, becomes a row of the catalogue.

Its classes, and with them its metric, are found by a light reading when the row is made: names of folders, or one pass
over the table. Data that are not there make a row too, whose cells are skipped.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack, get_args

from pytest_fmtransfer.catalog.prompts import Prompts
from pytest_fmtransfer.catalog.specs import DatasetSpec, FindingKind, Intensity, Metric, UserFolder, is_intensity
from pytest_fmtransfer.catalog.user_dataset_keys import DEFAULTS, KEYS, OF_TABLES, Channels, Links, Uncertain, checked
from pytest_fmtransfer.cell import check_name
from pytest_fmtransfer.errors import DatasetError, InvalidInput, nearest, path_of

Reader = Literal["folder", "table"]
READERS: tuple[Reader, ...] = get_args(Reader)
FORM = (
    "write NAME=folder:DIR[,key=value…] or NAME=table:FILE,label=COLUMN[,key=value…], as in mine=folder:./images or "
    "mine=table:scans.csv,label=diagnosis,patient=patient_id"
)
MARGIN, MARGIN_REASON = 0.02, "the default; nobody chose it for these data"
TWO_CLASSES: tuple[Metric, ...] = ("roc_auc", "average_precision")
OF_SCALES: tuple[Metric, ...] = ("quadratic_kappa", "linear_kappa")
SEVERAL_LABELS: tuple[Metric, ...] = ("mean_roc_auc",)


class FolderKeys(TypedDict, total=False):
    """What may be said of any dataset of one's own.

    `classes` in the order of a scale, or with the class to detect last; `ordered`: they are a scale. `validation` and
    `test` are shares of each class where no split is given. `margin` in the metric's unit. `mean` and `std`, for values
    in [0, 1], normalise every backbone's input. `links="follow"`: links that lead out of the folder are read too.
    `intensity`, `hidden_share`, `acknowledged` and `prompts`: see DatasetSpec.
    """

    classes: tuple[str, ...]
    ordered: bool
    validation: float
    test: float
    metric: Metric
    margin: float
    margin_reason: str
    hidden_share: float
    channels: Channels
    mean: tuple[float, ...]
    std: tuple[float, ...]
    links: Links
    intensity: Intensity
    acknowledged: Mapping[FindingKind, str]
    prompts: Prompts


class TableKeys(FolderKeys, total=False):
    """What may be said of a table besides: its columns, and where and how its images are named.

    One of `label` and `labels` is needed. `uncertain` is what blank and -1 mean in `labels`.
    """

    label: str
    labels: tuple[str, ...]
    image: str
    patient: str
    split: str
    suffix: str
    root: str | os.PathLike[str]
    uncertain: Uncertain


def own_folder(name: str, folder: str | os.PathLike[str], **keys: Unpack[FolderKeys]) -> DatasetSpec:
    """The row of a folder with one sub-folder per class, or train, val and test with one per class in each.

    Raises InvalidInput for keys that contradict each other and for a folder that is laid out otherwise; one that is not
    there makes a row too, whose cells are skipped.
    """
    where = path_of(folder, "own_folder(name, folder)")
    return UserDataset(name=name, reader="folder", path=where, **checked(keys, FolderKeys.__annotations__)).row


def own_table(name: str, file: str | os.PathLike[str], **keys: Unpack[TableKeys]) -> DatasetSpec:
    """The row of a CSV or Parquet file that names an image in each row. Raises as `own_folder` does."""
    where = path_of(file, "own_table(name, file)")
    known = FolderKeys.__annotations__ | TableKeys.__annotations__
    return UserDataset(name=name, reader="table", path=where, **checked(keys, known)).row


@dataclass(frozen=True, kw_only=True)
class UserDataset:
    """What the line says. `str` gives the line again; `row` is the dataset's row."""

    name: str
    reader: Reader
    path: Path
    label: str = ""
    labels: tuple[str, ...] = ()
    image: str = ""
    patient: str = ""
    split: str = ""
    suffix: str = ""
    root: Path | None = None
    uncertain: Uncertain | None = None
    links: Links | None = None
    classes: tuple[str, ...] = ()
    ordered: bool = False
    validation: float | None = None
    test: float | None = None
    metric: Metric | None = None
    margin: float | None = None
    margin_reason: str = ""
    hidden_share: float | None = None
    channels: Channels = 3
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    intensity: Intensity = "image"
    acknowledged: Mapping[FindingKind, str] = field(default_factory=dict[FindingKind, str])
    prompts: Prompts | None = None

    def __post_init__(self) -> None:
        for wrong, what in self._contradictions():
            if wrong:
                raise InvalidInput(what)
        check_name("dataset", self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidInput for a line that cannot be used, with what to write."""
        first, *options = text.split(",")
        name, equals, origin = first.partition("=")
        reader, colon, path = origin.partition(":")
        if not equals or not colon or not path:
            raise InvalidInput(FORM)
        check_name("dataset", name)
        if reader not in READERS:
            raise InvalidInput(f"no kind of dataset {reader!r}; {nearest(reader, READERS)}")
        known = {key: KEYS[key] for key in KEYS if reader == "table" or key not in OF_TABLES}
        given: dict[str, Any] = {}
        for option in options:
            key, equals, value = option.partition("=")
            if key not in known:
                hint = "" if equals else " (a comma cannot stand in a name here)"
                raise InvalidInput(f"no option {key!r} of a {reader}; {nearest(key, known)}{hint}")
            if key in given:
                raise InvalidInput(f"{key}= stands twice; give it once")
            read, form, _ = known[key]
            try:
                given[key] = read(value)
            except ValueError:
                raise InvalidInput(f"{option!r}; write {form}") from None
        return cls(name=name, reader=reader, path=Path(path), **given)

    def __str__(self) -> str:
        parts = [f"{self.name}={self.reader}:{self.path}"]
        for key, (_, _, told) in KEYS.items():
            value = getattr(self, key)
            if value not in (None, "", (), False) and (key, value) not in DEFAULTS:
                parts.append(f"{key}={told(value)}")
        return ",".join(parts)

    @property
    def given(self) -> Path:
        """What the user names, in full."""
        return self.path.expanduser().absolute()

    @property
    def is_here(self) -> bool:
        return self.given.is_dir() if self.reader == "folder" else self.given.is_file()

    @property
    def row(self) -> DatasetSpec:
        """Raises InvalidInput for data that are here and not laid out as the line says."""
        classes = self._classes()
        return DatasetSpec(
            name=self.name,
            reader=self.reader,
            location=self._location,
            classes=classes,
            metric=self._metric(classes),
            margin=MARGIN if self.margin is None else self.margin,
            margin_reason=self.margin_reason or (MARGIN_REASON if self.margin is None else "chosen by the user"),
            expected_images=None,
            licence="the user's own",
            source=f"given by the user as {self.reader}:{self.path}",
            caveats=() if self.patient else ("no patients named: images of one patient may be on two sides",),
            patient_unit="patient" if self.patient else "image",
            options=self._options,
            acknowledged=self.acknowledged,
            channels=self.channels,
            mean=self._per_channel(self.mean),
            std=self._per_channel(self.std),
            prompts=self.prompts,
            intensity=self.intensity,
            hidden_share=self.hidden_share,
        )

    @property
    def _location(self) -> UserFolder:
        if self.reader == "folder":
            return UserFolder(path=self.given, line=str(self))
        root = self.given.parent if self.root is None else self.root.expanduser().absolute()
        return UserFolder(path=root, table=self.given, line=str(self))

    @property
    def _options(self) -> dict[str, str]:
        texts = {key: str(getattr(self, key) or "") for key in ("image", "label", "patient", "split", "suffix")}
        texts |= {"labels": "+".join(self.labels), "uncertain": self.uncertain or "", "links": self.links or ""}
        shares = {key: getattr(self, key) for key in ("validation", "test") if getattr(self, key) is not None}
        return {key: text for key, text in texts.items() if text} | {key: repr(value) for key, value in shares.items()}

    def _classes(self) -> tuple[str, ...]:
        if not self.is_here:
            return self.labels or self.classes
        # By name, as every library's module is: the catalogue stands below the modules that read data.
        reader = import_module(f"pytest_fmtransfer.data.readers.{self.reader}")
        try:
            return reader.classes(self._location, self._options, self.classes, scale=self._is_scale)
        except DatasetError as error:
            raise InvalidInput(str(error)) from error

    @property
    def _is_scale(self) -> bool:
        return self.ordered or self.metric in OF_SCALES

    def _metric(self, classes: tuple[str, ...]) -> Metric:
        if self.metric is None:
            if self.labels:
                return "mean_roc_auc"
            if self.ordered:
                return "quadratic_kappa"
            return "roc_auc" if len(classes) == 2 else "balanced_accuracy"
        if self.metric in TWO_CLASSES and classes and len(classes) != 2:
            raise InvalidInput(f"metric={self.metric} is of two classes, and {self.name} has {len(classes)}")
        return self.metric

    def _per_channel(self, numbers: tuple[float, ...] | None) -> tuple[float, ...] | None:
        channels = 3 if self.channels == 3 else 1
        return numbers * channels if numbers is not None and len(numbers) == 1 else numbers

    def _contradictions(self) -> list[tuple[bool, str]]:
        """What is wrong, and what to write; the first that holds is told."""
        table, one = self.reader == "table", self.channels != 3
        splits = [share for share in (self.validation, self.test) if share is not None]
        return [
            (table and not self.label and not self.labels, "which column is the label? say label=COLUMN"),
            (bool(self.label and self.labels), "give label= (one class an image) or labels= (several), not both"),
            (len(set(self.labels)) != len(self.labels), "labels= names a column twice"),
            (len(set(self.classes)) != len(self.classes), "classes= names a class twice"),
            (len(self.classes) == 1, "classes= names one class; two or more are needed"),
            (bool(self.labels and self.classes), "the columns of labels= are the classes; leave classes= out"),
            (bool(self.uncertain and not self.labels), "uncertain= is of the columns of labels="),
            (bool(self.split and self.test), "split= says which images are tested; leave test= out"),
            (self.ordered and bool(self.labels), "columns of labels= are no scale; leave ordered out"),
            (
                any(not 0 < share < 1 for share in splits) or sum(splits) >= 1,
                "validation= and test= are below 1 together",
            ),
            (
                self.metric is not None and self.metric not in get_args(Metric),
                f"no metric {self.metric!r}; {nearest(str(self.metric), get_args(Metric))}",
            ),
            (
                self.metric is not None and bool(self.labels) != (self.metric in SEVERAL_LABELS),
                f"metric={self.metric} does not go with {'labels' if self.labels else 'one label an image'}",
            ),
            (
                self.margin is not None and not (math.isfinite(self.margin) and self.margin > 0),
                "margin= is above 0, in the metric's unit",
            ),
            (
                self.hidden_share is not None and not 0 < self.hidden_share < 1,
                "hidden_share= is a share of a class, between 0 and 1",
            ),
            (not is_intensity(self.intensity), f"no intensity {self.intensity!r}; write {KEYS['intensity'][1]}"),
            ((self.mean is None) != (self.std is None), "give mean= and std= together"),
            (
                any(
                    len(numbers) not in (1, 1 if one else 3) for numbers in (self.mean, self.std) if numbers is not None
                ),
                f"channels={self.channels} takes one number for mean= and std={'' if one else ', or three'}",
            ),
        ]
