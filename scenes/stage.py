"""The stage: a scene's world and agent as a `Show` that the window can step.

The agent sees what it was trained on; the audience sees the world's own picture. Both come from
the same world, so nothing is replayed or guessed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from scenes.build import build_policy, chosen_device, scene_agent, scene_world
from scenes.schema import SHIPPED, Scene, SceneError, load_scene, shipped_scenes
from sim.protocols import Policy, WorldConfig
from sim.records import Array, Decision, Episode
from sim.runs import numbered
from sim.vector import EnvWorlds, Info, finished
from sim.viewer.show import (
    Answer,
    Choice,
    Easel,
    Exploration,
    Gesture,
    Listing,
    Moment,
    Offer,
    Options,
    Programme,
    Readout,
    measured,
)

MOST_WORLDS = 9  # in the grid; more would be too small to follow
MOST_OPTIONS = 18  # named in a moment
PLAIN_WORDS = ("random", "greedy")  # agents whose names are not acronyms
PLAIN_RATE = 30.0  # steps/s of a world that does not say its own
#: Where gymnasium's own worlds keep what they draw on; closing one that has it ends all of pygame, and with
#: it the window that another scene is shown in by then.
OWN_SURFACES = {"screen", "window", "window_surface"}
CHEAP = 0.002  # s; pictures that take less are drawn although nobody looks, to be scrubbed through


class PlainEasel:
    """Draws a world that brings no easel of its own, and takes nothing."""

    offers: frozenset[Offer] = frozenset()
    turns = False
    asks: tuple[str, ...] = ()
    caption = ""
    readouts: tuple[Readout, ...] = ()

    def __init__(self, world: gymnasium.Env[Any, Any]) -> None:
        self._world = world

    def note(self) -> None:
        """Nothing to remember."""

    def draw(self) -> Array:
        """The world's own picture."""
        return np.asarray(self._world.render())

    def touch(self, gesture: Gesture) -> Answer:
        """Take nothing."""
        return Answer()


class StagedWorlds(EnvWorlds):
    """Worlds whose easels note how an episode ended, before the next one begins."""

    easels: tuple[Easel, ...] = ()

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        result = super()._step_rows(actions)
        for easel in self.easels:
            easel.note()
        return result

    def open_easels(self) -> None:
        """Give every world its easel."""
        self.easels = tuple(
            world.get_wrapper_attr("easel")() if world.has_wrapper_attr("easel") else PlainEasel(world)
            for world in self.envs
        )


