"""Look for copies, patients on two sides, conflicting labels and small classes in a dataset.

Exit code 0 when nothing severe is found or the dataset's row acknowledges it, 1 when it does not, 2 when the
dataset cannot be audited.
"""

import argparse
import csv
import shutil
import textwrap
from pathlib import Path

from pytest_fmtransfer.catalog.registry import ENTRY_POINT_GROUP, Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.cli.places import add_places, places_of
from pytest_fmtransfer.data.audit import Audit, audit
from pytest_fmtransfer.data.copy_groups import labels_of
from pytest_fmtransfer.data.dataset import Dataset, open_dataset
from pytest_fmtransfer.data.findings import Finding
from pytest_fmtransfer.disk import writing
from pytest_fmtransfer.errors import InvalidInput, Unavailable, UnknownName, first_few
from pytest_fmtransfer.words import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="name of a dataset, such as br35h; or one of yours, as in mine=folder:./images",
    )
    parser.add_argument("--all", action="store_true", help="list every case of every finding")
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write the groups of copies to FILE: a line for each image in one",
    )
    add_places(parser, "store", "data_root", "download", "on_bad_image", "verify")


def run(arguments: argparse.Namespace) -> int:
    spec, places, file = _dataset(arguments.dataset), places_of(arguments), arguments.csv
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise InvalidInput(f"--csv={file}: name a file in a folder that exists")
    if spec.reader is None:
        raise Unavailable(f"this version cannot read dataset {spec.name} yet: upgrade pytest-fmtransfer when one can")
    dataset = open_dataset(spec, places)
    audited = audit(dataset, places)
    print(_table(audited, spec, every_case=arguments.all), end="")
    if out := dataset.skipped:
        told = ", ".join(out) if arguments.all else first_few(out)
        print(f"left out: {counted(len(out), 'image')} that cannot be read: {told}")
    if file is not None:
        _write_copies(file, audited, dataset)
        groups = len({each.group for each in audited.copies})
        print(f"{counted(len(audited.copies), 'image')} in {counted(groups, 'group')} of copies: {file}")
    print(_sentence(audited, spec))
    return 1 if audited.unacknowledged(spec) else 0


def _dataset(name: str) -> DatasetSpec:
    if "=" in name:
        return UserDataset.parse(name).row
    try:
        return Registry().dataset(name)
    except UnknownName as error:
        raise InvalidInput(
            f"{error} (images of yours: {name}=folder:DIR; "
            "rows that a conftest.py registers are known to pytest alone; "
            f"an entry point in group {ENTRY_POINT_GROUP} makes them known here too)"
        ) from error


def _table(audited: Audit, spec: DatasetSpec, *, every_case: bool) -> str:
    """One block of lines per finding: severity, kind and count, then its sentence, what to do, and every case."""
    lines = [f"{'severity':14}{'kind':36}{'count':>6}"] if audited.findings else []
    for finding in audited.findings:
        lines += [f"{_severity(finding, spec):14}{finding.kind:36}{finding.count:>6}", *_wrapped(finding.sentence)]
        if finding.kind in spec.acknowledged:
            lines += _wrapped(f"acknowledged: {spec.acknowledged[finding.kind]}")
        else:
            lines += _wrapped(f"to do: {finding.remedy}")
        lines += [f"    {example}" for example in finding.examples if every_case]
    return "".join(f"{line}\n" for line in lines)


def _write_copies(file: Path, audited: Audit, dataset: Dataset) -> None:
    """A line for each image that has a copy, group by group, the images of each in the order of the table."""
    table, classes = dataset.table, dataset.spec.classes
    with writing(file, "name another file: --csv=FILE"), file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(("group", "kind", "side", "id", "label", "patient"))
        for each in audited.copies:
            row = each.row
            label = labels_of(table, classes, row)
            place = (table.split_N[row], table.ids_N[row], label, table.patients_N[row])
            lines.writerow((each.group, each.kind, *map(str, place)))


def _severity(finding: Finding, spec: DatasetSpec) -> str:
    return "acknowledged" if finding.severity == "severe" and finding.kind in spec.acknowledged else finding.severity


def _wrapped(text: str) -> list[str]:
    width = max(60, shutil.get_terminal_size((120, 24)).columns)
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _sentence(audited: Audit, spec: DatasetSpec) -> str:
    severe = [finding for finding in audited.findings if finding.severity == "severe"]
    notes, open_ones = len(audited.findings) - len(severe), len(audited.unacknowledged(spec))
    if open_ones:
        verdict = f"{open_ones} severe and unacknowledged: no cell on {spec.name} is run before that changes"
    elif severe:
        verdict = f"{len(severe)} severe, each acknowledged in the row of {spec.name}"
    else:
        verdict = "nothing severe"
    # An acknowledgement outlives what it was for, and would hide the next of its kind.
    idle = sorted(set(spec.acknowledged) - {finding.kind for finding in severe})
    more = f"; acknowledged but not found, so take it out of the row: {', '.join(idle)}" if idle else ""
    return f"{spec.name}, {audited.images} images: {verdict}; {notes} to note{more}"
