"""Atari 2600 environments with sticky actions and frame skip: single with pictures, or batched in C++.

Both backends play by the protocol of Machado et al. 2018, "Revisiting the Arcade Learning
Environment": sticky actions 0.25, frame skip 4, the last two frames max-pooled, the minimal action
set, no lives tricks, no random no-ops at the start, 108,000 frames at most. Observations are
(4, 84, 84) uint8, the newest frame last. For the same seed and actions both give the same rewards,
endings and observations, to the last bit (`tests/sim/test_atari.py`).

Single environments also give pictures, memory and state cloning; the C++ batch gives neither memory nor
colours. With the key ``truth = true`` a batch is made of single games on one core instead, with the ground
truth of each picture (`sim.atari.truth`). With ``observation = "ram"`` the console's memory is all that is
observed, (128,) uint8: no picture is shrunk, which takes as long as the emulator itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import ale_py
import gymnasium
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode

from sim.atari.resize import AreaResize
from sim.atari.truth import classes, percept, table
from sim.double_buffer import DoubleBufferedWorlds
from sim.fields import nearest
from sim.machine import processors
from sim.records import Array, Percept
from sim.vector import UNSEEDED, ActionError, EnvWorlds, Info, Worlds, checked_count

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)

SCREEN = (84, 84)  # Mnih et al. 2015, Methods
STACK = 4
MEMORY = 128  # bytes
Clone = tuple[Any, Array, Array, int, tuple[Array, Array], tuple[int, float, bool]]  # opaque


@cache
def _playable() -> tuple[str, ...]:
    """Games whose ROMs ale-py ships and plays; found once, because it digests every ROM."""
    found = sorted(Path(roms.__file__).parent.glob("*.bin"))
    return tuple(path.stem for path in found if ale_py.ALEInterface.isSupportedROM(path))


@dataclass(frozen=True)
class Atari:
    """Configuration of the worlds ``atari/<game>``; its fields are the scene's keys."""

    game: str
    repeat_action_probability: float = 0.25  # Machado et al. 2018, section 5
    frame_skip: int = 4
    full_action_space: bool = False  # False: only the actions that do something in this game
    max_frames: int = 108_000  # 30 minutes at 60 frames/s
    truth: bool = False  # True: batches with the ground truth of each picture
    observation: Literal["pixels", "ram"] = "pixels"
    double_buffered: bool = False  # batches of pixels in two halves that step in turn; see sim.double_buffer
    seed_every: int | None = None  # steps of a world between seedings in training; None: `seeding_interval`

    def __post_init__(self) -> None:
        """Refuse values that the emulator would accept silently.

        Raises:
            ValueError: naming the field.
        """
        if self.game not in self.variants():  # the emulator would end the process
            raise ValueError(f'there is no game "{self.game}"; {nearest(self.game, self.variants())}')
        if not 0.0 <= self.repeat_action_probability < 1.0:
            raise ValueError(
                f"repeat_action_probability must be in [0, 1), not {self.repeat_action_probability}"
            )
        if self.frame_skip < 1:
            raise ValueError(f"frame_skip must be at least 1, not {self.frame_skip}")
        if self.max_frames < self.frame_skip:
            raise ValueError(f"max_frames must be at least frame_skip, not {self.max_frames}")
        if self.seed_every is not None and self.seed_every < 1:
            raise ValueError(f"seed_every must be at least 1, not {self.seed_every}")
        if self.truth:
            table(self.game)

    @staticmethod
    def variants() -> list[str]:
        """The games whose ROMs ale-py ships and plays."""
        return list(_playable())

    @property
    def name(self) -> str:
        """Such as ``atari/pong``."""
        return f"atari/{self.game}"

    def with_truth(self) -> Atari:
        """The same game with ground truth and RAM observations, for callers that use its pictures instead."""
        return replace(self, truth=True, observation="ram")

    def make(self, seed: int) -> AtariWorld:
        """Make one game with picture, memory and state cloning."""
        return AtariWorld(self, seed)

    def make_batch(
        self, num_envs: int, seed: int, num_threads: int | None = None
    ) -> AtariWorlds | TruthfulAtariWorlds | DoubleBufferedAtariWorlds:
        """`num_envs` games on `num_threads` threads (all cores, unless told; one, with truth or memory)."""
        if self.truth or self.observation == "ram":
            return TruthfulAtariWorlds(self, num_envs, seed)
        if self.double_buffered and num_envs > 1:
            return DoubleBufferedAtariWorlds(self, num_envs, seed, num_threads)
        return AtariWorlds(self, num_envs, seed, num_threads)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score."""
        return {
            "world": self.name,
            **({"observation": "ram"} if self.observation == "ram" else {}),
            "repeat_action_probability": self.repeat_action_probability,
            "frame_skip": self.frame_skip,
            "action_set": "full" if self.full_action_space else "minimal",
            "life_loss_ends": False,
            "noop_max": 0,
            "max_frames": self.max_frames,
            "ale_py": version("ale-py"),
        }


#: Game → actions of the joystick that do something else there: it moves Pong's paddle up and down.
MEANINGS = {"pong": {"RIGHT": "UP", "LEFT": "DOWN", "RIGHTFIRE": "UPFIRE", "LEFTFIRE": "DOWNFIRE"}}


class AtariWorlds(Worlds):
    """A batch of one game on ale-py's C++ vector environment; (N, 4, 84, 84) uint8."""

    frame_stack = STACK

    def __init__(self, config: Atari, num_envs: int, seed: int, num_threads: int | None) -> None:
        threads = min(checked_count(num_envs), num_threads or processors())
        self._vector = AtariVectorEnv(
            config.game,
            num_envs,
            num_threads=threads,
            max_num_frames_per_episode=config.max_frames,
            repeat_action_probability=config.repeat_action_probability,
            full_action_space=config.full_action_space,
            frameskip=config.frame_skip,
            autoreset_mode=AutoresetMode.SAME_STEP,
            reward_clipping=False,
            noop_max=0,
            use_fire_reset=False,
        )
        super().__init__(
            num_envs, self._vector.single_observation_space, self._vector.single_action_space, seed
        )
        self.action_names = tuple(action.name for action in self._vector.ale.get_action_set())
        self._config = config
        self._begun: tuple[Array, Info]  # after a step in which episodes ended: of the next ones

    def seed_rarely(self, whole_size: int | None = None) -> None:
        """See `seeding_interval`."""
        self.seed_every = self._config.seed_every or seeding_interval(whole_size or self.num_envs)

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        seeded = mask.copy()
        seeded[mask] = seeds != UNSEEDED
        if mask.any() and not seeded.any():
            return self._begun
        options = None if seeded.all() else {"reset_mask": seeded}
        obs, info = self._vector.reset(seed=seeds[seeds != UNSEEDED].astype(np.int64), options=options)
        return obs, _kept(info)

    def _send_rows(self, actions: Array) -> None:
        self._vector.send(actions)

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        self._send_rows(actions)
        return self._recv_rows()

    def _recv_rows(self) -> tuple[Array, Array, Array, Array, Info]:
        obs, reward, terminated, truncated, info = self._vector.recv()
        reward = reward.astype(np.float64)
        ended = terminated | truncated
        if not ended.any():
            return obs, reward, terminated, truncated, _kept(info)
        # ale-py has begun their next episodes. It fills only the ended rows of final_obs.
        self._begun = obs, _kept(info)
        obs = np.where(ended[:, None, None, None], info["final_obs"], obs)
        # Info at the end: a game that is over has no lives left; of a truncated one ale-py gives none.
        told = {} if truncated.any() else {"lives": np.zeros(self.num_envs, np.int32)}
        return obs, reward, terminated, truncated, told

    def close_extras(self, **kwargs: object) -> None:
        """Drop the C++ threads."""
        del self._vector


