"""Inference alone: what a policy costs for each observation it acts on."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete

from agents.ppo import PPO
from scenes.bench.worker import Settings, Work
from sim.records import Array

PICTURES = Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = Discrete(6)  # Pong's
OBSERVATIONS = 8  # a call
CHUNK = 8  # calls between two looks at the clock


def pictures(seed: int) -> Array:
    """(OBSERVATIONS, 4, 84, 84) uint8 noise: a network takes as long for it as for a game."""
    return np.random.default_rng(seed).integers(256, size=(OBSERVATIONS, *PICTURES.shape), dtype=np.uint8)


def ours(settings: Settings) -> Work:
    """`Policy.act` with the Nature network; yields observations."""
    policy = PPO(network="nature").build(PICTURES, ACTIONS, seed=settings.seed, device=settings.device)
    obs = pictures(settings.seed)
    while True:
        for _ in range(CHUNK):
            policy.act(obs, {})
        yield CHUNK * OBSERVATIONS


def stable_baselines3(settings: Settings) -> Work:
    """Their ``policy.predict`` with the same network; yields observations."""
    import torch
    from stable_baselines3.common.policies import ActorCriticCnnPolicy

    torch.manual_seed(settings.seed)
    policy = ActorCriticCnnPolicy(PICTURES, ACTIONS, lambda _: 2.5e-4).to(settings.device)
    obs = pictures(settings.seed)
    while True:
        for _ in range(CHUNK):
            policy.predict(obs)
        yield CHUNK * OBSERVATIONS
