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

from benchmarks.calibration.sources import code_digest
from benchmarks.calibration.study import Study

BLOCK = 1_000  # trials


def run_all(studies: Sequence[tuple[Study, int]], jobs: int, kept: Path) -> dict[str, Counter[str]]:
    """Counts by the studies' repr, each of so many trials. Progress goes to standard error.

    All first blocks come before the second ones: a run that is interrupted has trials of every study.
    """
    counts: dict[str, Counter[str]] = {repr(study): Counter() for study, _ in studies}
    finished = read(kept)
    tasks = [(study, block, size, trials) for study, trials in studies for block, size in enumerate(blocks(trials))]
    waiting: dict[str, tuple[Study, int, int]] = {}
    for study, block, size, _ in sorted(tasks, key=lambda task: task[1] * BLOCK / task[3]):
        key = f"{code_digest(study)} {block} {size} {study!r}"
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
