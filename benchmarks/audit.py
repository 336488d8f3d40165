"""How well the audit finds what is planted: the figures of docs/audit.md.

    python benchmarks/audit.py planted [--seeds N]
    python benchmarks/audit.py limits [--seeds N]

`planted`: copies are planted among the images of br35h, of which no two are one scan (benchmarks/br35h_groups.py).
Each seed draws a split of its own and, for every way of copying, 0.5 % of the images; half of the copies are put on
another side than the original and half on the same. As many patients are put on two sides, and as many copies are
given the other label. What is flagged is then held against what was planted, image by image. `limits`: the same with
copies that are worse and worse.
"""

import argparse
import io
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy.stats import binomtest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.copies import Copy, exact_copies
from pytest_fmtransfer.data.dataset import Dataset, open_dataset, pictures_of
from pytest_fmtransfer.data.descriptors import describe
from pytest_fmtransfer.data.findings import patients_on_two_sides, small_classes
from pytest_fmtransfer.data.likeness import limits
from pytest_fmtransfer.data.near_copies import near_copies
from pytest_fmtransfer.data.splits import stratified_split
from pytest_fmtransfer.data.table import TEST, TRAIN, VALIDATION, Table
from pytest_fmtransfer.places import Places

PREVALENCE = 0.005
SIDES = (TRAIN, VALIDATION, TEST)
KINDS = (
    *(f"{degree} {kind}" for degree in ("exact", "near") for kind in ("across", "beside", "conflict")),
    "patients",
)

Change = Callable[[Image.Image, random.Random], Image.Image]


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def brightened(image: Image.Image, factor: float) -> Image.Image:
    return image.point([min(255, round(grey * factor)) for grey in range(256)] * len(image.getbands()))


