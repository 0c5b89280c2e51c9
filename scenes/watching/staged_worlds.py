"""Staged worlds: the batch of worlds of a show, the renderer of each, and their pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import gymnasium
import numpy as np

from scenes.schema import SceneError
from sim.protocols import WorldConfig
from sim.records import Array
from sim.vector import EnvWorlds, Info
from sim.viewer.contract.gesture import (
    Ability,
    Answer,
    DrawsRobot,
    DrawsTogether,
    Gesture,
    InteractiveRenderer,
)
from sim.viewer.contract.moment import Readout

CHEAP = 0.002  # s; pictures that take less are drawn although nobody looks, to be scrubbed through
#: Where gymnasium's own worlds keep what they draw on; closing one that has it ends all of pygame, and with
#: it the window that another scene is shown in by then.
OWN_SURFACES = {"screen", "window", "window_surface"}


class HasFrames(Protocol):
    """A world whose steps can be played by their frames: see `sim.atari.world.AtariWorld`."""

    @property
    def frames_left(self) -> int:
        """Of the step in progress."""

    def play_frame(self, action: int) -> float:
        """Play one; returns its reward."""


class PlainRenderer:
    """Renderer of a world that has none of its own: draws ``render()`` and takes no gesture."""

    abilities: frozenset[Ability] = frozenset()
    turns = False
    asks: tuple[str, ...] = ()
    caption = ""
    readouts: tuple[Readout, ...] = ()

    def __init__(self, world: gymnasium.Env[Any, Any]) -> None:
        self._world = world

    def note(self) -> None:
        """Nothing to remember."""

    def draw(self) -> Array:
        """The world's own picture (H, W, 3) uint8."""
        return np.asarray(self._world.render())

    def touch(self, gesture: Gesture) -> Answer:
        """Take nothing."""
        return Answer()


