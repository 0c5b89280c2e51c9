"""Learner adapter for all Stable-Baselines3 algorithms: their rollouts and updates in our resumable loop.

Their `learn` cannot be stopped and resumed, so it is not called: between two yields this loop calls their
`collect_rollouts` and `train`, as theirs does. A resume is exact for every one of them, replay included, on
one machine and device.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.utils import LinearSchedule

from agents.sb3.memory import Generators, model_state, restore_model
from agents.sb3.worlds import POLICIES, ObservationPreprocessing, WorldsVecEnv
from sim.records import Array, Budget, Decision, Progress, State
from sim.vector import Worlds
from supervised.tensors import NonFiniteError, from_arrays, to_arrays

if TYPE_CHECKING:
    from agents.sb3.configs import Algorithm

#: Stable-Baselines3's metric names → those of our own learners.
NAMES = {
    "policy_gradient_loss": "policy_loss",
    "exploration_rate": "epsilon",
    "n_updates": "gradient_steps",
}
EVERY_STEP = TrainFreq(1, TrainFrequencyUnit.STEP)


class SB3Learner:
    """Learner of a Stable-Baselines3 algorithm. Satisfies `sim.protocols.Learner`.

    Attributes:
        resumes_exactly: whether a resumed run ends with the weights of one that was never stopped.
        model: their algorithm, once `learn` has begun; before that None.
        look: how observations reach the network.
        yield_every: env steps from one yield of `learn` to the next, where an algorithm has no rollouts.
    """

    resumes_exactly = True
    yield_every = 1000

    def __init__(
        self,
        config: Algorithm,
        look: ObservationPreprocessing,
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        self.config, self.look, self.device = config, look, torch.device(device)
        self._keys: Any = config  # with the fields of its own family
        # Their warm-up samples from the space itself: a copy has a generator of its own.
        self._action_space = copy.deepcopy(action_space)
        self._action_space.seed(seed)
        self._generators = Generators(seed, self.device)
        self._network = POLICIES[config.network or "mlp"]
        alias = config.algorithm.policy_aliases[self._network]
        more = config.policy_arguments()
        with self._generators.lent():
            # The policy alone: their algorithm needs its worlds, and allocates its memory at once.
            self.policy = alias(look.space, self._action_space, lambda _: config.learning_rate, **more)
        self.policy.to(self.device)
        self._stored = stored_names(self.policy)
        self._acting = np.random.default_rng(seed)
        self._updates = 0
        self.model: Any = None
        self._resumed: State | None = None

    def seed(self, seed: int) -> None:
        """Seed the generator that samples actions in `act`."""
        self._acting = np.random.default_rng(seed)

    @torch.no_grad()
    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Sample N actions, or take the best; see `sim.protocols.Policy`.

        Raises:
            AlgorithmError: if the world masks actions and the algorithm does not support masks.
        """
        mask = info.get("action_mask")
        if mask is not None and not self.config.masks:
            self.config.check_worlds(len(obs), masked=True)
        explore = 0.0 if greedy else getattr(self.config, "epsilon_play", 1.0)
        seen = torch.from_numpy(np.ascontiguousarray(self.look(obs))).to(self.device)
        return self.config.act(self.policy, seen, mask, self._acting, explore), memory

    def weights(self) -> dict[str, Array]:
        """The policy's tensors by name, each once, without target networks."""
        tensors = self.policy.state_dict()
        return to_arrays({name: tensors[name] for name in sorted(set(self._stored.values()))})

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint, into the target networks too.

        Raises:
            ValueError: if names or shapes differ from this policy's.
        """
        known = set(self._stored.values())
        for name in sorted(known ^ set(weights)):
            raise ValueError(f"weights {'lack' if name in known else 'have a surplus'} {name}")
        from_arrays(self.policy, {name: weights[stored] for name, stored in self._stored.items()})

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Run the algorithm until the budget is spent.

        Yields after every update of an on-policy algorithm, about every `yield_every` env steps of others.

        Raises:
            AlgorithmError: if the worlds do not fit the algorithm.
            NonFiniteError: if a metric or weight is not finite.
        """
        block = self._steps_per_update(worlds.num_envs)
        env = WorldsVecEnv(worlds, self._action_space, self.look, self.config.clip_reward)
        model, callback, total_steps = self._begin(env, budget, block)
        while not budget.spent(model.num_timesteps, self._updates):
            with self._generators.lent():
                metrics = self._update(model, env, callback, total_steps)
            self._updates += 1
            NonFiniteError.check(metrics, self._updates)
            episodes, env.episodes = tuple(env.episodes), []
            total = budget.total_updates(model.num_timesteps, self._updates, block)
            yield Progress(model.num_timesteps, self._updates, total, metrics, episodes)

    def state(self) -> State:
        """Policy, optimisers, generators, replay, counters and worlds.

        The replay's arrays are views: write or restore the state before learning goes on.
        """
        assert self.model is not None, "there is nothing to resume before learn() has begun"
        return {
            "updates": self._updates,
            "policy": to_arrays(self.policy.state_dict()),
            "model": model_state(self.model),
            "generators": self._generators.state(),
            "action_space": self._action_space.np_random.bit_generator.state,
            "worlds": self.model.env.worlds.state(),
        }

    def restore(self, state: State) -> None:
        """Restore a state; `learn` continues from there."""
        self._updates = int(state["updates"])
        from_arrays(self.policy, state["policy"])
        self._resumed = state

    def _steps_per_update(self, num_envs: int) -> int:
        if self.config.off_policy:
            return max(1, self.yield_every // num_envs) * num_envs
        return int(self._keys.num_steps) * num_envs

    def _begin(self, env: WorldsVecEnv, budget: Budget, block: int) -> tuple[Any, BaseCallback, int]:
        """Their algorithm at the start of `env`, or where the restored state was taken.

        With the env steps that the whole budget comes to, in updates of `block` env steps from here on.
        """
        config, state = self._keys, self._resumed
        obs, info = env.worlds.reset() if state is None else env.worlds.restore(state["worlds"])
        config.check_worlds(env.num_envs, "action_mask" in info)
        if self.model is None or state is not None:
            self.model = self._make(env)
        self.model.set_env(env)
        model, self._resumed = self.model, None
        model._last_obs = env.seen(obs, info)
        model._last_episode_starts = np.ones(env.num_envs, bool)  # their advantages never look at the first
        if state is not None:
            restore_model(model, state["model"])
            self._generators.restore(state["generators"])
            self._action_space.np_random.bit_generator.state = state["action_space"]
        left = budget.total_updates(model.num_timesteps, self._updates, block) - self._updates
        total_steps = budget.env_steps or model.num_timesteps + left * block
        if config.epsilon_greedy:
            share = max(config.epsilon_steps, 1) / total_steps
            model.exploration_schedule = LinearSchedule(config.epsilon_start, config.epsilon_end, share)
        model.set_logger(Logger(folder=None, output_formats=[]))
        # reset_num_timesteps=False leaves counters and observations alone, and adds what was played.
        _, callback = model._setup_learn(total_steps - model.num_timesteps, reset_num_timesteps=False)
        model._update_current_progress_remaining(model.num_timesteps, total_steps)
        if config.epsilon_greedy:
            model.exploration_rate = model.exploration_schedule(model._current_progress_remaining)
        return model, callback, total_steps

    def _make(self, env: WorldsVecEnv) -> Any:
        """Construct the algorithm with the current policy's weights."""
        config = self.config
        arguments = config.arguments(env)
        with self._generators.lent(), warnings.catch_warnings():
            # A last, smaller minibatch is theirs to have; one of a single row `check_worlds` has refused.
            warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
            model = config.algorithm(self._network, env, device=self.device, **arguments)
        model.policy.load_state_dict(self.policy.state_dict())
        self.policy = model.policy
        return model

    def _update(self, model: Any, env: WorldsVecEnv, callback: BaseCallback, total: int) -> dict[str, float]:
        """Play and learn for one update; returns the newest metrics."""
        try:
            if self.config.off_policy:
                self._play_and_replay(model, env, callback)
            else:
                masking = {"use_masking": env.mask is not None} if self.config.masks else {}
                model.collect_rollouts(env, callback, model.rollout_buffer, model.n_steps, **masking)
                model._update_current_progress_remaining(model.num_timesteps, total)
                model.train()
        except ValueError as error:  # their distributions refuse NaN in their own words
            if all(bool(p.isfinite().all()) for p in model.policy.parameters()):
                raise
            raise NonFiniteError(f"weights not finite in update {self._updates + 1}") from error
        figures = rename_metrics(model.logger.name_to_value)
        model.logger.dump()
        return figures

    def _play_and_replay(self, model: Any, env: WorldsVecEnv, callback: BaseCallback) -> None:
        """Step all worlds for one update, with a gradient step for every `train_frequency` env steps."""
        config = self._keys
        for _ in range(self._steps_per_update(env.num_envs) // env.num_envs):
            before = model.num_timesteps
            model.collect_rollouts(
                env,
                callback=callback,
                train_freq=EVERY_STEP,
                replay_buffer=model.replay_buffer,
                action_noise=model.action_noise,
                learning_starts=config.learning_starts,
            )
            now = model.num_timesteps
            steps = now // config.train_frequency - before // config.train_frequency
            if steps and now > config.learning_starts:
                model.train(gradient_steps=steps, batch_size=config.batch_size)


def stored_names(policy: torch.nn.Module) -> dict[str, str]:
    """Names under which a checkpoint stores each tensor of a policy.

    Tensors that two modules share are stored once; a target network has the name of its online network.
    """
    first: dict[int, str] = {}
    stored: dict[str, str] = {}
    for name, tensor in policy.state_dict(keep_vars=True).items():
        online = name.replace("_target.", ".", 1)
        stored[name] = first.setdefault(id(tensor), online)
    return stored


def rename_metrics(figures: Mapping[str, Any]) -> dict[str, float]:
    """Rename the metrics of Stable-Baselines3's logger; an undefined explained variance is left out."""
    found: dict[str, float] = {}
    for key, value in figures.items():
        name = key.rpartition("/")[2]
        if name == "entropy_loss":
            found["entropy"] = -float(value)
        elif not (name == "explained_variance" and math.isnan(value)):
            found[NAMES.get(name, name)] = float(value)
    return found
