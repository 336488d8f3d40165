"""Studies are run in blocks, several at once; finished blocks are kept, so that an interrupted run goes on."""

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import pytest_fmtransfer
from benchmarks.calibration.study import Study

BLOCK = 1_000  # trials
HERE = Path(__file__).parent
PACKAGE = Path(pytest_fmtransfer.__file__).parent

# What a figure depends on: a block is run again when one of these changes.
SIMULATION = (
    "beside_published",
    "false_claims",
    "few_differ",
    "gains",
    "gate",
    "hidden",
    "noise",
    "percentiles",
    "populations",
    "power",
    "power_kept",
    "scenario",
    "single",
)
SOURCES = (
    *(HERE / f"{name}.py" for name in SIMULATION),
    *(
        PACKAGE / "judge" / f"{name}.py"
        for name in (
            "bounds",
            "comparison",
            "drift",
            "gain_claims",
            "intervals",
            "mover",
            "power",
            "published",
            "reading",
            "relative_gain",
            "resampling",
            "rounding",
            "score_bound",
        )
    ),
    *sorted((PACKAGE / "metrics").glob("*.py")),
)


def run_all(studies: Sequence[Study], trials: int, jobs: int, kept: Path) -> dict[str, Counter[str]]:
    """Counts by the studies' repr. Progress goes to standard error."""
    counts: dict[str, Counter[str]] = {repr(study): Counter() for study in studies}
    finished, code = read(kept), code_digest()
    waiting: dict[str, tuple[Study, int, int]] = {}
    for study in studies:
        for block, size in enumerate(blocks(trials)):
            key = f"{code} {block} {size} {study!r}"
            if key in finished:
                counts[repr(study)] += finished[key]
            else:
                waiting[key] = (study, block, size)
    kept.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool, kept.open("a", encoding="utf-8") as file:
        futures = {pool.submit(run_block, *task): key for key, task in waiting.items()}
        for done, future in enumerate(as_completed(futures), start=1):
            key = futures[future]
            study, (found, seconds) = waiting[key][0], future.result()
            counts[repr(study)] += found
            file.write(json.dumps({"key": key, "counts": found}) + "\n")
            file.flush()
            minutes = (time.monotonic() - started) / 60
            told = f"{done}/{len(waiting)} blocks, {minutes:.1f} min; {seconds:.1f} s of a core for {study.title}"
            print(told, file=sys.stderr, flush=True)
    return counts


def blocks(trials: int) -> list[int]:
    """Sizes of the blocks that make up so many trials."""
    whole, rest = divmod(trials, BLOCK)
    return [BLOCK] * whole + [rest] * (rest > 0)


def run_block(study: Study, block: int, size: int) -> tuple[Counter[str], float]:
    """Counts and processor seconds. Random numbers are seeded by the study and the block, whatever else is run."""
    seed = hashlib.blake2b(repr(study).encode(), digest_size=8).digest()
    started = time.process_time()
    return study.run(np.random.default_rng([block, *seed]), size), time.process_time() - started


def code_digest() -> str:
    """32 hex digits over the sources."""
    whole = hashlib.blake2b(digest_size=16)
    for path in SOURCES:
        whole.update(hashlib.blake2b(path.read_bytes()).digest())
    return whole.hexdigest()


def read(kept: Path) -> dict[str, Counter[str]]:
    """Finished blocks by key; a line that was cut short does not count."""
    finished: dict[str, Counter[str]] = {}
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        finished[row["key"]] = Counter(row["counts"])
    return finished
