"""SAC, soft actor-critic (Haarnoja et al. 2018), for continuous actions, with the parts of its successors.

The policy maximises reward and entropy, E Σ γ^t (r_t + α H(π(· | s_t))), off-policy from a replay buffer.
Each part of a successor is a configuration field:

    network            batch-normalised critics with unit weights: XQC (Palenicek et al. 2026), see
                       `agents.networks.continuous`; with "mlp256" it is the network of 2018
    bins               the distribution of the return over bins (Bellemare et al. 2017); 1: its mean by
                       squared error, as in 2018
    normalize_returns  rewards over the deviation and the bound of their discounted sum (FlashSAC, 2026)
    noise_repeat       noise held for several steps, of a zeta-distributed number (FlashSAC)
    policy_delay       gradient steps of the critics to one of the actor (Fujimoto et al. 2018)

Batch-normalised critics see (s, a) and (s', a') as one batch, the target network too (Bhatt et al. 2024,
CrossQ), and the actor's loss uses their running statistics. A truncated episode bootstraps from its final
observation, a terminated one does not. Worlds run in parallel: `gradient_steps` follow every
`train_frequency` environment steps whatever their number.

Gradient steps run in bfloat16 where the processor has it in hardware, on float32 weights; acting is float32.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from agents.held_noise import HeldNoise
from agents.memory_limits import check_batch
from agents.networks.continuous import SIZES, ContinuousNetworkName, squash
from agents.optim.cuda_graphs import GraphChoice, GraphedFunction, snapshot, uses_graphs
from agents.optim.mixed_precision import HalfCopy, WeightStep
from agents.optim.schedules import linear_schedule
from agents.replay import Replay, ReplaySamples
from agents.returns import categorical_td_target
from agents.squashed_policy import SquashedPolicy
from sim.fields import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
    UnitInterval,
    Validated,
)
from sim.records import Array, Budget, Episode, Progress, State
from sim.vector import Worlds, finished
from supervised.precision import in_half
from supervised.tensors import NonFiniteError, Precision, from_arrays, to_arrays

#: Metrics of the critics' steps: loss, mean Q(s, a) in the unit of rewards, probability beyond the bins.
CRITIC_FIGURES = ("critic_loss", "q_value", "clipped")
#: Metrics of the actor's steps: loss, the policy's entropy (nats), the temperature α.
ACTOR_FIGURES = ("actor_loss", "entropy", "ent_coef")


@dataclass(frozen=True)
class SAC(Validated):
    """Configuration of the ``sac`` agent, scene keys; defaults of XQC, noise and bound as FlashSAC."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = (
        "network", "bins", "normalize_returns", "buffer_size", "n_step",
    )  # fmt: skip

    network: ContinuousNetworkName = "xqc"  # see agents.networks.continuous
    learning_rate: PositiveFloat = 3e-4
    learning_rate_end: NonNegativeFloat = 3e-5  # linear decay to it over the budget
    buffer_size: PositiveInt = 1_000_000  # transitions
    batch_size: PositiveInt = 256
    learning_starts: NonNegativeInt = 5_000  # env steps of random actions before the first gradient step
    train_frequency: PositiveInt = 1  # env steps between gradient steps
    gradient_steps: PositiveInt = 1  # so many each time
    policy_delay: PositiveInt = 3  # gradient steps of the critics to one of actor and temperature
    tau: UnitInterval = 0.005  # soft update of the target critics, per gradient step
    gamma: UnitInterval = 0.99
    n_step: PositiveInt = 1
    bins: PositiveInt = 101  # of each critic's distribution; 1: the mean alone
    largest_return: PositiveFloat = 5.0  # of the bins, and of scaled discounted returns
    normalize_returns: bool = True
    ent_coef: PositiveFloat = 0.01  # the temperature α at first; it is learned
    target_entropy: Annotated[float, Range(ge=-10, le=10)] = -0.5  # nats per action dimension; 2018: −1
    noise_repeat: PositiveInt = 16  # most steps that a world's noise is held for; 1: new noise each step
    precision: Precision = "auto"
    cuda_graphs: GraphChoice = False  # gradient steps as CUDA graphs; "auto": on CUDA
    greedy: bool = True  # when watched and scored: the tanh of the mean instead of a sample

    def __post_init__(self) -> None:
        """Refuse values out of range, and batches that no buffer holds or that have no deviation.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.buffer_size < self.batch_size:
            raise ValueError(
                f"buffer_size must be at least batch_size, {self.batch_size:,}, not {self.buffer_size:,}"
            )
        if self.batch_size < 2 and SIZES[self.network].normalized:
            raise ValueError(f'batch_size must be at least 2 with network = "{self.network}", not 1')

    def probe(self) -> SAC:
        """Configuration with the same work a step from the start and a small replay, to estimate speed."""
        return replace(
            self, learning_starts=min(self.learning_starts, 100), buffer_size=max(10_000, self.batch_size)
        )

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> SACLearner:
        """An untrained learner for one world's spaces.

        Raises:
            NetworkError: unless observations and actions are flat and continuous, actions with bounds.
        """
        return SACLearner(self, observation_space, action_space, seed, device)


class SACLearner(SquashedPolicy):
    """SAC learner. Satisfies `sim.protocols.Learner`.

    Attributes:
        target: critics whose parameters follow slowly.
        yield_every: env steps from one yield of `learn` to the next, or as near below as whole steps of all
            worlds come.
    """

    name = "sac"
    yield_every = 1000

    def __init__(
        self,
        config: SAC,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        super().__init__(config, observation_space, action_space, seed=seed, device=device)
        self.config = config
        self._normalized = SIZES[config.network].normalized
        self.log_ent_coef = nn.Parameter(torch.tensor(math.log(config.ent_coef), device=self.device))
        half = in_half(config.precision, self.device)
        options: dict[str, Any] = {"half": half, "unit_weights": self._normalized}
        self._actor_step = WeightStep(self.actor, config.learning_rate, beside=[self.log_ent_coef], **options)
        self._critic_step = WeightStep(self.critics, config.learning_rate, **options)
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self._half_target = HalfCopy(self.target, half=half)
        self._copies = self._actor_step.half, self._critic_step.half, self._half_target
        self._steps = {with_actor: self._graphed(with_actor) for with_actor in (False, True)}
        self._generator = np.random.default_rng(seed)
        self._env_steps = 0
        self._updates = 0
        self._worlds: Worlds | None = None
        self._replay: Replay
        self._resumed: State | None = None
        self._running_return = torch.zeros(0, dtype=torch.float64, device=self.device)  # (N,)
        self._noise: HeldNoise
        self._seen: Tensor  # (N, F) newest observations

    def _graphed(self, with_actor: bool) -> Callable[..., tuple[Tensor | None, ...]]:
        """A gradient step with or without the actor's, as a CUDA graph if the configuration says so."""
        step = partial(self._gradient_step, with_actor)
        if not uses_graphs(self.config.cuda_graphs, self.device):
            return step
        statistics = [*self.network.buffers(), *self.target.buffers()]
        changed = [*statistics, *(tensor for part in self._copies for tensor in part.tensors)]
        optimizers = self._critic_step.optimizer, self._actor_step.optimizer
        return GraphedFunction(step, self.device, partial(snapshot, changed, optimizers))

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint, into the target critics too; see `SquashedPolicy`."""
        super().load_weights(weights)
        self.target.load_state_dict(self.critics.state_dict())
        for part in self._copies:
            part.refresh()

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Play and learn in turn until the budget is spent; yields about every thousand env steps.

        Raises:
            MemoryRefused: if the replay or a batch does not fit into memory.
            NonFiniteError: if a loss or an action is not finite.
        """
        config, n = self.config, worlds.num_envs
        per_yield = max(1, self.yield_every // n)  # steps of the whole batch between two yields
        self._begin(worlds)
        done = self._env_steps // (per_yield * n)
        in_steps = budget.env_steps or budget.amount * per_yield * n
        while not budget.spent(self._env_steps, done):
            episodes: list[Episode] = []
            figures: list[tuple[Tensor, ...]] = []
            for _ in range(per_yield):
                before = self._env_steps
                episodes += self._play(worlds)
                if self._env_steps <= config.learning_starts or len(self._replay) < config.batch_size:
                    continue
                self._set_learning_rate(self._env_steps / in_steps)
                due = self._env_steps // config.train_frequency - before // config.train_frequency
                figures += [self.update() for _ in range(due * config.gradient_steps)]
            done += 1
            total = budget.total_updates(self._env_steps, done, per_yield * n)
            yield Progress(self._env_steps, done, total, self._metrics(figures), tuple(episodes))

    def state(self) -> State:
        """Networks, optimisers, generator, counters, replay and worlds."""
        assert self._worlds is not None, "there is nothing to resume before learn() has begun"
        return {
            "env_steps": self._env_steps,
            "updates": self._updates,
            "network": self.weights(),
            "target": to_arrays(self.target.state_dict()),
            "log_ent_coef": self.log_ent_coef.item(),
            "critic_optimizer": self._critic_step.state(),
            "actor_optimizer": self._actor_step.state(),
            "generator": self._generator.bit_generator.state,
            "running_return": self._running_return.cpu().numpy().copy(),
            "noise": self._noise.state(),
            "replay": self._replay.state(),
            "worlds": self._worlds.state(),
        }

    def restore(self, state: State) -> None:
        """Restore a state; `learn` goes on from there."""
        self._env_steps, self._updates = int(state["env_steps"]), int(state["updates"])
        from_arrays(self.network, state["network"])
        from_arrays(self.target, state["target"])
        self._half_target.refresh()
        self.log_ent_coef.data.fill_(float(state["log_ent_coef"]))
        self._critic_step.restore(state["critic_optimizer"])
        self._actor_step.restore(state["actor_optimizer"])
        self._generator.bit_generator.state = state["generator"]
        self._running_return = torch.tensor(state["running_return"], device=self.device)
        self._resumed = state

    def _begin(self, worlds: Worlds) -> None:
        """Allocate the replay buffer, or restore it and the worlds."""
        config, n, resumed = self.config, worlds.num_envs, self._resumed
        self._worlds = worlds
        check_batch("agent.batch_size", config.batch_size, worlds.single_observation_space, self.device)
        self._replay = Replay(
            config.buffer_size,
            n,
            worlds.single_observation_space,
            action_size=len(self.low),
            n_step=config.n_step,
            gamma=config.gamma,
            device=self.device,
            arrange=self.arrange,
        )
        self._noise = HeldNoise(n, len(self.low), config.noise_repeat)
        if resumed is None:
            obs, _ = worlds.reset()
            self._running_return = self._running_return.new_zeros(n)
        else:
            obs, _ = worlds.restore(resumed["worlds"])
            self._replay.restore(resumed["replay"])
            self._noise.restore(resumed["noise"])
            self._resumed = None  # it holds a whole replay
        self._seen = self.observe(obs)

    @torch.no_grad()
    def _play(self, worlds: Worlds) -> list[Episode]:
        """One step of all worlds into the replay buffer; returns the episodes that ended."""
        action = self._explore()
        actions = self.to_world(action)
        NonFiniteError.check({"actions": float(actions.sum())}, self._updates)
        obs, reward, terminated, truncated, info = worlds.step(actions)
        ended = terminated | truncated
        final_obs = self.observe(info["final_obs"]) if ended.any() else None
        earned = self.tensor(reward.astype(np.float32))
        self._replay.add(self._seen, action, earned, terminated, truncated, final_obs)
        self.scale.update(earned[None], self.tensor(ended)[None], self._running_return)
        self._seen = self.observe(obs)
        self._env_steps += worlds.num_envs
        return finished(info)

    def _explore(self) -> Tensor:
        """Actions (N, D) in [−1, 1] for learning: uniform at first, then the policy's with held noise."""
        if self._env_steps < self.config.learning_starts:
            shape = len(self._seen), len(self.low)
            return self.tensor(self._generator.uniform(-1, 1, shape).astype(np.float32))
        mean, log_std = self.actor(self._seen)
        return squash(mean, log_std, self.tensor(self._noise.step(self._generator)))[0]

    def _set_learning_rate(self, share: float) -> None:
        """Set the learning rate once a share of the budget is spent."""
        rate = linear_schedule(self.config.learning_rate, self.config.learning_rate_end, share)
        self._actor_step.set_learning_rate(rate)
        self._critic_step.set_learning_rate(rate)

    def update(self) -> tuple[Tensor, ...]:
        """One gradient step; returns `CRITIC_FIGURES`, and `ACTOR_FIGURES` where it is the actor's turn."""
        index, weight = self._replay.draw(self.config.batch_size, self._generator)
        noise = self._generator.standard_normal((2, len(index), len(self.low)), np.float32)
        self._updates += 1
        with_actor = self._updates % self.config.policy_delay == 0
        figures = self._steps[with_actor](index, weight, self.tensor(noise))
        return tuple(figure for figure in figures if figure is not None)

    def _gradient_step(
        self, with_actor: bool, index: Tensor, weight: Tensor, noise: Tensor
    ) -> tuple[Tensor, ...]:
        """Step of critics and target, and where it is its turn of the actor; noise is (2, B, D)."""
        batch = self._replay.gather(index, weight)
        loss, figures = self.critic_loss(batch, noise[0])
        self._critic_step(loss)
        self._half_target.weights.lerp_(self._critic_step.half.weights, self.config.tau)
        self._half_target.refresh()
        if not with_actor:
            return (figures,)
        loss, more = self.actor_loss(batch.obs, noise[1])
        self._actor_step(loss)
        return figures, more

    def critic_loss(self, batch: ReplaySamples, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Loss () of both critics on B transitions, and the `CRITIC_FIGURES` (3,).

        Cross-entropy to the target distribution, or half the squared error to its mean.
        """
        size, obs, action, second = len(batch.obs), batch.obs, batch.action, slice(None)
        with torch.no_grad():
            next_obs = batch.next_obs
            mean, log_std = self._actor_step.half.network(next_obs)
            next_action, log_prob = squash(mean, log_std, noise)
            if self._normalized:  # one batch, with the statistics of both
                obs = next_obs = torch.cat([obs, next_obs])
                action = next_action = torch.cat([action, next_action])
                second = slice(size, None)
            following = self._half_target.network(next_obs, next_action, True, second)
        outputs = self._critic_step.half.network(obs, action, True, slice(size))
        with torch.no_grad():
            target, clipped = self.td_target(batch, following, log_prob)
            value = self.critics.mean(outputs).mean() * self.divisor
        if self.config.bins == 1:
            loss = 0.5 * (outputs.squeeze(2) - target).square().mean(1).sum()
        else:
            loss = -(target * outputs.log_softmax(2)).sum(2).mean(1).sum()
        return loss, torch.stack([loss.detach(), value, clipped])

    def td_target(self, batch: ReplaySamples, following: Tensor, log_prob: Tensor) -> tuple[Tensor, Tensor]:
        """Targets of the critics: of each transition the distribution (B, bins), or the mean (B,).

        r + γ (Q(s', a') − α log π(a' | s')) by the target critic with the smaller mean (clipped double
        Q-learning, Fujimoto et al. 2018), in units of scaled rewards.

        Args:
            batch: transitions; their discount is 0 where the episode terminated.
            following: (2, B, bins) outputs of the target critics for the next observations and actions.
            log_prob: (B,) of the next actions.

        Returns:
            the targets, and the share () of their probability that lies beyond the bins.
        """
        reward, bonus = batch.n_step_return / self.divisor, -self.log_ent_coef.exp() * log_prob
        values = self.target.mean(following)
        if self.target.support is None:
            target = reward + batch.discount * (values.amin(0) + bonus)
            return target, torch.zeros_like(target[0])
        smaller = values.argmin(0)[None, :, None].expand(1, -1, following.shape[2])
        probability = following.gather(0, smaller).squeeze(0).softmax(1)
        return categorical_td_target(probability, self.target.support, reward, batch.discount, bonus)

    def actor_loss(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Loss () of actor and temperature (equations 7 and 18), and the `ACTOR_FIGURES` (3,).

        The temperature rises while the entropy is below its target, and falls while it is above.
        """
        mean, log_std = self._actor_step.half.network(obs, True)
        action, log_prob = squash(mean, log_std, noise)
        outputs = self._critic_step.half.network(obs, action)
        value = self.critics.mean(outputs).amin(0)
        ent_coef, entropy = self.log_ent_coef.exp(), -log_prob.detach().mean()
        loss = (ent_coef.detach() * log_prob - value).mean()
        balance = ent_coef * (entropy - self.config.target_entropy * len(self.low))
        return loss + balance, torch.stack([loss.detach(), entropy, ent_coef.detach()])

    def _metrics(self, figures: list[tuple[Tensor, ...]]) -> dict[str, float]:
        """Means of the figures since the last yield."""
        metrics = {"gradient_steps": float(self._updates), "return_scale": float(self.divisor)}
        for place, names in enumerate((CRITIC_FIGURES, ACTOR_FIGURES)):
            rows = [row[place] for row in figures if len(row) > place]
            if rows:
                means = torch.stack(rows).mean(0).tolist()
                metrics |= dict(zip(names, means, strict=True))
        NonFiniteError.check(metrics, self._updates)
        return metrics
