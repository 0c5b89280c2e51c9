"""The exhibits of a gallery: samples beside their nearest real examples, interpolations, traversals, clips.

What is shown depends on what a sampler can (`sim.protocols.Encodes`, `Decodes`, `Traces`), never on which
one it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from generative.collection import Collection
from generative.gallery import Clip, Exhibit, Strip
from generative.latents import Axis, linear, named_axes, principal_axes, spherical
from scenes.asking import in_words
from scenes.judging import Judge, Verdict
from scenes.portraits import portraits
from sim.protocols import Decodes, Encodes, SamplerModel, Traces
from sim.records import Array, Condition, SampleOptions

ACROSS = 9  # pictures in a row
ROWS = 6  # of a strip
A_LEG = 16  # frames of a clip from one picture to the next
STOPS = 4  # pictures that a clip passes
REGRESSED = 500  # examples of a class, about, from which it is learned what moves what
TRACED = 16  # samples whose making is shown
FILLED = 5  # fillings side by side


class Studio:
    """Shows what one sampler makes.

    Args:
        model: the sampler.
        judge: of its data.
        seed: of everything that is drawn.
    """

    def __init__(self, model: SamplerModel, judge: Judge, seed: int) -> None:
        self.model, self.judge, self.seed = model, judge, seed
        self.examples = judge.examples

    def exhibits(
        self, values: Array, condition: Condition, verdicts: Sequence[Verdict]
    ) -> tuple[Exhibit, ...]:
        """Every sample (n, …) beside the training example nearest to it."""
        found, distances = self.judge.neighbours(values)
        pictures, beside = self._pictures(values), self._pictures(found)
        words = in_words(condition)
        return tuple(
            Exhibit(
                picture=pictures[i],
                seed=self.seed,
                condition=words,
                nearest=beside[i],
                distance=distances[i],
                truth=verdicts[i].text,
                holds=verdicts[i].holds,
            )
            for i in range(len(values))
        )

    def strips(self) -> list[Strip]:
        """What the sampler's latent space looks like, if it has one."""
        strips = []
        if isinstance(self.model, Encodes):
            strips += [self._between("linear"), self._between("spherical")]
        if isinstance(self.model, Decodes):
            strips += self._traversals()
        return strips

    def clips(self, options: SampleOptions) -> list[Clip]:
        """Moving pictures: from one example to the next, and from noise to samples."""
        clips = []
        if isinstance(self.model, Decodes):
            clips.append(self._tour())
        if isinstance(self.model, Traces):
            steps = list(self.model.trace(TRACED, Condition(), options, self.seed))
            frames = np.stack([_tiled(self._pictures(np.asarray(step))) for step in steps])
            held = np.concatenate([frames, frames[-1:].repeat(max(1, len(frames) // 2), 0)])
            words = f"{TRACED} samples from noise to picture in {len(steps)} steps"
            clips.append(Clip("denoising", held, "Denoising", words, fps=max(2.0, len(steps) / 4)))
        return clips

    def filled(self, condition: Condition, values: Array) -> Strip:
        """A frame with a mask: as it was, what was left of it, fillings, their mean and their spread."""
        frame, mask = np.asarray(condition.frame), np.asarray(condition.mask)
        left = np.where(mask[..., None] if frame.ndim == 3 else mask, 0, frame).astype(frame.dtype)
        mean, spread = values.astype(np.float64).mean(0), values.astype(np.float64).std(0)
        shown = [frame, left, *values[:FILLED], mean.astype(frame.dtype)]
        pictures = [*self._pictures(np.stack(shown))]
        if frame.ndim == 3:  # three standard deviations are white
            pictures.append(np.clip(spread * 3, 0, 255).astype(np.uint8))
        told = "the frame, what was left of it, fillings, their mean" + (", their spread" * (frame.ndim == 3))
        return Strip("filled-in", np.stack(pictures)[None], "Filled in", told)

    @cached_property
    def _pairs(self) -> tuple[Array, Array]:
        """Two rows of held-out examples, one from every class as long as there are classes left."""
        held, generator = self.examples.validation, np.random.default_rng(self.seed)
        pairs = []
        for row in range(ROWS):
            own = np.flatnonzero(held.labels == row % len(held.label_names))
            pairs.append(generator.choice(own if len(own) > 1 else np.arange(len(held)), 2))
        rows = np.array(pairs)
        return held.values[rows[:, 0]], held.values[rows[:, 1]]

    def _between(self, kind: str) -> Strip:
        """From one held-out example to another, both of them real at the ends of each row."""
        assert isinstance(self.model, Encodes)
        path = linear if kind == "linear" else spherical
        starts, ends = self._pairs
        rows = []
        for start, end, z, to in zip(
            starts, ends, self.model.encode(starts), self.model.encode(ends), strict=True
        ):
            drawn = self.model.decode(path(z, to, ACROSS - 2))
            rows.append(self._pictures(np.concatenate([start[None], drawn, end[None]])))
        words = f"{kind} interpolation in the latent space; first and last picture of each row are real"
        return Strip(f"interpolation-{kind}", np.stack(rows), f"Interpolation, {kind}", words)

    def _traversals(self) -> list[Strip]:
        """Along the directions that move something: by name with an encoder, by size without."""
        rows, names = [], []
        for origin, axis, label in self._walks():
            assert isinstance(self.model, Decodes)
            path, values = axis.walked(origin, ACROSS)
            rows.append(self._pictures(self.model.decode(path)))
            r2 = "" if np.isnan(axis.r2) else f", r² {axis.r2:.2f}"
            names.append(f"{label}{axis.name}, {values[0]:g} to {values[-1]:g}{r2}")
        if not rows:
            return []
        told = "one direction of the latent space a row, named by what it moves: " + "; ".join(names)
        return [Strip("traversal", np.stack(rows), "Traversal", told, tuple(names))]

    def _walks(self) -> list[tuple[Array, Axis, str]]:
        """Where each row of a traversal begins, its direction, and the class that it is in."""
        if not isinstance(self.model, Encodes):
            assert isinstance(self.model, Decodes)
            width = int(self.model.config.latents)  # type: ignore[attr-defined]
            return [(np.zeros(width, np.float32), axis, "") for axis in self._principal(width)]
        found: list[tuple[Array, Axis, str]] = []
        train = self.examples.train
        for number, name in enumerate(train.label_names):
            rows = np.flatnonzero(train.labels == number)
            own = train.take(rows[:: max(1, len(rows) // REGRESSED)])
            if not len(own) or not own.truths:
                continue
            latents = self.model.encode(own.values)
            middle = latents[np.square(latents - latents.mean(0)).sum(1).argmin()]
            label = f"{name}: " if len(train.label_names) > 1 else ""
            found += [(middle, axis, label) for axis in named_axes(latents, own) if axis.r2 > 0]
        return sorted(found, key=lambda walk: -walk[1].r2)[: 2 * ROWS]

    def _principal(self, width: int) -> list[Axis]:
        assert isinstance(self.model, Decodes)
        return principal_axes(self.model.decode, width, ROWS, seed=self.seed)

    def _tour(self) -> Clip:
        """Through a few held-out examples, or draws where there is no encoder, and back to the first."""
        model: Any = self.model
        if isinstance(self.model, Encodes):
            stops = self.model.encode(self._pairs[0][:STOPS])
        else:
            width = int(model.config.latents)
            stops = np.random.default_rng(self.seed).standard_normal((STOPS, width)).astype(np.float32)
        legs = [
            spherical(one, other, A_LEG + 1)[:-1]
            for one, other in zip(stops, np.roll(stops, -1, 0), strict=True)
        ]
        frames = self._pictures(model.decode(np.concatenate(legs)))
        return Clip("interpolation", frames, "Interpolation", f"from each of {STOPS} pictures to the next")

    def _pictures(self, values: Array) -> Array:
        return portraits(values, self.model.spec, self.judge.data)


def filling_errors(condition: Condition, values: Array, train: Collection) -> tuple[float, float]:
    """Root mean square error in the masked part of (n, …) fillings, and of the nearest example's filling.

    The nearest one is that of the training examples which agrees best with what is left of the frame.
    """
    mask, frame = np.asarray(condition.mask), np.asarray(condition.frame, np.float64)
    known = train.values[:, ~mask].reshape(len(train), -1).astype(np.float32)
    wanted = frame[~mask].ravel().astype(np.float32)
    best = int(np.square(known - wanted).sum(1).argmin()) if wanted.size else 0
    errors = [np.sqrt(np.square(filling[mask] - frame[mask]).mean()) for filling in values]
    baseline = np.sqrt(np.square(train.values[best][mask] - frame[mask]).mean())
    return float(np.mean(errors)), float(baseline)


def _tiled(pictures: Array) -> Array:
    """(n, H, W, 3), n a square number, as one picture."""
    side = int(np.sqrt(len(pictures)))
    _, height, width, _ = pictures.shape
    rows = pictures[: side * side].reshape(side, side, height, width, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(side * height, side * width, 3))
