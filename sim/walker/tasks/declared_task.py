"""From the keys of a scene's ``[world]`` to a robot's `Task`: checks, units and the protocol stamp."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from sim.fields import nearest, shown
from sim.walker.engine import mujoco
from sim.walker.mjcf import body_number, fingerprint
from sim.walker.tasks.proprioception import PARTS
from sim.walker.tasks.task import FILE, LAST_ACTION, TARGET, USUAL_PARTS, V5, Span, Task, robot_model

if TYPE_CHECKING:
    from sim.walker.world import Walker

#: Keys that change nothing without a reward of named terms.
KEYS = (
    "frame_skip",
    "observe",
    "trunk",
    "feet",
    "healthy_height",
    "healthy_tilt",
    "target_speed",
    "target_direction",
)


def declared_task(config: Walker) -> Task | None:
    """The task that a scene declares; None if it declares no reward: gymnasium's rules.

    Raises:
        ValueError: naming the key that does not fit, or the file and what is wrong in it.
    """
    if config.reward is None:
        defaults = {field.name: field.default for field in fields(config)}
        changed = [key for key in KEYS if getattr(config, key) != defaults[key]]
        if config.body == FILE:
            raise ValueError(
                "reward is missing: a table of named terms, such as [world.reward] forward = 1.0"
            )
        if changed:
            raise ValueError(f"{changed[0]} needs [world.reward]: without it gymnasium's rules hold")
        return None
    model = robot_model(config.constants, config.feet)
    body_number(model, config.trunk)
    if config.reward.flight and not config.feet:
        raise ValueError("reward.flight needs feet, a list of the names of their geoms")
    task = Task(
        reward=config.reward,
        observe=_parts(config, model),
        trunk=config.trunk,
        feet=config.feet,
        healthy_height=_span("healthy_height", config.healthy_height or (-math.inf, math.inf)),
        healthy_tilt=math.radians(config.healthy_tilt),
        target_speed=_span("target_speed", config.target_speed),
        target_direction=_radians(_span("target_direction", config.target_direction)),
    )
    for key, span in (("target_speed", task.target_speed), ("target_direction", task.target_direction)):
        if span[0] != span[1] and TARGET not in task.observe:
            raise ValueError(
                f'{key} differs between episodes: add "{TARGET}" to observe, or the agent cannot know'
            )
    return task


def task_stamp(config: Walker) -> Mapping[str, str | int | float | bool]:
    """What a task adds to the protocol of a score: the robot's fingerprint, weights, limits and target."""
    task = config.task
    if task is None:
        return {}
    stamp: dict[str, str | int | float | bool] = {}
    if config.path is not None:
        stamp["model"] = fingerprint(robot_model(config.constants, task.feet))
    stamp |= {f"reward.{name}": weight for name, weight in task.reward.weights().items()}
    stamp["observe"] = ", ".join(task.observe)
    for key in ("trunk", "feet", "healthy_height", "target_speed", "target_direction"):
        value = getattr(config, key)
        if value not in ("", (), 0.0):
            stamp[key] = value if isinstance(value, str | float) else ", ".join(map(str, value))
    if config.healthy_tilt != 180.0:
        stamp["healthy_tilt"] = config.healthy_tilt
    if config.path is not None:
        stamp["reset_noise_scale"] = config.reset_noise_scale
    return stamp


def _parts(config: Walker, model: mujoco.MjModel) -> tuple[str, ...]:
    """Parts of the observation.

    Raises:
        ValueError: naming one that does not exist or is empty.
    """
    names = (*(() if config.body == FILE else (V5,)), *PARTS, TARGET, LAST_ACTION)
    for part in config.observe:
        if part not in names:
            raise ValueError(f'observe: there is no part "{part}"; {nearest(part, names)}')
        if config.observe.count(part) > 1:
            raise ValueError(f'observe names "{part}" twice')
    if "contacts" in config.observe and not config.feet:
        raise ValueError('observe: "contacts" needs feet, a list of the names of their geoms')
    if "sensors" in config.observe and model.nsensordata == len(config.feet):
        raise ValueError('observe: "sensors" needs sensors in the MJCF file, which has none')
    return config.observe or (USUAL_PARTS if config.body == FILE else (V5,))


def _span(key: str, value: float | tuple[float, ...]) -> Span:
    """A number or two as lowest and highest.

    Raises:
        ValueError: naming the key.
    """
    if not isinstance(value, tuple):
        return value, value
    if len(value) != 2 or value[0] > value[1]:
        raise ValueError(f"{key} must be a number or [low, high], not {shown(list(value))}")
    return value[0], value[1]


def _radians(degrees: Span) -> Span:
    return math.radians(degrees[0]), math.radians(degrees[1])
