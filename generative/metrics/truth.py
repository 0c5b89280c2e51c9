"""What is true of samples: a perception looks at each, and a rule says whether that was asked for, or can be.

A rule is any function from a percept to yes or no; `sentence_holds` and `board_is_legal` are two. Vectors
need no perception: `poses_are_possible` asks the simulator itself. Every share is worth only as much as the
same share of real examples, which stands beside it: perceptions err, and play is wilder than rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from sim.protocols import Perception
from sim.records import Array, Percept

Rule: TypeAlias = Callable[[Percept], bool]
#: (n, …) examples → (n,) bool.
Verdict: TypeAlias = Callable[[Array], Array]


def seen(perception: Perception, rule: Rule | Sequence[Rule]) -> Verdict:
    """The verdict of a perception and a rule, one for all samples or one for each.

    Raises:
        ValueError: when the verdict is asked about another number of samples than there are rules.

    >>> class Namer:
    ...     reads = "rgb"
    ...     def perceive(self, inputs):
    ...         return [Percept("model", label="pong") for _ in inputs]
    >>> seen(Namer(), lambda percept: percept.label == "pong")(np.zeros((2, 8, 8, 3), np.uint8)).tolist()
    [True, True]
    """

    def verdict(examples: Array) -> Array:
        rules = [rule] * len(examples) if callable(rule) else list(rule)
        if len(rules) != len(examples):
            raise ValueError(f"{len(rules)} rules cannot judge {len(examples)} samples")
        percepts = perception.perceive(list(examples))
        return np.array([holds(percept) for holds, percept in zip(rules, percepts, strict=True)], bool)

    return verdict


def share_true(verdict: Verdict, examples: Array) -> float:
    """The share of examples (n, …), at least one, that the verdict is yes on.

    Raises:
        ValueError: if there are none.
    """
    if not len(examples):
        raise ValueError("there are no examples to judge")
    return float(verdict(examples).mean())


def sentence_holds(said: Mapping[str, object], read: Callable[[Percept], Mapping[str, object]]) -> Rule:
    """Whether all that a sentence says is what a percept says.

    Args:
        said: what the sentence says, by slot, as `supervised.grammar.Grammar.parse` gives it.
        read: what a percept says by the same slots; those that it lacks are not held to be true. A ValueError
            or KeyError of it means that there is nothing to read.
    """

    def rule(percept: Percept) -> bool:
        try:
            found = read(percept)
        except (ValueError, KeyError):
            return False
        return all(found.get(slot) == value for slot, value in said.items())

    return rule


def board_is_legal(percept: Percept) -> bool:
    """Whether the board that was read could stand in a game of chess, with either side to move."""
    from sim.chess.rules import PositionError, checked_board

    for mover in "wb":
        try:
            checked_board(f"{percept.fen} {mover} - - 0 1")
        except PositionError:
            continue
        return percept.fen is not None
    return False


def poses_are_possible(body: str) -> Verdict:
    """Whether poses (n, nq) of a walker have joints within their ranges and nothing inside the ground."""
    from sim.walker.poses import pose_faults

    return lambda poses: np.array([not fault for fault in pose_faults(body, poses)], bool)
