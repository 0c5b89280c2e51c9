"""PPO, proximal policy optimisation (Schulman et al. 2017), vectorised, with bit-exact resume.

Read from top to bottom: the keys, the two losses, the policy that acts, the learner's loop. Of the
details collected by Huang et al. 2022 ("The 37 implementation details of PPO") it has: orthogonal
weights, Adam with ε 1e-5, learning-rate decay, GAE, minibatches reshuffled every epoch,
normalised advantages, the clipped policy loss, an entropy bonus and the gradient norm clipped. Value loss
clipping is left out: it did not help (Andrychowicz et al. 2021, section 3.5).

With ``network = "gru"`` the policy is recurrent: backpropagation goes through the `num_steps` of each
environment, from the state that the rollout began with, and minibatches are of whole environments (Huang et
al. 2022, LSTM details; CleanRL's ``ppo_atari_lstm`` does the same).

On CPU and CUDA the network runs in channels_last and, where the processor has it in hardware, under bfloat16
autocast; weights, losses and the optimiser stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import gymnasium
import torch
from torch import Tensor

from agents.actor_critic_learner import ActorCriticLearner
from agents.data_parallel import all_episodes, shares
from agents.memory_limits import check_rollout
from agents.networks.architectures import RECURRENT, RecurrentNetworkName, network_for
from agents.networks.heads import GaussianHead
from agents.networks.memory_format import take
from agents.networks.normalize import ReturnScale, ValueScale
from agents.optim.cuda_graphs import GraphChoice
from agents.optim.flat_adam import FlatAdam
from agents.optim.ppo_gradient import GaussianPPOGradient
from agents.optim.schedules import linear_schedule
from agents.optim.train_step import GradientStep, check_minibatch, minibatches
from agents.returns import explained_variance
from agents.rollouts.double_buffer import DoubleBufferedCollector, rollout_collector
from agents.rollouts.rollout import Rollout, RolloutCollector
from sim.fields import NonNegativeFloat, PositiveFloat, PositiveInt, Range, UnitInterval, Validated
from sim.records import Budget, Progress, State
from sim.vector import Worlds
from supervised.precision import autocast_cache
from supervised.tensors import NonFiniteError, Precision

#: Metrics of every minibatch step: losses, nats, the share of clipped ratios, the gradient's norm.
FIGURES = ("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "grad_norm")

ADAPTED_RATES = (1e-6, 1e-2)  # bounds of a learning rate led by the divergence, as in rl_games


@dataclass(frozen=True)
class PPO(Validated):
    """Configuration of the ``ppo`` agent, scene keys; defaults of Schulman et al. 2017 for Atari."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = (
        "network", "normalize_observations", "normalize_returns", "normalize_values",
    )  # fmt: skip
    data_parallel: ClassVar[bool] = True

    network: RecurrentNetworkName | None = None  # see agents.networks; unless set, by what is observed
    learning_rate: PositiveFloat = 2.5e-4
    learning_rate_end: NonNegativeFloat = 0.0  # linear decay to it over the budget
    num_steps: PositiveInt = 128  # per environment and update
    num_epochs: PositiveInt = 4
    minibatch_size: PositiveInt = 256  # at most: a rollout is shared out evenly; with a GRU whole sequences
    gamma: UnitInterval = 0.99
    gae_lambda: UnitInterval = 0.95
    clip_coef: NonNegativeFloat = 0.1
    clip_coef_end: NonNegativeFloat | None = None  # linear schedule as well; None: constant
    ent_coef: NonNegativeFloat = 0.01
    ent_coef_end: NonNegativeFloat | None = None  # the same
    vf_coef: NonNegativeFloat = 0.5
    max_grad_norm: PositiveFloat = 0.5
    clip_reward: bool = True  # learn from the sign of the reward (Mnih et al. 2015); scores stay unclipped
    life_loss_ends: bool = False  # in training a lost life terminates; scores are of whole games
    # Of continuous actions before learning: log of the standard deviation. From −1 on a policy finds smooth
    # gaits where noise as wide as the motors' range finds only jerks (Raffin et al. 2021 start at −2).
    log_std_init: Annotated[float, Range(ge=-10, le=2)] = 0.0
    normalize_observations: bool = False  # by running mean and deviation, of pictures by pixel
    normalize_returns: bool = False  # divide rewards by the running deviation of their discounted sum
    normalize_values: bool = False  # the network's values are standardised λ-returns
    # Nats a step that an epoch should change the policy by: above twice as many the learning rate is divided
    # by 1.5, below half as many multiplied (RSL-RL, rl_games); 0: the rate follows its schedule.
    desired_kl: NonNegativeFloat = 0.0
    desired_kl_end: PositiveFloat | None = None  # linear schedule as well; None: constant
    precision: Precision = "auto"
    compile: bool = (
        False  # loss and gradient by torch.compile, on CUDA as graphs; see agents.optim.train_step
    )
    cuda_graphs: GraphChoice = False  # acting and whole steps as CUDA graphs; "auto": on CUDA
    greedy: bool = False  # when watched and scored: the mode instead of a sample

    def __post_init__(self) -> None:
        """Refuse values out of range, and what a recurrent network cannot do.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.desired_kl_end is not None and not self.desired_kl:
            raise ValueError("desired_kl_end needs a desired_kl above 0, from which it is reached")
        if self.network in RECURRENT and self.minibatch_size < self.num_steps:
            raise ValueError(
                f"minibatch_size must be at least num_steps, {self.num_steps:,}, not {self.minibatch_size:,}"
                f': network = "{self.network}" learns from whole sequences'
            )
        if self.network in RECURRENT and self.compile:
            raise ValueError(f'compile must be false with network = "{self.network}", which loops over steps')
        if self.network in RECURRENT and self.cuda_graphs:
            raise ValueError(
                f'cuda_graphs must be false with network = "{self.network}", which loops over steps'
            )

    def probe(self) -> PPO:
        """Configuration with the same work a step in shorter updates, to estimate the training time."""
        return PPOProbe(**vars(self) | {"num_steps": min(self.num_steps, 16)})

    def check_rollout(self, num_envs: int) -> None:
        """Check that a minibatch is not larger than a rollout of `num_envs` worlds.

        Raises:
            MinibatchError: naming the keys and their values.
        """
        check_minibatch(self.minibatch_size, self.num_steps, num_envs)

    def for_observations(self, space: gymnasium.Space[Any]) -> PPO:
        """This config with the network that suits observations of `space`, where it names none."""
        return self if self.network else replace(self, network=network_for(space))

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> PPOLearner:
        """An untrained learner for one world's spaces."""
        config = self.for_observations(observation_space)
        return PPOLearner(config, observation_space, action_space, seed, device)


