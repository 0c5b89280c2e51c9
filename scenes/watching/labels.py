"""What the window says of a scene in words and figures: rules, training budget, how the agent explores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from sim.plurals import number_of
from sim.protocols import Policy
from sim.records import Array, Decision
from sim.vector import Info
from sim.viewer.contract.moment import Exploration


def entropy(probabilities: Array) -> float:
    """−Σ p ln p in nats; 0 where one action is certain.

    >>> round(entropy(np.array([0.5, 0.5, 0.0])), 4)
    0.6931
    """
    some = np.asarray(probabilities, np.float64)
    some = some[some > 0]
    return float(max(0.0, -(some * np.log(some)).sum()))


def exploration(
    policy: Policy | None, decision: Decision | None, info: Info, *, greedy: bool
) -> Exploration | None:
    """How far the first world's action strays from the best guess: entropy, or the ε of ε-greedy play."""
    if decision is None:
        return None
    if decision.probabilities is not None:
        mask = info.get("action_mask")
        legal = len(decision.probabilities[0]) if mask is None else int(mask[0].sum())
        return Exploration(
            "policy entropy", entropy(decision.probabilities[0]), math.log(max(1, legal)), "nats"
        )
    epsilon = getattr(getattr(policy, "config", None), "epsilon_play", None)
    if decision.q_values is None or epsilon is None:
        return None
    return Exploration("ε", 0.0 if greedy else float(epsilon), 1.0)


def action_names(world: gymnasium.Env[Any, Any]) -> tuple[str, ...]:
    """What the world calls its discrete actions; empty for continuous ones."""
    if world.has_wrapper_attr("action_names"):
        return tuple(world.get_wrapper_attr("action_names"))
    space = world.action_space
    return tuple(f"ACTION {i}" for i in range(int(space.n))) if hasattr(space, "n") else ()


def chip(protocol: Mapping[str, Any]) -> str:
    """The rules in a few words, for the window's heading.

    >>> chip({"world": "atari/pong", "repeat_action_probability": 0.25, "frame_skip": 4})
    'sticky 0.25 · skip 4'
    """
    parts = []
    if "repeat_action_probability" in protocol:
        parts.append(f"sticky {protocol['repeat_action_probability']:g}")
    if "frame_skip" in protocol:
        parts.append(f"skip {protocol['frame_skip']}")
    if "starts" in protocol:
        parts.append("generated starts")
    return " · ".join(parts) or str(protocol["world"])


def in_words(trained: Mapping[str, Any]) -> str:
    """A training budget for people.

    >>> in_words({"env_steps": 4_000_000})
    '4.0 M steps'
    """
    for key, unit in (("env_steps", "steps"), ("updates", "updates")):
        if key in trained:
            count = trained[key]
            if count >= 1_000_000:
                return f"{count / 1e6:.1f} M {unit}"
            return f"{count / 1e3:.0f} k {unit}" if count >= 1000 else number_of(count, unit[:-1])
    return "trained"