class SceneShow:
    """Plays a scene step by step. Satisfies `sim.viewer.show.Show` and `Interactive`."""

    def __init__(
        self, scene: Scene, *, device: str, checkpoint: Path | None = None, most_worlds: int = MOST_WORLDS
    ) -> None:
        config = scene_world(scene)
        assert scene.world is not None
        self.num_worlds = min(scene.world.num_envs, most_worlds)
        self._worlds = self._open(config, scene.seed)
        first = self._worlds.envs[0]
        self._easel = self._worlds.easels[0]
        self.offers = self._easel.offers
        self.title = scene.title
        self.action_names = () if Offer.POINT in self.offers else action_names(first)
        labels = first.get_wrapper_attr("action_labels") if first.has_wrapper_attr("action_labels") else ()
        self.action_labels: tuple[str, ...] = tuple(labels)
        self.action_limit = float(np.max(getattr(first.action_space, "high", 1.0)))
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
        self._generator = np.random.default_rng(scene.seed)
        self._obs: Array = np.zeros(0)
        self._info: Info = {}
        self._memory: Any = None
        self._decision: Decision | None = None
        self._person = self._grid = False
        self._ended = False  # the end of a game is on show, and the next one has begun behind it
        self._drawing_seconds = 0.0
        self._moment: Moment | None = None

    def _open(self, config: WorldConfig, seed: int) -> StagedWorlds:
        worlds = StagedWorlds([lambda: config.make(seed) for _ in range(self.num_worlds)], seed)
        if worlds.envs[0].render_mode != "rgb_array":
            worlds.close()
            raise SceneError(f"{config.name} has no picture to show: it does not render to rgb_array")
        worlds.open_easels()
        return worlds

    # Show

    def start(self, seed: int | None) -> Moment:
        """Begin anew; see `sim.viewer.show.Show`."""
        self._obs, self._info = self._worlds.reset(seed=seed)
        self._memory = None
        if seed is not None:
            self._generator = np.random.default_rng(seed)
            if self._policy is not None:
                self._policy.seed(seed)
        self._decide()
        return self._begin()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step all worlds once; see `sim.viewer.show.Show`.

        Where worlds take turns, the end of a game stays for a step of its own.
        """
        if self._ended:
            return self._begin()
        actions = self._actions()
        if person is not None:
            actions[0] = person
        self._obs, reward, _, _, self._info = self._worlds.step(actions)
        self._decide()
        episodes = finished(self._info)
        moment = self._seen(reward, actions, person is not None, episodes, drawn)
        if self._easel.turns and "_episode" in self._info and self._info["_episode"][0]:
            moment = self._with_ending(moment)
            self._ended = True
        self._moment = moment
        return moment

    def close(self) -> None:
        """Close the worlds, and only them."""
        for world in self._worlds.envs:
            for name in OWN_SURFACES & vars(world.unwrapped).keys():
                setattr(world.unwrapped, name, None)
        self._worlds.close()

    # Interactive

    @property
    def waits(self) -> bool:
        """Whether a person is to move; see `sim.viewer.show.Interactive`."""
        return self._person and self._easel.turns

    def touch(self, gesture: Gesture) -> Answer:
        """Take a gesture; see `sim.viewer.show.Interactive`."""
        if gesture.kind == "person":
            self._person = gesture.on
        if gesture.kind == "grid":
            self._grid = gesture.on
            return Answer(redraw=True)
        answer = self._easel.touch(gesture)
        if gesture.kind in ("orbit", "zoom", "follow", "flip"):
            for easel in self._worlds.easels[1:]:
                easel.touch(gesture)
        elif gesture.kind == "resize":  # the others are only seen in the grid
            columns = math.ceil(math.sqrt(self.num_worlds))
            for easel in self._worlds.easels[1:]:
                easel.touch(Gesture("resize", gesture.x // columns, gesture.y // columns))
        return answer

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        assert self._moment is not None
        self._moment = replace(self._moment, pictures=self._pictures(), **self._on_easel())
        return self._moment

    def _on_easel(self) -> dict[str, Any]:
        return {"asks": self._easel.asks, "caption": self._easel.caption, "readouts": self._easel.readouts}

    # What is acted and what is seen

    def _decide(self) -> None:
        if self._policy is not None:
            self._decision, self._memory = self._policy.act(
                self._obs, self._info, self._memory, greedy=self._greedy
            )

    def _actions(self) -> Array:
        """(N, …) what is decided; where nobody acts, any legal action, or nothing where all are legal."""
        space = self._worlds.action_space
        mask = self._info.get("action_mask")
        if self._decision is not None:
            return self._decision.actions.copy()
        if mask is None:
            return np.zeros(space.shape or (self.num_worlds,), space.dtype)
        return np.array([self._generator.choice(np.flatnonzero(row)) for row in mask])

    def _begin(self) -> Moment:
        self._ended = False
        for easel in self._worlds.easels:
            easel.note()
        self._moment = self._seen(np.zeros(self.num_worlds), None, False, [], True)
        return self._moment

    def _seen(
        self, reward: Array, actions: Array | None, person: bool, episodes: list[Episode], drawn: bool
    ) -> Moment:
        if not self._easel.turns:
            for easel in self._worlds.easels:
                easel.note()
        if drawn or self._moment is None or self._drawing_seconds < CHEAP:
            pictures = self._pictures()
        else:
            pictures = self._moment.pictures
        return Moment(
            pictures=pictures,
            reward=reward,
            score=self._worlds.score,
            length=self._worlds.length,
            decision=self._decision,
            actions=actions,
            person=person,
            episodes=tuple(episodes),
            options=self._options(),
            exploration=exploration(self._policy, self._decision, self._info, greedy=self._greedy),
            **self._on_easel(),
        )

    def _with_ending(self, moment: Moment) -> Moment:
        """The moment as it was when the first world's game ended, before the next one began."""
        score, length = moment.score.copy(), moment.length.copy()
        score[0] = self._info["episode"]["r"][0]
        length[0] = self._info["episode"]["l"][0]
        return replace(moment, score=score, length=length, options=Options("", (), 0), exploration=None)

    def _pictures(self) -> tuple[Array, ...]:
        """Of all worlds; where drawing is dear and only the first is looked at, the others' last ones."""
        begun = time.perf_counter()
        first = self._easel.draw()
        self._drawing_seconds = time.perf_counter() - begun
        if self._moment is not None and not self._grid and self._drawing_seconds > CHEAP:
            return (first, *self._moment.pictures[1:])
        return (first, *(easel.draw() for easel in self._worlds.easels[1:]))

    def _options(self) -> Options | None:
        """What the first world's mask allows, by the world's own names."""
        if "action_mask" not in self._info:
            return None
        legal = np.flatnonzero(self._info["action_mask"][0])
        measure, values = measured(self._decision)
        chosen = -1 if self._decision is None else int(self._decision.actions[0])
        weights = np.zeros(len(legal)) if values is None else values[legal]
        shown = legal[np.argsort(-weights, kind="stable")[:MOST_OPTIONS]].tolist()
        if chosen in legal and chosen not in shown:
            shown[-1] = chosen
        world = self._worlds.envs[0]
        name = world.get_wrapper_attr("action_name") if world.has_wrapper_attr("action_name") else None
        name = name or self.action_names.__getitem__
        choices = tuple(
            Choice(
                name(action),
                None if values is None else float(values[action]),
                action == chosen,
            )
            for action in shown
        )
        return Options(measure, choices, len(legal) - len(choices))


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
        return Exploration("entropy", entropy(decision.probabilities[0]), math.log(max(1, legal)), "nats")
    epsilon = getattr(getattr(policy, "config", None), "epsilon_play", None)
    if decision.q_values is None or epsilon is None:
        return None
    return Exploration("ε", 0.0 if greedy else float(epsilon), 1.0)


