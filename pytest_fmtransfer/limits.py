"""Cores and memory that this process may use: by the system, by its CPU affinity and by its control groups.

Containers and clusters limit a process by control groups, of which neither `os.cpu_count` nor /proc/meminfo knows.
joblib reads the quota of the outermost group alone, and of memory none does. The layouts are those of
https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.max`, `memory.max`) and of version 1 beside it
(`cpu.cfs_quota_us`, `memory.limit_in_bytes`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT, MEMBERSHIP, MEMINFO = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/meminfo")


def cores() -> int:
    """Cores this process may use, shared out among pytest-xdist's workers; fewer where OMP_NUM_THREADS asks for fewer.

    That variable may hold one number for each level of nested threads. What is no number asks for nothing.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    available = min([available, *_quotas()])
    share = max(1, available // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


def free_memory() -> int | None:
    """What the system could give to this process, in bytes; None where it does not say."""
    limits = list(_memory_left())
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        limits.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration, ValueError):
        pass
    return min(limits, default=None)


def _quotas() -> Iterator[int]:
    """Of each group that limits processor time, the whole cores of its quota, one at least."""
    for folder in _groups("cpu"):
        quota, period = [*_numbers(folder / "cpu.max"), None, None][:2]
        if not (folder / "cpu.max").exists():
            quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota and period and quota > 0:
            yield max(1, quota // period)


def _memory_left() -> Iterator[int]:
    """Of each group that limits memory, what is left; pages of files, which the system takes back, count as free."""
    for folder in _groups("memory"):
        for limit, used, reclaimed in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, now = _number(folder / limit), _number(folder / used)
            if most is not None and now is not None:
                yield max(0, most - now + _stat(folder / "memory.stat", reclaimed))


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those above it, for a controller."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = ROOT / controllers if controllers else ROOT
        # A container may see its own group as the top one while the path is the host's: what is not there is passed by.
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder == top or top in folder.parents:
                yield folder


def _number(file: Path) -> int | None:
    """The first number of a file; None for "max", and where there is none."""
    return next(iter(_numbers(file)), None)


def _numbers(file: Path) -> list[int | None]:
    try:
        words = file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
    return [int(word) if word.lstrip("-").isdecimal() else None for word in words]


def _stat(file: Path, name: str) -> int:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)
