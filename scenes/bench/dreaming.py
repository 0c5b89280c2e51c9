"""Dream benchmark: frames per second of a world model in one world, by the number of denoising steps."""

from __future__ import annotations

import numpy as np

from generative.dream.world import Dream, DreamedEpisodes
from generative.dream.world_model import DiffusionWorldModel, DiffusionWorldModelConfig
from scenes.bench.worker import Settings, Work


def ours(settings: Settings, steps: str) -> Work:
    """One dreamed Pong with untrained weights, observations included; yields frames."""
    model = DiffusionWorldModel(DiffusionWorldModelConfig(), seed=settings.seed, device=settings.device)
    episodes = DreamedEpisodes(Dream("pong", "", steps=int(steps), device=settings.device), model, 1)
    length = model.config.context
    blank = np.zeros((length, *model.frame_shape), np.uint8), np.zeros(length - 1, np.int64)
    episodes.start(0, settings.seed, blank)
    actions = np.random.default_rng(settings.seed).integers(len(model.config.action_names), size=(64, 1))
    while True:
        for row in actions:
            episodes.step(row)
            yield 1
