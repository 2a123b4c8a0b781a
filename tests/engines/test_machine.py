"""Cores and memory as Linux's files tell them, in trees that a test makes."""

import os

import psutil
import pytest

from puna.engines.machine import Cores, cores, free_memory


def tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def cpus(pairs):
    return {f"sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{pair}\n" for n, pair in enumerate(pairs)}


@pytest.fixture
def allowed(monkeypatch):
    return lambda *numbers: monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(numbers), raising=False)


@pytest.mark.parametrize(
    ("affinity", "physical"),
    [((0, 1, 2, 3), 2), ((0, 2), 1), ((1, 2), 2), ((3,), 1)],
)
def test_two_threads_of_a_core_are_one_core_and_a_forbidden_one_is_none(tmp_path, allowed, affinity, physical):
    allowed(*affinity)
    assert cores(tree(tmp_path, cpus(["0,2", "1,3", "0,2", "1,3"]))) == Cores(physical)


@pytest.mark.parametrize(
    ("files", "quota", "usable"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None, 4),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "250000 100000\n"}, 2.5, 2),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 0.5, 1),
        # In a container the path is often the host's, and the container's own limit is at the top.
        ({"proc/self/cgroup": "0::/host/path\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0, 3),
        (
            {
                "proc/self/cgroup": "4:memory:/m\n2:cpu,cpuacct:/c\n",
                "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            },
            1.0,
            1,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "900000 100000\n"}, 9.0, 4),
    ],
)
def test_the_tightest_quota_above_the_process_counts(tmp_path, allowed, files, quota, usable):
    allowed(0, 1, 2, 3)
    found = cores(tree(tmp_path, {**cpus("0123"), **files}))
    assert (found.quota, found.usable) == (quota, usable)
    assert ("may be used" in found.told) is (quota is not None and quota < 4)


def test_where_the_system_tells_no_topology_the_affinity_still_counts(tmp_path, allowed):
    allowed(0)
    assert cores(tmp_path).physical == 1


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/box\n",
            "sys/fs/cgroup/box/memory.max": "1000000\n",
            "sys/fs/cgroup/box/memory.current": "700000\n",
            "sys/fs/cgroup/box/memory.stat": "anon 500000\ninactive_file 200000\n",
        },
        {
            "proc/self/cgroup": "4:memory:/box\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1000000\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "700000\n",
            "sys/fs/cgroup/memory/box/memory.stat": "total_inactive_file 200000\n",
        },
    ],
)
def test_memory_is_what_the_control_group_leaves_and_cached_files_are_free(tmp_path, files):
    assert free_memory(tree(tmp_path, files)) == 500_000


def test_without_a_limit_memory_is_the_machines(tmp_path):
    files = {"proc/self/cgroup": "0::/box\n", "sys/fs/cgroup/box/memory.max": "max\n"}
    found = free_memory(tree(tmp_path, files))
    assert 0 < found <= psutil.virtual_memory().total
