"""Nothing but --fm-update writes where baselines lie, and what is held against itself is said to prove nothing.

A folder of baselines is known by the tests that have it, by ini `fm_baselines`, and by the list in it. Links and `..`
are resolved before folders are compared.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from pytest_fmtransfer.baseline_names import LIST
from pytest_fmtransfer.plugin.cases import case_of
from pytest_fmtransfer.plugin.recorded import OWN_FOLDER, all_baselines, is_installed
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.plugin.shown import shown


def writes_among_baselines(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """What is wrong with the folders and files that options would write to; nothing has been written yet."""
    settings, kept = settings_of(config), _folders_of_baselines(config, items)
    found: list[str] = []
    if (export := settings.export) is not None:
        # Of a folder above baselines, an export of another profile may be that of the baselines.
        for folder in (export.resolve(), settings.of_profile(export).resolve()):
            of_tests = [
                f"--fm-export={export}: baselines lie in {shown(each, config.rootpath)}, and --fm-update alone writes "
                "there; name a folder of its own, neither above nor below"
                for each in kept
                if _is_within(folder, each) or _is_within(each, folder)
            ]
            found += of_tests or _listed(f"--fm-export={export}", folder)  # they may be the same baselines
    written = [(f"--fm-report={each.kind}:{each.file}", each.file.parent) for each in settings.reports if each.file]
    written += [] if settings.stand_ins else [(f"the store {settings.places.store}", settings.places.store)]
    for named, folder in written:
        found += [
            f"{named}: baselines lie in {shown(each, config.rootpath)}, and --fm-update alone writes there; name "
            "another"
            for each in kept
            if _is_within(folder.resolve(), each)
        ]
    if settings.update is not None:
        asking = [item for item in items if case_of(item) and "baseline" in getattr(item, "fixturenames", ())]
        found += [
            f"--fm-update: baselines lie in {folder}, which belongs to an installed package; {OWN_FOLDER}"
            for folder in map(all_baselines, asking)
            if is_installed(folder)
        ]
    return list(dict.fromkeys(found))


def proves_nothing(config: pytest.Config, items: Iterable[pytest.Item]) -> list[str]:
    """What a reader of a green run should know: it asked for what cannot fail."""
    settings, found = settings_of(config), list[str]()
    if settings.require and config.option.collectonly:
        found.append(
            f"--fm-require={settings.require} asks nothing of a run that only lists, as with --fm-plan: nothing is "
            "measured, and its exit code proves nothing"
        )
    for folder in settings.collect:
        places = {folder.resolve(), settings.of_profile(folder).resolve()}
        of_tests = _folders_of_baselines(config, items)
        if places & {*of_tests, *(settings.of_profile(each).resolve() for each in of_tests)}:
            found.append(
                f"--fm-collect={shown(folder, config.rootpath)} is where baselines lie: each is held against itself, "
                "and nothing was measured since, so that this run proves nothing; collect what --fm-export=DIR wrote"
            )
    return found


def _folders_of_baselines(config: pytest.Config, items: Iterable[pytest.Item]) -> list[Path]:
    """Of every profile, of all tests that are about cells."""
    first = {item.path.parent: item for item in items if case_of(item) is not None}  # tests beside each other share it
    found = {all_baselines(item).resolve() for item in first.values()}
    if (named := settings_of(config).baselines) is not None:
        found.add(named.resolve())
    return sorted(found)


def _listed(named: str, folder: Path) -> list[str]:
    """Baselines of tests that are not collected are known by their list."""
    there = [place for place in (folder, *folder.parents) if (place / LIST).is_file()]
    return [
        f"{named}: {place} holds baselines, as its {LIST} says, and --fm-update alone writes there; name a folder "
        "of its own"
        for place in there
    ]


def _is_within(folder: Path, other: Path) -> bool:
    return folder == other or other in folder.parents
