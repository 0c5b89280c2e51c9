"""Environments whose observations are percepts: the agent gets a vector of tracked objects, not pixels.

`PerceptObservation` is a world like any other: batches that reset, score and resume as `sim.vector` requires,
and single ones that can be rendered. The percepts are the simulator's truth, a model's predictions or the
truth with noise, and the three are interchangeable. The noise of an episode is determined by the episode's
seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium
import numpy as np

from sim.protocols import Perception, WorldConfig
from sim.records import Array, Origin, Percept, State
from sim.vector import UNSEEDED, Info, Worlds
from supervised.observation.percept_noise import MISSES, PIXELS, noisy
from supervised.observation.percept_observation import (
    SlotLayout,
    Tracks,
    fill_slots,
    no_tracks,
    observations,
    update_tracks,
)

NOISE = 7_919  # added to an episode's seed, so that noise and world do not share random numbers


class LabelledWorlds(Protocol):
    """Worlds with images and ground truth."""

    def pictures(self, indices: Iterable[int]) -> Sequence[Array]:
        """The newest images (H, W, 3) uint8 of some worlds."""

    def truth(self, indices: Iterable[int]) -> list[Percept]:
        """The ground truth of those images."""


@dataclass(frozen=True)
class PerceptSource:
    """Source of percepts: a model's predictions, the simulator's truth, or the truth with noise.

    Attributes:
        perception: its name, for the protocol stamp.
        origin: ``model``, ``truth`` or ``noisy truth``.
        model: predicts where the origin is ``model``; all worlds in one batch.
        kinds: of truth, where the simulator knows several.
        pixels: see `supervised.observation.percept_noise.noisy`.
        misses: the same.
    """

    perception: str
    origin: Origin
    model: Perception | None = None
    kinds: tuple[str, ...] = ()
    pixels: float = PIXELS
    misses: float = MISSES

    def __post_init__(self) -> None:
        """Refuse the origin ``model`` without a model.

        Raises:
            ValueError: if there is none.
        """
        if self.origin == "model" and self.model is None:
            raise ValueError("origin model needs a model")

    def look(
        self, worlds: LabelledWorlds, rows: Sequence[int], generators: Sequence[np.random.Generator]
    ) -> list[Percept]:
        """Percepts of the newest images of the worlds `rows`; each world has a generator for its noise."""
        if self.origin == "model":
            assert self.model is not None
            return self.model.perceive(list(worlds.pictures(rows)))
        truths = self.truths(worlds, rows)
        if self.origin == "truth":
            return truths
        return [
            noisy(truth, generators[row], pixels=self.pixels, misses=self.misses)
            for row, truth in zip(rows, truths, strict=True)
        ]

    def truths(self, worlds: LabelledWorlds, rows: Sequence[int]) -> list[Percept]:
        """The simulator's truth about them."""
        more: dict[str, Any] = {"kinds": self.kinds} if self.kinds else {}
        return worlds.truth(rows, **more)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The protocol stamp: what a score depends on."""
        said = {"feed": "agent", "perception": self.perception, "origin": self.origin}
        noise = {"noise_pixels": self.pixels, "noise_misses": self.misses}
        return said | (noise if self.origin == "noisy truth" else {})


@dataclass(frozen=True)
class PerceptObservation:
    """World whose observations are percepts. Satisfies `sim.protocols.WorldConfig`.

    Attributes:
        world: the underlying world; its own observations are not used.
        witness: the source of percepts.
        layout: how percepts become an observation.
        stamp: the rules of the world as the scene names it.
    """

    world: WorldConfig
    witness: PerceptSource
    layout: SlotLayout
    stamp: dict[str, str | int | float | bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The underlying world's name."""
        return self.world.name

    @property
    def preprocessing(self) -> str:
        """Description of the observations for an agent's card."""
        return "in this order: " + ", ".join(self.layout.names)

    def make(self, seed: int) -> PerceptObservationEnv:
        """One world that can be rendered."""
        return PerceptObservationEnv(self, seed)

    def make_batch(self, num_envs: int, seed: int) -> PerceptObservationWorlds:
        """`num_envs` worlds; a model perceives all of them in one batch."""
        return PerceptObservationWorlds(self, num_envs, seed)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The world's rules and the source of percepts."""
        return (self.stamp or self.world.protocol()) | self.witness.protocol()


