"""Configurations of the ``sb3/…`` agents: our shared hyperparameter names, mapped to Stable-Baselines3's.

Defaults are theirs (2.9) unless a comment says otherwise; they suit classic control and robots. For Atari
take the values of ``ppo`` and ``dqn``. What an algorithm does not have is not a field of its dataclass and
so refused by name.

| here | there | |
|---|---|---|
| network | policy | ``nature`` is CnnPolicy, ``mlp`` MlpPolicy; unless set, by what is observed |
| num_steps, num_epochs, minibatch_size, clip_coef | n_steps, n_epochs, batch_size, clip_range | |
| train_frequency | train_freq, gradient_steps | env steps per gradient step, whatever the number of worlds |
| target_frequency | target_update_interval | env steps |
| epsilon_start, epsilon_end, epsilon_steps | exploration_… | env steps instead of a share of the budget |
| buffer_size, batch_size, learning_starts, tau, ent_coef, … | the same | |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Self, TypeAlias

import gymnasium
import numpy as np
import sb3_contrib
import stable_baselines3
from gymnasium.spaces import Box, Discrete
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from agents.memory_limits import check_batch, check_rollout
from agents.sb3.acting import Act, by_actor, by_distribution, by_q_values
from agents.sb3.learner import SB3Learner
from agents.sb3.memory import ring_rows
from agents.sb3.worlds import POLICIES, ObservationPreprocessing, policy_for
from sim.errors import RequestError
from sim.fields import (
    NonNegativeFloat,
    NonNegativeInt,
    OneOf,
    PositiveFloat,
    PositiveInt,
    Range,
    UnitInterval,
    Validated,
)
from sim.machine import check_memory

PolicyName: TypeAlias = Annotated[str, OneOf(tuple(POLICIES))]


class AlgorithmError(RequestError, ValueError):
    """A Stable-Baselines3 algorithm that does not fit the world's actions."""


@dataclass(frozen=True)
class Algorithm(Validated):
    """Base configuration of Stable-Baselines3 agents; class variables name the algorithm and its spaces."""

    algorithm: ClassVar[Any]
    act: ClassVar[Act]
    spaces: ClassVar[tuple[type, ...]]  # of actions
    masks: ClassVar[bool] = False
    off_policy: ClassVar[bool] = False
    epsilon_greedy: ClassVar[bool] = False
    fixed_at_resume: ClassVar[tuple[str, ...]] = ("network",)

    network: PolicyName | None = None
    learning_rate: PositiveFloat = 3e-4
    gamma: UnitInterval = 0.99
    clip_reward: bool = False  # learn from the sign of the reward; scores stay unclipped
    greedy: bool = False  # when watched and scored: the best action instead of a sample

    @property
    def title(self) -> str:
        """The catalogue name."""
        return f"sb3/{type(self).__name__.lower()}"

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """Arguments of the algorithm's constructor, without policy, environment and device."""
        return {
            "learning_rate": self.learning_rate,
            "gamma": self.gamma,
            "policy_kwargs": self.policy_arguments(),
        }

    def policy_arguments(self) -> dict[str, Any]:
        """Arguments of the policy network's constructor."""
        return {}

    def probe(self) -> Self:
        """Configuration with the same work a step, shorter updates and a small replay, to estimate speed."""
        limits = {
            "num_steps": 16,
            "learning_starts": 100,
            "buffer_size": max(1000, getattr(self, "batch_size", 0)),
        }
        mine = {field.name for field in fields(self)}
        shorter: dict[str, Any] = {
            name: min(getattr(self, name), limit) for name, limit in limits.items() if name in mine
        }
        return replace(self, **shorter)

    def for_observations(self, space: gymnasium.Space[Any]) -> Self:
        """This config with the network that suits observations of `space`, where it names none."""
        return self if self.network else replace(self, network=policy_for(space))

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> SB3Learner:
        """An untrained learner for one world's spaces.

        Raises:
            NetworkError: if the network does not support the observations.
            AlgorithmError: if the algorithm does not support the actions.
        """
        self.check_actions(action_space)
        config = self.for_observations(observation_space)
        look = ObservationPreprocessing(config.network or policy_for(observation_space), observation_space)
        return SB3Learner(config, look, action_space, seed, device)

    def check_actions(self, space: gymnasium.Space[Any]) -> None:
        """Check that the algorithm supports an action space; the error names algorithms that do.

        Raises:
            AlgorithmError: naming the algorithm and the space.
        """
        if not isinstance(space, self.spaces):
            kind, mend = "", ""
            if isinstance(space, Box):
                kind, mend = "continuous ", ": use sb3/sac, sb3/td3, sb3/tqc, sb3/ppo, sb3/a2c or ppo"
            elif isinstance(space, Discrete):
                kind, mend = "discrete ", ": use sb3/dqn, sb3/qrdqn, sb3/ppo, sb3/a2c, dqn or ppo"
            raise AlgorithmError(f"{self.title} takes no {kind}actions such as {space}{mend}")
        if isinstance(space, Discrete) and space.start != 0:
            raise AlgorithmError(f"{self.title} needs Discrete actions from 0, but the world takes {space}")
        if isinstance(space, Box) and not (len(space.shape) == 1 and space.is_bounded()):
            raise AlgorithmError(f"{self.title} needs flat, bounded actions, but the world takes {space}")

    def check_worlds(self, num_envs: int, masked: bool) -> None:
        """Check that the algorithm supports the worlds.

        Raises:
            AlgorithmError: naming algorithms that do.
        """
        if masked and not self.masks:
            raise AlgorithmError(
                f"{self.title} cannot mask actions, and this world forbids some: "
                "use sb3/maskableppo, or ppo, dqn or reinforce"
            )