class StagedWorlds(EnvWorlds):
    """N worlds with a renderer each, which notes how an episode ended before the next one begins.

    Attributes:
        renderers: N.
        drawing_seconds: that the first world's last picture took, by `clock`.
        frames_per_step: above 1, `play_frame` plays a step by its frames, which `step` completes.
        frames_played: of the step in progress.
        earned: (N,) rewards of those.
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    renderers: tuple[InteractiveRenderer, ...] = ()
    drawing_seconds = 0.0
    frames_per_step = 1
    frames_played = 0
    earned: Array
    _games: tuple[HasFrames, ...] = ()  # where steps are played by frames: all worlds
    _robots: tuple[DrawsRobot, ...] = ()  # all renderers, or none
    _pictures: tuple[Array, ...] = ()
    _grid = False
    _rooms: dict[str, tuple[float, float]]  # by "resize" or "tile", as last told

    @classmethod
    def open(cls, config: WorldConfig, count: int, seed: int, *, every_frame: bool = False) -> StagedWorlds:
        """`count` worlds of a configuration, all of one seed.

        Args:
            config: of each.
            count: how many.
            seed: of the first reset.
            every_frame: play steps by their frames, where the worlds can.

        Raises:
            SceneError: if the world has no picture.
        """
        worlds = cls([lambda: config.make(seed) for _ in range(count)], seed)
        if worlds.envs[0].render_mode != "rgb_array":
            worlds.close()
            raise SceneError(f"{config.name} has no picture to show: it does not render to rgb_array")
        worlds._rooms = {}
        worlds.earned = np.zeros(count)
        if every_frame and worlds.envs[0].has_wrapper_attr("play_frame"):
            worlds._games = tuple(cast(HasFrames, world.unwrapped) for world in worlds.envs)
            worlds.frames_per_step = worlds._games[0].frames_left
        worlds.renderers = tuple(
            world.get_wrapper_attr("interactive_renderer")()
            if world.has_wrapper_attr("interactive_renderer")
            else PlainRenderer(world)
            for world in worlds.envs
        )
        worlds._robots = tuple(r for r in worlds.renderers if isinstance(r, DrawsRobot))
        for renderer in worlds.renderers[1:]:  # seen in the grid only
            if isinstance(renderer, DrawsTogether):
                renderer.draw_with(worlds.renderers[0])
        return worlds

    def play_frame(self, actions: Array) -> Array | None:
        """Play a frame of the next step in all worlds.

        Returns:
            (N,) its rewards; None where nothing is left but to complete the step.

        Raises:
            ActionError: naming the first action that is not in the action space.
        """
        if not self._games or self._games[0].frames_left <= 1:
            return None
        actions = self._checked(actions)
        some = [game.frames_left > 1 for game in self._games]
        earned = np.array(
            [
                game.play_frame(int(a)) if more else 0.0
                for game, a, more in zip(self._games, actions, some, strict=True)
            ]
        )
        self.earned = self.earned + earned
        self.frames_played += 1
        return earned

    @property
    def score(self) -> Array:
        """(N,) the unclipped return so far of each episode in progress, these frames included."""
        score: Array = super().score + self.earned
        return score

    @property
    def frames(self) -> Array:
        """(N,) frames so far of each episode in progress; steps where these have no frames."""
        return self.length * self.frames_per_step + self.frames_played

    def _begin(self, mask: Array, seeded: Array) -> tuple[Array, Info]:
        self.earned, self.frames_played = np.zeros(self.num_envs), 0
        return super()._begin(mask, seeded)

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        self.earned, self.frames_played = np.zeros(self.num_envs), 0
        obs, reward, terminated, truncated, info = super()._step_rows(actions)
        self.note()
        if self._robots:
            info["pushed"] = np.array([robot.pushed for robot in self._robots])
        return obs, reward, terminated, truncated, info

    def note(self) -> None:
        """Let every renderer copy its world's present state."""
        for renderer in self.renderers:
            renderer.note()

    @property
    def cheap(self) -> bool:
        """Whether drawing takes so little that pictures are drawn although nobody looks."""
        return self.drawing_seconds < CHEAP

    def pictures(self, *, grid: bool) -> tuple[Array, ...]:
        """N pictures (H, W, 3) uint8.

        Args:
            grid: whether all are looked at; if not, the others' are their last ones between the frames of a
                step, and where drawing is dear.
        """
        begun = self.clock()
        first = self.renderers[0].draw()
        self.drawing_seconds = self.clock() - begun
        if self._pictures and not grid and (self.frames_played or self.drawing_seconds > CHEAP):
            others = self._pictures[1:]
        else:
            others = tuple(renderer.draw() for renderer in self.renderers[1:])
        self._pictures = (first, *others)
        return self._pictures

    def touch(self, gesture: Gesture) -> Answer:
        """Give a gesture to the first world's renderer, and to the others what all of them look alike by."""
        if gesture.kind in ("resize", "tile"):
            self._rooms[gesture.kind] = gesture.x, gesture.y
        if gesture.kind == "grid":
            self._grid = gesture.on
        if gesture.kind in ("resize", "tile", "grid"):
            return self._resize(gesture)
        answer = self.renderers[0].touch(gesture)
        if gesture.kind in ("orbit", "zoom", "follow", "camera", "coarse", "flip", "slide", "nudge"):
            for renderer in self.renderers[1:]:
                renderer.touch(gesture)
        return answer

    def _resize(self, gesture: Gesture) -> Answer:
        """Give the first picture the whole room, and each of a grid its part."""
        answers = []
        for renderer in self.renderers:
            alone = renderer is self.renderers[0] and not self._grid
            if gesture.kind == "grid":
                renderer.touch(gesture)
            if (room := self._rooms.get("resize" if alone else "tile")) is not None:
                answers.append(renderer.touch(Gesture("resize", *room)))
        return Answer(redraw=gesture.kind == "grid" or any(answer.redraw for answer in answers))

    def close(self, **kwargs: Any) -> None:
        """Close the worlds, and only them: what pygame draws on elsewhere stays open."""
        for world in self.envs:
            for name in OWN_SURFACES & vars(world.unwrapped).keys():
                setattr(world.unwrapped, name, None)
        super().close(**kwargs)
