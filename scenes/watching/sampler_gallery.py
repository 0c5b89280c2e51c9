"""Gallery of a scene's sampler in the window: samples, latent axes, neighbours, inpainting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np

from generative.conditions import ConditionError
from generative.latents import Axis, named_axes, principal_axes, spherical
from generative.metrics.neighbours import ExampleIndex
from generative.metrics.truth import compare_captions
from scenes.build.devices import chosen_device
from scenes.build.samplers import own_options, sampler_config
from scenes.data.families.table import origin_of
from scenes.data.sampler_data import DataRecipe, DataSplit, build_sampler, some_examples
from scenes.data.thumbnails import thumbnails
from scenes.schema import Scene
from scenes.watching.labels import in_words, readable
from sim.protocols import Decodes, Encodes, Perception, SamplerModel, Traces
from sim.records import Array, Condition, Percept, SampleOptions
from sim.viewer.contract.gallery_source import AxisEnds, ExampleDetails, GallerySamples, Neighbour, SliderAxis
from supervised.data.dataset import Dataset

ANYTHING = "anything"  # the choice of no condition
CHUNK = 8  # samples decoded and shown together
NEIGHBOURS = 5
SENTENCES = 12  # captions to choose from
AXES = 8  # sliders
SPARE = 0.1  # share of the prior's variance that encodings may lack
DRAWN = 512  # samples that stand for the training data of a model without an encoder
TELLING = 0.5  # least R² of an axis that is named after a fact
ENDS = (0.01, 0.99)  # quantiles of the training data between which a slider moves


@runtime_checkable
class Draws(Protocol):
    """A sampler that gives the latents of its samples."""

    def draw_latents(self, n: int, label: str | None, seed: int) -> Array:
        """Draw latents (n, L) float32, of one label or of all."""


class SamplerGallerySource:
    """One of a scene's samplers with its data set; a `sim.viewer.contract.gallery_source.GallerySource`.

    Examples are read when they are first needed, and fewer of them where they would have to be played.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        device: str,
        number: int = 0,
        checkpoint: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Build the sampler.

        Args:
            scene: with samplers.
            device: ``auto``, ``cpu`` or ``cuda``.
            number: which of them.
            checkpoint: instead of the scene's own.
            say: takes lines for a person.

        Raises:
            SceneError, CheckpointError, DataError: if the request is wrong.
        """
        self._scene, self._config, self._say = scene, sampler_config(scene, number), say
        self._options = own_options(self._config)
        self._device = chosen_device(device)
        self.model, card = build_sampler(scene, number, self._device, checkpoint)
        model, name = self.model, scene.sampler[number].use
        self._recipe = DataRecipe.of_scene(scene, self._config, card)
        self._fetching = Lock()
        self._examples: DataSplit | None = None
        self._index: ExampleIndex | None = None  # of what was learned from
        self._axes: dict[int, tuple[SliderAxis, ...]] = {}  # by class
        self.title = scene.title
        self.sampler = name.upper() if len(name) <= 3 else readable(name)
        self.training = in_words(card["trained"]) if card else "untrained"
        self.data = f"{self._data_name} · {self._config.examples:,} examples"
        height, width = self.pictures(np.zeros((1, *model.spec.shape), _kind(model))).shape[1:3]
        self.size = width, height
        self._texts = model.spec.words and honours(model, Condition(text=model.spec.words[0]))
        self.conditions, self.prompts = (ANYTHING, *self._offered()), self._texts
        self.words = model.spec.words if self._texts else ()
        self.encodes = isinstance(model, Encodes)
        self.decodes = isinstance(model, Draws | Encodes) and isinstance(model, Decodes)
        self.traces = isinstance(model, Traces)
        self.fills = model.spec.pictures and honours(model, _half_empty(model))

    @property
    def _data_name(self) -> str:
        """Name of the data set; of a folder its last part."""
        data = self._config.data
        return Path(data).name if Path(data).is_absolute() or data.startswith(".") else readable(data)

    def _offered(self) -> tuple[str, ...]:
        """Conditions to choose from: classes, or captions of held-out examples."""
        labels = self.model.spec.label_names
        if self._texts:
            captions = dict.fromkeys(filter(None, self.examples().validation.captions))
            return tuple(sorted(captions, key=len)[:: max(1, len(captions) // SENTENCES)][:SENTENCES])
        return labels if len(labels) > 1 and honours(self.model, Condition(label=labels[0])) else ()

    # Making

    def make(self, n: int, condition: str, seed: int) -> Iterator[GallerySamples]:
        """See `GallerySource`; the same samples as `playfield sample` with that seed."""
        model, given = self.model, self._condition(condition)
        if isinstance(model, Draws) and isinstance(model, Decodes):
            latents = model.draw_latents(n, given.label, seed)
            for first in range(0, n, CHUNK):
                values = model.decode(latents[first : first + CHUNK])
                yield GallerySamples(values, latents[first : first + CHUNK], self.notes(values))
        else:
            values = model.sample(n, given, self._options, seed).values
            encoded = self._latents(values)
            if given.text is None or self._reader is None:
                yield GallerySamples(values, encoded, self.notes(values))
                return
            for rows in np.array_split(np.arange(n), -(-n // CHUNK)):  # reading them takes its time
                told = [percept.caption or "" for percept in self._reader.perceive(list(values[rows]))]
                notes = tuple(fact_note(given.text, caption) for caption in told)
                yield GallerySamples(values[rows], None if encoded is None else encoded[rows], notes)

    def trace(self, n: int, condition: str, seed: int) -> Iterator[GallerySamples]:
        """See `GallerySource`."""
        assert isinstance(self.model, Traces)
        for values in self.model.trace(n, self._condition(condition), self._options, seed):
            yield GallerySamples(values)

    def decode(self, latents: Array) -> Array:
        """See `GallerySource`."""
        assert isinstance(self.model, Decodes)
        return self.model.decode(latents)

    def between(self, first: Array, second: Array, steps: int) -> Array:
        """See `GallerySource`; spherical, as a high-dimensional Gaussian concentrates near a sphere."""
        return spherical(first, second, steps)

    def fill(self, value: Array, mask: Array, n: int, seed: int) -> Array:
        """See `GallerySource`; the mask has the size of the thumbnails, which may be enlarged."""
        height, width = value.shape[:2]
        own = np.asarray(mask.reshape(height, len(mask) // height, width, -1).any((1, 3)))
        return self.model.sample(n, Condition(frame=value, mask=own), self._options, seed).values

    @cached_property
    def _reader(self) -> Perception | None:
        """Captioner that tells which facts of a prompt a sample shows; None if there is none for these."""
        origin = origin_of(self._config.data)
        if origin is None:
            return None
        from scenes.evaluation.sample_scoring import caption_reader

        return caption_reader(origin.world, self._device)

    def _condition(self, condition: str) -> Condition:
        if condition == ANYTHING:
            return Condition()
        return Condition(text=condition) if self._texts else Condition(label=condition)

    def _latents(self, values: Array) -> Array | None:
        return self.model.encode(values) if isinstance(self.model, Encodes) else None

    # Knowing

    def real(self, n: int, condition: str, seed: int) -> Iterator[GallerySamples]:
        """See `GallerySource`."""
        held_out = self.examples().validation
        rows = np.arange(len(held_out))
        if condition in held_out.label_names:
            rows = rows[held_out.labels == held_out.label_names.index(condition)]
        rows = np.random.default_rng(seed).permutation(rows)[:n]
        values = held_out.values[rows]
        yield GallerySamples(values, self._latents(values), self.notes(values))

    def about(self, value: Array) -> ExampleDetails:
        """See `GallerySource`; neighbours are training examples, so that copies are detected."""
        train = self.examples().train
        if self._index is None:
            self._index = ExampleIndex(train.values)
        rows, far = self._index.nearest(value, NEIGHBOURS)
        several = len(train.label_names) > 1
        names = [f"{readable(train.label_names[train.labels[row]])} · " if several else "" for row in rows]
        near = tuple(
            Neighbour(picture, f"{name}{distance:.2g}")
            for picture, name, distance in zip(self.pictures(train.values[rows]), names, far, strict=True)
        )
        return ExampleDetails(near, self._axes_of(int(train.labels[rows[0]])) if self.decodes else ())

    def _axes_of(self, label: int) -> tuple[SliderAxis, ...]:
        """Latent axes of a class: of the facts that can be read off the latents, then principal axes."""
        if label not in self._axes:
            train = self.examples().train
            own = train.take(np.flatnonzero(train.labels == label))
            known = self._known_latents(own, train.label_names[label])
            axes = self._named(known, own)
            self._axes[label] = (*axes, *self._principal(known)[: AXES - len(axes)])
        return self._axes[label]

    def _known_latents(self, examples: Dataset, label: str) -> Array:
        """Latents (n, L) of training examples of one class, or of its samples where nothing encodes.

        Encodings that spread less than the prior, as the means of a VAE's posterior do, get the noise that
        is missing: what is read off a number that the decoder ignores is no property of its pictures.
        """
        drawn: Array | None = None
        if isinstance(self.model, Draws):
            condition = self._condition(label if label in self.conditions else ANYTHING)
            drawn = self.model.draw_latents(DRAWN, condition.label, 0)
        if not isinstance(self.model, Encodes):
            assert drawn is not None
            return drawn
        known = self.model.encode(examples.values)
        if drawn is None or not len(known):
            return known
        missing = drawn.var(0) - known.var(0)
        missing[missing < SPARE * drawn.var(0)] = 0  # no more than chance
        noise = np.random.default_rng(0).standard_normal(known.shape, np.float32)
        return np.asarray(known + np.sqrt(missing) * noise, np.float32)

    def _named(self, latents: Array, examples: Dataset) -> tuple[SliderAxis, ...]:
        """Latent axes of the simulator's facts or a vector's columns; empty without encoder or facts."""
        if not isinstance(self.model, Encodes):
            return ()
        if examples.axes:
            tables = [dict(zip(examples.axes, row, strict=True)) for row in examples.values.tolist()]
            examples = examples.assign(truths=[Percept("truth", facts=table) for table in tables])
        if not examples.truths:
            return ()
        return tuple(
            SliderAxis(a.name.replace("_", " "), a.direction, a.weights, a.offset, a.low, a.high)
            for a in named_axes(latents, examples)[:AXES]
            if a.r2 >= TELLING
        )

    def _principal(self, latents: Array) -> tuple[SliderAxis, ...]:
        """Principal latent axes around the mean of `latents` (n, L) of a class, with pictures of the ends."""
        middle = np.asarray(latents.mean(0), np.float32)

        def decode(points: Array) -> Array:
            return self.decode(middle + points)

        found = principal_axes(decode, len(middle), AXES)
        return tuple(self._between_ends(f"PC {i}", a, latents, middle) for i, a in enumerate(found, 1))

    def _between_ends(self, name: str, axis: Axis, latents: Array, middle: Array) -> SliderAxis:
        """Slider of a principal axis through `middle` (L,), as far as `latents` (n, L) reach along it."""
        offset = float(-middle @ axis.weights)
        low, high = (float(end) for end in np.quantile(latents @ axis.weights + offset, ENDS))
        slider = SliderAxis(name, axis.direction, axis.weights, offset, low, high)
        ends = self.pictures(self.decode(np.stack([slider.moved(middle, end) for end in (low, high)])))
        return slider._replace(ends=AxisEnds(*ends))

    def pictures(self, values: Array) -> Array:
        """See `GallerySource`."""
        return thumbnails(values, self.model.spec, self._config.data)

    def notes(self, values: Array) -> tuple[str, ...]:
        """See `GallerySource`: whether boards are legal and poses possible."""
        return sample_notes(values, self._config.data)

    def close(self) -> None:
        """See `GallerySource`."""

    def examples(self) -> DataSplit:
        """The sampler's data, or part of them where they would have to be played; read once."""
        with self._fetching:
            if self._examples is None:
                self._examples = some_examples(self._scene, self._recipe, self._say)
            return self._examples


