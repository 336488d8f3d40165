"""Cores and memory are those that a container or a cluster gives, not those of the machine."""

from pathlib import Path

import pytest

from pytest_fmtransfer import limits

GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores and 64 GiB whose control groups a test writes below the folder."""
    (tmp_path / "meminfo").write_text("MemTotal:  67108864 kB\nMemAvailable:   62914560 kB\n")
    (tmp_path / "membership").write_text("0::/\n")
    for name, file in (("ROOT", "groups"), ("MEMBERSHIP", "membership"), ("MEMINFO", "meminfo")):
        monkeypatch.setattr(limits, name, tmp_path / file)
    monkeypatch.setattr(limits.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for variable in ("OMP_NUM_THREADS", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_without_control_groups_the_machine_is_ours(machine: Path) -> None:
    assert limits.cores() == 8
    assert limits.free_memory() == 60 * GIB
    (machine / "membership").unlink()
    (machine / "meminfo").unlink()
    assert limits.cores() == 8
    assert limits.free_memory() is None


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000", 2), ("max 100000", 8), ("50000 100000", 1), ("350000 100000", 3), ("9900000 100000", 8)],
)
def test_the_quota_of_a_container_is_respected(quota: str, cores: int, machine: Path) -> None:
    write(machine / "groups", cpu__max=quota)
    assert limits.cores() == cores


def test_the_tightest_group_above_counts(machine: Path) -> None:
    (machine / "membership").write_text("0::/system.slice/job_7/step_0\n")
    write(machine / "groups" / "system.slice", cpu__max="400000 100000", memory__max="max", memory__current="0")
    write(machine / "groups" / "system.slice" / "job_7", cpu__max="max 100000")
    write(machine / "groups" / "system.slice" / "job_7", memory__max=str(8 * GIB), memory__current=str(3 * GIB))
    write(machine / "groups" / "system.slice" / "job_7" / "step_0", cpu__max="600000 100000")
    assert limits.cores() == 4
    assert limits.free_memory() == 5 * GIB


def test_version_1_is_read_too(machine: Path) -> None:
    (machine / "membership").write_text("5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n")
    write(machine / "groups" / "cpu,cpuacct" / "job", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    write(machine / "groups" / "cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    memory = machine / "groups" / "memory" / "job"
    write(memory, memory__limit_in_bytes=str(4 * GIB), memory__usage_in_bytes=str(2 * GIB))
    write(memory, memory__stat=f"cache 5\ntotal_inactive_file {GIB}")
    assert limits.cores() == 3
    assert limits.free_memory() == 3 * GIB


def test_a_group_whose_path_is_the_hosts_is_looked_for_at_the_top(machine: Path) -> None:
    (machine / "membership").write_text("0::/docker/4c01db0b339c\n")
    write(machine / "groups", cpu__max="100000 100000", memory__max=str(GIB), memory__current="0")
    assert limits.cores() == 1
    assert limits.free_memory() == GIB


def test_workers_share_what_the_container_has(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine / "groups", cpu__max="400000 100000")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    assert limits.cores() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert limits.cores() == 1


def test_a_damaged_file_limits_nothing(machine: Path) -> None:
    write(machine / "groups", cpu__max="", memory__max="many", memory__current="", memory__stat="inactive_file")
    assert limits.cores() == 8
    assert limits.free_memory() == 60 * GIB