def programme(scene: Scene, *, device: str, run: Path | None = None) -> Programme:
    """The shipped scenes for Tab, this one among them, and the checkpoints of `run` for [ and ].

    Nothing is loaded before a person goes there.
    """

    def present(checkpoint: Path | None) -> SceneShow:
        return SceneShow(scene, device=device, checkpoint=checkpoint)

    def other(name: str) -> Listing:
        return Listing(title_of(name), lambda: SceneShow(load_scene(name), device=device))

    def checkpoints() -> list[Listing]:
        found = numbered(run / "checkpoints") if run else []
        return [Listing(path.name, partial(present, path)) for path in found]

    names = shipped_scenes()
    if scene.name not in names or scene.source.parent != SHIPPED:
        names = [scene.name, *(name for name in names if name != scene.name)]
    timeline = checkpoints()
    newest = timeline[-1].make if timeline else partial(present, None)
    listings = [Listing(scene.title, newest) if name == scene.name else other(name) for name in names]
    label = timeline[-1].label if timeline else ""
    return Programme(listings, names.index(scene.name), checkpoints, checkpoint=label)


def title_of(name: str) -> str:
    """The title of a shipped scene; its name, if its file cannot be read."""
    try:
        return load_scene(name).title
    except SceneError:
        return name


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
