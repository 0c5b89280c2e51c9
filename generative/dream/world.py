"""Dreamed worlds ``dream/<game>``: a diffusion world model as a gymnasium environment, single or batched.

An episode starts from a real context, a few frames of the emulator, and goes on in the world model alone. It
observes what the emulator's world shows, (4, 84, 84) uint8 grey pictures of the whole screen, so that the
agents of ``atari/<game>`` play here and the reverse. The score is not on the dreamed part of the screen: the
world counts points itself, shows them as the game does and ends where the game would.

The model dreams frames without sticky actions, four emulator frames a step. A frame that is not finite ends
the episode as truncated, with ``info["broken"]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from generative.dream.imagined_rollout import ImaginedRollouts, RowState
from generative.dream.names import GAMES, MOST_POINTS
from generative.dream.real_contexts import RealContexts, real_contexts
from generative.dream.renderer import DreamRenderer
from generative.dream.score_strip import ScoreStrips, score_strips
from generative.dream.world_model import DiffusionWorldModel
from sim.atari.resize import AreaResize
from sim.fields import PositiveInt, Validated
from sim.records import Array
from sim.storage.checkpoints import CARD, CheckpointError, load_card, resolve_checkpoint
from sim.vector import UNSEEDED, ActionError, Info, WorldError, Worlds

SCREEN, STACK = (84, 84), 4  # of what agents observe; Mnih et al. 2015, Methods
LUMINANCE = np.array(
    [0.2989, 0.5870, 0.1140]
)  # of R, G, B; ITU-R BT.601, as in the Arcade Learning Environment
RATE = 15.0  # steps/s: 60 frames/s, four a step
Clone = tuple[RowState, Array, int, int, Any]  # opaque


@dataclass(frozen=True)
class Dream(Validated):
    """Configuration of the worlds ``dream/<game>``; its fields are the scene's keys."""

    game: str
    checkpoint: str  # of the world model
    steps: PositiveInt = 3  # denoising steps a frame: 1, 2, 3 or 5
    max_steps: PositiveInt = 1_000  # of an episode, then it is truncated; 66 seconds of the game
    device: str = "cpu"  # of the world model

    @staticmethod
    def variants() -> list[str]:
        """The games that a world model may be trained on."""
        return list(GAMES)

    @property
    def name(self) -> str:
        """Such as ``dream/pong``."""
        return f"dream/{self.game}"

    @property
    def real(self) -> str:
        """Name of the world that is dreamed, whose agents play here."""
        return f"atari/{self.game}"

    def make(self, seed: int) -> DreamWorld:
        """One dreamed world with picture and state cloning."""
        return DreamWorld(self, seed)

    def make_batch(self, num_envs: int, seed: int) -> DreamWorlds:
        """`num_envs` dreamed worlds with one forward pass a step for all."""
        return DreamWorlds(self, num_envs, seed)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score; the weights are a part of them."""
        weights = load_card(_trained(self))["weights"]
        parts = weights if isinstance(weights, list) else [weights]
        return {
            "world": self.name,
            "repeat_action_probability": 0.0,
            "frame_skip": 4,
            "denoising_steps": self.steps,
            "max_steps": self.max_steps,
            "weights": " ".join(part["sha256"][:16] for part in parts),
        }


def load_model(config: Dream) -> DiffusionWorldModel:
    """The world model of a dreamed world.

    Raises:
        CheckpointError: if there is none, it is damaged, or it was trained on another game.
    """
    folder = _trained(config)
    model = DiffusionWorldModel.load(folder, config.device)
    if model.config.game != config.game:
        raise CheckpointError(
            f"{folder} does not fit: its game is {model.config.game}, in {config.name} it is {config.game}"
        )
    return model


def _trained(config: Dream) -> Path:
    """Folder of the checkpoint.

    Raises:
        CheckpointError: if there is none, with how to get one.
    """
    folder = Path(config.checkpoint)
    if not (resolve_checkpoint(folder) / CARD).exists():
        raise CheckpointError(
            f"{config.name} has no trained world model: {folder} holds no checkpoint; train one on "
            f'data = "gameplay/{config.game}" and name its folder or run as world.checkpoint'
        )
    return folder


def grey(screen: Array) -> Array:
    """Television picture (H, W, 3) uint8 → (H, W) uint8, as the emulator's worlds have it.

    >>> grey(np.array([[[144, 72, 17], [236, 236, 236]]], np.uint8))
    array([[ 87, 236]], dtype=uint8)
    """
    return np.asarray(np.rint(screen @ LUMINANCE), np.uint8)


class DreamedEpisodes:
    """Episodes of N dreamed worlds: rollouts, the points in them, and what is observed.

    Attributes:
        rollouts: of the world model.
        observed: (N, 4, 84, 84) uint8.
        points: (N, 2) int64, for and against the player.
    """

    def __init__(self, config: Dream, model: DiffusionWorldModel, rows: int) -> None:
        self._config, self._model = config, model
        shape = (model.config.context, *model.frame_shape)
        self.rollouts = ImaginedRollouts(model, rows, shape, config.steps)
        self.observed = np.zeros((rows, STACK, *SCREEN), np.uint8)
        self.points = np.zeros((rows, 2), np.int64)
        self._most = MOST_POINTS.get(config.game)
        self._generators = [np.random.default_rng() for _ in range(rows)]

    @cached_property
    def contexts(self) -> RealContexts:
        """The contexts that episodes start from."""
        return real_contexts(self._config.game, self._model.config.context)

    @cached_property
    def _score(self) -> ScoreStrips | None:
        return score_strips(self._config.game)

    @cached_property
    def _blank(self) -> Array:
        """The picture in grey without anything on the field, (210, 160) uint8."""
        return grey(self._model.screen(np.zeros(self._model.frame_shape, np.uint8)))

    @cached_property
    def _resize(self) -> AreaResize:
        return AreaResize(self._blank.shape, SCREEN)

    def start(self, row: int, seed: int, context: tuple[Array, Array] | None = None) -> None:
        """Start an episode of one row; with `UNSEEDED` its generators go on.

        Args:
            row: of the N.
            seed: of the choice of a context and of the noise.
            context: frames (L, …) uint8 and the L − 1 actions between them, instead of one of the bank.
        """
        if seed != UNSEEDED:
            self._generators[row] = np.random.default_rng(seed)
            self.rollouts.seed(row, seed)
        if context is None:
            bank = self.contexts
            choice = int(self._generators[row].integers(len(bank.frames)))
            context = bank.frames[choice], bank.actions[choice]
        self.rollouts.start(row, *context)
        self.points[row] = 0
        recent = self.rollouts.context[row, -STACK:]
        shown = self._seen(recent, self.points[[row] * len(recent)])
        self.observed[row] = shown[np.maximum(np.arange(len(shown) - STACK, len(shown)), 0)]

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array]:
        """Step all rows: reward (N,) float64, terminated, truncated and broken (N,) bool."""
        dreamed = self.rollouts.step(actions)
        self.points[:, 0] += np.maximum(dreamed.reward, 0).astype(np.int64)
        self.points[:, 1] += np.maximum(-dreamed.reward, 0).astype(np.int64)
        self.observed[:, :-1] = self.observed[:, 1:]
        self.observed[:, -1] = self._seen(dreamed.frames, self.points)
        terminated = dreamed.ended.copy()
        if self._most is not None:
            terminated |= (self.points >= self._most).any(axis=1)
        long = self.rollouts.steps_taken >= self._config.max_steps
        return dreamed.reward, terminated, (long | dreamed.broken) & ~terminated, dreamed.broken

    def picture(self, row: int) -> Array:
        """The newest frame as a television picture, (H, W, 3) uint8."""
        screen = self._model.screen(self.rollouts.context[row, -1])
        if self._score is not None:
            screen[: self._score.height] = self._score.rgb(self.points[[row]])[0]
        return screen

    def state(self, row: int) -> Clone:
        """A copy of one row."""
        generator = self._generators[row].bit_generator.state
        points = self.points[row]
        return self.rollouts.state(row), self.observed[row].copy(), int(points[0]), int(points[1]), generator

    def fork(self, row: int, copies: int) -> ImaginedRollouts:
        """Rollouts that all go on from one row, with the same noise."""
        state, rollouts = self.rollouts.state(row), self.rollouts
        fork = ImaginedRollouts(self._model, copies, rollouts.context.shape[1:], rollouts.denoising_steps)
        for copy in range(copies):
            fork.restore(copy, state)
        return fork

    def restore(self, row: int, state: Clone) -> None:
        """Bring one row to a copied state."""
        rollout, observed, won, lost, generator = state
        self.rollouts.restore(row, rollout)
        self.observed[row], self.points[row] = observed, (won, lost)
        self._generators[row].bit_generator.state = generator

    def _seen(self, frames: Array, points: Array) -> Array:
        """Frames (N, H, W) of classes and points (N, 2) → the whole picture in grey, (N, 84, 84) uint8."""
        palette = self._model.palette
        top, left, bottom, right = palette.area
        screens = self._blank[None].repeat(len(frames), 0)
        screens[:, top:bottom, left:right] = grey(np.array(palette.colours))[palette.fields(frames)]
        if self._score is not None:
            screens[:, : self._score.height] = grey(self._score.rgb(points))
        parts = [screens[at : at + 4] for at in range(0, len(screens), 4)]  # stay in the cache
        return np.concatenate([self._resize(part) for part in parts])


class DreamWorld(gymnasium.Env[Array, np.int64]):
    """One dreamed world, with picture and state cloning.

    Attributes:
        action_names: as of the emulator.
    """

    render_mode = "rgb_array"

    def __init__(self, config: Dream, seed: int) -> None:
        self.config = config
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": RATE}
        self._model = load_model(config)
        self._episodes = DreamedEpisodes(config, self._model, 1)
        self._first_seed: int | None = seed
        self.action_names = self._model.config.action_names
        self.action_space = Discrete(len(self.action_names))
        self.observation_space = Box(0, 255, (STACK, *SCREEN), np.uint8)

    @property
    def action_meanings(self) -> tuple[str, ...]:
        """What each action does in this game; see `sim.atari.world.AtariWorld`."""
        from sim.atari.world import MEANINGS

        meanings = MEANINGS.get(self.config.game, {})
        return tuple(meanings.get(name, name) for name in self.action_names)

    @property
    def points(self) -> tuple[int, int]:
        """Points for and against the player in this episode."""
        won, lost = self._episodes.points[0].tolist()
        return won, lost

    @property
    def denoising_steps(self) -> int:
        """Denoising steps a frame; may be changed at any time."""
        return self._episodes.rollouts.denoising_steps

    @denoising_steps.setter
    def denoising_steps(self, steps: int) -> None:
        self._episodes.rollouts.denoising_steps = steps

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start an episode; without a seed the first has the constructor's, later ones go on from there.

        Args:
            seed: of the choice of a context and of the noise.
            options: ``context``, a pair of frames (L, …) uint8 and the L − 1 actions between them.

        Raises:
            WorldError: if the context is of another game or size.
        """
        super().reset(seed=seed)
        seed, self._first_seed = (self._first_seed if seed is None else seed), None
        context = (options or {}).get("context")
        if context is not None:
            context = self._checked_context(*context)
        self._episodes.start(0, UNSEEDED if seed is None else seed, context)
        return self._episodes.observed[0].copy(), {"broken": False}

    def step(self, action: int | np.int64) -> tuple[Array, float, bool, bool, Info]:
        """Dream one step.

        Returns the observation (4, 84, 84) uint8, the reward as the model predicts it, whether the game is
        over, whether the step limit or a broken frame cut it, and info with ``broken``.

        Raises:
            ActionError: for an action outside ``range(len(action_names))``.
        """
        if not self.action_space.contains(action):
            raise ActionError(f"action {action} is not in 0…{len(self.action_names) - 1}")
        reward, terminated, truncated, broken = self._episodes.step(np.array([action], np.int64))
        info = {"broken": bool(broken[0])}
        obs = self._episodes.observed[0].copy()
        return obs, float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> Array:
        """The dreamed television picture (H, W, 3) uint8."""
        return self._episodes.picture(0)

    def interactive_renderer(self) -> DreamRenderer:
        """What the window draws and reads of this world."""
        return DreamRenderer(self)

    def clone_state(self) -> Clone:
        """A copy of the whole state, the generator of the noise included."""
        return self._episodes.state(0)

    def restore_state(self, state: Clone) -> Array:
        """Go back to a cloned state; returns its observation."""
        self._episodes.restore(0, state)
        return np.array(self._episodes.observed[0])

    def _checked_context(self, frames: Array, actions: Array) -> tuple[Array, Array]:
        model = self._model
        frames, actions = np.asarray(frames), np.asarray(actions)
        wanted = (model.config.context, *model.frame_shape)
        if frames.shape != wanted or frames.dtype != np.uint8:
            raise WorldError(
                f"{self.config.name}: a context is uint8 frames of shape {wanted}, not {frames.dtype} "
                f"{frames.shape}: of another game or size; encode the emulator's screens"
            )
        if int(frames.max()) >= len(model.palette.classes):
            raise WorldError(
                f"{self.config.name}: a pixel of a context is a class in 0…{len(model.palette.classes) - 1}, "
                f"not {int(frames.max())}: encode the emulator's screens"
            )
        if actions.shape != (wanted[0] - 1,) or not all(self.action_space.contains(a) for a in actions):
            raise WorldError(
                f"{self.config.name}: between {wanted[0]} frames of a context lie {wanted[0] - 1} actions "
                f"in 0…{len(self.action_names) - 1}, not {actions.tolist()}"
            )
        return frames, actions.astype(np.int64)


class DreamWorlds(Worlds):
    """A batch of dreamed worlds; one forward pass a step."""

    def __init__(self, config: Dream, num_envs: int, seed: int) -> None:
        model = load_model(config)
        actions = Discrete(len(model.config.action_names))
        super().__init__(num_envs, Box(0, 255, (STACK, *SCREEN), np.uint8), actions, seed)
        self.action_names = model.config.action_names
        self._episodes = DreamedEpisodes(config, model, num_envs)

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        for row, seed in zip(np.flatnonzero(mask), seeds, strict=True):
            self._episodes.start(int(row), int(seed))
        return self._episodes.observed.copy(), {"broken": np.zeros(self.num_envs, bool)}

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        reward, terminated, truncated, broken = self._episodes.step(actions)
        return self._episodes.observed.copy(), reward, terminated, truncated, {"broken": broken}
