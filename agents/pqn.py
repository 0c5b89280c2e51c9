"""PQN, parallelised Q-networks (Gallici et al. 2024): Q(λ) learning without replay and target network.

Many worlds run in parallel; each short rollout is trained on for a few epochs and dropped. That is stable
because every hidden layer has layer normalisation (Ba et al. 2016), which the paper proves for linear and
shows for deep networks. The targets are multi-step: Peng's Q(λ), without off-policy correction,

    G_t = r_t + γ [(1 − λ) max_a Q(s_{t+1}, a) + λ G_{t+1}]

which is the λ-return of a state value V(s) = max_a Q(s, a): PPO's generalised advantage plus the value.

The policy may change much from one update to the next, so the score of the last weights is noisy. With
``ema`` the weights that are saved, watched and scored are an exponential moving average over updates (Polyak
& Juditsky 1992); the newest ones are used for rollouts and training, since the average lags behind.

Read from top to bottom: the keys, the learner's loop. Masked actions are never chosen, neither
in play nor in the bootstrap; a truncated episode still bootstraps from its final observation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.data_parallel import all_episodes, shares
from agents.memory_limits import check_rollout
from agents.networks.architectures import NetworkName, network_for
from agents.networks.memory_format import take
from agents.optim.cuda_graphs import GraphChoice
from agents.optim.schedules import linear_schedule
from agents.optim.train_step import GradientStep, check_minibatch, radam
from agents.q_policy import QPolicy, best_actions, best_values
from agents.returns import explained_variance
from agents.rollouts.double_buffer import rollout_collector
from agents.rollouts.rollout import Choice, Rollout
from sim.fields import NonNegativeFloat, PositiveFloat, PositiveInt, Range, UnitInterval, Validated
from sim.records import Array, Budget, Progress, State
from sim.vector import Worlds
from supervised.distributed import process_group
from supervised.precision import autocast_cache
from supervised.tensors import (
    NonFiniteError,
    Precision,
    from_arrays,
    on_device,
    optimizer_state,
    restore_optimizer,
    to_arrays,
)

#: Metrics of every minibatch step: half the squared TD error, the mean of Q(s, a), the gradient's norm.
FIGURES = ("loss", "q_value", "grad_norm")


@dataclass(frozen=True)
class PQN(Validated):
    """Configuration of the ``pqn`` agent, scene keys; defaults of Gallici et al. 2024 for Atari."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = ("network", "dueling")
    data_parallel: ClassVar[bool] = True

    network: NetworkName | None = (
        None  # see agents.networks, with layer norm; unless set, by what is observed
    )
    dueling: bool = False  # Wang et al. 2016: Q = V + A − mean A
    learning_rate: PositiveFloat = 2.5e-4
    learning_rate_end: NonNegativeFloat = 0.0  # linear decay to it over the budget
    num_steps: PositiveInt = 32  # per environment and update
    num_epochs: PositiveInt = 2
    minibatch_size: PositiveInt = 128  # at most: a rollout is shared out as evenly as can be
    gamma: UnitInterval = 0.99
    q_lambda: UnitInterval = 0.65
    epsilon_start: UnitInterval = 1.0
    epsilon_end: UnitInterval = 0.001
    epsilon_share: UnitInterval = 0.1  # of the budget, over which ε decays linearly
    epsilon_play: UnitInterval = 0.001  # when watched and scored
    max_grad_norm: PositiveFloat = 10.0
    # Decay, per update, of the averaged weights that are saved; 0: the newest are saved.
    ema: Annotated[float, Range(ge=0, lt=1)] = 0.0
    clip_reward: bool = True  # learn from the sign of the reward; scores stay unclipped
    life_loss_ends: bool = False  # in training a lost life terminates; scores are of whole games
    precision: Precision = "auto"
    compile: bool = (
        False  # loss and gradient by torch.compile, on CUDA as graphs; see agents.optim.train_step
    )
    cuda_graphs: GraphChoice = False  # acting and whole steps as CUDA graphs; "auto": on CUDA
    greedy: bool = False  # when watched and scored: never a random action, not even ε's

    def probe(self) -> PQN:
        """Configuration with the same work a step in shorter updates, to estimate the training time."""
        return PQNProbe(**vars(self) | {"num_steps": min(self.num_steps, 16)})

    def check_rollout(self, num_envs: int) -> None:
        """Check that a minibatch is not larger than a rollout of `num_envs` worlds.

        Raises:
            MinibatchError: naming the keys and their values.
        """
        check_minibatch(self.minibatch_size, self.num_steps, num_envs)

    def for_observations(self, space: gymnasium.Space[Any]) -> PQN:
        """This config with the network that suits observations of `space`, where it names none."""
        return self if self.network else replace(self, network=network_for(space))

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> PQNLearner:
        """An untrained learner for one world's spaces.

        Raises:
            NetworkError: unless actions are Discrete from 0.
        """
        config = self.for_observations(observation_space)
        return PQNLearner(config, observation_space, action_space, seed, device)


