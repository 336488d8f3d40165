"""List backbones, datasets or regimes: a line each, with its licence, whether it is ready here, and its source; or
profiles, with what each spends.

`fmtransfer doctor` says where to get what is missing. Beside every backbone stands its twin with random weights,
`<name>.random`, and beside every dataset its control with shuffled labels, `<name>.shuffled`; these are not listed.
"""

import argparse
import re
from collections.abc import Callable, Iterable

from pytest_fmtransfer.availability import backbone_ready, dataset_ready, regime_ready
from pytest_fmtransfer.catalog.profile_words import dtype, epochs, images, size
from pytest_fmtransfer.catalog.regime_families import FORMS, regime_of
from pytest_fmtransfer.catalog.regime_specs import Profile, RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import LIBRARIES, BackboneSpec, DatasetSpec
from pytest_fmtransfer.cli.catalogue import ROWS_KNOWN, state, table
from pytest_fmtransfer.cli.places import add_places, places_of
from pytest_fmtransfer.missing import Missing, Ready

Line = tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(metavar="WHAT", dest="what", required=True)

    def kind(name: str, work: Callable[[argparse.Namespace, Registry], int], *places: str) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=f"every one of the {name}", description=ROWS_KNOWN)
        added.set_defaults(work=work)
        which = added.add_mutually_exclusive_group()
        which.add_argument("--ready", action="store_true", help="those alone that can be used here")
        which.add_argument("--missing", action="store_true", help="those alone that cannot")
        add_places(added, *places)
        return added

    backbones = kind("backbones", _backbones, "weights")
    backbones.add_argument("--library", choices=LIBRARIES, help="those alone that this library builds")
    licensed = (backbones, kind("datasets", _datasets, "data_root"))
    kind("regimes", _regimes, "weights")
    profiles = kinds.add_parser("profiles", help="every one of the profiles", description=ROWS_KNOWN)
    profiles.set_defaults(work=_profiles)
    for parser_of_kind in licensed:
        parser_of_kind.add_argument(
            "--licence", metavar="TEXT", default="", help="those alone whose licence holds TEXT, as in --licence=apache"
        )


def run(arguments: argparse.Namespace) -> int:
    return arguments.work(arguments, Registry())


def _backbones(arguments: argparse.Namespace, registry: Registry) -> int:
    places = places_of(arguments)
    rows = [
        (
            found := backbone_ready(row, places),
            (row.name, row.library, row.licence, state(found, row.name), row.source),
        )
        for row in registry.rows(BackboneSpec)
        if arguments.library in (None, row.library) and _licensed(row, arguments)
    ]
    return _print(arguments, ("backbone", "library", "licence", "state", "source"), rows)


def _datasets(arguments: argparse.Namespace, registry: Registry) -> int:
    from pytest_fmtransfer.metrics import metric_of  # numpy, which no other list takes

    places = places_of(arguments)
    rows = [
        (
            found := dataset_ready(row, places),
            (row.name, metric_of(row.metric, row.classes), row.licence, state(found, row.name), row.source),
        )
        for row in registry.rows(DatasetSpec)
        if _licensed(row, arguments)
    ]
    return _print(arguments, ("dataset", "metric", "licence", "state", "source"), rows)


def _regimes(arguments: argparse.Namespace, registry: Registry) -> int:
    """Of a form with a number, what any number needs: its head's weights are the same."""
    places = places_of(arguments)
    told = {row.name: (row, row.summary) for row in registry.rows(RegimeSpec)}
    told |= {form: (regime_of(re.sub("<[kr]>", "1", form)), summary) for form, summary in FORMS.items()}
    rows: list[tuple[Ready | Missing, Line]] = []
    for name, (row, summary) in told.items():
        found = Ready() if row is None else regime_ready(row, registry, places)
        rows.append((found, (name, state(found, name), summary)))
    return _print(arguments, ("regime", "state", "what is done"), rows)


def _profiles(arguments: argparse.Namespace, registry: Registry) -> int:
    """What each spends at most; images are those of training + validation + test side."""
    rows = [
        (row.name, images(row), epochs(row), str(row.seeds), size(row), dtype(row)) for row in registry.rows(Profile)
    ]
    print(table([("profile", "images", "epochs", "seeds", "size", "dtype"), *rows]))
    return 0


def _licensed(row: BackboneSpec | DatasetSpec, arguments: argparse.Namespace) -> bool:
    return arguments.licence.lower() in row.licence.lower()


def _print(arguments: argparse.Namespace, headings: Line, rows: Iterable[tuple[Ready | Missing, Line]]) -> int:
    """Nothing that answers is an answer too: exit code 0."""
    wanted = [
        line
        for found, line in rows
        if not (arguments.ready and isinstance(found, Missing)) and not (arguments.missing and isinstance(found, Ready))
    ]
    print(table([headings, *wanted]) if wanted else f"none of the {arguments.what} answers to that")
    return 0
