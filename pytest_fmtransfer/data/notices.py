"""What a reader has to say of a dataset that is no error: images without a patient, files that it passed over."""

from dataclasses import dataclass

from pytest_fmtransfer.catalog.specs import FindingKind


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A fact that audit, plan and report repeat.

    `sentence` names no patient and no file, because reports and baselines are shown to others; `examples` do, and
    are for `fmtransfer audit --all` alone. `count` is of what the sentence says.
    """

    kind: FindingKind
    count: int
    sentence: str
    remedy: str
    examples: tuple[str, ...] = ()