class PPOProbe(PPO):
    """PPO configuration for timing only, whose rollouts may be shorter than a minibatch."""

    def check_rollout(self, num_envs: int) -> None:
        """Allow any minibatch."""


def policy_loss(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_coef: Tensor) -> Tensor:
    """Clipped surrogate loss (Schulman et al. 2017, equation 7, negated); (B,) each and () → ()."""
    ratio = (log_prob - old_log_prob).exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def value_loss(value: Tensor, target: Tensor) -> Tensor:
    """Value loss: half the mean squared error to the λ-return (equation 9); (B,) each → ()."""
    return 0.5 * (value - target).square().mean()


@dataclass
class RolloutSamples:
    """Flattened rollout with advantages and value targets: B = T · N rows."""

    obs: Tensor  # (B, …)
    action: Tensor  # (B,) or (B, D)
    log_prob: Tensor  # (B,)
    advantage: Tensor  # (B,)
    target: Tensor  # (B,) λ-returns, the value targets
    mask: Tensor | None = None  # (B, A)
    memory: Tensor | None = None  # (N, H) before the first step, of a recurrent network
    ended: Tensor | None = None  # (T, N) the same, where the next step belongs to another episode

    def rows(self, rows: Tensor) -> RolloutSamples:
        """Select a minibatch by row indices (M,)."""
        return RolloutSamples(
            obs=take(self.obs, rows),
            action=self.action[rows],
            log_prob=self.log_prob[rows],
            advantage=self.advantage[rows],
            target=self.target[rows],
            mask=None if self.mask is None else self.mask[rows],
        )

    def split(self, sizes: list[int]) -> Iterator[RolloutSamples]:
        """Split into consecutive minibatches of `sizes` rows, as views; without masks and sequences."""
        columns = self.obs, self.action, self.log_prob, self.advantage, self.target
        return (
            RolloutSamples(*parts) for parts in zip(*(torch.split(c, sizes) for c in columns), strict=True)
        )

    def sequences(self, worlds: Tensor) -> RolloutSamples:
        """Select a minibatch of all steps of some worlds, by index (M,): T · M rows, time first."""
        assert self.memory is not None and self.ended is not None
        steps, count = self.ended.shape
        rows = torch.arange(steps, device=worlds.device)[:, None] * count + worlds
        return replace(self.rows(rows.flatten()), memory=self.memory[worlds], ended=self.ended[:, worlds])

    @classmethod
    def from_rollout(cls, rollout: Rollout, advantage: Tensor) -> RolloutSamples:
        """Flatten time and worlds; `advantage` is (T, N)."""
        assert rollout.log_prob is not None
        return cls(
            obs=rollout.obs.flatten(0, 1),
            action=rollout.action.flatten(0, 1),
            log_prob=rollout.log_prob.flatten(),
            advantage=advantage.flatten(),
            target=(advantage + rollout.value).flatten(),
            mask=None if rollout.mask is None else rollout.mask.flatten(0, 1),
            memory=rollout.memory,
            ended=None if rollout.memory is None else rollout.ended,
        )


