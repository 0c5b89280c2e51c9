"""Scores of an agent's move predictions on recorded games that its training has not seen."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from rich.table import Table

from agents.evaluation.move_match import MoveMatch
from scenes.console import say
from sim.plurals import number_of
from sim.protocols import Policy

NAMES = {"top1": "moves predicted", "nll": "nats a move"}


@runtime_checkable
class PredictsMoves(Protocol):
    """An agent that has learned from recorded games, some of which it holds out."""

    def move_match(self) -> MoveMatch:
        """Grades of its policy, without search, on the games held out."""


def add_move_match(policy: Policy, answer: dict[str, Any]) -> Table | None:
    """Grade an agent on recorded games; None for one that learned from none.

    Metrics, baseline and intervals go into `answer`; the table is for a person.
    """
    if not isinstance(policy, PredictsMoves):
        return None
    say("grading the policy on recorded games")
    found = policy.move_match()
    metrics, baseline, intervals = found.metrics(), found.baseline(), found.intervals()
    answer["metrics"] = answer["metrics"] | metrics
    answer["baseline"] = answer["baseline"] | baseline
    answer["ci95"] = answer["ci95"] | {name: list(interval) for name, interval in intervals.items()}
    games = len(set(found.games.tolist()))
    title = f"Policy alone: {number_of(len(found), 'position')} of {number_of(games, 'held-out game')}"
    table = Table("", "found", "95 % interval", "any legal move", title=title)
    for name, value in metrics.items():
        low, high = intervals.get(name, (float("nan"),) * 2)
        table.add_row(NAMES[name], f"{value:.3f}", f"{low:.3f} … {high:.3f}", f"{baseline[name]:.3f}")
    return table
