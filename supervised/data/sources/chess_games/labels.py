"""Labels of positions by an engine: win, draw and loss for the mover, and a policy over its best moves.

A shard's labels stand in ``labels-0000.rows``, rows of one size in any order: it can be appended to, and
is whole whenever its writer is killed. Positions without a row have no label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim.records import Array
from supervised.data.sources.splits import DataError

PERMILLE = 1000
NO_ACTION = -1


def label_dtype(multipv: int) -> np.dtype[Any]:
    """A label with the `multipv` best moves.

    Fields: ``index`` of the position in its shard; ``wdl`` (3,) in permille for the mover; ``actions``
    (multipv,), `NO_ACTION` where there are fewer; ``shares`` (multipv,) probabilities of those.
    """
    return np.dtype(
        [
            ("index", "<u4"),
            ("wdl", "<u2", (3,)),
            ("actions", "<i2", (multipv,)),
            ("shares", "<f4", (multipv,)),
        ]
    )


def label_file(folder: Path, shard: int) -> Path:
    """Where the labels of a shard stand."""
    return folder / f"labels-{shard:04d}.rows"


def read_labels(file: Path, multipv: int) -> Array:
    """Rows of `label_dtype` in order of their index, one a position; empty if there are none.

    A row that a killed process left unfinished at the end does not count.

    Raises:
        DataError: if the file cannot be read.
    """
    dtype = label_dtype(multipv)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    rows = np.frombuffer(content, dtype, len(content) // dtype.itemsize)
    _, newest = np.unique(rows["index"], return_index=True)
    return rows[newest]


@dataclass(frozen=True)
class ShardLabels:
    """Labels of one shard, (L,) of `label_dtype` in order of their index."""

    rows: Array

    def of(self, index: Array) -> tuple[Array, Array]:
        """Which positions (B,) have a label, bool (B,), and the labels (N,) of those."""
        if not len(self.rows):
            return np.zeros(len(index), bool), self.rows
        place = np.minimum(np.searchsorted(self.rows["index"], index), len(self.rows) - 1)
        labelled = self.rows["index"][place] == index
        return labelled, self.rows[place[labelled]]


def open_labels(folder: Path, card: Mapping[str, Any]) -> tuple[ShardLabels, ...]:
    """Labels of each shard of a folder; none where the card tells of none.

    Raises:
        DataError: if they cannot be read.
    """
    if "labels" not in card:
        return ()
    multipv = int(card["labels"]["multipv"])
    return tuple(
        ShardLabels(read_labels(label_file(folder, shard), multipv)) for shard in range(card["shards"])
    )


def labelled_targets(rows: Array, legal: Array) -> tuple[Array, Array]:
    """Policy (N, K) float32 over `legal` (N, K), and win, draw, loss (N, 3) float32, of N labels."""
    policy = np.zeros(legal.shape, np.float32)
    for actions, shares in zip(rows["actions"].T, rows["shares"].T, strict=True):
        policy += np.where(legal == actions[:, None], shares[:, None], 0)
    return policy, rows["wdl"].astype(np.float32) / PERMILLE