class PPOLearner(ActorCriticLearner):
    """PPO learner. Satisfies `sim.protocols.Learner`."""

    state_by_rank: ClassVar[tuple[str, ...]] = ("worlds", "running_return", "memory")

    def __init__(
        self,
        config: PPO,
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
            adam_epsilon=1e-5,
            normalize_observations=config.normalize_observations,
            return_scale=ReturnScale(config.gamma) if config.normalize_returns else None,
            value_scale=ValueScale() if config.normalize_values else None,
            cuda_graphs=config.cuda_graphs,
        )
        self.config = config
        if isinstance(self.head, GaussianHead):
            self.head.log_std.detach().fill_(config.log_std_init)
        elif config.log_std_init:
            raise ValueError(f"log_std_init is of continuous actions, and these are {action_space}")
        # Tensors, for the sake of a compiled loss; see agents.optim.train_step.
        self._clip_coef = torch.tensor(config.clip_coef, device=self.device)
        self._ent_coef = torch.tensor(config.ent_coef, device=self.device)
        self._closed_form = (
            GaussianPPOGradient.of(
                self.actor_critic, self.head, config.vf_coef, self._clip_coef, self._ent_coef
            )
            if isinstance(self._optimizer, FlatAdam)  # whose gradients stay where they are
            else None
        )
        self.gradient_step = GradientStep(
            self.loss,
            self._optimizer,
            config.max_grad_norm,
            compile=config.compile,
            cuda_graphs=config.cuda_graphs,
            gradient=self.closed_form if self._closed_form else None,
        )
        self._adapted_rate = torch.tensor(config.learning_rate, device=self.device)  # with `desired_kl`
        self._running_return = torch.zeros(0, dtype=torch.float64, device=self.device)  # (N,)
        self._memory: Tensor | None = None  # (N, H) of a recurrent network, between two rollouts

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Alternate rollouts and updates until the budget is spent; yields after each update.

        Raises:
            MinibatchError: if a minibatch is larger than a rollout.
            MemoryRefused: if a rollout does not fit into memory.
            CompileError: if there is nothing to compile with.
            NonFiniteError: if a loss or gradient is not finite.
        """
        num_envs = worlds.num_envs * self._group.size
        self.config.check_rollout(num_envs)
        check_rollout(self.config.num_steps, worlds.num_envs, worlds.single_observation_space, self.device)
        self.gradient_step.prepare()
        steps_per_update = self.config.num_steps * num_envs
        self._worlds = worlds
        collector = self._begin(worlds)
        while not budget.spent(self._env_steps, self._updates):
            rates = self._schedule(budget.share(self._env_steps, self._updates))
            with autocast_cache(self.device, self._half):
                rollout = collector.collect(self.config.num_steps)
                self._memory = collector.memory
                self._scale_rewards(rollout)
            metrics = self._update(rollout, **rates) | rates
            if self.moments is not None:
                self.moments.update(rollout.obs.flatten(0, 1))
            self._env_steps += steps_per_update
            self._updates += 1
            total = budget.total_updates(self._env_steps, self._updates, steps_per_update)
            episodes = all_episodes(rollout, self._group)
            yield Progress(self._env_steps, self._updates, total, metrics, episodes)

    def state(self) -> State:
        """State of `ActorCriticLearner`, the running returns of reward scaling, and a recurrent state."""
        memory = {} if self._memory is None else {"memory": self._memory.cpu().numpy()}
        more = {"running_return": self._running_return.cpu().numpy()}
        if self.config.desired_kl:
            more["learning_rate"] = self._adapted_rate.cpu().numpy()
        return super().state() | more | memory

    def restore(self, state: State) -> None:
        """Restore a state; `learn` continues from there."""
        super().restore(state)
        self._running_return = torch.tensor(state["running_return"], device=self.device)
        self._memory = torch.tensor(state["memory"], device=self.device) if "memory" in state else None
        if "learning_rate" in state:
            self._adapted_rate.copy_(torch.tensor(state["learning_rate"]))

    def _schedule(self, share: float) -> dict[str, float]:
        """Scheduled values once a share of the budget is spent."""
        config = self.config
        rate = linear_schedule(config.learning_rate, config.learning_rate_end, share)
        led = {"desired_kl": linear_schedule(config.desired_kl, config.desired_kl_end, share)}
        return {
            "learning_rate": float(self._adapted_rate) if config.desired_kl else rate,
            "clip_coef": linear_schedule(config.clip_coef, config.clip_coef_end, share),
            "ent_coef": linear_schedule(config.ent_coef, config.ent_coef_end, share),
        } | (led if config.desired_kl else {})

    def _begin(self, worlds: Worlds) -> RolloutCollector | DoubleBufferedCollector:
        """Start the worlds, or resume those of a restored state."""
        config = self.config
        if self._worlds_state is None:
            start = worlds.reset()
            self._running_return = self._running_return.new_zeros(worlds.num_envs)
            self._memory = None
        else:
            start = worlds.restore(self._worlds_state)
        return rollout_collector(
            self,
            worlds,
            start,
            self._memory,
            clip_reward=config.clip_reward,
            life_loss_ends=config.life_loss_ends,
        )

    def _scale_rewards(self, rollout: Rollout) -> None:
        """Divide the rewards by the running deviation of their discounted sum, where that is asked for."""
        if self.return_scale is not None:
            ended = rollout.terminated | rollout.truncated
            rollout.reward = self.return_scale.scale(rollout.reward, ended, self._running_return)

    def _update(
        self,
        rollout: Rollout,
        learning_rate: float,
        clip_coef: float,
        ent_coef: float,
        desired_kl: float = 0.0,
    ) -> dict[str, float]:
        """Several epochs of minibatch steps on one rollout; returns the mean metrics."""
        self.gradient_step.set_learning_rate(learning_rate)
        self._clip_coef.fill_(clip_coef)
        self._ent_coef.fill_(ent_coef)
        figures = self.run_epochs(rollout, desired_kl)
        *means, explained = figures.tolist()  # the only wait for the device in an update
        metrics = dict(zip(FIGURES, means, strict=True))
        NonFiniteError.check(metrics, self._updates + 1)
        return metrics | {"explained_variance": explained}

    def run_epochs(self, rollout: Rollout, desired_kl: float) -> Tensor:
        """Means of the `FIGURES` over all minibatches, and the explained variance before them, (7,)."""
        config, group = self.config, self._group
        advantage = rollout.advantage(config.gamma, config.gae_lambda)
        batch = RolloutSamples.from_rollout(rollout, advantage)
        advantages, values = group.all_gather(advantage, 1), group.all_gather(rollout.value, 1)  # (T, N)
        explained = explained_variance((advantages + values).flatten(), values.flatten())
        batch.obs = self.normalized(batch.obs)  # once, not in every epoch
        if self.value_scale is not None:
            batch.target = self.value_scale.standardize(batch.target)
        figures = []
        for _ in range(config.num_epochs):
            shuffled = self._shuffled(batch, advantages)
            epoch = torch.stack([self.gradient_step(part, weight=weight)[0] for part, weight in shuffled])
            if desired_kl:
                self._adapt_rate(epoch[:, FIGURES.index("approx_kl")].mean(), desired_kl)
            figures.append(epoch)
        return torch.cat([torch.cat(figures).mean(0), explained[None]])

    def _adapt_rate(self, kl: Tensor, desired: float) -> None:
        """Lower the learning rate if an epoch has changed the policy too much, raise it if too little."""
        rate = self._adapted_rate
        rate.copy_(torch.where(kl > 2 * desired, rate / 1.5, torch.where(kl < desired / 2, rate * 1.5, rate)))
        self.gradient_step.set_learning_rate(rate.clamp_(*ADAPTED_RATES))

    def _shuffled(self, batch: RolloutSamples, advantages: Tensor) -> Iterator[tuple[RolloutSamples, float]]:
        """Minibatches of one epoch: of single steps, or with a recurrent network of whole sequences.

        Args:
            batch: the rollout of this rank.
            advantages: (T, N) of all ranks.

        Yields:
            this rank's rows, and their weight in the minibatch.
        """
        size, whole = self.config.minibatch_size, batch.memory is not None
        count = advantages.shape[1] if whole else advantages.numel()
        size = size // self.config.num_steps if whole else size
        order = torch.randperm(count, generator=self._generator, device=self.device)
        num_envs = advantages.shape[1] // self._group.size
        if self._closed_form is not None and self._group.size == 1:
            yield from (
                (part, 1.0) for part in batch.rows(order).split([len(p) for p in minibatches(order, size)])
            )
            return
        for part in shares(order, size, num_envs, self._group):
            minibatch = batch.sequences(part.rows) if whole else batch.rows(part.rows)
            if self._group.size > 1:  # else the loss does that, compiled with all the rest
                everyones = advantages[:, part.whole] if whole else advantages.flatten()[part.whole]
                minibatch.advantage = standardise_advantages(minibatch.advantage, everyones.flatten())
            yield minibatch, part.weight

    def infer(self, obs: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `ActorCriticLearner.infer`."""
        if self._closed_form is None:
            return super().infer(obs, memory)
        return *self._closed_form.forward(obs), None

    def closed_form(self, batch: RolloutSamples) -> Tensor:
        """Set the gradients of `loss` without autograd; returns the `FIGURES` but the last, (5,)."""
        assert self._closed_form is not None
        advantage = standardise_advantages(batch.advantage)
        return self._closed_form(batch.obs, batch.action, batch.log_prob, advantage, batch.target)

    def loss(self, batch: RolloutSamples) -> tuple[Tensor, Tensor]:
        """PPO loss () of one minibatch, and the `FIGURES` but the last, (5,)."""
        parameters, value, _ = self.unroll(batch.obs, batch.memory, batch.ended)
        log_prob, entropy = self.head.evaluate(parameters, batch.mask, batch.action)
        alone = self._group.size == 1
        advantage = standardise_advantages(batch.advantage) if alone else batch.advantage
        loss_pi = policy_loss(log_prob, batch.log_prob, advantage, self._clip_coef)
        loss_v = value_loss(value, batch.target)
        nats = entropy.mean()
        loss = loss_pi + self.config.vf_coef * loss_v - self._ent_coef * nats
        with torch.no_grad():
            log_ratio = log_prob - batch.log_prob
            ratio = log_ratio.exp()
            kl = (ratio - 1 - log_ratio).mean()  # Schulman 2020, "Approximating KL divergence", k3
            clipped = ((ratio - 1).abs() > self._clip_coef).float().mean()
            return loss, torch.stack([loss_pi, loss_v, nats, kl, clipped])


def standardise_advantages(advantage: Tensor, everyones: Tensor | None = None) -> Tensor:
    """Standardise the advantages of one minibatch (B,), of a rank by `everyones` (M,); a single one stays."""
    whole = advantage if everyones is None else everyones
    if len(whole) < 2:
        return advantage
    return (advantage - whole.mean()) / (whole.std() + 1e-8)