def sample_notes(values: Array, data: str) -> tuple[str, ...]:
    """Verdict of the simulator on each of n examples: legality of boards, faults of poses; else empty."""
    origin = origin_of(data)
    if origin is None or origin.family.decode is None:
        return ()
    return tuple(found.note for found in origin.family.decode(origin.variant, values))


def fact_note(prompt: str, caption: str) -> str:
    """Verdict on a sample in a few words, from its caption: how many facts of the prompt it shows.

    >>> told = "Low on the left is the ball; the left paddle is low and the right one high; it stands 1 to 2."
    >>> fact_note(told, told), fact_note(told.replace("1 to 2", "1 to 3"), told)
    ('✓ 6 of 6 facts', '× right score')
    """
    checks = compare_captions(prompt, caption)
    if not checks:
        return ""
    wrong = [check.name for check in checks if not check.right]
    if wrong:
        return f"× {', '.join(wrong)}"
    return f"✓ {len(checks)} of {len(checks)} facts"


def honours(model: SamplerModel, condition: Condition) -> bool:
    """Whether a sampler supports a condition, found by drawing one sample."""
    try:
        model.sample(1, condition, SampleOptions(steps=1), 0)
    except ConditionError:
        return False
    return True


def _kind(model: SamplerModel) -> type:
    return np.uint8 if model.spec.pictures else np.float32


def _half_empty(model: SamplerModel) -> Condition:
    """Inpainting condition: the lower half of a black picture."""
    shape = model.spec.shape
    mask = np.zeros(shape[:2], bool)
    mask[shape[0] // 2 :] = True
    return Condition(frame=np.zeros(shape, np.uint8), mask=mask)
