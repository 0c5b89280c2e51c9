"""Tactics of a chess agent: shares of mates in one found by its network, and of mates in two by its search.

The positions are those of `supervised.data.sources.chess_tactics`. A position is solved by a first move that
mates in so many moves against every defence.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.table import Table
from scipy.stats import binomtest

from agents.alphazero.search_agent import SearchAgent
from agents.evaluation.statistics import Interval
from sim.chess.endgames import STANDARD
from sim.chess.opponents import action_masks
from sim.chess.rules import ChessGame
from sim.chess.world import Chess
from sim.protocols import Policy
from sim.records import Array
from supervised.data.sources.chess_tactics import Tactic, tactics

MOST_SIMULATIONS = 100  # a position: of an agent that searches more, too, so that it takes seconds
WORDS = {"mate_in_1": "mate in 1, network alone", "mate_in_2": "mate in 2, search"}


@dataclass(frozen=True)
class TacticsScores:
    """Scores of tactics, by the names of metrics ``mate_in_1`` and ``mate_in_2``.

    Attributes:
        shares: of the positions that were solved.
        intervals: Wilson's 95 % interval of each.
        chance: what a random legal move solves, on average.
        counts: how many positions.
        num_simulations: of the search; 0 if the agent has none.
    """

    shares: dict[str, float]
    intervals: dict[str, Interval]
    chance: dict[str, float]
    counts: dict[str, int]
    num_simulations: int

    def table(self) -> Table:
        """Table of the shares."""
        search = f"search of {self.num_simulations} simulations" if self.num_simulations else "no search"
        table = Table(title=f"Tactics: first moves that force mate; {search}")
        table.add_column("")
        for heading in ("positions", "solved", "95 % interval", "random move"):
            table.add_column(heading, justify="right")
        for name, share in self.shares.items():
            low, high = self.intervals[name]
            interval = f"{100 * low:.1f} … {100 * high:.1f} %"
            table.add_row(
                WORDS[name],
                str(self.counts[name]),
                f"{100 * share:.1f} %",
                interval,
                f"{100 * self.chance[name]:.1f} %",
            )
        return table


def tactics_scores(
    policies: Sequence[SearchAgent],
    history: int,
    *,
    num_simulations: int = MOST_SIMULATIONS,
    positions: Mapping[int, Sequence[Tactic]] | None = None,
) -> TacticsScores:
    """Score agents by mates in one, which their network finds alone, and in two, which their search finds.

    Args:
        policies: agents; of several, such as of several seeds, all answers count together.
        history: positions in an observation.
        num_simulations: of the search at most.
        positions: by moves to mate; None: those that ship.
    """
    first = policies[0].config
    searched = 0 if first.search == "none" else min(first.num_simulations, num_simulations)
    sets = {moves: positions[moves] if positions else tactics(moves) for moves in (1, 2)}
    shares, intervals, chance, counts = {}, {}, {}, {}
    for moves, found in sets.items():
        name = f"mate_in_{moves}"
        games = [ChessGame(tactic.fen, history) for tactic in found]
        changes: dict[str, Any] = {"search": "none"} if moves == 1 else {"num_simulations": max(1, searched)}
        answers = [_choices(policy, games, changes) for policy in policies]
        solved = sum(
            int(action in _solutions(game, tactic))
            for actions in answers
            for action, game, tactic in zip(actions.tolist(), games, found, strict=True)
        )
        asked = len(games) * len(policies)
        interval = binomtest(solved, asked).proportion_ci(method="wilson")
        shares[name], intervals[name] = solved / asked, (float(interval.low), float(interval.high))
        chance[name] = float(
            np.mean([len(t.solutions) / len(g.moves) for g, t in zip(games, found, strict=True)])
        )
        counts[name] = len(games)
    return TacticsScores(shares, intervals, chance, counts, searched)


def _choices(policy: SearchAgent, games: Sequence[ChessGame], changes: Mapping[str, Any]) -> Array:
    """(N,) actions of an agent with a changed search."""
    changed = copy.copy(policy)
    changed.config = replace(policy.config, **changes)
    info = {"action_mask": action_masks(games), "games": tuple(games)}
    return changed.act(ChessGame.observe(games), info, greedy=True)[0].actions


def _solutions(game: ChessGame, tactic: Tactic) -> set[int]:
    return {game.action(uci) for uci in tactic.solutions}


def scene_tactics(config: object, policies: Sequence[Policy]) -> TacticsScores | None:
    """Tactics of a scene's agents, if they search and play whole games of chess; else None."""
    if not isinstance(config, Chess):
        return None
    searching = [policy for policy in policies if isinstance(policy, SearchAgent)]
    if config.start != STANDARD or config.fen is not None or len(searching) != len(policies):
        return None
    return tactics_scores(searching, config.history)
