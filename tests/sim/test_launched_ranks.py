"""What torchrun's environment says: how many ranks there are, which this is, how to start as many."""

from __future__ import annotations

import os

from sim.machine import processors
from sim.ranks import ENVIRONMENT, is_follower, launched_by, launched_ranks, launcher, ranks_here

TWO = {
    "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost", "MASTER_PORT": "29500",
}  # fmt: skip


def test_ranks_are_those_of_torchrun_alone():
    assert (launched_ranks(TWO), ranks_here(TWO), is_follower(TWO)) == (2, 2, True)
    assert not is_follower(TWO | {"RANK": "0"})
    for name in ENVIRONMENT:  # other programs set some of them
        some = {key: value for key, value in TWO.items() if key != name}
        assert (launched_ranks(some), ranks_here(some), is_follower(some)) == (1, 1, False)


def test_a_command_starts_as_many_on_as_many_machines():
    assert launcher({}) == launched_by(1) == "playfield"
    assert launcher(TWO) == launched_by(2) == "torchrun --nproc-per-node 2 -m -- playfield"
    four = TWO | {"WORLD_SIZE": "4"}
    assert launcher(four) == "torchrun --nnodes 2 --nproc-per-node 2 -m -- playfield"


def test_ranks_on_one_machine_share_its_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(7)))
    assert processors() == 7
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    assert processors() == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert processors() == 1
