"""Labels in the window: protocol chip, training budget, action names, exploration (entropy or ε)."""

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

RANDOM = "random"  # who plays where a scene has no agent
_NAMES = {"ALPHAZERO": "AlphaZero", "IMITATION": "imitation"}


def player_name(agent: str) -> str:
    """Name of an agent as a player in a game.

    >>> player_name("ALPHAZERO"), player_name("PPO")
    ('AlphaZero', 'PPO')
    """
    return _NAMES.get(agent, agent)


def entropy(probabilities: Array) -> float:
    """Entropy −Σ p ln p of action probabilities (A,), in nats.

    >>> round(entropy(np.array([0.5, 0.5, 0.0])), 4)
    0.6931
    """
    some = np.asarray(probabilities, np.float64)
    some = some[some > 0]
    return float(max(0.0, -(some * np.log(some)).sum()))


def exploration(
    policy: Policy | None, decision: Decision | None, info: Info, *, greedy: bool
) -> Exploration | None:
    """Exploration of the first world's decision: policy entropy, or the ε of ε-greedy play; None without."""
    if decision is None:
        return None
    if decision.probabilities is not None:
        mask = info.get("action_mask")
        legal = len(decision.probabilities[0]) if mask is None else int(mask[0].sum())
        return Exploration(
            "policy entropy", entropy(decision.probabilities[0]), math.log(max(1, legal)), "nats"
        )
    epsilon = _epsilon(policy)
    if decision.q_values is None or epsilon is None:
        return None
    return Exploration("ε", 0.0 if greedy else float(epsilon), 1.0)


def _epsilon(policy: Policy | None) -> float | None:
    """The ε with which a policy plays; None for one without."""
    epsilon: float | None = getattr(getattr(policy, "config", None), "epsilon_play", None)
    return epsilon


def selection(policy: Policy | None, decision: Decision | None, *, greedy: bool) -> str:
    """How an action was chosen, in words; "" without a decision.

    >>> selection(None, Decision(np.zeros(1), probabilities=np.ones((1, 2)) / 2), greedy=False)
    'sampled from the policy'
    """
    if decision is None:
        return ""
    if decision.probabilities is not None:
        return "the most probable one" if greedy else "sampled from the policy"
    if decision.q_values is not None:
        return "greedy" if greedy or not _epsilon(policy) else "ε-greedy"
    return ""


def readable(name: str) -> str:
    """A catalogue's or data set's name as it is read on screen.

    >>> readable("text_to_image"), readable("frames/pong")
    ('text to image', 'frames of pong')
    """
    return name.replace("_", " ").replace("/", " of ")


def action_names(world: gymnasium.Env[Any, Any]) -> tuple[str, ...]:
    """Names of a world's discrete actions, by what they do there; empty for continuous ones."""
    if world.has_wrapper_attr("action_meanings"):
        return tuple(world.get_wrapper_attr("action_meanings"))
    if world.has_wrapper_attr("action_names"):
        return tuple(world.get_wrapper_attr("action_names"))
    space = world.action_space
    return tuple(f"ACTION {i}" for i in range(int(space.n))) if hasattr(space, "n") else ()


#: Keys of a walker's stamp that are there only where it is perturbed (`sim.walker.perturbations`).
PERTURBED = {"mass", "friction", "motor_strength", "latency", "push_force", "slope"}


def chip(protocol: Mapping[str, Any]) -> str:
    """Format a protocol stamp for the chip in the window's heading.

    >>> chip({"world": "atari/pong", "repeat_action_probability": 0.25, "frame_skip": 4})
    'sticky 0.25 · skip 4'
    >>> chip({"world": "walker/hopper", "frame_skip": 4, "mass": 1.2})
    'skip 4 · perturbed'
    """
    parts = []
    if "repeat_action_probability" in protocol:
        parts.append(f"sticky {protocol['repeat_action_probability']:g}")
    if "frame_skip" in protocol:
        parts.append(f"skip {protocol['frame_skip']}")
    if not PERTURBED.isdisjoint(protocol):
        parts.append("perturbed")
    if "denoising_steps" in protocol:
        parts.append("world model")
    if "starts" in protocol:
        parts.append("generated starts")
    return " · ".join(parts) or str(protocol["world"])


def in_words(trained: Mapping[str, Any]) -> str:
    """Format a training budget.

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
