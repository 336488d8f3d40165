"""Look for copies, patients on two sides, conflicting labels and small classes in a dataset.

Exit code 0 when nothing severe is found or every severe finding is acknowledged in the dataset's row, 1 when one
is not, 2 when the dataset cannot be audited.
"""

import argparse

from pytest_fmtransfer.catalog.registry import ENTRY_POINT_GROUP, Registry
from pytest_fmtransfer.catalog.specs import DatasetSpec
from pytest_fmtransfer.cli.places import add_places, places_of
from pytest_fmtransfer.errors import InvalidInput, UnknownName


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help="name of a dataset, such as br35h")
    add_places(parser, "store", "data_root")


def run(arguments: argparse.Namespace) -> int:
    spec, places = _dataset(arguments.dataset), places_of(arguments)
    raise InvalidInput(f"{spec.name} in {places.store}: the audit is written next")


def _dataset(name: str) -> DatasetSpec:
    try:
        return Registry().dataset(name)
    except UnknownName as error:
        raise InvalidInput(
            f"{error} (rows that a conftest.py registers are known to pytest alone; "
            f"an entry point in group {ENTRY_POINT_GROUP} makes them known here too)"
        ) from error
