"""Which images of Br35H show one scan: the list that the reader goes by.

    python benchmarks/br35h_groups.py            compare with the list that is there
    python benchmarks/br35h_groups.py --write    write it

All 3,000 images are searched for copies by the audit's own search, each group so far being a side of its own, until
no image has a copy in another group. Then the first image of each group is searched again among the others, harder
than the audit searches. The list is kept with the reader, not computed when the data are opened: a likeness that lies
on its limit must not move an image, and with it the split, from one machine to another.

Legend: N images, G groups.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.copies import Copy, exact_copies
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.descriptors import describe
from pytest_fmtransfer.data.likeness import limits
from pytest_fmtransfer.data.near_copies import near_copies
from pytest_fmtransfer.data.readers.br35h import GROUPS
from pytest_fmtransfer.data.table import Table
from pytest_fmtransfer.places import Places

CANDIDATES, CANDIDATES_OF_FIRSTS = 16, 64

# Seen by eye among the pairs most alike of different groups: two contrasts of one slice, two slices of one tumour.
SEEN = (("no/no1058.jpg", "no/no1059.jpg"), ("yes/y1277.jpg", "yes/y1288.jpg"))


def copies_between(dataset: Dataset, group_N: np.ndarray, candidates: int) -> list[Copy]:
    """Copies, among them one in another group for every image that has one."""
    apart = replace(dataset, table=replace(dataset.table, split_N=group_N.astype(str)))
    with tempfile.TemporaryDirectory() as scratch:
        described = describe(apart, Path(scratch))
        return [
            *exact_copies(described.contents_N, apart.table),
            *near_copies(described, apart.table, limits(described), candidates),
        ]


def joined(group_N: np.ndarray, links: Sequence[tuple[int, int]]) -> np.ndarray:
    """Groups, numbered anew, after the groups of both rows of each link have become one."""
    groups, numbers_N = np.unique(group_N, return_inverse=True)
    ends_2K = numbers_N[np.array(links, dtype=np.int64).reshape(-1, 2).T]
    linked_GG = csr_array((np.ones(len(links)), tuple(ends_2K)), shape=(len(groups), len(groups)))
    return connected_components(linked_GG, directed=False)[1][numbers_N]


def groups_of(dataset: Dataset) -> np.ndarray:
    """A group number for every image."""
    row = {name: at for at, name in enumerate(dataset.table.ids_N.tolist())}
    group_N = joined(np.arange(len(row)), [(row[one], row[other]) for one, other in SEEN])
    for candidates, only_firsts in ((CANDIDATES, False), (CANDIDATES_OF_FIRSTS, True)):
        while True:
            rows = first_rows(group_N) if only_firsts else np.arange(len(row))
            table = Table(**{name: getattr(dataset.table, name)[rows] for name in Table.__dataclass_fields__})
            found = copies_between(replace(dataset, table=table), group_N[rows], candidates)
            links = [(int(rows[copy.first]), int(rows[copy.second])) for copy in found]
            across = sum(group_N[one] != group_N[other] for one, other in links)
            print(f"{len(first_rows(group_N))} groups, {across} copies between them", file=sys.stderr)
            if not across:
                break
            group_N = joined(group_N, links)
    return group_N


def first_rows(group_N: np.ndarray) -> np.ndarray:
    """The first row of each group, in order."""
    return np.sort(np.unique(group_N, return_index=True)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {GROUPS.name}")
    write: bool = parser.parse_args().write
    dataset = open_dataset(Registry().dataset("br35h.naive"), Places.from_environment())
    table, group_N = dataset.table, groups_of(dataset)
    first_N = {int(group_N[row]): str(table.ids_N[row]) for row in first_rows(group_N)}
    lines = [
        (str(name), str(digest), first_N[int(group)])
        for name, digest, group in zip(table.ids_N, dataset.contents.digests_N, group_N, strict=True)
    ]
    print(f"{len(lines)} images in {len(first_N)} groups")
    if write:
        with GROUPS.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("image", "digest", "group"), *lines])
        return 0
    with GROUPS.open(newline="", encoding="utf-8") as file:
        listed = [tuple(line) for line in csv.reader(file)][1:]
    others = sum(one != other for one, other in zip(lines, listed, strict=True))
    print("as listed" if not others else f"{others} images are listed in another group")
    return int(others > 0)


if __name__ == "__main__":
    sys.exit(main())
