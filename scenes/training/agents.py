"""The agent of a scene as a trainee: worlds, learner, checkpoint card and in-training evaluation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agents.actors.feed import LearnsFromActors
from agents.evaluation.evaluate import evaluate
from agents.memory_limits import observation_bytes
from scenes.build.agents import agent_card, check_agent, scene_agent, with_default_network
from scenes.build.devices import chosen_device
from scenes.data.agent_env import agent_env
from scenes.schema import Scene, SceneError
from scenes.training.actors import ConnectedActors, new_worlds
from sim.machine import check_memory
from sim.protocols import LearnerConfig
from sim.records import Array, Budget, Progress, State
from sim.storage.checkpoints import Card, load_checkpoint
from sim.vector import Worlds
from supervised.distributed import ShareError, even_share, process_group

PROBE_PAYS = 50_000  # env steps; shorter trainings need no estimate of their time


EVALUATION_EPISODES = 20
DATA_PARALLEL = ("ppo", "pqn")


MANY_ENVS = 256  # worlds from which on memory is checked


OBSERVATIONS = 4  # held of each world: its own, the one handed out, the final one, the learner's


def learner_config(scene: Scene) -> LearnerConfig:
    """Configuration of the scene's agent, checked to be one that learns.

    Raises:
        SceneError: if there is none.
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    agent = scene_agent(scene)
    if not isinstance(agent, LearnerConfig):
        assert scene.agent is not None
        raise SceneError(f'agent "{scene.agent.use}" does not learn')
    return agent


def check_shareable(scene: Scene, agent: LearnerConfig, ranks: int) -> None:
    """Check that an agent can learn in several ranks.

    Raises:
        ShareError: if it cannot, naming those that can.
    """
    if ranks > 1 and not getattr(agent, "data_parallel", False):
        assert scene.agent is not None
        raise ShareError(
            f'agent "{scene.agent.use}" learns in one process: start it without torchrun; '
            f"those that several can share are {' and '.join(DATA_PARALLEL)}"
        )


class AgentTrainee:
    """The scene's agent as a `Trainee`: a learner and its worlds."""

    learning_rate_key = "agent.learning_rate"

    def __init__(
        self, scene: Scene, device: str, start_from: Path | None, actors: ConnectedActors | None = None
    ) -> None:
        """Build worlds and learner; `actors` play for it.

        Raises:
            SceneError, CheckpointError: if the request is wrong.
        """
        self._group = process_group()
        check_shareable(scene, learner_config(scene), self._group.size)
        self._config = agent_env(scene, device, training=True)
        assert scene.world is not None
        # In-training evaluation uses `origin`, as `evaluate` does, whatever `training_origin` is.
        self._scored = agent_env(scene, device) if scene.train.evaluate_every else self._config
        self._seed = scene.seed
        self._num_envs = even_share(scene.world.num_envs, self._group, "world.num_envs")
        self._check_memory(self._num_envs)
        self._worlds = self._new_worlds()
        self.scene = with_default_network(scene, self._worlds.single_observation_space)
        agent = self._agent = learner_config(self.scene)
        self._device = chosen_device(device, agent)
        self._learner = agent.build(
            self._worlds.single_observation_space,
            self._worlds.single_action_space,
            seed=scene.seed,
            device=self._device,
        )
        self.unit = "updates" if scene.train.env_steps is None else "env steps"
        self.learning_rate: float | None = getattr(agent, "learning_rate", None)
        if start_from is not None:
            checkpoint = load_checkpoint(start_from)
            check_agent(scene, checkpoint, self._worlds, self._config)
            checkpoint.give(self._learner)
        self._actors = actors
        if actors is not None:
            learner: LearnsFromActors = self._learner  # type: ignore[assignment]
            learner.feed = actors.feed_for(self.scene, agent, self._config)

    @property
    def resumes_exactly(self) -> bool:
        """See `Trainee`; it may follow from what is restored."""
        exactly: bool = getattr(self._learner, "resumes_exactly", True)
        return exactly

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """See `Trainee`."""
        return self._learner.learn(self._worlds, budget)

    def state(self) -> State:
        """See `Trainee`."""
        return self._learner.state()

    def restore(self, state: State) -> None:
        """See `Trainee`."""
        self._learner.restore(state)

    def weights(self) -> dict[str, Array]:
        """See `Trainee`."""
        return self._learner.weights()

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        source = getattr(self._learner, "trained_on", None)
        if source is not None:
            trained = {**trained, **source()}
        if self._actors is not None:
            options = self._actors.options
            trained = {**trained, "actors": options.count, "max_staleness": options.bound}
        return agent_card(self.scene, self._agent, self._config, self._worlds, trained, scores)

    @property
    def state_by_rank(self) -> tuple[str, ...]:
        """Keys of `state` that each rank has its own of."""
        keys: tuple[str, ...] = getattr(self._learner, "state_by_rank", ())
        return keys

    def evaluate(self) -> dict[str, float]:
        """Evaluate over whole episodes in fresh worlds."""
        return evaluate(
            self._learner,
            self._scored,
            episodes=EVALUATION_EPISODES,
            seed=self._seed,
            greedy=self._agent.greedy,
        ).metrics()

    def estimated_rate(self, budget: Budget) -> float | None:
        """Steps a second, measured on a throw-away learner; None where actors play."""
        if self._actors is not None:
            return None
        worlds = self._new_worlds()
        try:
            probe = self._agent.probe().build(
                worlds.single_observation_space,
                worlds.single_action_space,
                seed=self._seed,
                device=self._device,
            )
            if budget.env_steps is None or budget.env_steps < PROBE_PAYS:
                return None
            times = []
            for progress in probe.learn(worlds, Budget(updates=3)):
                times.append((time.monotonic(), progress.env_steps))
            (start, before), (end, after) = times[0], times[-1]
            return (after - before) / (end - start)
        finally:
            worlds.close()

    def close(self) -> None:
        """See `Trainee`."""
        if self._actors is not None:
            self._actors.close()
        self._worlds.close()

    def _check_memory(self, num_envs: int) -> None:
        """Check that the observations of all worlds fit into memory.

        Raises:
            MemoryRefused: naming the key and the GiB.
        """
        if num_envs < MANY_ENVS:
            return
        one = self._config.make_batch(1, self._seed)
        one.close()
        check_memory(
            OBSERVATIONS * num_envs * observation_bytes(one.single_observation_space),
            f"a batch of {num_envs:,} worlds",
            "set a smaller world.num_envs",
        )

    def _new_worlds(self) -> Worlds:
        count = self._num_envs
        worlds = new_worlds(self._config, count, self._seed, count * self._group.size)
        worlds.first_index = self._group.share(self._num_envs).start
        return worlds
