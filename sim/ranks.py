"""Ranks of ``torchrun``: what its environment variables say of this process, without importing torch.

``torchrun --nproc-per-node N -m -- playfield train SCENE`` starts N processes, the ranks. Rank 0 alone prints
and writes. `supervised.distributed` connects them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

#: Set by torchrun for each process; all of them are needed.
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def launched_ranks(environment: Mapping[str, str] = os.environ) -> int:
    """How many ranks torchrun started; 1 without it."""
    return int(environment["WORLD_SIZE"]) if all(environment.get(name) for name in ENVIRONMENT) else 1


def ranks_here(environment: Mapping[str, str] = os.environ) -> int:
    """How many of the ranks run on this machine."""
    ranks = launched_ranks(environment)
    return int(environment.get("LOCAL_WORLD_SIZE") or ranks) if ranks > 1 else 1


def is_follower(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a rank other than 0."""
    return launched_ranks(environment) > 1 and int(environment["RANK"]) > 0


def launcher(environment: Mapping[str, str] = os.environ) -> str:
    """The words before the verb in a command line that starts as many ranks.

    >>> two = dict.fromkeys(ENVIRONMENT, "0") | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    >>> launcher({}), launcher(two)
    ('playfield', 'torchrun --nproc-per-node 2 -m -- playfield')
    """
    return launched_by(launched_ranks(environment), ranks_here(environment))


def launched_by(ranks: int, here: int | None = None) -> str:
    """The words that start a number of ranks, `here` of them on each machine.

    Without ``--`` torchrun takes ``--run`` for an abbreviation of its own ``--run-path``.
    """
    if ranks == 1:
        return "playfield"
    here = here or ranks
    nodes = "" if here == ranks else f"--nnodes {ranks // here} "
    return f"torchrun {nodes}--nproc-per-node {here} -m -- playfield"