class DoubleBufferedAtariWorlds(DoubleBufferedWorlds):
    """A batch of one game in two halves, each on half of the threads; see `sim.double_buffer`."""

    def __init__(self, config: Atari, num_envs: int, seed: int, num_threads: int | None) -> None:
        threads = max(1, (num_threads or processors()) // 2)
        half = num_envs // 2
        first = AtariWorlds(config, num_envs - half, seed, threads)
        super().__init__(first, AtariWorlds(config, half, seed, threads), seed)
        self._config = config
        self.action_names = first.action_names

    def seed_rarely(self, whole_size: int | None = None) -> None:
        """See `seeding_interval`: as rarely as in one batch of all these worlds."""
        self.seed_every = self._config.seed_every or seeding_interval(whole_size or self.num_envs)
        for half in self.halves:
            half.seed_every = self.seed_every


class TruthfulAtariWorlds(EnvWorlds):
    """A batch of one game with the ground truth of each picture; bit for bit equal to `AtariWorlds`."""

    def __init__(self, config: Atari, num_envs: int, seed: int) -> None:
        games = [partial(AtariWorld, config, seed + i) for i in range(checked_count(num_envs))]
        super().__init__(games, seed)
        self._config = config
        self.frame_stack = STACK if config.observation == "pixels" else 1
        self.action_names = self._game(0).action_names

    def seed_rarely(self, whole_size: int | None = None) -> None:
        """See `seeding_interval`."""
        self.seed_every = self._config.seed_every or seeding_interval(whole_size or self.num_envs)

    @property
    def classes(self) -> tuple[str, ...]:
        """See `AtariWorld.classes`."""
        return self._game(0).classes

    def pictures(self, indices: Iterable[int]) -> list[Array]:
        """The television pictures (H, W, 3) uint8 of these worlds, of the same instant as their truth."""
        return [self._game(int(i)).render() for i in indices]

    def truth(self, indices: Iterable[int]) -> list[Percept]:
        """Ground truth of the pictures of these worlds, as they stand after the last reset or step.

        Where an episode has just ended, that is the first picture of the next one, as in the observations.
        """
        return [self._game(int(i)).truth() for i in indices]

    def _game(self, i: int) -> AtariWorld:
        game = self.envs[i]
        assert isinstance(game, AtariWorld)
        return game


def seeding_interval(num_envs: int) -> int:
    """Steps between two seedings of a console in a batch: each reloads the ROM, which takes 80 ms.

    That is as long as a hundred steps, and the whole batch waits. But a resume must replay all steps since
    the last seeding: this many take half a minute in a batch, and less with few worlds.

    >>> [seeding_interval(num_envs) for num_envs in (1, 32, 64)]
    [4000, 4000, 2000]
    """
    return min(4_000, 128_000 // num_envs)


def _kept(info: Info) -> Info:
    return {key: info[key] for key in ("lives", "episode_frame_number")}


class AtariWorld(gymnasium.Env[Array, np.int64]):
    """One game on `ALEInterface`, with picture, memory and state cloning as well as observations."""

    render_mode = "rgb_array"
    _left: int  # frames of the step in progress
    _reward: float  # of its frames so far
    _ended: bool  # whether the episode has ended in it

    def __init__(self, config: Atari, seed: int) -> None:
        self.config = config
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 60 / config.frame_skip}
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", config.repeat_action_probability)
        self._rom = roms.get_rom_path(config.game)
        self._seed = seed
        self._load(seed)
        full = config.full_action_space
        self._actions = self._ale.getLegalActionSet() if full else self._ale.getMinimalActionSet()
        self.action_names = tuple(action.name for action in self._actions)
        self.action_space = Discrete(len(self._actions))
        self._pixels = config.observation == "pixels"
        self.observation_space = Box(0, 255, (STACK, *SCREEN) if self._pixels else (MEMORY,), np.uint8)
        self._frames = np.zeros((2, *self._ale.getScreenDims()), np.uint8)  # grey; [0] the pooled one
        self._stack = np.zeros((STACK, *SCREEN), np.uint8)
        self._elapsed = 0  # emulator frames in this episode
        self._begin_step()
        self._fresh = True  # the console has the constructor's seed and has not played
        self._screens: tuple[Array, Array] | None = None  # RGB and palette, from `restore_state` to a step

    @property
    def action_meanings(self) -> tuple[str, ...]:
        """What each action does in this game, where its name says something else."""
        meanings = MEANINGS.get(self.config.game, {})
        return tuple(meanings.get(name, name) for name in self.action_names)

    def set_sticky_actions(self, on: bool) -> None:
        """Play on with the configuration's sticky actions, or without any; the game stays as it stands.

        For a person, whose key presses they would ignore at random. The emulator takes a probability up only
        with the ROM, whose new console is then given the old one's state.
        """
        probability = self.config.repeat_action_probability if on else 0.0
        if probability == self._ale.getFloat("repeat_action_probability"):
            return
        state = self.clone_state()
        self._ale.setFloat("repeat_action_probability", probability)
        self._load(self._seed)
        self.restore_state(state)

    @property
    def sticky_actions(self) -> bool:
        """Whether actions are sticky now."""
        return bool(self._ale.getFloat("repeat_action_probability"))

    @cached_property
    def _resize(self) -> AreaResize:
        return AreaResize(self._frames.shape[1:], SCREEN)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start an episode; without a seed the first has the constructor's, later ones go on from there."""
        super().reset(seed=seed)
        if seed is not None and not (self._fresh and seed == self._seed):  # loading takes 80 ms
            self._load(seed)
        self._fresh = False
        self._screens = None
        self._ale.reset_game()
        self._elapsed = 0
        self._begin_step()
        self._stack[:] = 0
        self._frames[:] = 0
        if self._pixels:
            self._frames[0] = self._ale.getScreenGrayscale()
        return self._observed(), self._info()

    def step(self, action: int | np.int64) -> tuple[Array, float, bool, bool, Info]:
        """Play `action` for `frame_skip` emulator frames.

        Returns the observation (4, 84, 84) uint8, the game's own unclipped reward, whether the game
        is over, whether the frame limit cut it, and info with ``lives``.

        Raises:
            ActionError: for an action outside ``range(len(action_names))``.
        """
        while self._left:
            self.play_frame(action)
        reward, terminated, ended = self._reward, bool(self._ale.game_over()), self._ended
        self._begin_step()
        return self._observed(), reward, terminated, ended and not terminated, self._info()

    def play_frame(self, action: int | np.int64) -> float:
        """Play one emulator frame of a step, which `step` then completes; returns this frame's reward.

        A step by frames and one at once are the same, to the last bit, if their actions are. With others in
        between, as a person gives them, each acts at its own frame.

        Raises:
            ActionError: for an action outside ``range(len(action_names))``, or if no frame is left.
        """
        if not self.action_space.contains(action):
            raise ActionError(f"action {action} is not in 0…{len(self._actions) - 1}")
        if not self._left:
            raise ActionError("no frame of this step is left: complete it with step()")
        self._screens = None
        reward = float(self._ale.act(self._actions[int(action)]))
        self._reward += reward
        self._elapsed += 1
        self._ended = bool(self._ale.game_over()) or self._elapsed >= self.config.max_frames
        if not self._ended and self._left <= 2 and self._pixels:
            self._frames[self._left - 1] = self._ale.getScreenGrayscale()
        self._left = 0 if self._ended else self._left - 1
        return reward

    @property
    def frames_left(self) -> int:
        """Emulator frames that the step in progress still takes; 0 once the episode has ended in it."""
        return self._left

    def _begin_step(self) -> None:
        self._left, self._reward, self._ended = self.config.frame_skip, 0.0, False

    def render(self) -> Array:
        """The television picture, (210, 160, 3) uint8 for most games."""
        return self._screens[0].copy() if self._screens else np.asarray(self._ale.getScreenRGB())

    def ram(self) -> Array:
        """The console's memory, (128,) uint8."""
        return np.asarray(self._ale.getRAM())

    def write_ram(self, address: int, value: int) -> None:
        """Change a byte of the console's memory; the picture shows it after the next step."""
        self._ale.setRAM(address, value)

    def palette_screen(self) -> Array:
        """The picture as palette indices, (210, 160) uint8 for most games."""
        return self._screens[1].copy() if self._screens else np.asarray(self._ale.getScreen())

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names of `truth`'s objects, in a fixed order.

        Raises:
            NoTruthError: naming the games whose objects are known.
        """
        return classes(self.config.game)

    def truth(self) -> Percept:
        """The objects in `render()`'s picture with their classes, and the game's scores and positions.

        Raises:
            NoTruthError: naming the games whose objects are known.
        """
        return percept(self.config.game, self.ram(), self.palette_screen())

    def clone_state(self) -> Clone:
        """A copy of the whole state, the generator of sticky actions and the picture included."""
        emulator, screens = self._ale.cloneState(include_rng=True), (self.render(), self.palette_screen())
        step = self._left, self._reward, self._ended
        return emulator, self._frames.copy(), self._stack.copy(), self._elapsed, screens, step

    def restore_state(self, state: Clone) -> Array:
        """Go back to a cloned state; returns its observation."""
        emulator, frames, stack, self._elapsed, self._screens, step = state
        self._left, self._reward, self._ended = step
        self._ale.restoreState(emulator)  # all but the picture, which it draws with the next frame
        self._frames[:], self._stack[:] = frames, stack
        return self._stack.copy() if self._pixels else self.ram()

    def _load(self, seed: int) -> None:
        """Reload the ROM: only then does the emulator use a new seed."""
        self._ale.setInt("random_seed", seed)
        self._ale.loadROM(self._rom)

    def _observed(self) -> Array:
        """The memory; or the stack, once the last two frames are max-pooled, shrunk and shifted into it.

        Pooling in place matters where an episode ends inside the frame skip: like ale-py's, the last
        observation then still holds the step before it.
        """
        if not self._pixels:
            return self.ram()
        np.maximum(self._frames[0], self._frames[1], out=self._frames[0])
        self._stack[:-1] = self._stack[1:]
        self._stack[-1] = self._resize(self._frames[0])
        return self._stack.copy()

    def _info(self) -> Info:
        """The emulator's own counts; its frames include those in which it starts some games itself."""
        return {"lives": self._ale.lives(), "episode_frame_number": self._ale.getEpisodeFrameNumber()}