class PQNProbe(PQN):
    """PQN configuration for timing only, whose rollouts may be shorter than a minibatch."""

    def check_rollout(self, num_envs: int) -> None:
        """Allow any minibatch."""


class PQNLearner(QPolicy):
    """PQN learner with ε-greedy actions. Satisfies `sim.protocols.Learner`."""

    name = "pqn"
    state_by_rank: ClassVar[tuple[str, ...]] = ("worlds",)

    def __init__(
        self,
        config: PQN,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        super().__init__(config, observation_space, action_space, seed=seed, device=device, layer_norm=True)
        self.config = config
        self.epsilon = config.epsilon_start  # of rollouts
        self.newest = self.new_network() if config.ema else self.network
        self._newest_inference = self.inference_copy(self.newest)
        self._best = self.graphed(self._best_of_newest)
        self._generator = np.random.default_rng(seed)
        self._group = process_group()
        self._env_steps = 0
        self._updates = 0
        self._worlds: Worlds | None = None
        self._worlds_state: State | None = None

    @cached_property
    def _optimizer(self) -> torch.optim.RAdam:
        """RAdam, made when learning begins; see `ActorCriticLearner._optimizer`."""
        return radam(self.newest.parameters(), self.config.learning_rate)

    @cached_property
    def gradient_step(self) -> GradientStep:
        """Optimiser step of `loss`, from when learning begins."""
        return GradientStep(
            self.loss,
            self._optimizer,
            self.config.max_grad_norm,
            compile=self.config.compile,
            cuda_graphs=self.config.cuda_graphs,
        )

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Alternate rollouts and updates until the budget is spent; yields after each update.

        Raises:
            MinibatchError: if a minibatch is larger than a rollout.
            MemoryRefused: if a rollout does not fit into memory.
            CompileError: if there is nothing to compile with.
            NonFiniteError: if a loss or gradient is not finite.
        """
        config = self.config
        num_envs = worlds.num_envs * self._group.size
        config.check_rollout(num_envs)
        check_rollout(config.num_steps, worlds.num_envs, worlds.single_observation_space, self.device)
        self.gradient_step.prepare()
        steps_per_update = config.num_steps * num_envs
        self._worlds = worlds
        state = self._worlds_state
        start = worlds.reset() if state is None else worlds.restore(state)
        collector = rollout_collector(
            self, worlds, start, clip_reward=config.clip_reward, life_loss_ends=config.life_loss_ends
        )
        while not budget.spent(self._env_steps, self._updates):
            share = budget.share(self._env_steps, self._updates)
            self.epsilon = linear_schedule(
                config.epsilon_start, config.epsilon_end, share / max(config.epsilon_share, 1e-9)
            )
            rate = linear_schedule(config.learning_rate, config.learning_rate_end, share)
            with autocast_cache(self.device, self._half):
                rollout = collector.collect(config.num_steps)
            metrics = self._update(rollout, rate)
            self._env_steps += steps_per_update
            self._updates += 1
            metrics |= {"epsilon": self.epsilon, "learning_rate": rate}
            total = budget.total_updates(self._env_steps, self._updates, steps_per_update)
            episodes = all_episodes(rollout, self._group)
            yield Progress(self._env_steps, self._updates, total, metrics, episodes)

    def state(self) -> State:
        """Averaged and newest network, optimiser, generator, counters and worlds."""
        assert self._worlds is not None, "there is nothing to resume before learn() has begun"
        return {
            "env_steps": self._env_steps,
            "updates": self._updates,
            "network": self.weights(),
            **({"newest": to_arrays(self.newest.state_dict())} if self.config.ema else {}),
            "optimizer": optimizer_state(self._optimizer),
            "generator": self._generator.bit_generator.state,
            "worlds": self._worlds.state(),
        }

    def restore(self, state: State) -> None:
        """Restore a state; `learn` continues from there."""
        self._env_steps, self._updates = int(state["env_steps"]), int(state["updates"])
        self.load_weights(state["network"])
        from_arrays(self.newest, state["newest"] if "newest" in state else state["network"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._generator.bit_generator.state = state["generator"]
        self._worlds_state = state["worlds"]

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint, as averaged and as newest ones; see `QPolicy`."""
        super().load_weights(weights)
        from_arrays(self.newest, weights)

    def choose(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Choice:
        """Choose N ε-greedy actions by the newest weights, to learn; see `agents.rollouts.rollout.Actor`."""
        best, value = self._best(obs, mask)
        assert best is not None and value is not None
        actions = self.explore(best.cpu().numpy(), mask, self.epsilon, self._generator, self._group)
        return Choice(actions, value)

    def _best_of_newest(self, obs: Tensor, mask: Tensor | None) -> tuple[Tensor | None, ...]:
        """Greedy actions (N,) by the newest weights, and their values (N,)."""
        q = self._newest_values(obs)
        return best_actions(q, mask), best_values(q, mask)

    def bootstrap(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Tensor:
        """Values (n,) max_a Q(s, a) over allowed actions; see `agents.rollouts.rollout.Actor`."""
        return best_values(self._newest_values(obs), mask)

    def _update(self, rollout: Rollout, learning_rate: float) -> dict[str, float]:
        """Several epochs of minibatch steps on one rollout; returns the mean metrics."""
        self.gradient_step.set_learning_rate(learning_rate)
        *means, explained = self.run_epochs(rollout).tolist()  # the only wait for the device in an update
        metrics = dict(zip(FIGURES, means, strict=True))
        NonFiniteError.check(metrics, self._updates + 1)
        self._average()
        return metrics | {"explained_variance": explained}

    @torch.no_grad()
    def _average(self) -> None:
        """Update the moving average of weights; at first with less decay, to forget the initial ones."""
        if self.config.ema:
            decay = min(self.config.ema, self._updates / (10 + self._updates))
            torch._foreach_lerp_(list(self.network.parameters()), list(self.newest.parameters()), 1 - decay)

    def _newest_values(self, obs: Tensor) -> Tensor:
        """Q-values (N, A) of observations (N, …) by the newest weights."""
        return self.quantiles(self._newest_inference.current(), obs).mean(2)

    def run_epochs(self, rollout: Rollout) -> Tensor:
        """Means of the `FIGURES` over all minibatches, and the explained variance before them, (4,)."""
        config, group = self.config, self._group
        obs, action = rollout.obs.flatten(0, 1), rollout.action.flatten()
        targets = rollout.advantage(config.gamma, config.q_lambda) + rollout.value
        target, num_envs = targets.flatten(), targets.shape[1]
        figures = []
        for _ in range(config.num_epochs):
            order = on_device(self._generator.permutation(len(target) * group.size), self.device)
            for part in shares(order, config.minibatch_size, num_envs, group):
                rows = part.rows
                step = self.gradient_step(take(obs, rows), action[rows], target[rows], weight=part.weight)
                figures.append(step[0])
        targets, values = group.all_gather(targets, 1), group.all_gather(rollout.value, 1)
        explained = explained_variance(targets.flatten(), values.flatten())
        return torch.cat([torch.stack(figures).mean(0), explained[None]])

    def loss(self, obs: Tensor, action: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """PQN loss () of B transitions, and the `FIGURES` but the last, (2,)."""
        q = self.quantiles(self.newest, obs).squeeze(2)  # (B, A)
        chosen = q.gather(1, action[:, None]).squeeze(1)
        loss = 0.5 * (chosen - target).square().mean()
        return loss, torch.stack([loss, chosen.mean()])