class PerceptObservationWorlds(Worlds):
    """Batch of N worlds whose observations (N, D) float32 are percepts; see `SlotLayout`."""

    def __init__(self, config: PerceptObservation, num_envs: int, seed: int) -> None:
        self.world: Any = config.world.make_batch(num_envs, seed)
        super().__init__(num_envs, config.layout.space, self.world.single_action_space, seed)
        for name in ("action_names", "action_labels"):
            if hasattr(self.world, name):
                setattr(self, name, getattr(self.world, name))
        self._witness, self._layout = config.witness, config.layout
        self._tracks = no_tracks(config.layout, num_envs)
        self._generators = [noise_of(seed + i) for i in range(num_envs)]
        self._blind = False  # while `restore` replays steps that were perceived before

    def seed_rarely(self, whole_size: int | None = None) -> None:
        """Seed as rarely as the underlying worlds do; see `sim.vector.Worlds`."""
        self.world.seed_rarely(whole_size)
        self.seed_every = self.world.seed_every

    def keep_statistics(self) -> None:
        """Tell what the underlying worlds tell; see `sim.vector.Worlds`."""
        self.world.keep_statistics()

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        _, info = self.world._reset_rows(mask, seeds)
        rows = np.flatnonzero(mask)
        for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True):
            if seed != UNSEEDED:
                self._generators[row] = noise_of(seed)
        blank = no_tracks(self._layout, self.num_envs)
        self._tracks = select_tracks(mask, blank, self._tracks)
        self._look(mask)
        return observations(self._layout, self._tracks), info

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        self.world._waiting = self._waiting
        _, reward, terminated, truncated, info = self.world._step_rows(actions)
        self._look(np.ones(self.num_envs, bool))
        return observations(self._layout, self._tracks), reward, terminated, truncated, info

    def _look(self, mask: Array) -> None:
        """Perceive the worlds where `mask` (N,) is True, and update their tracks."""
        if self._blind:
            return
        found = np.full((self.num_envs, self._layout.slots, 4), np.nan)
        rows = np.flatnonzero(mask).tolist()
        percepts = self._witness.look(self.world, rows, self._generators)
        for row, percept in zip(rows, percepts, strict=True):
            found[row] = fill_slots(self._layout, percept, self._tracks, row)
        self._tracks = select_tracks(
            mask, update_tracks(self._tracks, found, self._layout.smoothing), self._tracks
        )

    def _checked(self, actions: Array) -> Array:
        checked: Array = self.world._checked(actions)
        return checked

    def state(self) -> State:
        """State of the worlds, the tracks and the noise generators."""
        noise = [generator.bit_generator.state for generator in self._generators]
        return super().state() | vars(self._tracks) | {"noise": noise}

    def restore(self, state: State) -> tuple[Array, Info]:
        """Restore the batch exactly; nothing is perceived for that."""
        self._blind = True
        try:
            _, info = super().restore(state)
        finally:
            self._blind = False
        self._tracks = Tracks(**{name: np.array(state[name]) for name in vars(self._tracks)})
        for generator, kept in zip(self._generators, state["noise"], strict=True):
            generator.bit_generator.state = kept
        return observations(self._layout, self._tracks), info

    def close_extras(self, **kwargs: object) -> None:
        """Close the underlying worlds."""
        self.world.close()


class PerceptObservationEnv(gymnasium.Wrapper[Array, Any, Any, Any]):
    """Wrapper of one world whose observations (D,) float32 are percepts; it renders the world itself.

    Attributes:
        percept: of the newest image.
        witness: the source of percepts.
        layout: how a percept becomes an observation.
        eye: the camera of the agent's images, where a world has one; the viewer turns another.
    """

    percept: Percept

    def __init__(self, config: PerceptObservation, seed: int) -> None:
        super().__init__(config.world.make(seed))
        self.observation_space = config.layout.space
        self.witness, self.layout = config.witness, config.layout
        self._tracks = no_tracks(config.layout, 1)
        self._generator = noise_of(seed)
        self.eye = copy(getattr(self.env.unwrapped, "camera", None))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start an episode; its noise starts from the same seed."""
        _, info = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self._generator = noise_of(seed)
        self._tracks = no_tracks(self.layout, 1)
        return self._look(), info

    def step(self, action: Any) -> tuple[Array, float, bool, bool, Info]:
        """Step the world, and perceive its new image."""
        _, reward, terminated, truncated, info = self.env.step(action)
        return self._look(), float(reward), terminated, truncated, info

    def pictures(self, indices: Iterable[int]) -> list[Array]:
        """The newest image by the agent's camera, as a batch of one gives it."""
        with self._own_eye():
            return [np.asarray(self.env.render()) for _ in indices]

    def truth(self, indices: Iterable[int], **kinds: Any) -> list[Percept]:
        """The truth about that image, as a batch of one gives it."""
        world: Any = self.env.unwrapped
        with self._own_eye():
            return [world.truth(**kinds) for _ in indices]

    def current_percept(self) -> Percept:
        """The ground truth of the image that `percept` is about."""
        (truth,) = self.witness.truths(self, [0])
        return truth

    @contextmanager
    def _own_eye(self) -> Iterator[None]:
        world: Any = self.env.unwrapped
        if self.eye is None:
            yield
            return
        theirs, world.camera = world.camera, self.eye
        try:
            yield
        finally:
            world.camera = theirs

    def _look(self) -> Array:
        (self.percept,) = self.witness.look(self, [0], [self._generator])
        found = fill_slots(self.layout, self.percept, self._tracks, 0)
        self._tracks = update_tracks(self._tracks, found[None], self.layout.smoothing)
        return np.asarray(observations(self.layout, self._tracks)[0])


def noise_of(seed: int) -> np.random.Generator:
    """Random generator of the noise in the episode with this seed."""
    return np.random.default_rng([seed, NOISE])


def select_tracks(mask: Array, here: Tracks, elsewhere: Tracks) -> Tracks:
    """Select tracks by mask: rows of `here` where `mask` (N,) is True, else those of `elsewhere`."""
    return Tracks(
        place=np.where(mask[:, None, None], here.place, elsewhere.place),
        motion=np.where(mask[:, None, None], here.motion, elsewhere.motion),
        unseen=np.where(mask[:, None], here.unseen, elsewhere.unseen),
    )
