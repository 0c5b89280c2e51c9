"""Gated self-play: the network that plays is replaced only by one that beats it in a match.

AlphaGo Zero's evaluator (Silver et al. 2017, Methods): games are played by the best network so far; the one
that learns from them takes its place with a score of 55 % or more in a match. Self-play that begins with a
network that imitates strong players needs it: else it first plays worse, and then learns from that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agents.alphazero.search_agent import SearchAgent
from agents.alphazero.tree_arrays import softmax
from agents.evaluation.gating import GateResult, gate
from agents.evaluation.paired_match import Opening
from sim.protocols import Game
from sim.records import Array, State

OPENING_PLIES = 6  # of a pair of games, drawn from the incumbent's policy
TRIES = 4  # at most so many lines are drawn for each opening that is wanted: two may be the same


class GatedPlay:
    """The incumbent, which plays, and the challenger, which is tried.

    Attributes:
        incumbent: the best network so far.
    """

    def __init__(
        self,
        incumbent: SearchAgent,
        challenger: SearchAgent,
        *,
        games: int,
        threshold: float,
        num_actions: int,
    ) -> None:
        """Take two agents of the same configuration.

        Args:
            incumbent: plays from now on.
            challenger: gets the weights that are tried.
            games: of a match; two of each opening.
            threshold: the score with which the challenger passes.
            num_actions: of the game.
        """
        self.incumbent, self._challenger = incumbent, challenger
        self._pairs, self._threshold, self._num_actions = -(-games // 2), threshold, num_actions

    def load(self, weights: Mapping[str, Array]) -> None:
        """Make these weights the incumbent's."""
        self.incumbent.load_weights(weights)

    def challenge(
        self,
        weights: Mapping[str, Array],
        starts: Sequence[Game],
        max_plies: int,
        generator: np.random.Generator,
    ) -> GateResult:
        """Play the match; weights that pass become the incumbent's.

        Args:
            weights: of the challenger.
            starts: positions that games begin from.
            max_plies: of a game; a longer one counts as half a point.
            generator: of the openings.
        """
        self._challenger.load_weights(weights)
        result = gate(
            self._challenger,
            self.incumbent,
            sampled_openings(self.incumbent, starts, self._pairs, generator),
            num_actions=self._num_actions,
            max_plies=max_plies,
            seed=int(generator.integers(2**31)),
            threshold=self._threshold,
        )
        if result.passes:
            self.load(weights)
        return result

    def state(self) -> State:
        """The incumbent's weights."""
        return self.incumbent.weights()

    def restore(self, state: State) -> None:
        """Restore `state`."""
        self.load(state)


def sampled_openings(
    agent: SearchAgent, starts: Sequence[Game], count: int, generator: np.random.Generator
) -> list[Opening]:
    """Draw openings from an agent's policy: `count` different ones, or as many as are found.

    Each begins at one of `starts` and ends before a move that would end the game.
    """
    found: dict[tuple[int, tuple[int, ...]], Opening] = {}
    for first in range(0, TRIES * count, count):
        origins = [(first + i) % len(starts) for i in range(count)]
        lines = _sampled_lines(agent, [starts[i] for i in origins], generator)
        for origin, line in zip(origins, lines, strict=True):
            if len(found) < count:
                found.setdefault((origin, line), Opening(starts[origin], line))
        if len(found) == count:
            break
    return list(found.values())


def _sampled_lines(
    agent: SearchAgent, starts: Sequence[Game], generator: np.random.Generator
) -> list[tuple[int, ...]]:
    """A line of actions from each position, `OPENING_PLIES` long unless the game would end."""
    games, lines = list(starts), [list[int]() for _ in starts]
    going = list(range(len(games)))
    for _ in range(OPENING_PLIES):
        if not going:
            break
        logits = agent.evaluate([games[i] for i in going]).logits
        still = []
        for i, row in zip(going, logits, strict=True):
            legal = games[i].legal_actions()
            action = int(generator.choice(legal, p=softmax(row[legal].astype(np.float64))))
            after = games[i].play(action)
            if after.outcome() is None:
                games[i] = after
                lines[i].append(action)
                still.append(i)
        going = still
    return [tuple(line) for line in lines]
