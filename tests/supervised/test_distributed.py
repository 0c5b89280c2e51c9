"""Process groups: of one process nothing happens; of torch's, one error says which rank failed."""

from __future__ import annotations

import os
import subprocess

import pytest
import torch
from process_groups import ThreadGroup, in_ranks
from torch import distributed

from supervised.distributed import (
    ALONE,
    FAULT,
    RankLostError,
    ShareError,
    TorchProcessGroup,
    _backend,
    _runs,
    even_share,
    join,
    learning_in,
    moments,
    process_group,
    sum_gradients,
)


def test_without_torchrun_a_process_is_alone():
    assert join("auto") is ALONE and process_group() is ALONE
    value = torch.ones(3)
    assert ALONE.all_reduce(value) is value and ALONE.all_gather(value, 0) is value
    assert ALONE.all_gather_object("x") == ["x"] and ALONE.broadcast_object("x") == "x"


def test_a_context_has_its_own_group():
    with learning_in(ThreadGroup(1, 2)) as _:
        assert process_group().rank == 1 and process_group().share(3) == slice(3, 6)
    assert process_group() is ALONE


def test_moments_are_those_of_all_rows():
    rows = torch.tensor([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [9.0, 6.0]])
    for mean, variance, count in in_ranks(2, lambda group: moments(rows[group.share(2)], group)):
        torch.testing.assert_close(mean, rows.mean(0))
        torch.testing.assert_close(variance, rows.var(0, correction=0))
        assert count == 4


def test_gradients_are_summed_in_their_own_memory_format():
    def work(group):
        kernel = torch.nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
        kernel.grad = torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last)
        figures = sum_gradients(group, [kernel], torch.tensor([1.0 + group.rank]))
        return kernel.grad, figures.tolist()

    for grad, figures in in_ranks(2, work):
        assert torch.equal(grad, 2 * torch.arange(24.0).view(2, 3, 2, 2)) and figures == [3.0]
        assert grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("total", "size", "nearest"), [(7, 2, "6 or 8"), (1, 4, "4"), (1_001, 2, "1,000 or 1,002"), (0, 2, "2")]
)
def test_what_cannot_be_shared_evenly_is_refused_with_the_nearest_number_that_can(total, size, nearest):
    with pytest.raises(ShareError, match=f"world.num_envs is {total:,}, .* set it to {nearest}, or start"):
        even_share(total, ThreadGroup(0, size), "world.num_envs")
    assert even_share(8, ThreadGroup(0, 4), "x") == 2 and even_share(7, ALONE, "x") == 7


@pytest.fixture
def group():
    """The group of torch of which this process is the only rank."""
    store = distributed.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield TorchProcessGroup(store=store)
    finally:
        distributed.destroy_process_group()


def test_a_group_of_torch_passes_tensors_and_objects(group):
    assert isinstance(process_group(), TorchProcessGroup), "initialised by the caller"
    flags = torch.tensor([[True], [False]])
    assert torch.equal(group.all_gather(flags, 1), flags)
    assert group.all_reduce(torch.ones(2)).tolist() == [1.0, 1.0]
    assert group.all_gather_object({"a": 1}) == [{"a": 1}] and group.broadcast_object("go") == "go"


def test_more_ranks_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("supervised.distributed.ranks_here", lambda: 2)
    with pytest.raises(ShareError, match="started 2 ranks on a machine with 1 GPU, .* --nproc-per-node 1"):
        _backend("auto")
    assert _backend("cpu") == "gloo"


def broken(*given, **options):
    raise RuntimeError("[pair.cc:537] Connection closed by peer\nmore")


class TwoOfThem(TorchProcessGroup):
    """Rank 0 of two, whose other one is a process of that number."""

    def __init__(self, group, process):
        vars(self).update(vars(group))
        self.size, self._processes = 2, [self._processes[0], (self._processes[0][0], process)]


def test_a_lost_connection_names_the_rank_and_what_it_said(group, monkeypatch):
    dead = subprocess.Popen(["true"])
    dead.wait()
    assert _runs(os.getpid()) and not _runs(dead.pid)
    monkeypatch.setattr("supervised.distributed.NOTICED", 0.0)
    monkeypatch.setattr(distributed, "all_reduce", broken)
    with pytest.raises(RankLostError, match="^rank 1 was killed$") as caught:
        TwoOfThem(group, dead.pid).all_reduce(torch.ones(1))
    assert caught.value.killed == (1,)
    with pytest.raises(RankLostError, match="^another rank cannot be reached$"):
        TwoOfThem(group, os.getpid()).all_reduce(torch.ones(1))
    group._store.set(FAULT.format(1), "the motor burnt out")
    with pytest.raises(RankLostError, match="^rank 1: the motor burnt out$"):
        TwoOfThem(group, dead.pid).all_reduce(torch.ones(1))


def test_a_fault_is_read_by_the_others(group):
    assert group.fault(0) is None
    group.report_fault("the disk is full")
    assert group.fault(0) == "the disk is full"
