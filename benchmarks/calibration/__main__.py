"""The calibration page.

    python -m benchmarks.calibration [--only PATTERN] [--trials N] [--jobs N] [--write]

Runs the studies whose section or title matches, prints their tables, and exits 1 when a figure lies outside its band or
a wrong variant does not. Finished blocks of trials are kept in .benchmarks/calibration.jsonl, so that an interrupted run
goes on; they are run again when the judge, the metrics or the simulation changed. All of it takes about MINUTES on two cores.
"""

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.calibration.page import Table, page, summary
from benchmarks.calibration.plan import SECTIONS
from benchmarks.calibration.run import run_all
from benchmarks.calibration.study import figures

ROOT = Path(__file__).parents[2]
PAGE, KEPT = ROOT / "docs" / "calibration.md", ROOT / ".benchmarks" / "calibration.jsonl"
TRIALS = 4_000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression, found in 'section: title'")
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"of each study (default {TRIALS:,})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}; all studies are needed")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write makes the whole page; leave --only out")
    trials: int = arguments.trials
    pattern = re.compile(arguments.only, re.IGNORECASE)
    sections = tuple(
        replace(section, studies=chosen)
        for section in SECTIONS
        if (chosen := tuple(s for s in section.studies if pattern.search(f"{section.heading}: {s.title}")))
    )
    if not sections:
        parser.error(
            f"no study matches {arguments.only!r}; --only is found in a section's heading or a row's first column"
        )
    counts = run_all([study for section in sections for study in section.studies], trials, arguments.jobs, KEPT)
    tables = [
        Table(
            heading=section.heading,
            text=section.text,
            wrong=section.wrong,
            rows={study.title: figures(study, counts[repr(study)], trials) for study in section.studies},
        )
        for section in sections
    ]
    if arguments.write:
        PAGE.write_text(page(tables, trials), encoding="utf-8")
    else:
        print(*(table.markdown for table in tables), sep="\n")
    print(summary(tables, trials))
    return any(table.outside for table in tables)


if __name__ == "__main__":
    sys.exit(main())
