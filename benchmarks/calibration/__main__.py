"""The calibration page.

    python -m benchmarks.calibration [--only PATTERN] [--trials N] [--jobs N] [--write]

Runs the studies that match and prints their tables; exits 1 when a figure lies outside its band, or a wrong variant
inside. With fewer trials than the page has, only a figure whose whole interval lies outside counts: `--trials 50` takes
minutes, and finds what is wrong by a factor of three or more. Finished blocks of trials are kept in
.benchmarks/calibration.jsonl, so that an interrupted run goes on; they are run again when code that they depend on
changed.
"""

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.calibration.page import page, summary, tabulated
from benchmarks.calibration.plan import SECTIONS
from benchmarks.calibration.run import run_all

ROOT = Path(__file__).parents[2]
PAGE, KEPT = ROOT / "docs" / "calibration.md", ROOT / ".benchmarks" / "calibration.jsonl"
TRIALS, FEWEST = 4_000, 1_000  # of each study: what the page is meant to have, and what one can be written with


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression, found in 'heading: row'")
    parser.add_argument(
        "--trials", type=int, default=TRIALS, help=f"of each study (default {TRIALS:,}; of some several times as many)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    trials: int = arguments.trials
    if arguments.write and (arguments.only or trials < FEWEST):
        parser.error(f"--write makes the whole page of {FEWEST:,} trials or more; leave --only and --trials out")
    pattern = re.compile(arguments.only, re.IGNORECASE)
    sections = [
        replace(section, studies=chosen)
        for section in SECTIONS
        if (chosen := [study for study in section.studies if pattern.search(f"{section.heading}: {study.title}")])
    ]
    if not sections:
        parser.error(
            f"no row matches {arguments.only!r}; --only is found in a table's heading and a row's first column"
        )
    studies = [(study, section.times * trials) for section in sections for study in section.studies]
    counts = run_all(studies, arguments.jobs, KEPT)
    quick = trials < TRIALS
    tables = [tabulated(section, counts, section.times * trials, quick=quick) for section in sections]
    if arguments.write:
        PAGE.write_text(page(tables, trials), encoding="utf-8")
    else:
        print(*(table.markdown for table in tables), sep="\n")
    print(summary(tables, trials))
    return int(any(table.outside for table in tables))


if __name__ == "__main__":
    sys.exit(main())
