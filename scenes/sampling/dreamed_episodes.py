"""Gallery of dreamed episodes: a world model's dream beside the emulator, for the same held-out actions.

Each example is a stretch of held-out play: the model dreams on from its first frames with the actions that
were played there. Its animation shows dream, emulator and their difference; under it stand the frames until
they diverge, as `playfield evaluate` counts them.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from generative.dream.grading import (
    HORIZONS,
    Stretches,
    dream,
    frames_until_divergence,
    interval,
    stretches,
)
from generative.dream.world_model import DiffusionWorldModel
from generative.gallery import Clip, SampleEntry
from generative.twin.renderer import difference
from sim.plurals import number_of
from sim.progress import track
from sim.records import Array
from sim.viewer.draw.theme import PALETTE
from supervised.data.dataset import Dataset

MOST = 12  # episodes of a gallery: each is an animation of its own
FPS = 15.0  # the game's rate
ENLARGED = 3  # times, in an animation: the ball is two pixels
GUTTER = 4  # pixels between the pictures of an animation
PANELS = "dream, emulator, difference (orange: only the dream has it; blue: only the emulator)"


class DreamedEpisodes:
    """Dreams of N stretches of held-out play.

    Attributes:
        pictures: (N, T, h, w, 3) uint8: dream, emulator and difference, side by side.
        together: (N,) frames until divergence, T where there was none.
        metrics: ``frames_until_divergence``, ``images_per_second``, ``steps``.
        ci95: interval of the first.
    """

    def __init__(self, model: DiffusionWorldModel, held_out: Dataset, n: int, steps: int, seed: int) -> None:
        """Dream at most `n` stretches, of as many as do not overlap.

        Raises:
            ValueError: if no held-out episode is long enough.
        """
        play = stretches(model, held_out, max(HORIZONS), seed)
        play = Stretches(play.frames[:n], play.actions[:n], play.positions[:n], play.length)
        context, real = play.frames[:, : play.length], play.frames[:, play.length :]
        begun = time.perf_counter()
        told = track(dream(model, context, play.actions, steps, seed), "dreaming episodes", real.shape[1])
        made = np.stack([frames for frames, _, _ in told], 1)
        seconds = time.perf_counter() - begun
        positions = np.stack(
            [model.palette.positions(each) for each in (context[:, -1], *made.swapaxes(0, 1))], 1
        )
        self.together = frames_until_divergence(positions, play.truth)
        self.pictures = np.stack(
            [
                np.stack(
                    [
                        panels(model.picture(one), model.picture(other))
                        for one, other in zip(*pair, strict=True)
                    ]
                )
                for pair in zip(made, real, strict=True)
            ]
        )
        self.metrics: dict[str, float] = {
            "frames_until_divergence": round(float(self.together.mean()), 2),
            "images_per_second": round(made.shape[0] * made.shape[1] / seconds, 1),
            "steps": steps,
        }
        self.ci95 = interval(lambda rows: float(self.together[rows].mean()), len(self.together), seed)

    def verdict(self, number: int) -> str:
        """Of one episode, in words: how long dream and emulator were the same."""
        frames, length = int(self.together[number]), self.pictures.shape[1]
        if frames == length:
            return f"together for all {length} frames"
        return f"diverged after {number_of(frames, 'frame')} of {length}"

    def samples(self, seed: int) -> tuple[SampleEntry, ...]:
        """Each episode at the frame of its divergence, or its last."""
        return tuple(
            SampleEntry(
                picture=pictures[min(int(frames), len(pictures)) - 1],
                seed=seed,
                condition="held-out frames and actions",
                truth=self.verdict(i),
                reading="objects",
            )
            for i, (pictures, frames) in enumerate(zip(self.pictures, self.together, strict=True))
        )

    def clips(self) -> tuple[Clip, ...]:
        """One animation an episode."""
        return tuple(
            Clip(
                name=f"dream-{i + 1:02}",
                frames=pictures.repeat(ENLARGED, 1).repeat(ENLARGED, 2),
                heading=f"Episode {i + 1}",
                caption=self.verdict(i),
                fps=FPS,
            )
            for i, pictures in enumerate(self.pictures)
        )

    def columns(self) -> dict[str, dict[str, Any]]:
        """Ends of the interval, beside the metrics."""
        low, high = self.ci95
        return {"95 % from": {"frames_until_divergence": low}, "to": {"frames_until_divergence": high}}


def panels(dreamed: Array, real: Array) -> Array:
    """Dream, emulator and their difference side by side, from pictures (h, w, 3) uint8 of a field."""
    gutter = np.full((len(real), GUTTER, 3), PALETTE.ground, np.uint8)
    return np.concatenate([dreamed, gutter, real, gutter, difference(real, dreamed)], axis=1)
