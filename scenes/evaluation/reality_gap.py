"""Reality gap of a world model: an agent's return in its dreams beside that in the emulator.

Both games are the first `STEPS` steps without sticky actions, and begin with 0 to 30 no-ops, since a greedy
agent's games in the emulator would else be the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from generative.dream.world import Dream
from scenes.data.perception_data import checkpoint_player
from scenes.evaluation.agents import evaluate_with_progress
from scenes.schema import Scene, SceneError
from sim.atari.world import Atari
from sim.protocols import Policy
from sim.records import Array, Decision

STEPS = 1_000  # of a game
GAMES = 8  # in each of the two worlds
NO_OPS = 30  # at most, as in Mnih et al. 2015


class NoOpStarts:
    """Policy that begins the first game of each world with a random number of no-ops, action 0."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.seed(0)

    def seed(self, seed: int) -> None:
        """Seed the policy and the numbers of no-ops."""
        self._policy.seed(seed)
        self._generator = np.random.default_rng(seed)
        self._left: Array | None = None

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """See `sim.protocols.Policy`."""
        decision, memory = self._policy.act(obs, info, memory, greedy=greedy)
        if self._left is None:
            self._left = self._generator.integers(0, NO_OPS + 1, len(obs))
        actions = np.where(self._left > 0, 0, decision.actions)
        self._left = self._left - 1
        return replace(decision, actions=actions), memory


def returns_of_both(scene: Scene, weights: Path, game: str, steps: int) -> dict[str, Array]:
    """Returns (N,) by metric, ``return_dream`` and ``return_emulator``, of the agent of `graded_by`.

    Args:
        scene: whose first sampler names the agent's checkpoint.
        weights: folder of the world model.
        game: that it dreams.
        steps: of denoising a frame.

    Raises:
        SceneError, CheckpointError: if the agent's checkpoint is damaged or made for something else.
    """
    path = scene.sampler[0].graded_by
    if path is None:
        raise SceneError(f"{scene.source.name}, [[sampler]] names no agent: set graded_by")
    emulator = Atari(game, repeat_action_probability=0.0, max_frames=4 * STEPS)
    dream = Dream(game, str(weights), steps=steps, max_steps=STEPS)
    player = checkpoint_player(scene, path, emulator)
    assert player.policy is not None
    found = {}
    for name, world in (("return_dream", dream), ("return_emulator", emulator)):
        scores = evaluate_with_progress(
            NoOpStarts(player.policy),
            world,
            f"{player.name} in {world.name}",
            episodes=GAMES,
            seed=scene.seed,
            greedy=True,
        )
        found[name] = scores.returns
    return found
