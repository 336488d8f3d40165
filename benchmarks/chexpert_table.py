"""How long reading a CheXpert table of 223,414 rows takes: `python benchmarks/chexpert_table.py`.

The table is made in the published format, read once to warm up and seven times after that; the medians of the seconds
that passed and of those that the processor worked are printed. The former must stay below 2 s on an idle core. No image
exists, so none is opened.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.data.dataset import read_table
from pytest_fmtransfer.places import Places
from tests.trees import chexpert, chexpert_rows

IMAGES, RUNS, LIMIT = 223_414, 7, 2.0


def main() -> int:
    spec = Registry().dataset("chexpert")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        chexpert(root, chexpert_rows(IMAGES))
        places = Places(store=root / "store", data_root=root)
        taken, worked = list[float](), list[float]()
        for _ in range(RUNS + 1):
            started, working = time.perf_counter(), time.process_time()
            read_table(spec, places)
            taken.append(time.perf_counter() - started)
            worked.append(time.process_time() - working)
    median = statistics.median(taken[1:])
    print(
        f"{IMAGES} rows read in {median:.2f} s (median of {RUNS}; {min(taken[1:]):.2f} to {max(taken[1:]):.2f}), "
        f"{statistics.median(worked[1:]):.2f} s of them at work"
    )
    return 0 if median < LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
