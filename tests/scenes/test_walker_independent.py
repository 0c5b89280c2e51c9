"""The shipped walker in plain gymnasium, with none of Playfield's code: weights, numpy and twenty lines."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).parents[2] / "scenes" / "checkpoints" / "walker-ppo" / "model.safetensors"


def episode(weights: dict[str, np.ndarray], seed: int, steps: int) -> float:
    world = gymnasium.make("Walker2d-v5", max_episode_steps=steps)
    obs, _ = world.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        x = (obs - weights["observations.mean"]) / np.sqrt(weights["observations.variance"] + 1e-8)
        x = np.clip(x, -10, 10)
        for i in range(2):
            layer = f"actor_critic.trunk.layers.linear{i}"
            x = np.tanh(weights[f"{layer}.weight"] @ x + weights[f"{layer}.bias"])
        action = weights["actor_critic.policy.weight"] @ x + weights["actor_critic.policy.bias"]
        obs, reward, terminated, truncated, _ = world.step(np.clip(action, -1, 1))
        total, over = total + float(reward), terminated or truncated
    return total


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the walker is not trained yet")
@pytest.mark.parametrize(
    ("episodes", "steps", "least"),
    [(1, 250, 800), pytest.param(20, 1000, 2500, marks=pytest.mark.slow)],  # who stands still earns 1 a step
)
def test_the_walker_walks_in_plain_gymnasium(episodes, steps, least):
    weights = {name: array.astype(np.float64) for name, array in load_file(WEIGHTS).items()}
    assert np.mean([episode(weights, 500 + i, steps) for i in range(episodes)]) >= least
