"""Twin worlds ``twin/<game>``: the emulator and its dream side by side, one action to both.

Reward, end and, unless told otherwise, observation are the emulator's, which is played without sticky
actions; the dream starts from the emulator's last frames and goes its own way for `horizon` steps, or until
its game ends, then it is synchronised again. How far the two are apart is measured after every step
(`generative.twin.divergence`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np

from generative.dream.names import GAMES
from generative.dream.real_contexts import begin
from generative.dream.world import Dream, DreamedEpisodes, load_model
from generative.twin.divergence import Divergence, DivergenceMeter
from generative.twin.renderer import TwinRenderer
from sim.atari.world import Atari
from sim.fields import PositiveInt, Validated
from sim.records import Array
from sim.storage.checkpoints import CheckpointError
from sim.vector import STATISTICS, UNSEEDED, EnvWorlds, Info


@dataclass(frozen=True)
class Twin(Validated):
    """Configuration of the worlds ``twin/<game>``; its fields are the scene's keys."""

    game: str
    checkpoint: str  # of the world model
    steps: PositiveInt = 3  # denoising steps a frame: 1, 2, 3 or 5
    horizon: PositiveInt = 30  # steps until the dream is synchronised with the emulator again
    observed: Literal["emulator", "dream"] = "emulator"  # what the agent sees
    max_steps: PositiveInt = 27_000  # of an episode: 108,000 frames, as in Machado et al. 2018
    device: str = "cpu"  # of the world model

    @staticmethod
    def variants() -> list[str]:
        """The games that a world model may be trained on."""
        return list(GAMES)

    @property
    def name(self) -> str:
        """Such as ``twin/pong``."""
        return f"twin/{self.game}"

    @property
    def real(self) -> str:
        """Name of the world on the emulator's side, whose agents play here."""
        return f"atari/{self.game}"

    @property
    def dream(self) -> Dream:
        """Configuration of the dream's side, which goes on as long as the emulator's."""
        return Dream(self.game, self.checkpoint, self.steps, max_steps=2**31, device=self.device)

    def make(self, seed: int) -> TwinWorld:
        """One pair."""
        return TwinWorld(self, seed)

    def make_batch(self, num_envs: int, seed: int) -> TwinWorlds:
        """`num_envs` pairs, stepped in turn."""
        return TwinWorlds([lambda: TwinWorld(self, seed) for _ in range(num_envs)], seed)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score."""
        return {
            **self.dream.protocol(),
            "world": self.name,
            "horizon": self.horizon,
            "observed": self.observed,
            "max_steps": self.max_steps,
        }


MOST_NOOPS = 30  # at the start of a game, which is otherwise the same each time; Mnih et al. 2015
Clone = tuple[Any, Any, DivergenceMeter, tuple[list[Array], list[int], Array, bool, int, int], Any]  # opaque


class Fan(NamedTuple):
    """Futures of one state, one for each action, which is held: frames (A, T, …) uint8 of both sides."""

    emulator: Array
    dream: Array


class TwinWorld(gymnasium.Env[Array, np.int64]):
    """Twin environment: an Atari emulator and a world model's dream of it, stepped by the same actions.

    Attributes:
        meter: of their divergence.
        horizon: steps until the dream is synchronised again; may be changed at any time.
        action_names: of both.
    """

    render_mode = "rgb_array"

    def __init__(self, config: Twin, seed: int) -> None:
        self.config = config
        self.horizon = config.horizon
        self._model = model = load_model(config.dream)
        self._emulator = Atari(config.game, repeat_action_probability=0.0, max_frames=2**31 - 1).make(seed)
        self.action_names = self._emulator.action_names
        if self.action_names != model.config.action_names:
            self._emulator.close()
            raise CheckpointError(
                f"{config.checkpoint} does not fit: its actions are {', '.join(model.config.action_names)}, "
                f"in atari/{config.game} they are {', '.join(self.action_names)}"
            )
        self.metadata = self._emulator.metadata
        self.action_space = self._emulator.action_space
        self.observation_space = self._emulator.observation_space
        self._dream = DreamedEpisodes(config.dream, model, 1)
        self.meter = DivergenceMeter()
        self._frames: list[Array] = []  # the emulator's last ones, as the model sees them
        self._actions: list[int] = []  # between these
        self._observed: Array = np.zeros(0)  # by the emulator's world
        self._over = False  # the dream's game
        self._first_trial = self._length = 0  # trials before this game, steps of it
        self._first_seed: int | None = seed
        self._generator = np.random.default_rng(seed)

    @property
    def action_meanings(self) -> tuple[str, ...]:
        """What each action does in this game; see `sim.atari.world.AtariWorld`."""
        return self._emulator.action_meanings

    @property
    def denoising_steps(self) -> int:
        """Denoising steps a frame; may be changed at any time."""
        return self._dream.rollouts.denoising_steps

    @denoising_steps.setter
    def denoising_steps(self, steps: int) -> None:
        self._dream.rollouts.denoising_steps = steps

    @property
    def divergence(self) -> Divergence:
        """How far the two are apart now."""
        return self.meter.now

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the objects that are compared, the fastest first."""
        return self._model.palette.classes[:0:-1]

    @property
    def pictures(self) -> tuple[Array, Array]:
        """The newest frame of the emulator and of the dream as pictures (H, W, 3) uint8 of equal size."""
        real, imagined = self.frames
        return self.picture(real), self.picture(imagined)

    def picture(self, frame: Array) -> Array:
        """A frame of the model as a picture (H, W, 3) uint8."""
        return self._model.picture(frame)

    @property
    def frames(self) -> tuple[Array, Array]:
        """The newest frame of the emulator and of the dream, (…) uint8 as the model has them."""
        return self._frames[-1], self._dream.rollouts.context[0, -1]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start a game by some no-ops, which make the dream's context; without them all games were the same.

        Args:
            seed: of the number of no-ops and of the noise; without one the first has the constructor's.
            options: none are known.
        """
        super().reset(seed=seed)
        seed, self._first_seed = (self._first_seed if seed is None else seed), None
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._observed = begin(self._emulator)
        for _ in range(int(self._generator.integers(MOST_NOOPS + 1))):
            self._observed = self._emulator.step(0)[0]
        self._frames, self._actions = [self._model.encode(self._emulator.render())], []
        for _ in range(self._model.config.context - 1):
            self._observed = self._emulator.step(0)[0]
            self._remember(0)
        self.meter.begin()
        self._first_trial, self._length = len(self.meter.trials), 0
        self._start_dream(UNSEEDED if seed is None else seed)
        return self._seen(), {"broken": False}

    def step(self, action: int | np.int64) -> tuple[Array, float, bool, bool, Info]:
        """Step both; returns what the emulator does, truncated also where the dream gave no finite frame.

        Raises:
            ActionError: for an action outside ``range(len(action_names))``.
        """
        self._observed, reward, terminated, _, _ = self._emulator.step(action)
        self._length += 1
        if self._over or self.meter.now.frames >= self.horizon:
            self.synchronise()
        self._remember(int(action))
        dreamed, ended, _, broken = self._dream.step(np.array([action], np.int64))
        self._over = bool(ended[0])
        real, imagined = self.frames
        self.meter.step(
            (real, self._places(real), reward),
            (imagined, self._places(imagined), float(dreamed[0])),
        )
        cut = (bool(broken[0]) or self._length >= self.config.max_steps) and not terminated
        return self._seen(), reward, terminated, cut, {"broken": bool(broken[0])}

    def synchronise(self) -> None:
        """Let the dream go on from the emulator's last frames."""
        self.meter.begin()
        self._start_dream(UNSEEDED)

    def render(self) -> Array:
        """Emulator, dream and where they differ, side by side, (H, W, 3) uint8."""
        renderer = TwinRenderer(self)
        renderer.note()
        return renderer.draw()

    def branch(self, length: int) -> Fan:
        """Hold each action for `length` steps in both, from this state, which stays as it is."""
        actions = range(len(self.action_names))
        saved = self._emulator.clone_state()
        rollouts = self._dream.fork(0, len(actions))
        emulator = []
        for action in actions:
            self._emulator.restore_state(saved)
            emulator.append([self._one(action) for _ in range(length)])
        self._emulator.restore_state(saved)
        dream = [rollouts.step(np.array(actions)).frames for _ in range(length)]
        return Fan(np.array(emulator), np.stack(dream, axis=1))

    def clone_state(self) -> Clone:
        """A copy of the whole state of both."""
        meter = replace(self.meter, trials=list(self.meter.trials))
        history = self._frames, self._actions, self._observed, self._over, self._first_trial, self._length
        generator = self._generator.bit_generator.state
        return self._emulator.clone_state(), self._dream.state(0), meter, history, generator

    def restore_state(self, state: Clone) -> Array:
        """Go back to a cloned state; returns its observation."""
        emulator, dream, meter, history, self._generator.bit_generator.state = state
        self._emulator.restore_state(emulator)
        self._dream.restore(0, dream)
        self.meter = replace(meter, trials=list(meter.trials))
        self._frames, self._actions, self._observed, self._over, self._first_trial, self._length = history
        return self._seen()

    def interactive_renderer(self) -> TwinRenderer:
        """What the window draws and reads of this world."""
        return TwinRenderer(self)

    def statistics(self) -> dict[str, float]:
        """Mean frames until divergence in the game that has just ended: see `DivergenceMeter.summary`."""
        mean, *_ = replace(self.meter, trials=self.meter.trials[self._first_trial :]).summary(self.horizon)
        return {"frames_until_divergence": mean}

    def close(self) -> None:
        """Close the emulator."""
        self._emulator.close()

    def _places(self, frame: Array) -> dict[str, tuple[float, float]]:
        return {name: at for name, at in self._model.objects(frame).items() if at is not None}

    def _one(self, action: int) -> Array:
        self._emulator.step(action)
        return self._model.encode(self._emulator.render())

    def _remember(self, action: int) -> None:
        """Keep the emulator's newest frame, after an action, and as many as a context has."""
        length = self._model.config.context
        self._frames = [*self._frames, self._model.encode(self._emulator.render())][-length:]
        self._actions = [*self._actions, action][-(length - 1) :]

    def _start_dream(self, seed: int) -> None:
        self._over = False
        self._dream.start(0, seed, (np.stack(self._frames), np.array(self._actions, np.int64)))

    def _seen(self) -> Array:
        dreamed = self.config.observed == "dream"
        return (self._dream.observed[0] if dreamed else self._observed).copy()


class TwinWorlds(EnvWorlds):
    """A batch of pairs, stepped in turn; tells the frames until divergence of each episode."""

    envs: list[TwinWorld]  # type: ignore[assignment]

    def __init__(self, makers: Sequence[Callable[[], TwinWorld]], seed: int) -> None:
        super().__init__(makers, seed)
        self.action_names = self.envs[0].action_names
        self._keeps = False

    def keep_statistics(self) -> None:
        """From the next reset on tell the frames until divergence of every episode."""
        self._keeps = True

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        obs, reward, terminated, truncated, info = super()._step_rows(actions)
        ended = np.flatnonzero(terminated | truncated)
        if self._keeps and len(ended):
            info[STATISTICS] = {int(row): self.envs[row].statistics() for row in ended}
        return obs, reward, terminated, truncated, info
