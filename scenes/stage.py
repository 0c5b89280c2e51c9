"""The stage: a scene's world and agent as a `Show` that the window can step.

The agent sees what it was trained on; the audience sees the world's own picture. Both come from
the same world, so nothing is replayed or guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from scenes.build import build_policy, chosen_device, scene_agent, scene_world
from scenes.schema import Scene, SceneError
from sim.protocols import Policy, WorldConfig
from sim.records import Array, Decision, Episode
from sim.vector import EnvWorlds, Info, finished
from sim.viewer.show import Moment

MOST_WORLDS = 9  # in the grid; more would be too small to follow
PLAIN_WORDS = ("random", "greedy")  # agents whose names are not acronyms
PLAIN_RATE = 30.0  # steps/s of a world that does not say its own


class SceneShow:
    """Plays a scene step by step. Satisfies `sim.viewer.show.Show`."""

    def __init__(
        self, scene: Scene, *, device: str, checkpoint: Path | None = None, most_worlds: int = MOST_WORLDS
    ) -> None:
        config = scene_world(scene)
        assert scene.world is not None
        self.num_worlds = min(scene.world.num_envs, most_worlds)
        self._worlds = self._open(config, scene.seed)
        first = self._worlds.envs[0]
        self.title = scene.title
        self.action_names: tuple[str, ...] = action_names(first)
        self.protocol = chip(config.protocol())
        self.steps_per_second = float(first.metadata.get("render_fps") or PLAIN_RATE)
        self.agent, self.training = "", ""
        self._policy: Policy | None = None
        self._greedy = False
        if scene.agent is not None:
            self.agent = scene.agent.use if scene.agent.use in PLAIN_WORDS else scene.agent.use.upper()
            agent = scene_agent(scene)
            self._greedy = agent.greedy
            place = chosen_device(device, agent)
            self._policy, card = build_policy(scene, self._worlds, config, place, checkpoint)
            self.training = in_words(card["trained"]) if card else "untrained"
        self._obs: Array = np.zeros(0)
        self._info: Info = {}
        self._memory: Any = None
        self._decision: Decision | None = None

    def _open(self, config: WorldConfig, seed: int) -> EnvWorlds:
        worlds = EnvWorlds([lambda: config.make(seed) for _ in range(self.num_worlds)], seed)
        if worlds.envs[0].render_mode != "rgb_array":
            worlds.close()
            raise SceneError(f"{config.name} has no picture to show: it does not render to rgb_array")
        return worlds

    def start(self, seed: int | None) -> Moment:
        """Begin anew; see `sim.viewer.show.Show`."""
        self._obs, self._info = self._worlds.reset(seed=seed)
        self._memory = None
        if self._policy is not None and seed is not None:
            self._policy.seed(seed)
        self._decide()
        return self._moment(np.zeros(self.num_worlds), None, person=False, episodes=[])

    def step(self, person: int | None) -> Moment:
        """Step all worlds once; see `sim.viewer.show.Show`."""
        space = self._worlds.action_space
        if self._decision is None:
            actions = np.zeros(space.shape or (self.num_worlds,), space.dtype)
        else:
            actions = self._decision.actions.copy()
        if person is not None:
            actions[0] = person
        self._obs, reward, _, _, self._info = self._worlds.step(actions)
        self._decide()
        return self._moment(reward, actions, person is not None, finished(self._info))

    def close(self) -> None:
        """Close the worlds."""
        self._worlds.close()

    def _decide(self) -> None:
        if self._policy is not None:
            self._decision, self._memory = self._policy.act(
                self._obs, self._info, self._memory, greedy=self._greedy
            )

    def _moment(self, reward: Array, actions: Array | None, person: bool, episodes: list[Episode]) -> Moment:
        return Moment(
            pictures=tuple(np.asarray(picture) for picture in self._worlds.render()),
            reward=reward,
            score=self._worlds.score,
            length=self._worlds.length,
            decision=self._decision,
            actions=actions,
            person=person,
            episodes=tuple(episodes),
        )


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
            return f"{count / 1e3:.0f} k {unit}" if count >= 1000 else f"{count} {unit}"
    return "trained"