@dataclass(frozen=True)
class A2C(Algorithm):
    """Configuration of the ``sb3/a2c`` agent (Mnih et al. 2016, synchronous); its fields are scene keys."""

    algorithm: ClassVar[Any] = stable_baselines3.A2C
    act: ClassVar[Act] = staticmethod(by_distribution)
    spaces: ClassVar[tuple[type, ...]] = (Discrete, Box)

    learning_rate: PositiveFloat = 7e-4
    num_steps: PositiveInt = 5  # per environment and update
    gae_lambda: UnitInterval = 1.0
    ent_coef: NonNegativeFloat = 0.0
    vf_coef: NonNegativeFloat = 0.5
    max_grad_norm: PositiveFloat = 0.5

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """See `Algorithm`.

        Raises:
            MemoryRefused: if their rollout does not fit.
        """
        check_rollout(self.num_steps, env.num_envs, env.observation_space)
        return super().arguments(env) | {
            "n_steps": self.num_steps,
            "gae_lambda": self.gae_lambda,
            "ent_coef": self.ent_coef,
            "vf_coef": self.vf_coef,
            "max_grad_norm": self.max_grad_norm,
        }


@dataclass(frozen=True)
class PPO(A2C):
    """Configuration of the ``sb3/ppo`` agent (Schulman et al. 2017); its fields are scene keys."""

    algorithm: ClassVar[Any] = stable_baselines3.PPO

    learning_rate: PositiveFloat = 3e-4
    num_steps: PositiveInt = 2048
    num_epochs: PositiveInt = 10
    minibatch_size: Annotated[int, Range(ge=2)] = 64
    gae_lambda: UnitInterval = 0.95
    clip_coef: NonNegativeFloat = 0.2

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """See `Algorithm`."""
        return super().arguments(env) | {
            "n_epochs": self.num_epochs,
            "batch_size": self.minibatch_size,
            "clip_range": self.clip_coef,
        }

    def check_worlds(self, num_envs: int, masked: bool) -> None:
        """See `Algorithm`; they divide by the deviation of a minibatch's advantages, so one row gives NaN."""
        super().check_worlds(num_envs, masked)
        size = self.num_steps * num_envs
        if size % self.minibatch_size == 1:
            raise AlgorithmError(
                f"{self.title}: num_steps {self.num_steps} × {num_envs} worlds leave a last minibatch of one "
                "row; change num_steps or minibatch_size"
            )


@dataclass(frozen=True)
class MaskablePPO(PPO):
    """Configuration of the ``sb3/maskableppo`` agent (Huang and Ontañón 2022); its fields are scene keys."""

    algorithm: ClassVar[Any] = sb3_contrib.MaskablePPO
    spaces: ClassVar[tuple[type, ...]] = (Discrete,)
    masks: ClassVar[bool] = True


