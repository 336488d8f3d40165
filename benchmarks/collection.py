"""What collecting the suites costs beside as many empty tests: `python benchmarks/collection.py`.

Whole processes, in turn, nine pairs after one warm-up of each; the median of the ratios pair by pair.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAIRS = 9


def seconds(*arguments: str, folder: Path) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--co", "-q", "suites"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    items = sum("::" in line for line in listed.splitlines())
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name)
        (empty / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n")
        (empty / "test_empty.py").write_text("".join(f"def test_{i}():\n    pass\n\n\n" for i in range(items)))
        pairs = [
            (seconds("suites", folder=ROOT), seconds("-p", "no:fmtransfer", folder=empty)) for _ in range(PAIRS + 1)
        ]
    ours, theirs = zip(*pairs[1:], strict=True)
    ratio = statistics.median(our / their for our, their in pairs[1:])
    print(
        f"{items} items: suites {statistics.median(ours):.2f} s, as many empty tests without the plugin "
        f"{statistics.median(theirs):.2f} s, ratio {ratio:.2f} (median of {PAIRS} pairs)"
    )


if __name__ == "__main__":
    main()
