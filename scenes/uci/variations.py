"""Principal variations: the best moves of a position with value, visits and expected line, as found so far.

`Findings` are what a search, or a policy alone, says of a position at one moment (`scenes.uci.player`). They
name moves as actions; `scenes.uci.info` writes them for the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sim.records import Array


@dataclass(frozen=True)
class PrincipalVariation:
    """A move and what is expected after it.

    Attributes:
        actions: from the move on, both sides'.
        value: for the side to move, None where the agent tells none.
        draw: probability of a draw, None where the agent tells none.
    """

    actions: tuple[int, ...]
    value: float | None
    draw: float | None = None


class Findings(Protocol):
    """What is known of a position at one moment of a search.

    Attributes:
        nodes: simulations so far.
        actions: (K,) the moves that it may choose from.
    """

    nodes: int
    actions: Array

    def best(self) -> int:
        """Index of the move to play."""

    def depth(self) -> int:
        """Plies that were searched."""

    def deepest(self) -> int:
        """Plies of the longest line that was searched."""

    def weights(self) -> Array:
        """(K,) weights of the moves, which a temperature draws by."""

    def lead(self) -> float:
        """Simulations that the best move is ahead of the second."""

    def variation(self, index: int) -> PrincipalVariation:
        """The principal variation of one move."""

    def ranking(self, count: int) -> list[int]:
        """Indices of the best moves, best first, `count` at most."""
