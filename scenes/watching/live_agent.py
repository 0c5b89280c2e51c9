"""Live agent: the policy of a show, with the checkpoints of the run that it follows, and its saliency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.saliency import Explainer, is_picture
from scenes.build.agents import build_policy, check_agent, scene_agent
from scenes.build.devices import chosen_device
from scenes.schema import Scene, SceneError
from scenes.watching.labels import exploration, in_words, selection
from scenes.watching.run_follower import Follower
from sim.protocols import AgentConfig, Learner, LearnerConfig, Policy, WorldConfig
from sim.records import Array, Decision
from sim.storage.checkpoints import Checkpoint, CheckpointError
from sim.vector import Info, Worlds, reset_memory
from sim.viewer.contract.gesture import Ability
from sim.viewer.contract.moment import Attribution, Exploration, Learning

PLAIN_WORDS = ("random", "greedy")  # agents whose names are not acronyms


class LiveAgent:
    """The agent of a scene as it plays in a show; where the scene has none, any legal action is taken.

    Attributes:
        name: "PPO", "random", …; "" without an agent.
        training: its budget in words, "4.0 M steps"; "" without an agent.
        abilities: `Ability.SALIENCY`, if its decisions can be explained.
        decision: on the newest observations; None without an agent.
        policy: None without an agent.
        follower: of the run whose checkpoints play; None if none is followed.
    """

    def __init__(
        self,
        scene: Scene,
        worlds: Worlds,
        config: WorldConfig,
        *,
        device: str,
        checkpoint: Path | None = None,
        run: Path | None = None,
    ) -> None:
        """Build the policy.

        Args:
            scene: whose ``[agent]``.
            worlds: that it plays in.
            config: of these.
            device: see `chosen_device`.
            checkpoint: instead of the scene's own.
            run: a training run whose newest checkpoint plays, from now on and as they land, or whose
                `checkpoint` does, if one is given. A run that has none yet begins untrained.

        Raises:
            SceneError, CheckpointError: if the agent cannot follow a run, or a checkpoint does not fit.
        """
        self._worlds = worlds
        self._generator = np.random.default_rng(scene.seed)
        self.name, self.training = "", ""
        self.abilities: frozenset[Ability] = frozenset()
        self.decision: Decision | None = None
        self.policy: Policy | None = None
        self._memory: Any = None
        self._greedy = False
        self._weights: Mapping[str, Array] = {}  # what plays, for those who look on
        self._explainer: Explainer | None = None
        self.follower: Follower | None = None
        if scene.agent is None:
            return
        self.name = scene.agent.use if scene.agent.use in PLAIN_WORDS else scene.agent.use.upper()
        agent = scene_agent(scene)
        self._greedy = agent.greedy
        place = chosen_device(device, agent)
        if run is not None:
            blank = replace(scene, agent=replace(scene.agent, checkpoint=None))
            self.policy, _ = build_policy(blank, worlds, config, place)
            self._follow(run, checkpoint, partial(check_agent, scene, worlds=worlds, config=config))
        else:
            self.policy, card = build_policy(scene, worlds, config, place, checkpoint)
            self.training = in_words(card["trained"]) if card else "untrained"
        self._explain(agent, place, scene.seed)

    def _follow(self, run: Path, held: Path | None, check: Callable[[Checkpoint], None]) -> None:
        if not isinstance(self.policy, Learner):
            raise SceneError(f'agent "{self.name.lower()}" has nothing to learn: it cannot follow a run')
        self.follower = Follower(run, check, held=held)
        self.follower.open()
        if (taken := self.follower.take()) is not None:
            self._play_on(self.follower, self.policy, taken)
        self.training = self.follower.learning.training

    def _explain(self, agent: AgentConfig, device: str, seed: int) -> None:
        """Enable saliency maps of decisions, where the agent observes pictures and can be copied."""
        spaces = self._worlds.single_observation_space, self._worlds.single_action_space
        if isinstance(agent, LearnerConfig) and isinstance(self.policy, Learner) and is_picture(spaces[0]):
            # Differences between nearly equal outputs would drown in the rounding of half precision.
            made: Any = getattr(self.policy, "config", agent)  # its weights' network, not the recipe's
            exact = replace(made, precision="float32") if hasattr(made, "precision") else made
            self._explainer = Explainer(lambda: exact.build(*spaces, seed=seed, device=device))
            self._weights = self._weights or self.policy.weights()
            self.abilities = frozenset({Ability.SALIENCY})

    @property
    def greedy(self) -> bool:
        """Whether it takes the best action instead of a sample."""
        return self._greedy

    @property
    def learning(self) -> Learning | None:
        """How the followed run stands; None if none is followed."""
        return None if self.follower is None else self.follower.learning

    def forget(self, ended: Array) -> None:
        """Reset the policy's memory of worlds whose episode has ended; `ended` (N,) bool."""
        self._memory = reset_memory(self._memory, ended)

    def start(self, seed: int | None) -> None:
        """Begin to follow, and forget the past; with a seed, draw from it."""
        if self.follower is not None:
            self.follower.start()
        self._memory = None
        if seed is not None:
            self._generator = np.random.default_rng(seed)
            if self.policy is not None:
                self.policy.seed(seed)

    def decide(self, obs: Array, info: Info) -> None:
        """Decide on observations (N, …)."""
        if self.policy is not None:
            self.decision, self._memory = self.policy.act(obs, info, self._memory, greedy=self._greedy)

    def actions(self, info: Info) -> Array:
        """(N, …) what is decided; where nobody acts, any legal action, or nothing where all are legal."""
        space = self._worlds.action_space
        mask = info.get("action_mask")
        if self.decision is not None:
            return self.decision.actions.copy()
        if mask is None:
            return np.zeros(space.shape or (self._worlds.num_envs,), space.dtype)
        return np.array([self._generator.choice(np.flatnonzero(row)) for row in mask])

    def take_over(self) -> None:
        """Play on with the run's newest checkpoint, if another has landed: in the middle of a game.

        One that does not load is told of, and the one before plays on.
        """
        taken = None if self.follower is None else self.follower.take()
        if self.follower is None or taken is None or not isinstance(self.policy, Learner):
            return
        before = self._weights or self.policy.weights()
        try:
            self._play_on(self.follower, self.policy, taken)
        except CheckpointError as error:
            self.policy.load_weights(before)
            self.follower.say(str(error))

    def _play_on(self, follower: Follower, policy: Learner, taken: Checkpoint) -> None:
        taken.give(policy)
        self._weights = taken.weights
        follower.plays(taken)

    def attribution(self, observation: Array, info: Info) -> Attribution | None:
        """What computes saliency maps of the first world's decision; None if it cannot be explained.

        `observation` is the first world's; it is kept.
        """
        if self._explainer is None:
            return None
        mask = info.get("action_mask")
        row = None if mask is None else np.array(mask[0])
        return partial(self._explainer.explain, self._weights, observation, row)

    def exploration(self, info: Info) -> Exploration | None:
        """How far the first world's action strays from the best guess."""
        return exploration(self.policy, self.decision, info, greedy=self._greedy)

    @property
    def selection(self) -> str:
        """How the first world's action was chosen, in words."""
        return selection(self.policy, self.decision, greedy=self._greedy)

    def close(self) -> None:
        """Follow no longer."""
        if self.follower is not None:
            self.follower.close()
