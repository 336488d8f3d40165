"""Look a dataset over before anything is learnt from it: copies, leaked patients, conflicting labels, small classes.

`audit` looks once at each content of a dataset; `check` refuses a dataset that has a severe finding which its row
does not acknowledge. docs/audit.md says how well each kind is found, and what cannot be found.
"""

import json
import shlex
import tempfile
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_fmtransfer.catalog.specs import DatasetSpec, UserFolder
from pytest_fmtransfer.data.bad_images import DECODING, decoders
from pytest_fmtransfer.data.copies import exact_copies
from pytest_fmtransfer.data.copy_groups import Grouped, groups_of
from pytest_fmtransfer.data.dataset import Dataset
from pytest_fmtransfer.data.descriptors import describe
from pytest_fmtransfer.data.findings import (
    FEW,
    TOO_FEW,
    Finding,
    brought_to_eight_bits,
    conflicting_labels,
    copies_across_sides,
    copies_on_one_side,
    lookalikes,
    patients_on_two_sides,
    share_to_test,
    small_classes,
)
from pytest_fmtransfer.data.likeness import limits
from pytest_fmtransfer.data.near_copies import near_copies
from pytest_fmtransfer.data.notices import Notice
from pytest_fmtransfer.data.own import has_sides, test_share, validation_share
from pytest_fmtransfer.errors import DatasetError
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store, code_digest, fingerprint

_CODE = ("audit", "alignment", "copies", "copy_groups", "descriptors", "findings", "likeness", "near_copies", "table")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found among so many images, severe findings first; `copies` are the images that have one, by group."""

    images: int
    findings: tuple[Finding, ...]
    copies: tuple[Grouped, ...] = ()

    def unacknowledged(self, spec: DatasetSpec) -> tuple[Finding, ...]:
        """The severe findings of kinds that a row does not acknowledge."""
        return tuple(
            finding
            for finding in self.findings
            if finding.severity == "severe" and finding.kind not in spec.acknowledged
        )


def audit(dataset: Dataset, places: Places) -> Audit:
    """The audit of a dataset, from the store or computed. Raises UnreadableImage for broken files."""

    def compute(entry: Path) -> None:
        with tempfile.TemporaryDirectory(dir=entry) as scratch:
            found = _look_over(dataset, Path(scratch))
        (entry / "audit.json").write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")

    about = {"dataset": dataset.spec.name}
    entry, _ = Store(root=places.store).fetch("audits", audit_key(dataset), compute, about=about)
    record: dict[str, Any] = json.loads((entry / "audit.json").read_text(encoding="utf-8"))
    stored = [Finding(**each | {"examples": tuple(each["examples"])}) for each in record["findings"]]
    findings = tuple(replace(each, remedy=_remedy(each, dataset)) for each in stored)
    copies = tuple(Grouped(**each) for each in record["copies"])
    return Audit(images=record["images"], findings=(*findings, *map(_noted, dataset.table.notices)), copies=copies)


def _remedy(finding: Finding, dataset: Dataset) -> str:
    """Of a small class of a user's own data that we split ourselves: the key that holds out more. It is not stored: a
    dataset's content does not tell who split it.
    """
    fewest, spec = {"class_too_small": TOO_FEW, "class_small": FEW}.get(finding.kind), dataset.spec
    if fewest is None or not isinstance(spec.location, UserFolder) or has_sides(spec, dataset.table):
        return finding.remedy
    share = share_to_test(dataset.table, spec.classes, fewest, now=test_share(spec), most=1 - validation_share(spec))
    if share is None:
        return f"collect more: of a class, {fewest} patients are to be tested"
    return f"say `test={share:g}`, or collect more"


def _noted(notice: Notice) -> Finding:
    """What the reader says. It is not stored: a file that is passed over is no part of a dataset's content."""
    return Finding(severity="note", **{field.name: getattr(notice, field.name) for field in fields(notice)})


def audit_key(dataset: Dataset) -> str:
    """What the audit of a dataset's content is found under in the store."""
    ours = (*(f"data/{name}.py" for name in _CODE), *DECODING, "metrics/labels.py")
    code = code_digest(*ours, f"data/readers/{dataset.spec.reader}.py")
    versions = {name: version(name) for name in ("numpy", "scipy")}
    return fingerprint(dataset.fingerprint, dataset.spec.classes, versions, decoders(), code)


def check(dataset: Dataset, places: Places) -> None:
    """Raises DatasetError for severe findings that the dataset's row does not acknowledge, with each sentence."""
    name, findings = dataset.spec.name, audit(dataset, places).unacknowledged(dataset.spec)
    if not findings:
        return
    told = "".join(f"\n  {finding.kind}: {finding.sentence}; {finding.remedy}" for finding in findings)
    reasons = ", ".join(f'"{finding.kind}": "…"' for finding in findings)
    location = dataset.spec.location
    own = isinstance(location, UserFolder)
    line, row = (shlex.quote(location.line), f"own_{dataset.spec.reader}") if own else (name, "DatasetSpec")
    raise DatasetError(
        f"scores on {name} could not be trusted:{told}\n"
        f"`fmtransfer audit {line} --all` lists every case. If the data must be used as they are, say why in their "
        f"row: {row}(…, acknowledged={{{reasons}}})"
    )


def _look_over(dataset: Dataset, scratch: Path) -> Audit:
    table, classes = dataset.table, dataset.spec.classes
    described = describe(dataset, scratch)
    same_JV = limits(described)
    exact, near = exact_copies(described.contents_N, table), near_copies(described, table, same_JV)
    found = [
        copies_across_sides(table, exact, "exact"),
        copies_across_sides(table, near, "near"),
        patients_on_two_sides(table),
        conflicting_labels(table, classes, exact, "exact"),
        conflicting_labels(table, classes, near, "near"),
        *small_classes(table, classes),
        copies_on_one_side(table, exact, "exact"),
        copies_on_one_side(table, near, "near"),
        lookalikes(table, float(same_JV.min())),
        brought_to_eight_bits(table, described.scaled, dataset.spec.intensity),
    ]
    findings = [finding for finding in found if finding is not None]
    return Audit(
        images=len(table.ids_N),
        findings=tuple(sorted(findings, key=lambda each: each.severity == "note")),
        copies=groups_of(described.contents_N, near),
    )
