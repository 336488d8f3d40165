"""How what a report shows was made: profile, processor, versions and day; one line at its top."""

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_fmtransfer.catalog.profile_words import in_words
from pytest_fmtransfer.catalog.regime_specs import Profile

Row = dict[str, Any]

FIRST = ("torch", "timm")  # of the libraries: what computes


def making(cells: Iterable[Mapping[str, Any]], *, profiles: Iterable[Profile], date: str) -> Row:
    """Of the rows of cells: the profiles in words where they are known, what computed, each library's versions.

    What was collected may come from several machines; a cell whose result names none of them adds nothing. `date` is
    the report's, an ISO date, empty where nobody says.
    """
    words = {profile.name: in_words(profile) for profile in profiles}
    named: dict[str, None] = {}
    computed: dict[str, None] = {}
    versions: dict[str, set[str]] = {}
    for cell in cells:
        name = str(cell["profile"])
        named[words.get(name, name)] = None
        if cell["device"]:
            computed[f"{cell['device']} ({cell['processor']})"] = None
        for library, version in cell["versions"].items():
            versions.setdefault(library, set()).add(version)
    order = sorted(versions, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return {
        "profiles": list(named),
        "computed_on": sorted(computed),
        "versions": {name: sorted(versions[name]) for name in order},
        "date": date,
    }


def title(cells: Iterable[Mapping[str, Any]], made: Mapping[str, Any]) -> str:
    """'fmtransfer report: profile smoke, 2026-11-26', of the rows of cells and of how they were made."""
    profiles = dict.fromkeys(str(cell["profile"]) for cell in cells)
    return ", ".join([f"fmtransfer report: profile {' and '.join(profiles)}", *filter(None, [made["date"]])])


def in_a_line(made: Mapping[str, Any]) -> str:
    """'Profile smoke (…), on cpu (AMD EPYC), torch 2.9.0, timm 1.0.22, 2026-11-26.'"""
    told = [f"Profile {' and '.join(made['profiles'])}"]
    if made["computed_on"]:
        told.append(f"on {' and '.join(made['computed_on'])}")
    told += [f"{name} {' and '.join(versions)}" for name, versions in made["versions"].items()]
    told += [made["date"]] if made["date"] else []
    return f"{', '.join(told)}."
