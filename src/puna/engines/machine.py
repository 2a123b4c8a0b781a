"""What of this machine a process may use: physical cores and memory, by its affinity and its control groups. Knows Linux's files.

Threads beyond the physical cores only wait for each other: two threads of one core share what llama.cpp is bound by. And a container
that may use two cores of sixty-four sees all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Cores:
    """physical: those that the process may run on. quota: cores' worth of time that its control groups leave it, None for no limit."""

    physical: int
    quota: float | None = None

    @property
    def usable(self) -> int:
        """Threads that can compute at the same time; at least 1."""
        return max(1, self.physical if self.quota is None else min(self.physical, int(self.quota)))

    @property
    def told(self) -> str:
        """For people."""
        kind = "physical core" + ("" if self.physical == 1 else "s")
        limit = (
            "" if self.quota is None or self.quota >= self.physical else f", of whose time {self.quota:g} may be used"
        )
        return f"{self.physical} {kind}{limit}"


def cores(root: Path = ROOT) -> Cores:
    """The cores for this process. root: where the system's files are."""
    quotas = [found for found in map(_quota, _groups(root, "cpu")) if found is not None]
    return Cores(_physical(root), min(quotas, default=None))


def free_memory(root: Path = ROOT) -> int:
    """Bytes that may be taken without swapping, and without being killed by a control group for it."""
    rooms = [found for found in map(_room, _groups(root, "memory")) if found is not None]
    available: int = psutil.virtual_memory().available
    return max(0, min([available, *rooms]))


def _physical(root: Path) -> int:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(psutil.cpu_count() or 1))
    siblings = {_text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in allowed}
    if None not in siblings:
        return len(siblings)
    return min(len(allowed), psutil.cpu_count(logical=False) or len(allowed))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the control groups that hold for this process, its own and all above: version 2's, and the controller's of 1."""
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, names, own = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        base = root / "sys/fs/cgroup" / names if names else root / "sys/fs/cgroup"
        group = base / own.lstrip("/")
        yield group
        yield from (above for above in group.parents if above == base or base in above.parents)


def _quota(group: Path) -> float | None:
    limit, _, period = (_text(group / "cpu.max") or "").partition(" ")
    if not limit:
        limit, period = _text(group / "cpu.cfs_quota_us") or "", _text(group / "cpu.cfs_period_us") or ""
    if not (limit.isdigit() and period.isdigit() and int(period)):  # "max", "-1" or no such file
        return None
    return int(limit) / int(period)


def _room(group: Path) -> int | None:
    """Bytes below the limit. What files are cached does not count as used: it goes when memory is wanted."""
    for most, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit, now = _text(group / most) or "", _text(group / used) or ""
        if limit.isdigit() and now.isdigit():
            return int(limit) - int(now) + _stat(group, cached)
    return None


def _stat(group: Path, name: str) -> int:
    pairs = (line.split() for line in (_text(group / "memory.stat") or "").splitlines())
    return next((int(pair[1]) for pair in pairs if pair[0] == name), 0)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