@dataclass(frozen=True)
class OffPolicy(Algorithm):
    """Base configuration of off-policy agents with a replay buffer."""

    off_policy: ClassVar[bool] = True

    fixed_at_resume: ClassVar[tuple[str, ...]] = ("network", "buffer_size")

    buffer_size: PositiveInt = 1_000_000  # transitions; rounded up to whole segments
    batch_size: PositiveInt = 256
    learning_starts: NonNegativeInt = 100  # env steps of random actions before the first gradient step
    train_frequency: PositiveInt = 1  # env steps per gradient step

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.buffer_size < self.batch_size:
            raise ValueError(
                f"buffer_size must be at least batch_size, {self.batch_size:,}, not {self.buffer_size:,}"
            )

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """See `Algorithm`; `learn` decides when to train.

        Raises:
            MemoryRefused: if the replay buffer does not fit.
        """
        rows, space = ring_rows(self.buffer_size, env.num_envs) * env.num_envs, env.observation_space
        assert space.shape is not None
        check_memory(
            2 * rows * math.prod(space.shape) * np.dtype(space.dtype).itemsize,
            f"a replay of {rows:,} transitions, two whole observations each,",
            "set a smaller agent.buffer_size",
        )
        check_batch("agent.batch_size", self.batch_size, space)
        return super().arguments(env) | {
            "buffer_size": rows,
            "batch_size": self.batch_size,
            "learning_starts": self.learning_starts,
            "train_freq": 1,
        }


@dataclass(frozen=True)
class DQN(OffPolicy):
    """Configuration of the ``sb3/dqn`` agent (Mnih et al. 2015); its fields are scene keys."""

    algorithm: ClassVar[Any] = stable_baselines3.DQN
    epsilon_greedy: ClassVar[bool] = True
    act: ClassVar[Act] = staticmethod(by_q_values)
    spaces: ClassVar[tuple[type, ...]] = (Discrete,)

    learning_rate: PositiveFloat = 1e-4
    buffer_size: PositiveInt = 100_000  # theirs of 1 M would fill 56 GB with Atari
    batch_size: PositiveInt = 32
    train_frequency: PositiveInt = 4
    target_frequency: PositiveInt = 10_000  # env steps
    epsilon_start: UnitInterval = 1.0
    epsilon_end: UnitInterval = 0.05
    epsilon_steps: NonNegativeInt = 100_000  # env steps of ε's linear decay
    epsilon_play: UnitInterval = 0.001  # when watched and scored
    max_grad_norm: PositiveFloat = 10.0

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """See `Algorithm`; `learn` sets ε's schedule, which depends on the budget."""
        return super().arguments(env) | {
            "target_update_interval": max(self.target_frequency, env.num_envs),
            "max_grad_norm": self.max_grad_norm,
        }


@dataclass(frozen=True)
class QRDQN(DQN):
    """Configuration of the ``sb3/qrdqn`` agent (Dabney et al. 2018); its fields are scene keys."""

    algorithm: ClassVar[Any] = sb3_contrib.QRDQN
    fixed_at_resume: ClassVar[tuple[str, ...]] = ("network", "buffer_size", "quantiles")

    learning_rate: PositiveFloat = 5e-5
    epsilon_end: UnitInterval = 0.01
    quantiles: PositiveInt = 200

    def policy_arguments(self) -> dict[str, Any]:
        """See `Algorithm`."""
        return {"n_quantiles": self.quantiles}


@dataclass(frozen=True)
class SAC(OffPolicy):
    """Configuration of the ``sb3/sac`` agent (Haarnoja et al. 2018); its fields are scene keys."""

    algorithm: ClassVar[Any] = stable_baselines3.SAC
    act: ClassVar[Act] = staticmethod(by_actor)
    spaces: ClassVar[tuple[type, ...]] = (Box,)

    tau: UnitInterval = 0.005  # soft update of the target critic, per gradient step
    greedy: bool = True

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """See `Algorithm`; the entropy coefficient is learned."""
        return super().arguments(env) | {"tau": self.tau}


@dataclass(frozen=True)
class TQC(SAC):
    """Configuration of the ``sb3/tqc`` agent (Kuznetsov et al. 2020); its fields are scene keys."""

    algorithm: ClassVar[Any] = sb3_contrib.TQC


@dataclass(frozen=True)
class TD3(SAC):
    """Configuration of the ``sb3/td3`` agent (Fujimoto et al. 2018); its fields are scene keys."""

    algorithm: ClassVar[Any] = stable_baselines3.TD3

    learning_rate: PositiveFloat = 1e-3
    action_noise: NonNegativeFloat = 0.1  # deviation, of actions in [−1, 1], as in the paper; theirs has none

    def arguments(self, env: VecEnv) -> dict[str, Any]:
        """See `Algorithm`; action noise is independent for each dimension."""
        assert env.action_space.shape is not None
        still = np.zeros(env.action_space.shape)
        return super().arguments(env) | {"action_noise": NormalActionNoise(still, still + self.action_noise)}
