"""Content of a gallery on disk: samples with nearest neighbours, real ones, their map, interpolations, clips.

Which parts it has depends on a sampler's optional interfaces (`sim.protocols.Encodes`, `Decodes`, `Traces`),
never on its family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from generative.gallery import Clip, LatentMap, RealEntry, SampleEntry, Strip
from generative.latents import Axis, linear, named_axes, principal_axes, spherical
from scenes.data.thumbnails import thumbnails
from scenes.evaluation.sample_scoring import SampleScorer, Verdict
from scenes.sampling.conditions import in_words
from scenes.watching.sampler_gallery import Draws
from sim.progress import waiting
from sim.protocols import Decodes, Encodes, SamplerModel, Traces
from sim.records import Array, Condition, SampleOptions
from supervised.data.dataset import Dataset

ACROSS = 9  # pictures in a row
ROWS = 6  # of a strip
A_LEG = 16  # frames of a clip from one picture to the next
STOPS = 4  # examples that an interpolation clip passes
REGRESSED = 500  # examples of a class, about, that axes are fitted to
TRACED = 16  # samples in the denoising clip, at most
PROBED = 64  # samples of a class for its mean latent
FILLED = 5  # inpaintings side by side
REAL = 256  # real examples in a gallery, at most
MAPPED = 512  # samples on the map, at most

#: Where a row of a traversal begins, (L,), its direction, and the class that it is in, for its name.
Walk: TypeAlias = tuple[Array, Axis, str]


class GalleryExport:
    """Maker of a gallery's content for one sampler.

    Args:
        model: the sampler.
        scorer: the metrics of its data set.
        seed: of everything that is drawn.
        condition: of the samples; interpolations and traversals keep to its label, if it has one.
        prompts: a sentence for each sample instead of one condition for all; none for that.
    """

    def __init__(
        self,
        model: SamplerModel,
        scorer: SampleScorer,
        seed: int,
        condition: Condition,
        prompts: Sequence[str] = (),
    ) -> None:
        self.model, self.scorer, self.seed, self.condition = model, scorer, seed, condition
        self.prompts = prompts
        self.examples = scorer.examples

    def samples(
        self, values: Array, verdicts: Sequence[Verdict], neighbours: bool = True
    ) -> tuple[SampleEntry, ...]:
        """Each of the samples (n, …) with its verdict and, if asked for, its nearest training example."""
        pictures = self._pictures(values)
        beside: Sequence[Array | None] = [None] * len(values)
        distances = [""] * len(values)
        if neighbours:
            with waiting(f"nearest neighbours among {self.scorer.searched}"):
                found, distances = self.scorer.neighbours(values)
            beside = list(self._pictures(found))
        words, reading = [in_words(self.condition)] * len(values), self.scorer.reading
        if self.prompts:
            words = [in_words(Condition(text=prompt)) for prompt in self.prompts]
        return tuple(
            SampleEntry(
                picture=pictures[i],
                seed=self.seed,
                condition=words[i],
                nearest=beside[i],
                distance=distances[i],
                truth=verdicts[i].text,
                holds=verdicts[i].holds,
                reading=reading,
                prompt=self.prompts[i] if self.prompts else "",
                checks=verdicts[i].checks,
                label=self.condition.label or verdicts[i].label,
            )
            for i in range(len(values))
        )

    def real(self, n: int) -> tuple[RealEntry, ...]:
        """As many real examples as there are samples, at most `REAL`: held out, of the condition's class.

        Where each sample has a prompt of its own, real example i is the one whose caption prompt i is.
        """
        held, rows = self.examples.validation, self._real_rows[:n]
        pictures = self._pictures(held.values[rows]) if len(rows) else ()
        names = held.label_names if len(held.label_names) > 1 else ()
        return tuple(
            RealEntry(
                picture,
                names[held.labels[row]] if names else "",
                held.captions[row] if held.captions else "",
            )
            for picture, row in zip(pictures, rows.tolist(), strict=True)
        )

    def latent_map(self, values: Array) -> LatentMap | None:
        """Map of the samples (n, …) and the real examples; None without any of these, or of fewer than four.

        In the model's latent space where it has an encoder, else in the space of the metrics.
        """
        rows, drawn = self._real_rows[: len(values)], values[:MAPPED]
        if not len(rows) or len(rows) + len(drawn) < 4:
            return None
        points, space = self.scorer.places, f"the space of {self.scorer.places_space}"
        if isinstance(self.model, Encodes):
            points, space = self.model.encode, "the model's latent space"
        with waiting("map of samples and real examples"):
            real = points(self.examples.validation.values[rows])
            return LatentMap.of_points(points(drawn), real, space)

    @cached_property
    def _real_rows(self) -> Array:
        """Rows of the held-out examples that are shown, at most `REAL`; see `real`."""
        held = self.examples.validation
        if self.prompts:
            first = {caption: row for row, caption in reversed(list(enumerate(held.captions)))}
            return np.array([first[prompt] for prompt in self.prompts[:REAL] if prompt in first], np.int64)
        rows = np.random.default_rng(self.seed).permutation(len(held))
        if self.condition.label in held.label_names:
            rows = rows[held.labels[rows] == held.label_names.index(self.condition.label)]
        return np.asarray(rows[:REAL])

    def strips(self) -> list[Strip]:
        """Interpolations and latent traversals, for samplers with a latent space."""
        strips = []
        if isinstance(self.model, Encodes) and len(self.examples.validation):
            strips += [self._between("linear"), self._between("spherical")]
        if isinstance(self.model, Decodes):
            strips += self._traversals()
        return strips

    def clips(self, n: int, options: SampleOptions) -> list[Clip]:
        """Animations: interpolation between examples, and denoising of the first of the `n` samples."""
        clips = []
        if isinstance(self.model, Decodes):
            clips.append(self._tour())
        if isinstance(self.model, Traces):
            shown = 1 if self.prompts else min(n, TRACED)
            condition = Condition(text=self.prompts[0]) if self.prompts else self.condition
            walk = self.model.trace(shown, condition, options, self.seed)
            frames = np.stack([_tiled(self._pictures(np.asarray(values))) for values in walk])
            held = np.concatenate([frames, frames[-1:].repeat(max(1, len(frames) // 2), 0)])
            which = "the first " * (shown < n) + f"{shown} sample{'s' * (shown > 1)}"
            words = f"{which} from noise to image in {options.steps} step{'s' * (options.steps > 1)}"
            clips.append(Clip("denoising", held, "Denoising", words, fps=max(2.0, len(frames) / 4)))
        return clips

    def filled(self, values: Array) -> Strip:
        """Inpainting strip: the frame, its known part, inpaintings (n, …), their mean and their spread."""
        frame, mask = np.asarray(self.condition.frame), np.asarray(self.condition.mask)
        told = "the frame, its known part, inpaintings, their mean"
        if frame.ndim == 1:
            left, mean = np.where(mask, 0, frame), values.astype(np.float64).mean(0)
            shown = np.stack([frame, left, *values[:FILLED], mean]).astype(frame.dtype)
            return Strip("filled-in", self._pictures(shown)[None], "Inpainting", told)
        whole, drawn = self._pictures(frame[None])[0], self._pictures(values)
        factor = len(whole) // len(frame)
        known = whole * ~mask.repeat(factor, 0).repeat(factor, 1)[..., None]
        spread = np.clip(drawn.std(0) * 3, 0, 255)  # three standard deviations are white
        pictures = [whole, known, *drawn[:FILLED], drawn.mean(0), spread]
        strip = np.stack(pictures).astype(np.uint8)
        return Strip("filled-in", strip[None], "Inpainting", f"{told}, their deviation")

    @cached_property
    def _pairs(self) -> tuple[Array, Array]:
        """Held-out examples to interpolate between, two rows: of the condition's class or of each in turn."""
        held, generator = self.examples.validation, np.random.default_rng(self.seed)
        pairs = []
        for row in range(ROWS):
            name = self.condition.label or held.label_names[row % len(held.label_names)]
            own = np.flatnonzero(held.labels == held.label_names.index(name))
            pairs.append(generator.choice(own if len(own) > 1 else np.arange(len(held)), 2))
        rows = np.array(pairs)
        return held.values[rows[:, 0]], held.values[rows[:, 1]]

    def _between(self, kind: str) -> Strip:
        """Interpolation strip between pairs of held-out examples, which stand at the ends of each row."""
        assert isinstance(self.model, Encodes)
        path = linear if kind == "linear" else spherical
        starts, ends = self._pairs
        rows = []
        for start, end, z, to in zip(
            starts, ends, self.model.encode(starts), self.model.encode(ends), strict=True
        ):
            drawn = self.model.decode(path(z, to, ACROSS - 2))
            rows.append(self._pictures(np.concatenate([start[None], drawn, end[None]])))
        words = f"{kind} interpolation in the latent space; first and last image of each row are real"
        return Strip(f"interpolation-{kind}", np.stack(rows), f"Interpolation, {kind}", words)

    def _traversals(self) -> list[Strip]:
        """Latent traversals along named axes where there are any, else along principal axes."""
        walks = self._named_walks()
        after = ", r² {:.2f}"
        told = "named by the fact that it changes; r² is that of a linear fit on held-out images, at best 1"
        if not walks:
            walks, after = self._unnamed_walks(), " standard deviations"
            told = "a principal component, the largest variance first; none could be named by a fact"
        rows, names = [], []
        for origin, axis, label in walks:
            assert isinstance(self.model, Decodes)
            path, values = axis.walked(origin, ACROSS)
            rows.append(self._pictures(self.model.decode(path)))
            names.append(f"{label}{axis.name}, {values[0]:g} to {values[-1]:g}{after.format(axis.r2)}")
        if not rows:
            return []
        told = f"one latent direction a row, {told}"
        return [Strip("traversal", np.stack(rows), "Traversal", told, tuple(names))]

    def _named_walks(self) -> list[Walk]:
        """Traversals along axes of the simulator's facts; none without an encoder or facts."""
        train, found = self.examples.train, list[Walk]()
        if not isinstance(self.model, Encodes):
            return found
        for number, name in enumerate(train.label_names):
            if name != (self.condition.label or name):
                continue
            rows = np.flatnonzero(train.labels == number)
            own = train.take(rows[:: max(1, len(rows) // REGRESSED)])
            if not len(own) or not own.truths:
                continue
            latents = self.model.encode(own.values)
            middle = latents[np.square(latents - latents.mean(0)).sum(1).argmin()]
            label = f"{name}: " if len(train.label_names) > 1 else ""
            found += [(middle, axis, label) for axis in named_axes(latents, own) if axis.r2 > 0]
        return sorted(found, key=lambda walk: -walk[1].r2)[: 2 * ROWS]

    def _unnamed_walks(self) -> list[Walk]:
        """Traversals along principal axes from the samples' mean latent; none for encoded vectors."""
        if isinstance(self.model, Encodes) and not self.examples.spec.pictures:
            return []
        assert isinstance(self.model, Decodes)
        middle, label, decode = self._middle(), self.condition.label, self.model.decode
        axes = principal_axes(lambda points: decode(middle + points), len(middle), ROWS, seed=self.seed)
        moved = [replace(axis, offset=axis.offset - float(middle @ axis.weights)) for axis in axes]
        return [(middle, axis, f"{label}: " if label else "") for axis in moved]

    def _middle(self) -> Array:
        """Mean latent (L,) of the samples of the condition's class, or of all."""
        model: Any = self.model
        width: int | None = getattr(model.config, "latents", None)  # flows have as many as there are pixels
        if width is not None and (self.condition.label is None or not isinstance(model, Draws)):
            return np.zeros(width, np.float32)
        return np.asarray(model.draw_latents(PROBED, self.condition.label, self.seed).mean(0), np.float32)

    def _tour(self) -> Clip:
        """Interpolation clip through held-out examples, or samples if there is no encoder, as a loop."""
        model: Any = self.model
        if isinstance(self.model, Encodes) and len(self.examples.validation):
            stops = self.model.encode(self._pairs[0][:STOPS])
        elif isinstance(model, Draws):
            stops = model.draw_latents(STOPS, self.condition.label, self.seed)
        else:
            width = int(model.config.latents)
            stops = np.random.default_rng(self.seed).standard_normal((STOPS, width)).astype(np.float32)
        legs = [
            spherical(one, other, A_LEG + 1)[:-1]
            for one, other in zip(stops, np.roll(stops, -1, 0), strict=True)
        ]
        frames = self._pictures(model.decode(np.concatenate(legs)))
        return Clip("interpolation", frames, "Interpolation", f"between {STOPS} images in turn")

    def _pictures(self, values: Array) -> Array:
        return thumbnails(values, self.model.spec, self.scorer.data)


def inpainting_errors(condition: Condition, values: Array, train: Dataset) -> tuple[float, float]:
    """Inpainting error: RMSE in the masked part, of inpaintings (n, …) and of the nearest training example.

    The nearest training example is the one that agrees best with the known part of the frame.
    """
    mask, frame = np.asarray(condition.mask), np.asarray(condition.frame, np.float64)
    known = train.values[:, ~mask].reshape(len(train), -1).astype(np.float32)
    wanted = frame[~mask].ravel().astype(np.float32)
    best = int(np.square(known - wanted).sum(1).argmin()) if wanted.size else 0
    errors = [np.sqrt(np.square(filling[mask] - frame[mask]).mean()) for filling in values]
    baseline = np.sqrt(np.square(train.values[best][mask] - frame[mask]).mean())
    return float(np.mean(errors)), float(baseline)


def _tiled(pictures: Array) -> Array:
    """Tile images (n, H, W, 3) into one, about as high as wide, filled up with black."""
    n, height, width, _ = pictures.shape
    across = math.ceil(math.sqrt(n))
    down = math.ceil(n / across)
    sheet = np.zeros((down * across, height, width, 3), np.uint8)
    sheet[:n] = pictures
    rows = sheet.reshape(down, across, height, width, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(down * height, across * width, 3))
