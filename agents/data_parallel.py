"""Data-parallel rollouts: each rank's rows of the minibatches, and the episodes of all ranks.

The worlds of a run are numbered through the ranks, and every rank draws the random numbers of all of them:
the noise of actions and the order of rows. So the ranks choose the actions and the minibatches that one
process with all the worlds would, and what they learn differs from it by rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.optim.train_step import minibatches
from agents.rollouts.rollout import Rollout
from sim.records import Episode
from supervised.distributed import ProcessGroup


@dataclass(frozen=True)
class Share:
    """One rank's rows of one minibatch.

    Attributes:
        rows: (M',) indices into the rank's own rollout; one row of weight 0 where the rank has none.
        weight: M' / M, by which the mean over its rows counts in that over the minibatch.
        whole: (M,) the minibatch, as indices into the rollouts of all ranks side by side.
    """

    rows: Tensor
    weight: float
    whole: Tensor


def shares(order: Tensor, size: int, num_envs: int, group: ProcessGroup) -> Iterator[Share]:
    """Split `order` into minibatches, and each of them into the rank's own share.

    Args:
        order: (B,) a permutation of the steps of all ranks, time first: t · N + world; or of all N worlds.
        size: of a minibatch of all ranks, at most.
        num_envs: of one rank.
        group: of the ranks.

    >>> [(part.rows.tolist(), part.weight) for part in shares(torch.tensor([2, 0, 1]), 2, 3, ProcessGroup())]
    [([2, 0], 1.0), ([1], 1.0)]
    """
    if group.size == 1:
        yield from (Share(rows, 1.0, rows) for rows in minibatches(order, size))
        return
    total, own = num_envs * group.size, group.share(num_envs)
    world = order % total
    mine = (world >= own.start) & (world < own.stop)
    local = order // total * num_envs + world - own.start
    parts = list(minibatches(order, size))
    counts = torch.stack([part.sum() for part in minibatches(mine, size)]).tolist()
    for whole, rows, count in zip(parts, torch.split(local[mine], counts), counts, strict=True):
        yield Share(rows if count else local.new_zeros(1), count / len(whole), whole)


def all_episodes(rollout: Rollout, group: ProcessGroup) -> tuple[Episode, ...]:
    """The episodes that ended in the rollouts of all ranks, by time and world."""
    if group.size == 1:
        return rollout.episodes
    ended = group.all_gather(rollout.ended, 1)  # (T, N)
    if not bool(ended.any()):
        return ()
    told = [iter(episodes) for episodes in group.all_gather_object(rollout.episodes)]
    count = rollout.ended.shape[1]
    return tuple(next(told[world // count]) for _, world in ended.nonzero().tolist())
