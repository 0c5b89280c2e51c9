"""Vector environments: batches of worlds that all reset, seed, score and resume the same way.

`Worlds` is a `gymnasium.vector.VectorEnv` with four guarantees on top:

* ``AutoresetMode.SAME_STEP``, and ``info["final_obs"]`` is one dense array (N, …).
* World i starts its first episode from ``seed + i`` and each later one from a seed derived from
  (seed, world, episode): no episode depends on how another one went, unless `seed_rarely` gave that up.
  A batch that is a part of a larger one counts its worlds from `first_index`.
* ``info["episode"]`` holds the unclipped return ``"r"`` and length ``"l"`` of the episodes that
  ended, where ``info["_episode"]`` is True.
* `state()` holds the seeds and the actions since each world was seeded, and `restore` plays them
  again. That is exact for every deterministic simulator, also one whose memory cannot be read.

A backend supplies `_reset_rows` and `_step_rows`, and `_send_rows` and `_recv_rows` if it can step in the
background; `EnvWorlds` does so for any gymnasium environment.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from sim.errors import RequestError
from sim.fields import whole_number
from sim.records import Array, Episode, State

Info = dict[str, Any]

#: In place of a seed: the world goes on with its own generator.
UNSEEDED = -1
#: In the info of a step that ended episodes, by number of world: see `sim.records.Episode`.
STATISTICS, TRACES = "statistics", "traces"
GAMES = "games"  # in info: of each world the `sim.protocols.Game` on its board


class WorldError(RequestError, ValueError):
    """A world that cannot be batched, or not from that seed."""


class ActionError(ValueError):
    """An action that the world does not have."""


def episode_seed(seed: int, world: int, episode: int) -> int:
    """The seed, in [0, 2³¹), of one episode of one world of a run.

    Episode 0 of world i uses ``seed + i``, as gymnasium's vector environments do, so that it can be
    repeated with ``gymnasium.make(...).reset(seed=seed + i)``; later ones are hashed, so that
    neighbouring seeds share no later episode.

    >>> episode_seed(7, world=2, episode=0)
    9
    """
    if episode == 0:
        return (seed + world) % 2**31
    return int(np.random.SeedSequence([seed, world, episode]).generate_state(1)[0] >> 1)


def checked_count(num_envs: int) -> int:
    """`num_envs`, refused unless it is a whole number of at least one world."""
    num_envs = whole_number(num_envs, "num_envs")
    if num_envs < 1:
        raise WorldError(f"num_envs must be at least 1, not {num_envs}")
    return num_envs


def checked_seed(seed: int) -> int:
    """`seed`, refused unless it is a whole number from 0 on."""
    seed = whole_number(seed, "seed")
    if seed < 0:
        raise WorldError(f"a seed is a whole number from 0 on, not {seed}")
    return seed


def finished(info: Info) -> list[Episode]:
    """The episodes that ended with the step that gave `info`, in order of world."""
    return [ended_episode(info, int(i)) for i in np.flatnonzero(info.get("_episode", []))]


def ended_episode(info: Info, world: int) -> Episode:
    """The episode of one world that ended with the step that gave `info`."""
    final = info["final_info"]
    outcome = str(final["outcome"][world]) if "outcome" in final else ""
    return Episode(
        score=float(info["episode"]["r"][world]),
        length=int(info["episode"]["l"][world]),
        outcome=outcome,
        mate=outcome == "win" and "mate" in final and bool(final["mate"][world]),
        statistics=final.get(STATISTICS, {}).get(world, {}),
        traces=final.get(TRACES, {}).get(world, {}),
        pushed="pushed" in final and bool(final["pushed"][world]),
    )


def lives_lost(before: Info, info: Info) -> Array:
    """(N,) bool: which worlds lost a life between two infos; a new game, with all its lives, lost none.

    Raises:
        WorldError: if the worlds do not tell their lives.
    """
    if "lives" not in info:
        raise WorldError("these worlds tell no lives: set agent.life_loss_ends to false")
    return np.asarray(info["lives"] < before["lives"])


def reset_memory(memory: Array | None, ended: Array) -> Array | None:
    """A policy's memory for its next call: zeros where an episode ended, since another one has begun.

    Whoever steps worlds with a policy passes what `act` returned through here; see `sim.protocols.Policy`.

    Args:
        memory: (N, …), or None of a policy without one.
        ended: (N,) bool, terminated or truncated.

    >>> reset_memory(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([True, False]))
    array([[0., 0.],
           [3., 4.]])
    """
    if memory is None or not ended.any():
        return memory
    memory = memory.copy()
    memory[ended] = 0
    return memory


class Worlds(VectorEnv[Array, Array, Array], abc.ABC):
    """Vector environment of N worlds with uniform seeding, scoring and exact resume; see the module."""

    frame_stack = 1  # how many frames an observation stacks along its first axis, the newest last
    #: Index in its run of this batch's first world; set before the first `reset`.
    first_index = 0

    def __init__(
        self,
        num_envs: int,
        single_observation_space: gymnasium.Space[Any],
        single_action_space: gymnasium.Space[Any],
        seed: int,
    ) -> None:
        self.num_envs = checked_count(num_envs)
        self.single_observation_space = single_observation_space
        self.single_action_space = single_action_space
        self.observation_space = batch_space(single_observation_space, num_envs)
        self.action_space = batch_space(single_action_space, num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self._seed = checked_seed(seed)
        self._episode = np.full(num_envs, -1, np.int64)  # index of the episode in progress
        self._episode_seed = np.zeros(num_envs, np.int64)
        self._score = np.zeros(num_envs, np.float64)
        self._length = np.zeros(num_envs, np.int64)
        #: Steps after which a world's next episode has a seed of its own; before, it goes on `UNSEEDED`.
        self.seed_every = 0
        self._start = np.zeros(num_envs, np.int64)  # row of _played where the world was seeded last
        self._played: list[Array] = []  # actions (N, …), oldest first
        self._sent: Array  # actions (N, …) of the step in progress
        self._waiting = np.zeros(num_envs, bool)  # only in `restore`: rows whose actions are not theirs

    @property
    def score(self) -> Array:
        """(N,) the unclipped return so far of each episode in progress."""
        return self._score.copy()

    @property
    def length(self) -> Array:
        """(N,) the steps so far of each episode in progress."""
        return self._length.copy()

    @property
    def episode_seed(self) -> Array:
        """(N,) the seed that each world was last reset from."""
        return self._episode_seed.copy()

    def seed_rarely(self, whole_size: int | None = None) -> None:
        """Raise `seed_every` where seeding a world is slow: training would wait for each new episode.

        Args:
            whole_size: how many worlds the batch has that this one is a part of; None: it is a whole one.
        """

    def keep_statistics(self) -> None:  # noqa: B027
        """From the next reset on tell the statistics and traces of episodes, where the world has some."""

    @abc.abstractmethod
    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        """Start new episodes where `mask` (N,) is True, from `seeds` (mask.sum(),).

        Where a seed is `UNSEEDED` an episode has just ended, and the world goes on with its own generator.
        Returns the observations (N, …) and info of all N worlds.
        """

    @abc.abstractmethod
    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        """Step all N worlds, whether or not an episode ended: ended ones are reset before the next call.

        The `_waiting` worlds may be left alone or stepped: they are reset when their turn comes.
        """

    def _send_rows(self, actions: Array) -> None:  # noqa: B027
        """Begin in the background what `_step_rows` does, where the backend can."""

    def _recv_rows(self) -> tuple[Array, Array, Array, Array, Info]:
        """The results of the step that `_send_rows` began."""
        return self._step_rows(self._sent)

    def reset(
        self, *, seed: int | Array | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, Info]:
        """Start new episodes in all worlds, or where ``options["reset_mask"]`` (N,) bool is True.

        Args:
            seed: an int starts the whole batch over from that run seed; an array gives the seed of
                each world that is reset; None goes on to the next episode.
            options: only ``reset_mask`` is known.
        """
        mask = np.ones(self.num_envs, bool)
        if options and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], bool)
            if mask.shape != (self.num_envs,):
                raise ValueError(f"reset_mask must have shape {(self.num_envs,)}, not {mask.shape}")
        if isinstance(seed, int | np.integer):
            self._seed = checked_seed(seed)
            self._episode[mask] = -1
        self._episode[mask] += 1
        if not isinstance(seed, int | np.integer | None):
            seed = np.asarray(seed, np.int64)
            if seed.shape != (int(mask.sum()),):
                raise ValueError(f"seed must have shape {(int(mask.sum()),)}, not {seed.shape}")
            self._episode_seed[mask] = [checked_seed(one) for one in seed]
        else:
            self._episode_seed[mask] = self._next_seeds(mask)
        return self._begin(mask, mask)

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        """Step all worlds; the ended ones have already begun their next episode in what comes back.

        Args:
            actions: (N,) integers, or (N, D) floats within the action space's bounds.

        Returns:
            obs (N, …), reward (N,) float64 unclipped, terminated (N,) bool, truncated (N,) bool,
            info. Where an episode ended, ``info["final_obs"]`` and ``info["final_info"]`` belong to it.

        Raises:
            ActionError: naming the first action that is not in the action space.
        """
        self.send(actions)
        return self.recv()

    def send(self, actions: Array) -> None:
        """Begin a step of all worlds, which `recv` ends; see `step`."""
        self._sent = self._checked(actions).copy()
        self._send_rows(self._sent)

    def recv(self) -> tuple[Array, Array, Array, Array, Info]:
        """End the step that `send` began; see `step`."""
        obs, reward, terminated, truncated, info = self._recv_rows()
        self._played.append(self._sent)
        self._score += reward
        self._length += 1
        ended = terminated | truncated
        if ended.any():
            final_obs, final_info = obs.copy(), info
            episode = {"r": self._score.copy(), "l": self._length.copy()}
            self._episode[ended] += 1
            seeded = ended & (len(self._played) - self._start >= self.seed_every)
            self._episode_seed[seeded] = self._next_seeds(seeded)
            obs, info = self._begin(ended, seeded)
            info = info | {
                "final_obs": final_obs,
                "_final_obs": ended,
                "final_info": final_info | {"episode": episode},
                "_final_info": ended,
                "episode": episode,
                "_episode": ended,
            }
        return obs, reward, terminated, truncated, info

    def state(self) -> State:
        """The seeds that the worlds had last and the actions since: what `restore` plays again."""
        oldest = int(self._start.min())
        shape = (0, *self.action_space.shape) if self.action_space.shape else (0, self.num_envs)
        played = np.stack(self._played[oldest:]) if self._played[oldest:] else np.zeros(shape)
        return {
            "seed": self._seed,
            "episode": self._episode.copy(),
            "episode_seed": self._episode_seed.copy(),
            "score": self._score.copy(),
            "length": self._length.copy(),
            "start": self._start - oldest,
            "played": played.astype(self._stored_dtype()),
        }

    def restore(self, state: State) -> tuple[Array, Info]:
        """Bring the batch to exactly where `state` was taken, and return obs and info there."""
        self._seed = int(state["seed"])
        self._episode = np.array(state["episode"], np.int64)
        self._episode_seed = np.array(state["episode_seed"], np.int64)
        start, played = np.asarray(state["start"]), np.asarray(state["played"])
        played = played.astype(self.single_action_space.dtype)
        everywhere = np.ones(self.num_envs, bool)
        obs, info = self._reset_rows(everywhere, self._episode_seed)
        for row, actions in enumerate(played):
            beginning = (start == row) & (row > 0)
            if beginning.any():
                self._reset_rows(beginning, self._episode_seed[beginning])
            self._waiting = start > row
            obs, _, terminated, truncated, info = self._step_rows(actions)
            ended = (terminated | truncated) & ~self._waiting
            if ended.any():
                obs, info = self._reset_rows(ended, np.full(ended.sum(), UNSEEDED))
        self._waiting = ~everywhere
        beginning = (start == len(played)) & (len(played) > 0)
        if beginning.any():
            obs, info = self._reset_rows(beginning, self._episode_seed[beginning])
        self._start, self._played = start.astype(np.int64).copy(), list(played)
        self._score = np.array(state["score"], np.float64)
        self._length = np.array(state["length"], np.int64)
        return obs, info

    def _next_seeds(self, mask: Array) -> Array:
        rows = np.flatnonzero(mask)
        first = self.first_index
        return np.array([episode_seed(self._seed, first + int(i), int(self._episode[i])) for i in rows])

    def _begin(self, mask: Array, seeded: Array) -> tuple[Array, Info]:
        """Reset the masked worlds, some from their episode seeds, and forget actions that none needs."""
        self._score[mask] = 0.0
        self._length[mask] = 0
        self._start[seeded] = len(self._played)
        oldest = int(self._start.min())
        if oldest > 0:
            del self._played[:oldest]
            self._start -= oldest
        return self._reset_rows(mask, np.where(seeded, self._episode_seed, UNSEEDED)[mask])

    def _stored_dtype(self) -> np.dtype[Any]:
        space = self.single_action_space
        if isinstance(space, gymnasium.spaces.Discrete):
            return np.dtype(np.uint8 if space.start >= 0 and space.start + space.n <= 256 else np.int64)
        return np.dtype(space.dtype)

    def _checked(self, actions: Array) -> Array:
        space = self.single_action_space
        actions = np.asarray(actions)
        if actions.shape != self.action_space.shape:
            raise ActionError(f"expected actions of shape {self.action_space.shape}, got {actions.shape}")
        if isinstance(space, gymnasium.spaces.Discrete):
            if actions.dtype.kind not in "iu":
                raise ActionError(f"expected whole numbers as actions, got {actions.dtype}")
            wrong = (actions < space.start) | (actions >= space.start + space.n)
            if wrong.any():
                i = int(np.flatnonzero(wrong)[0])
                last = space.start + space.n - 1
                raise ActionError(f"world {i}: action {actions[i]} is not in {space.start}…{last}")
            return actions.astype(np.int64, copy=False)
        dtype = np.dtype(space.dtype)
        if not np.can_cast(actions.dtype, dtype, "same_kind"):
            raise ActionError(f"expected actions of type {dtype}, got {actions.dtype}")
        actions = actions.astype(dtype, copy=False)
        if isinstance(space, gymnasium.spaces.Box):
            fine = np.isfinite(actions) & (actions >= space.low) & (actions <= space.high)
            inside = np.asarray(fine.reshape(len(actions), -1).all(axis=1))
        else:
            inside = np.array([space.contains(action) for action in actions])
        if not inside.all():
            i = int(np.flatnonzero(~inside)[0])
            raise ActionError(f"world {i}: action {actions[i]} is not in {space}")
        return actions


class EnvWorlds(Worlds):
    """A batch of gymnasium environments, stepped in turn.

    Any environment works, those with ``render_mode="rgb_array"`` can be drawn through `envs`.
    Environments without a Box, Discrete or MultiBinary observation are refused.
    """

    def __init__(self, makers: Sequence[Callable[[], gymnasium.Env[Any, Any]]], seed: int) -> None:
        self.envs = [make() for make in makers]
        checked_count(len(self.envs))
        space = self.envs[0].observation_space
        if space.shape is None or space.dtype is None:
            raise WorldError(f"observations of {self.envs[0]} are a {type(space).__name__}, not an array")
        super().__init__(len(self.envs), space, self.envs[0].action_space, seed)
        self._obs = np.zeros((self.num_envs, *space.shape), space.dtype)
        self._infos: list[Info] = [{} for _ in self.envs]

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        for i, seed in zip(np.flatnonzero(mask), seeds, strict=True):
            given = None if seed == UNSEEDED else int(seed)
            self._obs[i], self._infos[i] = self.envs[i].reset(seed=given)
        return self._obs.copy(), self._gathered()

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        reward = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool)
        for i, env in enumerate(self.envs):
            if self._waiting[i]:
                continue
            self._obs[i], reward[i], terminated[i], truncated[i], self._infos[i] = env.step(actions[i])
        return self._obs.copy(), reward, terminated, truncated, self._gathered()

    def _gathered(self) -> Info:
        """Infos that every world has: masks stacked, numbers as vectors, games side by side."""
        info: Info = {}
        for key in set.intersection(*(set(i) for i in self._infos)):
            values = [i[key] for i in self._infos]
            if all(isinstance(v, int | float | bool | np.generic | np.ndarray) for v in values):
                if len({np.shape(v) for v in values}) == 1:
                    info[key] = np.stack([np.asarray(v) for v in values])
            elif key == GAMES:
                info[key] = tuple(game for value in values for game in value)
        return info

    def render(self) -> tuple[Any, ...]:
        """One RGB picture a world."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: object) -> None:
        """Close every environment."""
        for env in self.envs:
            env.close()