def cropped(image: Image.Image, share: float, chance: random.Random) -> Image.Image:
    """`share` of the width and of the height cut off, divided by chance between both ends."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def everything(image: Image.Image, chance: random.Random) -> Image.Image:
    turned = image.transpose(chance.choice(list(Image.Transpose)))
    small = resized(cropped(turned, 0.02, chance), chance.uniform(0.6, 1.2))
    return recompressed(brightened(small, chance.uniform(0.8, 1.2)), chance.randint(50, 80))


CHANGES: Mapping[str, Change] = {
    "same pixels, another format": lambda image, _: image,
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "upside down": lambda image, _: ImageOps.flip(image),
    "turned by 90°": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180°": lambda image, _: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 270°": lambda image, _: image.transpose(Image.Transpose.ROTATE_270),
    "JPEG quality 30 to 75": lambda image, chance: recompressed(image, chance.randint(30, 75)),
    "resized by 0.5 to 1.5": lambda image, chance: resized(image, chance.uniform(0.5, 1.5)),
    "brightness by 0.75 to 1.25": lambda image, chance: brightened(image, chance.uniform(0.75, 1.25)),
    "up to 4 % cropped": lambda image, chance: cropped(image, chance.uniform(0.01, 0.04), chance),
    "all of these at once": everything,
}
LIMITS: Mapping[str, Change] = {
    **{f"JPEG quality {q}": lambda image, _, q=q: recompressed(image, q) for q in (20, 10, 5)},
    **{f"resized by {f}": lambda image, _, f=f: resized(image, f) for f in (0.4, 0.3, 0.2)},
    **{f"brightness by {f}": lambda image, _, f=f: brightened(image, f) for f in (0.5, 1.5, 2)},
    **{f"{s} % cropped": lambda image, chance, s=s: cropped(image, s / 100, chance) for s in (4, 6, 8, 10, 15)},
    **{f"turned by {a}°": lambda image, _, a=a: image.rotate(a, Image.Resampling.BICUBIC) for a in (1, 2, 3, 5)},
    "negative": lambda image, _: ImageOps.invert(image),
}


@dataclass(kw_only=True)
class Planting:
    """A copy of the ground with what is planted into it; rows of `truth` are images."""

    dataset: Dataset
    truth: dict[str, set[int]]
    plants: list[tuple[str, int, int]]  # how, original, copy


@dataclass
class Score:
    right: int = 0
    flagged: int = 0
    planted: int = 0

    def add(self, flagged: set[int], planted: set[int]) -> None:
        self.right += len(flagged & planted)
        self.flagged += len(flagged)
        self.planted += len(planted)


def pairs_of(dataset: Dataset) -> list[Copy]:
    """Every exact and near copy that the audit finds."""
    with tempfile.TemporaryDirectory() as scratch:
        described = describe(dataset, Path(scratch))
        near = near_copies(described, dataset.table, limits(described))
        return exact_copies(described.contents_N, dataset.table) + near


def rows_of(table: Table, rows: np.ndarray) -> Table:
    return Table(**{name: getattr(table, name)[rows] for name in Table.__dataclass_fields__})


def plant(base: Dataset, seed: int, changes: Mapping[str, Change], folder: Path) -> Planting:
    """Copies in every way, on another side and on the same in turn, copies under another label, and patients."""
    chance, count = random.Random(seed), max(2, round(PREVALENCE * len(base.table.ids_N)))
    ways: dict[str, Change | None] = {"same file": None, **changes}
    ways |= {"same file, other label": None, "mirrored, other label": lambda image, _: ImageOps.mirror(image)}
    ids, labels = base.table.ids_N.tolist(), base.table.labels_N.tolist()
    sides = stratified_split(base.table.labels_N, validation=0.2, test=0.4, seed=seed).tolist()
    patients = [f"patient{row}" for row in range(len(ids))]
    truth: dict[str, set[int]] = {kind: set() for kind in KINDS}
    plants: list[tuple[str, int, int]] = []
    drawn = chance.sample(range(len(ids)), count * (len(ways) + 4))
    # The rest are for patients, whose second image must be on another side.
    originals = chain(drawn, sorted(set(range(len(ids))) - set(drawn)))
    (folder / "planted").mkdir()
    for name in ids.copy():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(base.folder / name)
    for how, change in ways.items():
        for number in range(count):
            original, row = next(originals), len(ids)
            ids.append(f"planted/{row}.png" if change else f"planted/{row}.jpg")
            if change:
                with Image.open(base.folder / ids[original]) as image:
                    change(image.convert("RGB"), chance).save(folder / ids[row])
            else:
                shutil.copy(base.folder / ids[original], folder / ids[row])
            other_label, across = how.endswith("other label"), number % 2 == 0
            labels.append(1 - labels[original] if other_label else labels[original])
            other_sides = [side for side in SIDES if side != sides[original]]
            sides.append(chance.choice(other_sides) if across else sides[original])
            patients.append(f"patient{row}")
            degree = "exact" if how.startswith("same") else "near"
            truth[f"{degree} {'across' if across else 'beside'}"] |= {original, row}
            truth[f"{degree} conflict"] |= {original, row} if other_label else set()
            plants.append((how, original, row))
    for one in [next(originals) for _ in range(count)]:
        other = next(row for row in originals if sides[row] != sides[one])
        patients[other] = patients[one]
        truth["patients"] |= {one, other}
    table = Table(
        ids_N=np.array(ids),
        labels_N=np.array(labels),
        patients_N=np.array(patients),
        split_N=np.array(sides),
        found=len(ids),
    )
    pictures = pictures_of(base.spec, folder, table)
    return Planting(dataset=replace(base, folder=folder, table=table, pictures=pictures), truth=truth, plants=plants)


def flagged(planting: Planting) -> tuple[dict[str, set[int]], set[frozenset[int]]]:
    """Images by kind of finding, and the pairs of copies."""
    table, copies = planting.dataset.table, pairs_of(planting.dataset)

    def images(degree: str, differ_in: np.ndarray, *, differ: bool) -> set[int]:
        return {
            row
            for copy in copies
            if (copy.likeness == 1) == (degree == "exact")
            and (differ_in[copy.first] != differ_in[copy.second]) == differ
            for row in (copy.first, copy.second)
        }

    found: dict[str, set[int]] = {}
    for degree in ("exact", "near"):
        found[f"{degree} across"] = images(degree, table.split_N, differ=True)
        found[f"{degree} beside"] = images(degree, table.split_N, differ=False)
        found[f"{degree} conflict"] = images(degree, table.labels_N, differ=True)
    finding = patients_on_two_sides(table)
    leaked = [example.partition(":")[0] for example in finding.examples] if finding else []
    found["patients"] = set(np.flatnonzero(np.isin(table.patients_N, leaked)).tolist())
    return found, {frozenset((copy.first, copy.second)) for copy in copies}


def small_class(base: Dataset, seed: int, score: Score) -> None:
    """One class is left with a number of test patients by chance, up to 40."""
    chance = random.Random(seed)
    label, left = chance.randrange(2), chance.randint(1, 40)
    table = replace(base.table, split_N=stratified_split(base.table.labels_N, validation=0.2, test=0.4, seed=seed))
    of_class = np.flatnonzero((table.split_N == TEST) & (table.labels_N == label))
    kept = np.setdiff1d(np.arange(len(table.ids_N)), of_class[left:])
    findings = small_classes(rows_of(table, kept), base.spec.classes)
    score.add({1 for finding in findings if finding.kind == "class_too_small"}, {1} if left < 20 else set())


def share(right: int, of: int) -> str:
    if not of:
        return "-"
    interval = binomtest(right, of).proportion_ci(method="exact")
    return f"{right}/{of} = {right / of:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def planted_and_found(changes: Mapping[str, Change], seeds: int) -> None:
    base = open_dataset(Registry().dataset("br35h"), Places.from_environment())
    scores: dict[str, Score] = {}
    planted: Counter[str] = Counter()
    found_by_way: Counter[str] = Counter()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            planting = plant(base, seed, changes, Path(folder))
            found, pairs = flagged(planting)
        ids: list[str] = planting.dataset.table.ids_N.tolist()
        for pair in pairs - {frozenset(pair) for _, *pair in planting.plants}:
            print(f"seed {seed}: not planted: {' and '.join(ids[row] for row in pair)}")
        for kind, truth in planting.truth.items():
            scores.setdefault(kind, Score()).add(found[kind], truth)
        small_class(base, seed, scores.setdefault("class too small", Score()))
        planted.update(how for how, _, _ in planting.plants)
        found_by_way.update(how for how, *pair in planting.plants if frozenset(pair) in pairs)
    print(f"{seeds} seeds; 95 % intervals (Clopper and Pearson)\n")
    print(f"{'flagged as':22}{'precision':38}recall")
    for kind, score in scores.items():
        print(f"{kind:22}{share(score.right, score.flagged):38}{share(score.right, score.planted)}")
    print(f"\n{'copies that are':30}found")
    for how, number in planted.items():
        print(f"{how:30}{share(found_by_way[how], number)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", choices=("planted", "limits"))
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    planted_and_found(CHANGES if arguments.figures == "planted" else LIMITS, arguments.seeds)


if __name__ == "__main__":
    main()
