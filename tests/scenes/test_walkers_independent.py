"""The shipped walkers in plain gymnasium, with none of Playfield's code: weights, numpy and twenty lines."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from safetensors.numpy import load_file

CHECKPOINTS = Path(__file__).parents[2] / "scenes" / "checkpoints"
WALKERS = {  # shipped weights → gymnasium's name, a fifth of a quarter episode's return, most of a whole one's
    "walker-ppo": ("Walker2d-v5", 800, 5_600),
    "hopper-ppo": ("Hopper-v5", 400, 2_900),
    "halfcheetah-ppo": ("HalfCheetah-v5", 1_000, 6_500),
    "ant-ppo": ("Ant-v5", 600, 4_000),
    "humanoid-ppo": ("Humanoid-v5", 1_200, 6_500),
}


def episode(name: str, weights: dict[str, np.ndarray], seed: int, steps: int) -> float:
    world = gymnasium.make(name, max_episode_steps=steps)
    obs, _ = world.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        x = (obs - weights["observations.mean"]) / np.sqrt(weights["observations.variance"] + 1e-8)
        x = np.clip(x, -10, 10)
        for i in range(2):
            layer = f"actor_critic.trunk.layers.linear{i}"
            x = np.tanh(weights[f"{layer}.weight"] @ x + weights[f"{layer}.bias"])
        action = weights["actor_critic.policy.weight"] @ x + weights["actor_critic.policy.bias"]
        obs, reward, terminated, truncated, _ = world.step(
            np.clip(action, world.action_space.low, world.action_space.high)
        )
        total, over = total + float(reward), terminated or truncated
    return total


@pytest.mark.parametrize("folder", WALKERS)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_shipped_walker_walks_in_plain_gymnasium(folder, whole):
    """A quarter of an episode by default: who stands still earns 250 at most, and the cheetah nothing."""
    name, quarter_return, whole_return = WALKERS[folder]
    file = CHECKPOINTS / folder / "model.safetensors"
    weights = {key: array.astype(np.float64) for key, array in load_file(file).items()}
    episodes, steps, least = (20, 1000, whole_return) if whole else (1, 250, quarter_return)
    assert np.mean([episode(name, weights, 500 + i, steps) for i in range(episodes)]) >= least
