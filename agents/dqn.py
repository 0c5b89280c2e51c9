"""DQN, deep Q-learning (Mnih et al. 2015), with the components of Rainbow, each a configuration field.

    double        van Hasselt et al. 2016: the online network selects, the target network evaluates
    dueling       Wang et al. 2016: Q = V + A − mean A (both linear in the trunk's features here)
    n_step        Sutton 1988: rewards of several steps before the bootstrap
    prioritized   Schaul et al. 2016: transitions with a large TD error are sampled more often
    quantiles     Dabney et al. 2018: the distribution of the return by its quantiles, not its mean alone

With all of them off it is the 2015 algorithm. Worlds run in parallel, and `train_frequency` counts
environment steps per gradient step whatever their number. Masked actions are never chosen, neither in
play nor in the bootstrap; a truncated episode still bootstraps from its final observation. In double-buffered
worlds the gradient steps due are taken while the worlds make their next step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.actors.feed import ShardFeed
from agents.actors.shards import Stretch
from agents.memory_limits import check_batch
from agents.networks.architectures import NetworkName, network_for
from agents.optim.cuda_graphs import GraphChoice
from agents.optim.schedules import linear_schedule
from agents.optim.train_step import GradientStep, adam
from agents.q_policy import QPolicy, best_actions
from agents.replay import Priorities, Replay, ReplaySamples
from agents.rollouts.frame_stacks import FrameStacks
from agents.rollouts.rollout_stretch import EPSILON, add_stretch
from sim.double_buffer import DoubleBufferedWorlds
from sim.fields import NonNegativeInt, PositiveFloat, PositiveInt, UnitInterval, Validated
from sim.records import Array, Budget, Episode, Progress, State
from sim.vector import Info, Worlds, finished
from supervised.tensors import (
    NonFiniteError,
    Precision,
    from_arrays,
    optimizer_state,
    restore_optimizer,
    to_arrays,
)

#: Metrics of every gradient step: the loss, the mean of Q(s, a), the gradient's norm.
FIGURES = ("loss", "q_value", "grad_norm")


@dataclass(frozen=True)
class DQN(Validated):
    """Configuration of the ``dqn`` agent, scene keys; defaults of Mnih et al. 2015 where a CPU allows."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = (
        "network", "dueling", "layer_norm", "quantiles", "buffer_size", "n_step", "prioritized",
    )  # fmt: skip

    network: NetworkName | None = None  # see agents.networks; unless set, by what is observed
    learning_rate: PositiveFloat = 1e-4
    buffer_size: PositiveInt = 100_000  # transitions; 1 M in the paper
    batch_size: PositiveInt = 32
    learning_starts: NonNegativeInt = 20_000  # env steps before the first gradient step
    train_frequency: PositiveInt = 4  # env steps per gradient step
    target_frequency: PositiveInt = 8_000  # env steps between copies of the network to the target
    epsilon_start: UnitInterval = 1.0
    epsilon_end: UnitInterval = 0.01
    epsilon_steps: NonNegativeInt = 250_000  # env steps of ε's linear decay
    epsilon_play: UnitInterval = 0.001  # when watched and scored (Dopamine's evaluation)
    gamma: UnitInterval = 0.99
    double: bool = False
    dueling: bool = False
    layer_norm: bool = False  # Gallici et al. 2024: more stable values, larger learning rates
    n_step: PositiveInt = 1
    prioritized: bool = False
    priority_alpha: UnitInterval = 0.5  # Hessel et al. 2018, table 1
    priority_beta: UnitInterval = 0.4  # rises to 1 as the budget is spent
    quantiles: PositiveInt = 1  # 1: the mean alone; 200 in Dabney et al. 2018
    max_grad_norm: PositiveFloat = 10.0
    adam_epsilon: PositiveFloat = 1e-8  # 1.5e-4 in Hessel et al. 2018: too large for a few million steps
    clip_reward: bool = True  # learn from the sign of the reward; scores stay unclipped
    precision: Precision = "auto"
    compile: bool = (
        False  # loss and gradient by torch.compile, on CUDA as graphs; see agents.optim.train_step
    )
    cuda_graphs: GraphChoice = False  # acting and whole steps as CUDA graphs; "auto": on CUDA
    greedy: bool = False  # when watched and scored: never a random action, not even ε's

    def __post_init__(self) -> None:
        """Refuse values out of range, and batches that no buffer holds.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.buffer_size < self.batch_size:
            raise ValueError(
                f"buffer_size must be at least batch_size, {self.batch_size:,}, not {self.buffer_size:,}"
            )

    def probe(self) -> DQN:
        """Configuration with the same work a step from the start and a small replay, to estimate speed."""
        return replace(
            self, learning_starts=min(self.learning_starts, 100), buffer_size=max(1000, self.batch_size)
        )

    def for_observations(self, space: gymnasium.Space[Any]) -> DQN:
        """This config with the network that suits observations of `space`, where it names none."""
        return self if self.network else replace(self, network=network_for(space))

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> DQNLearner:
        """An untrained learner for one world's spaces.

        Raises:
            NetworkError: unless actions are Discrete from 0.
        """
        config = self.for_observations(observation_space)
        return DQNLearner(config, observation_space, action_space, seed, device)


def quantile_huber_loss(quantile: Tensor, target: Tensor) -> Tensor:
    """Quantile Huber loss with κ = 1 (Dabney et al. 2018, equation 10) of each row.

    Args:
        quantile: (B, K) predicted quantiles at the midpoints of K equal shares.
        target: (B, K') samples of the target distribution.

    Returns:
        (B,) summed over quantiles, averaged over targets; for K = K' = 1 half the Huber loss of DQN.
    """
    error = target[:, None, :] - quantile[:, :, None]  # (B, K, K')
    huber = torch.where(error.abs() <= 1, 0.5 * error.square(), error.abs() - 0.5)
    k = quantile.shape[1]
    tau = (torch.arange(k, device=quantile.device) + 0.5) / k
    return ((tau[:, None] - (error < 0).float()).abs() * huber).sum(1).mean(1)


def of_actions(quantiles: Tensor, action: Tensor) -> Tensor:
    """Select actions (B,) of (B, A, K) → (B, K); the gradient has no sums, so it is deterministic."""
    return quantiles.gather(1, action[:, None, None].expand(-1, 1, quantiles.shape[2])).squeeze(1)


class DQNLearner(QPolicy):
    """DQN learner with ε-greedy actions. Satisfies `sim.protocols.Learner`.

    Attributes:
        yield_every: env steps from one yield of `learn` to the next, or as near below as whole steps of all
            worlds come.
        feed: of actors that play for it; None: it plays. Set before `learn`.
        resumes_exactly: whether a resumed run ends in the same weights: not where actors have played.
    """

    name = "dqn"
    yield_every = 1000

    def __init__(
        self,
        config: DQN,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        super().__init__(
            config,
            observation_space,
            action_space,
            seed=seed,
            device=device,
            layer_norm=config.layer_norm,
            quantiles=config.quantiles,
        )
        self.config = config
        self.target = self.new_network()
        self._best = self.graphed(self._best_actions)
        self._generator = np.random.default_rng(seed)
        self._env_steps = 0
        self._updates = 0
        self._worlds: Worlds | None = None
        self._replay: Replay | None = None
        self._priorities: Priorities | None = None
        self._resumed: State | None = None
        self._seen: FrameStacks
        self._chosen: tuple[Tensor | None, Array]  # mask and actions of the step in progress
        self.feed: ShardFeed | None = None
        self.resumes_exactly = True

    @cached_property
    def _optimizer(self) -> torch.optim.Adam:
        """Adam, made when learning begins; see `ActorCriticLearner._optimizer`."""
        return adam(self.network.parameters(), self.config.learning_rate, self.config.adam_epsilon)

    @cached_property
    def gradient_step(self) -> GradientStep:
        """Optimiser step of `loss`, from when learning begins."""
        return GradientStep(
            self.loss,
            self._optimizer,
            self.config.max_grad_norm,
            compile=self.config.compile,
            cuda_graphs=self.config.cuda_graphs,
            gather=self._gathered,
        )

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint, into the target network too; see `QPolicy`."""
        super().load_weights(weights)
        from_arrays(self.target, weights)

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Play and learn in turn until the budget is spent; yields about every thousand env steps.

        Raises:
            MemoryRefused: if the replay or a batch does not fit into memory.
            CompileError: if there is nothing to compile with.
            NonFiniteError: if the loss is not finite.
        """
        self.gradient_step.prepare()
        if self.feed is not None:
            yield from self._learn_from(self.feed, worlds, budget)
            return
        config, n = self.config, worlds.num_envs
        per_yield = max(1, self.yield_every // n)  # steps of the whole batch between two yields
        info = self._begin(worlds)
        overlapped = isinstance(worlds, DoubleBufferedWorlds)
        done = self._env_steps // (per_yield * n)
        in_steps = budget.env_steps or budget.amount * per_yield * n
        while not budget.spent(self._env_steps, done):
            episodes: list[Episode] = []
            figures: list[Tensor] = []
            due = 0  # gradient steps
            for _ in range(per_yield):
                before = self._env_steps
                self._send(worlds, info)
                if overlapped:  # the last step's, while the worlds step
                    figures += self._update(due, in_steps)
                info = self._recv(worlds)
                episodes += finished(info)
                due = self._crossings(before, config.train_frequency)
                if not overlapped:
                    figures += self._update(due, in_steps)
                if self._crossings(before, config.target_frequency):
                    self.target.load_state_dict(self.network.state_dict())
            if overlapped:
                figures += self._update(due, in_steps)
            done += 1
            total = budget.total_updates(self._env_steps, done, per_yield * n)
            yield Progress(self._env_steps, done, total, self._metrics(figures), tuple(episodes))

    def _learn_from(self, feed: ShardFeed, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Learn from actors' stretches until the budget is spent, by as many gradient steps an env step."""
        positions = max(1, self.yield_every // worlds.num_envs) * worlds.num_envs  # between two yields
        self._begin(worlds)
        done = self._env_steps // positions
        in_steps = budget.env_steps or budget.amount * positions
        while not budget.spent(self._env_steps, done):
            shards = feed.take(positions, done, self._sent)
            figures = [figure for shard in shards for figure in self._learn_stretch(shard.stretch, in_steps)]
            done += 1
            total = budget.total_updates(self._env_steps, done, positions)
            metrics = self._metrics(figures) | feed.metrics()
            episodes = tuple(episode for shard in shards for episode in shard.stretch.episodes)
            yield Progress(self._env_steps, done, total, metrics, episodes)

    def _learn_stretch(self, stretch: Stretch, in_steps: int) -> Iterator[Tensor]:
        """Add a stretch to the replay, and take the gradient steps that are due after each of its steps."""
        config, replay = self.config, self._replay
        assert replay is not None
        for steps in add_stretch(
            replay, stretch.arrays, observe=self.observe, clip_reward=config.clip_reward
        ):
            if self._priorities is not None:
                self._priorities.add()
            before = self._env_steps
            self._env_steps += steps
            for _ in range(self._crossings(before, config.train_frequency)):
                if self._env_steps > config.learning_starts and len(replay) >= config.batch_size:
                    yield self.update(self._env_steps / in_steps)
            if self._crossings(before, config.target_frequency):
                self.target.load_state_dict(self.network.state_dict())

    def _sent(self) -> dict[str, Array]:
        """What actors play by: the weights, and ε."""
        exploring = self._env_steps < self.config.learning_starts
        return {**self.weights(), EPSILON: np.array(1.0 if exploring else self.epsilon)}

    def state(self) -> State:
        """Networks, optimiser, generator, replay, counters and worlds.

        The replay's arrays are views: write or restore the state before learning goes on.
        """
        assert self._worlds is not None and self._replay is not None, "learn() has not begun"
        return {
            "env_steps": self._env_steps,
            "updates": self._updates,
            "network": self.weights(),
            "target": to_arrays(self.target.state_dict()),
            "optimizer": optimizer_state(self._optimizer),
            "generator": self._generator.bit_generator.state,
            "replay": self._replay.state(),
            "priorities": None if self._priorities is None else self._priorities.state(),
            "worlds": self._worlds.state(),
            **({} if self.feed is None else {"shards": self.feed.state()}),
        }

    def restore(self, state: State) -> None:
        """Take up a state from `state`; `learn` goes on from there.

        Raises:
            ValueError: for actors, if it is of a learner that played itself: its episodes are not cut off.
        """
        if self.feed is not None and "shards" not in state:
            raise ValueError("it is of a learner that played itself: resume it without --actors")
        if self.feed is not None:
            self.feed.restore(state["shards"])
        self.resumes_exactly = "shards" not in state
        self._env_steps, self._updates = int(state["env_steps"]), int(state["updates"])
        self.load_weights(state["network"])
        from_arrays(self.target, state["target"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._generator.bit_generator.state = state["generator"]
        self._resumed = state

    def _begin(self, worlds: Worlds) -> Info:
        """Allocate the replay buffer, or restore it and the worlds."""
        config = self.config
        self._worlds = worlds
        check_batch("agent.batch_size", config.batch_size, worlds.single_observation_space, self.device)
        resumed = self._resumed
        obs, info = worlds.reset() if resumed is None else worlds.restore(resumed["worlds"])
        self._replay = Replay(
            config.buffer_size,
            worlds.num_envs,
            worlds.single_observation_space,
            frame_stack=worlds.frame_stack,
            actions=self.actions,
            masked="action_mask" in info,
            n_step=config.n_step,
            gamma=config.gamma,
            device=self.device,
            arrange=self.network.trunk.arrange,
        )
        self._priorities = Priorities(self._replay, config.priority_alpha) if config.prioritized else None
        if resumed is not None:
            self._replay.restore(resumed["replay"])
            if self._priorities is not None:
                self._priorities.restore(resumed["priorities"])
            self._resumed = None  # it holds a whole replay
        self._seen = FrameStacks(self, worlds.frame_stack, obs)
        return info

    @torch.no_grad()
    def _send(self, worlds: Worlds, info: Info) -> None:
        """Choose actions, and begin a step of all worlds with them."""
        mask = self.mask(info)
        if self._env_steps < self.config.learning_starts:
            best = np.zeros(worlds.num_envs, np.int64)
            actions = self.explore(best, mask, 1.0, self._generator)
        else:
            (chosen,) = self._best(self._seen.newest, mask)
            assert chosen is not None
            actions = self.explore(chosen.cpu().numpy(), mask, self.epsilon, self._generator)
        self._chosen = mask, actions
        worlds.send(actions)

    @torch.no_grad()
    def _recv(self, worlds: Worlds) -> Info:
        """End the step of all worlds, and add the transitions to the replay buffer."""
        seen, (mask, actions) = self._seen.newest, self._chosen
        obs, reward, terminated, truncated, info = worlds.recv()
        ended = terminated | truncated
        final_obs = final_mask = None
        if ended.any():
            final_obs = self.observe(info["final_obs"])
            final_mask = self.mask(info["final_info"])
        learned = np.sign(reward) if self.config.clip_reward else reward
        assert self._replay is not None
        given = self.tensor(actions), self.tensor(learned)
        self._replay.add(seen, *given, terminated, truncated, final_obs, mask, final_mask)
        if self._priorities is not None:
            self._priorities.add()
        self._seen.step(obs, ended)
        self._env_steps += worlds.num_envs
        return info

    def _update(self, due: int, in_steps: float) -> list[Tensor]:
        """The gradient steps that are due, once there is enough to learn from; returns their `FIGURES`."""
        config = self.config
        assert self._replay is not None
        if self._env_steps <= config.learning_starts or len(self._replay) < config.batch_size:
            return []
        return [self.update(self._env_steps / in_steps) for _ in range(due)]

    @property
    def epsilon(self) -> float:
        """The current probability of random actions."""
        config = self.config
        share = self._env_steps / max(1, config.epsilon_steps)
        return linear_schedule(config.epsilon_start, config.epsilon_end, share)

    def update(self, share: float) -> Tensor:
        """One gradient step; returns loss, mean Q and gradient norm, still on the device."""
        config = self.config
        assert self._replay is not None
        if self._priorities is None:
            index, weight = self._replay.draw(config.batch_size, self._generator)
        else:
            beta = linear_schedule(config.priority_beta, 1.0, share)
            index, weight = self._priorities.draw(config.batch_size, beta, self._generator)
        figures, error = self.gradient_step(index, weight)
        self._updates += 1
        if self._priorities is not None:
            self._priorities.update(index, error)
        return figures

    def _gathered(self, index: Tensor, weight: Tensor) -> tuple[ReplaySamples]:
        """The minibatch of transitions drawn from the replay buffer."""
        assert self._replay is not None
        return (self._replay.gather(index, weight),)

    def _best_actions(self, obs: Tensor, mask: Tensor | None) -> tuple[Tensor | None, ...]:
        """Greedy actions (N,)."""
        return (best_actions(self.q_values(obs), mask),)

    def loss(self, batch: ReplaySamples) -> tuple[Tensor, Tensor, Tensor]:
        """DQN loss () of B transitions, its `FIGURES` but the last (2,), and the TD errors (B,)."""
        target = self.td_target(batch)
        chosen = of_actions(self.quantiles(self.network, batch.obs), batch.action)
        loss = (batch.weight * quantile_huber_loss(chosen, target)).mean()
        return loss, torch.stack([loss, chosen.mean()]), target.mean(1) - chosen.mean(1)

    @torch.no_grad()
    def td_target(self, batch: ReplaySamples) -> Tensor:
        """TD target (B, K): the n-step return plus the discounted quantiles of the best next action.

        Where every next action is masked the episode has terminated, and the discount is 0.
        """
        values = self.quantiles(self.target, batch.next_obs)
        chooser = self.quantiles(self.network, batch.next_obs) if self.config.double else values
        best = best_actions(chooser.mean(2), batch.next_mask)
        following = of_actions(values, best)
        return batch.n_step_return[:, None] + batch.discount[:, None] * following

    def _metrics(self, figures: list[Tensor]) -> dict[str, float]:
        metrics = {"epsilon": self.epsilon, "gradient_steps": float(self._updates)}
        if figures:
            means = torch.stack(figures).mean(0).tolist()
            metrics |= dict(zip(FIGURES, means, strict=True))
            NonFiniteError.check(metrics, self._updates)
        return metrics

    def _crossings(self, before: int, every: int) -> int:
        """How many multiples of `every` lie in (before, now]."""
        return self._env_steps // every - before // every
