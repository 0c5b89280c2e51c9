"""Dream benchmark: frames per second of a world model in one world, by the number of denoising steps."""

from __future__ import annotations

import numpy as np

from scenes.bench.worker import Settings, Work
from scenes.build.agents import scene_world
from scenes.schema import load_scene


def ours(settings: Settings, steps: str) -> Work:
    """One dreamed Pong by the shipped weights, observations included; yields frames."""
    changes = [f"world.steps={steps}", f"world.device={settings.device}"]
    worlds = scene_world(load_scene("dream-pong", changes)).make_batch(1, settings.seed)
    worlds.reset()
    actions = np.random.default_rng(settings.seed).integers(6, size=(64, 1))
    while True:
        for row in actions:
            worlds.step(row)
            yield 1
