"""How many processors and how much memory there are: the fewest and the least that anything says."""

import pytest

from sim.errors import RequestError
from sim.machine import check_memory, free_memory, processors

MEMINFO = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    5000000 kB\n"


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path


def free(machine):
    return free_memory(machine / "meminfo", machine, lambda: 2**50)


def container(folder, limit, current, cache):
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\nactive_file 7\n")


def test_the_kernel_says_what_is_available(machine):
    assert free(machine) == 5_000_000 * 1024


def test_a_container_has_its_own_limit_and_gets_its_file_cache_back(machine):
    container(machine, 3_000_000_000, 2_500_000_000, 400_000_000)
    assert free(machine) == 900_000_000
    container(machine, "max", 2_500_000_000, 400_000_000)
    assert free(machine) == 5_000_000 * 1024


def test_where_the_kernel_is_silent_what_is_installed_counts(machine):
    (machine / "meminfo").unlink()
    assert free(machine) == 2**50


def test_this_machine_has_some():
    assert free_memory() is None or free_memory() > 2**20


def test_what_does_not_fit_is_refused_with_both_numbers(machine):
    check_memory(5_000_000 * 1024, "a replay", "set a smaller agent.buffer_size", free(machine))
    with pytest.raises(RequestError, match="a replay needs 4.8 GiB of memory, 1.0 GiB are free: set"):
        check_memory(5_000_000 * 1024, "a replay", "set a smaller agent.buffer_size", free=2**30)


def test_processors_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 5, 9}, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert processors() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    assert processors() == 64
