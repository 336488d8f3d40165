"""A user's own backbones and datasets beside those of a suite, and a user's own reference in place of its."""

from collections.abc import Iterable
from dataclasses import replace

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.plugin.cases import Case, Cells


def as_the_user_asks(cells: Cells, fixtures: Iterable[str], registry: Registry, reference: str | None) -> Cells:
    """What a mark says, with the user's candidates, datasets and reference where its test takes them."""
    fixtures = set(fixtures)
    asked = with_datasets(with_candidates(cells, fixtures, registry), fixtures, registry)
    return asked if reference is None else with_reference(asked, registry, reference)


def with_candidates(cells: Cells, fixtures: Iterable[str], registry: Registry) -> Cells:
    """The user's backbones join where candidates are held against a reference, one by one.

    They stay out of tests of a baseline, which is of one cell; of rankings over backbones or of cells that are named
    together, whose order is what is claimed; of a mark that says closed=True; and of tests whose own candidates are all
    controls.
    """
    asked = set(fixtures)
    takes_them = (
        cells.reference is not None
        and not cells.closed
        and cells.over != "backbones"
        and not cells.together
        and bool({"candidate", "candidates"} & asked)
        and "baseline" not in asked
        and not all(_is_control(registry, name) for name in cells.backbones)
    )
    if not takes_them:
        return cells
    return replace(cells, added=tuple(name for name in registry.candidates if name not in cells.backbones))


def with_datasets(cells: Cells, fixtures: Iterable[str], registry: Registry) -> Cells:
    """The user's datasets join where candidates are compared, with a reference or with one another, dataset by dataset.

    They stay out of tests of a baseline; of tests over datasets, whose set is what is claimed; of tests about controls;
    where a reference names a dataset of its own; and of tests whose datasets are all demonstrations, used in spite of
    what an audit finds. Each makes a family of its own, of the declared size, because a family is of one dataset.
    """
    asked = set(fixtures)
    takes_them = (
        (cells.reference is not None or cells.over == "backbones")
        and cells.over != "datasets"
        and bool({"candidate", "candidates"} & asked)
        and "baseline" not in asked
        and ("-" not in (cells.reference or "") or "{dataset}" in (cells.reference or ""))
        and not all(_is_control(registry, name) for name in cells.backbones)
        and not all(_demonstrates(registry, name) for name in cells.datasets)
    )
    if not takes_them:
        return cells
    added = tuple(name for name in registry.everywhere if name not in cells.datasets)
    return replace(cells, datasets=(*cells.datasets, *added))


def _is_control(registry: Registry, backbone: str) -> bool:
    """Also of a name that is unknown, of which its case fails: it is no reason for anybody to join."""
    try:
        return registry.backbone(backbone).is_control
    except InvalidInput:
        return True


def _demonstrates(registry: Registry, dataset: str) -> bool:
    """Also of a name that is unknown, as `_is_control`."""
    try:
        row = registry.dataset(dataset)
    except InvalidInput:
        return True
    return row.shuffled or bool(row.acknowledged)


def with_reference(cells: Cells, registry: Registry, reference: str) -> Cells:
    """The user's reference stands where the mark names one learnt backbone, on each dataset.

    A reference made from the candidate, `{backbone}.random` say, and a control are what their claims are about, and
    stay; so does the one that cells named together are held against, whose order over it is what is claimed.
    """
    named, dash, where = (cells.reference or "").partition("-")
    stays = not named or "{" in named or bool(cells.together) or (dash and not where.startswith("{dataset}-"))
    if stays or _is_control(registry, named) or named == reference:
        return cells
    return replace(cells, reference=f"{reference}{dash}{where}", other_reference=True)


def against_itself(case: Case) -> str | None:
    """Why a case says nothing where the user's reference is its own candidate; None for any other."""
    same = [cell for cell, reference in zip(case.cells, case.references, strict=False) if cell == reference]
    if not same or not case.other_reference:
        return None
    return f"{same[0]} is the reference itself: --fm-reference={same[0].backbone}"
