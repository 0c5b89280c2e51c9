"""Inference benchmark: observations per second of a policy that acts."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete

from agents.ppo import PPO
from scenes.bench.worker import Settings, Work
from sim.records import Array

PICTURES = Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = Discrete(6)  # actions of Pong
OBSERVATIONS = 8  # observations a call
CHUNK = 8  # calls between two readings of the clock


def pictures(seed: int) -> Array:
    """Random observations (OBSERVATIONS, 4, 84, 84) uint8; a network takes as long for them as for frames."""
    return np.random.default_rng(seed).integers(256, size=(OBSERVATIONS, *PICTURES.shape), dtype=np.uint8)


def ours(settings: Settings) -> Work:
    """Ours: `act` with the Nature network; yields numbers of observations."""
    policy = PPO(network="nature").build(PICTURES, ACTIONS, seed=settings.seed, device=settings.device)
    obs = pictures(settings.seed)
    while True:
        for _ in range(CHUNK):
            policy.act(obs, {})
        yield CHUNK * OBSERVATIONS


def stable_baselines3(settings: Settings) -> Work:
    """Stable-Baselines3: ``policy.predict`` with the same network; yields numbers of observations."""
    import torch
    from stable_baselines3.common.policies import ActorCriticCnnPolicy

    torch.manual_seed(settings.seed)
    policy = ActorCriticCnnPolicy(PICTURES, ACTIONS, lambda _: 2.5e-4).to(settings.device)
    obs = pictures(settings.seed)
    while True:
        for _ in range(CHUNK):
            policy.predict(obs)
        yield CHUNK * OBSERVATIONS
