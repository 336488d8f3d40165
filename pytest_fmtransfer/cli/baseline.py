"""Look at baselines, compare them with what a run obtained, accept, remove, and bring old ones up to date.

A folder of baselines is looked for where you stand: this folder, if baselines are in it, then the folder
`baselines`, then folders of that name one and two levels down. `--folder` names another, such as that of a profile,
`suites/baselines/smoke`.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from pytest_fmtransfer.baseline_names import LIST, listed_cells
from pytest_fmtransfer.baselines import Baselines, Pair
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.cli.places import add_places, places_of
from pytest_fmtransfer.errors import BaselineError, FmTransferError, InvalidInput, OldBaseline, UnknownName, nearest
from pytest_fmtransfer.migration import data_here, migrated
from pytest_fmtransfer.places import Places, on_ci
from pytest_fmtransfer.reports import baselines as texts
from pytest_fmtransfer.results import OLD_SCHEMA, Result
from pytest_fmtransfer.work import idle

_SUITES = "files or folders of tests whose conftest.py registers the dataset, where one does"
_NAME_SUITE = "where a conftest.py registers it, name the tests beside that behind the same command"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="WHAT", dest="what", required=True)

    def verb(
        name: str, work: Callable[[argparse.Namespace, Baselines], int], summary: str, *places: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=summary, description=summary)
        added.add_argument("--folder", type=Path, metavar="DIR", help="folder of baselines (default: the nearest)")
        add_places(added, "store", *places)  # the locks of writers are in the store
        added.set_defaults(work=work)
        return added

    verb("list", _list, "every baseline of the folder, whether an obtained result waits beside it, and what is missing")
    showing = verb("show", _show, "everything that a cell's baseline says")
    comparing = verb(
        "diff",
        _diff,
        "what a run obtained against the cell's baseline; images are named where their data are here",
        "data_root",
        "on_bad_image",
    )
    for added in (showing, comparing):
        added.add_argument("cell", metavar="CELL", help="id of a cell")
    imaging = verb(
        "images",
        _images,
        "the test images of a cell's baseline, or of what waits beside it, by pseudonym, with their own ids: takes the "
        "data, and is for your eyes",
        "data_root",
        "on_bad_image",
    )
    imaging.add_argument("cell", metavar="CELL", help="id of a cell")
    imaging.add_argument("suites", nargs="*", metavar="SUITE", help=_SUITES)
    accepting = verb("accept", _accept, "make what a run obtained the baseline; refused where CI is set")
    which = accepting.add_mutually_exclusive_group(required=True)
    which.add_argument("cells", nargs="*", default=[], metavar="CELL", help="ids of cells")
    which.add_argument("--all", action="store_true", help="every cell of which an obtained result waits")
    pruning = verb(
        "prune",
        _prune,
        "say which files could go: obtained results that nobody accepted, halves of pairs and, with SUITE, baselines "
        f"that no test of these asks for; and which lines of {LIST}: those of baselines that are gone",
    )
    pruning.add_argument("suites", nargs="*", metavar="SUITE", help="files, folders or ids, as pytest takes them")
    pruning.add_argument("--yes", action="store_true", help="remove them")
    migrating = verb(
        "migrate",
        _migrate,
        f"write every baseline of schema {OLD_SCHEMA} anew, without the names of images and patients; takes the data",
        "data_root",
        "on_bad_image",
    )
    migrating.add_argument(
        "suites",
        nargs="*",
        metavar="SUITE",
        help=_SUITES,
    )


def run(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments.folder)
    try:
        return arguments.work(arguments, Baselines(folder=folder, locks=places_of(arguments).store / "locks"))
    except BrokenPipeError:
        raise
    except OSError as error:  # a folder or a store that cannot be written to
        raise BaselineError(str(error)) from error


def _list(arguments: argparse.Namespace, stored: Baselines) -> int:
    del arguments
    waiting = stored.waiting()
    rows: list[tuple[str, ...]] = []
    unusable: list[BaselineError] = []
    for cell in stored.cells():
        try:
            rows.append(texts.line(stored.load(cell), waits=cell in waiting))
        except OldBaseline as error:
            unusable.append(error)
            rows.append(texts.without(cell, f"schema {OLD_SCHEMA}"))
        except BaselineError as error:
            unusable.append(error)
    unusable += [BaselineError(stored.gone(cell)) for cell in stored.lost()]
    rows += [texts.without(cell, "missing") for cell in stored.lost()]
    print(texts.table([texts.HEADINGS, *sorted(rows)]) if rows or unusable else f"no baseline in {stored.folder}")
    for error in unusable:
        print(f"fmtransfer baseline: {error}", file=sys.stderr)
    return 2 if unusable else 0


def _show(arguments: argparse.Namespace, stored: Baselines) -> int:
    print(texts.in_full(stored.load(_known(arguments.cell, stored.cells(), f"no baseline in {stored.folder}"))))
    return 0


def _diff(arguments: argparse.Namespace, stored: Baselines) -> int:
    cell = _known(arguments.cell, stored.waiting(), f"no obtained result waits in {stored.folder}")
    obtained = stored.load_obtained(cell)
    print(texts.compared(obtained, stored.load(cell), ids_here(obtained, places_of(arguments))))
    return 0


def _images(arguments: argparse.Namespace, stored: Baselines) -> int:
    here = [*stored.cells(), *stored.waiting()]
    cell = _known(arguments.cell, here, f"no baseline in {stored.folder}")
    result = stored.load(cell) if stored.has(cell) else stored.load_obtained(cell)
    registry, places = _registry(arguments.suites), places_of(arguments)
    ids = data_here(cell.dataset, result.question.profile, registry=registry, places=places).side.ids
    print(texts.table([(name, ids.get(name, "not among the test images here")) for name in result.ids_N.tolist()]))
    return 0


def ids_here(result: Result, places: Places) -> Mapping[str, str]:
    """The ids of a result's images by pseudonym; none where the data are not here, or were never hashed here."""
    try:
        with idle():
            here = data_here(result.cell.dataset, result.question.profile, registry=Registry(), places=places)
    except (FmTransferError, OSError):
        return {}
    return here.side.ids


