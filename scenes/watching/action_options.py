"""Action options: the first world's legal actions by name, the highest-ranked ones first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np

from sim.records import Array, Decision
from sim.viewer.contract.moment import Options, RankedAction, measured

MOST_OPTIONS = 18  # named in a moment


def action_options(
    world: gymnasium.Env[Any, Any], names: Sequence[str], mask: Array, decision: Decision | None
) -> Options:
    """Highest-ranked legal actions of one world.

    Args:
        world: whose ``action_name(action)`` names them, if it has one.
        names: by number, where it has not.
        mask: (A,) bool, which are legal.
        decision: of the policy, whose first row ranks them; None: they stay in the world's order.
    """
    name = world.get_wrapper_attr("action_name") if world.has_wrapper_attr("action_name") else None
    return ranked_options(name or names.__getitem__, mask, decision)


def ranked_options(name: Callable[[int], str], mask: Array, decision: Decision | None) -> Options:
    """The highest-ranked actions that `mask` (A,) allows, each with its `name`; see `action_options`."""
    legal = np.flatnonzero(mask)
    measure, values = measured(decision)
    chosen = -1 if decision is None else int(decision.actions[0])
    weights = np.zeros(len(legal)) if values is None else values[legal]
    shown = legal[np.argsort(-weights, kind="stable")[:MOST_OPTIONS]].tolist()
    if chosen in legal and chosen not in shown:
        shown[-1] = chosen
    choices = tuple(
        RankedAction(name(action), None if values is None else float(values[action]), action == chosen)
        for action in shown
    )
    return Options(measure, choices, len(legal) - len(choices))
