"""Adapter to Stable-Baselines3 and sb3-contrib (Raffin et al. 2021): agents ``sb3/ppo``, ``sb3/sac`` ….

In: our worlds and our names for hyperparameters. Out: a `sim.protocols.Learner` like any other, whose
weights and state are plain arrays. The networks, losses, buffers and updates are theirs, unchanged.
Does not know: scenes, run folders, their callbacks, their zip files.

Reading order: `configs` (the scene keys and their names in Stable-Baselines3), `learner` (the loop), then its
parts: `worlds` (our batch as their VecEnv), `acting` (decisions with probabilities and values), `memory`
(global generators, replay and optimisers as arrays).

To add an algorithm: a dataclass in `configs`, its line in `agents.catalog` and in
`tests/agents/test_sb3.py`, whose table trains, stops and resumes every one of them.
"""

from agents.sb3.configs import A2C, DQN, PPO, QRDQN, SAC, TD3, TQC, MaskablePPO

__all__ = ["A2C", "DQN", "PPO", "QRDQN", "SAC", "TD3", "TQC", "MaskablePPO"]