def _accept(arguments: argparse.Namespace, stored: Baselines) -> int:
    _refuse_on_ci("accept")
    waiting, none = stored.waiting(), f"no obtained result waits in {stored.folder}"
    cells = waiting if arguments.all else [_known(name, waiting, none) for name in arguments.cells]
    # All are read before any is written: one that cannot be used leaves the others as they are.
    found_there = [stored.load_obtained(cell) for cell in dict.fromkeys(cells)]
    for obtained in found_there:
        stored.check_seeds(obtained)
    for obtained in found_there:
        stored.record(obtained)
        found = f"{obtained.metric_of} {obtained.mean:.4f}"
        print(f"accepted {obtained.cell}: {found}; commit {stored.pair(obtained.cell).record}, .npz and {LIST}")
    if not cells:
        print(none)
    return 0


def _prune(arguments: argparse.Namespace, stored: Baselines) -> int:
    suites: Sequence[str] = arguments.suites
    useless: dict[Path, str] = {}
    off_the_list = stored.lost()
    if suites:
        from pytest_fmtransfer.plugin.asked import cells_asked_for

        unasked = set(stored.cells()) - cells_asked_for(suites)
        reason = f"no test of {' '.join(suites)} asks for it"
        useless |= {path: reason for cell in sorted(unasked) for path in stored.pair(cell) if path.exists()}
        off_the_list += sorted(unasked)
    useless |= {path: "obtained, not accepted" for cell in stored.waiting() for path in stored.obtained(cell)}
    useless |= dict.fromkeys(stored.halves(), "half of a pair")
    for path, reason in useless.items():
        print(f"{'removes' if arguments.yes else 'would remove'} {path}: {reason}")
    for cell in stored.lost():
        print(f"{'removes' if arguments.yes else 'would remove'} {cell} from {LIST}: its files are gone")
    if not useless and not off_the_list:
        print(f"nothing to remove in {stored.folder}")
    elif arguments.yes:
        stored.remove(useless)
        stored.delist(off_the_list)
    else:
        print("remove them: the same command with --yes")
    return 0


def _migrate(arguments: argparse.Namespace, stored: Baselines) -> int:
    _refuse_on_ci("migrate")
    # Opened once for all cells of a dataset.
    opened = cache(partial(data_here, registry=_registry(arguments.suites), places=places_of(arguments)))
    unusable = 0
    there = [*((cell, stored.pair(cell)) for cell in stored.cells())]
    there += [(cell, stored.obtained(cell)) for cell in stored.waiting()]
    for cell, pair in there:
        try:
            made = migrated(cell, pair.record, pair.scores, opened)
        except UnknownName as error:
            unusable += 1
            _complain(pair, f"{error}; {_NAME_SUITE}")
        except FmTransferError as error:
            unusable += 1
            _complain(pair, str(error))
        else:
            if made is not None:
                stored.rewrite(pair, made.record, made.scores)
            print(f"{cell}: {'is up to date' if made is None else f'written anew, {pair.record} and .npz'}")
    if not there:
        print(f"no baseline in {stored.folder}")
    return 2 if unusable else 0


def _refuse_on_ci(verb: str) -> None:
    if on_ci():
        raise InvalidInput(f"{verb} refuses to write baselines where CI is set; run it on your machine, without CI set")


def _registry(suites: Sequence[str]) -> Registry:
    if not suites:
        return Registry()
    from pytest_fmtransfer.plugin.asked import registry_of

    return registry_of(suites)


def _complain(pair: Pair, what: str) -> None:
    print(f"fmtransfer baseline: {pair.record} is left as it is: {what}", file=sys.stderr)


def _known(name: str, cells: Iterable[Cell], none: str) -> Cell:
    """The cell of an id. Raises InvalidInput when it is none of `cells`, with near ids; `none` says what is missing."""
    ids = {cell.id: cell for cell in cells}
    if name not in ids:
        raise InvalidInput(f"{name}: {none}" + (f" for that cell; {nearest(name, ids)}" if ids else ""))
    return ids[name]


def _folder(named: Path | None) -> Path:
    """Raises InvalidInput when there is none, or when several are as near."""
    if named is not None:
        if not named.is_dir() and not listed_cells(named):  # a folder that is gone may still be on a list
            raise InvalidInput(f"--folder={named}: no such folder")
        return named
    here = Path.cwd()
    if Baselines(folder=here).cells():
        return here
    for pattern in ("baselines", "*/baselines", "*/*/baselines"):
        found = [path.relative_to(here) for path in sorted(here.glob(pattern)) if path.is_dir()]
        open_to_see = [path for path in found if not any(part.startswith(".") for part in path.parts)]
        if len(open_to_see) > 1:
            several = ", ".join(map(str, open_to_see))
            raise InvalidInput(f"several folders of baselines: {several}; name one with --folder=DIR")
        if open_to_see:
            return open_to_see[0]
    raise InvalidInput("no folder named baselines here or up to two levels down; name one with --folder=DIR")
