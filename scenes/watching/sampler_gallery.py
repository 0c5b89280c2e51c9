"""A scene's sampler in the window's gallery; satisfies `sim.viewer.contract.studio.Studio`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np

from generative.conditions import ConditionError
from generative.data.collection import Collection
from generative.latents import named_axes, principal_axes, spherical
from scenes.build.devices import chosen_device
from scenes.build.samplers import own_options, sampler_config
from scenes.data.families.table import origin_of
from scenes.data.sampler_data import DataRecipe, Examples, build_sampler, some_examples
from scenes.data.thumbnails import thumbnails
from scenes.schema import Scene
from scenes.watching.labels import in_words
from scenes.watching.likeness import Likeness
from sim.protocols import Decodes, Encodes, SamplerModel, Traces
from sim.records import Array, Condition, Percept, SampleOptions
from sim.viewer.contract.studio import About, Axis, Drawn, Neighbour

ANYTHING = "anything"  # the wish for samples of all kinds
CHUNK = 8  # samples that appear together, where each is decoded for itself
NEIGHBOURS = 5
SENTENCES = 12  # that can be asked for
AXES = 8  # sliders
TELLING = 0.3  # r² below which a direction does not move what it is named after
BEYOND = 0.25  # that a slider goes beyond what was learned from, of its length


@runtime_checkable
class Draws(Protocol):
    """A sampler that tells where its samples come from."""

    def drawn(self, n: int, label: str | None, seed: int) -> Array:
        """(n, L) float32 points of the latent space."""


class SamplerStudio:
    """One of a scene's samplers, and what it learned from.

    Examples are fetched when they are first wanted, and fewer of them where they would have to be played.
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
            scene: whose sampler.
            device: ``auto``, ``cpu`` or ``cuda``.
            number: of its samplers.
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
        self._examples: Examples | None = None
        self._likeness: Likeness | None = None
        self._axes: dict[int, tuple[Axis, ...]] = {}  # by class
        self.title = scene.title
        self.sampler = name.upper() if len(name) <= 3 else name
        self.training = in_words(card["trained"]) if card else "untrained"
        self.data = f"{self._config.data} · {self._config.examples:,}"
        height, width = self.pictures(np.zeros((1, *model.spec.shape), _kind(model))).shape[1:3]
        self.size = width, height
        self._texts = model.spec.words and honours(model, Condition(text=model.spec.words[0]))
        self.wishes = (ANYTHING, *self._offered())
        self.encodes = isinstance(model, Encodes)
        self.decodes = isinstance(model, Draws | Encodes) and isinstance(model, Decodes)
        self.traces = isinstance(model, Traces)
        self.fills = model.spec.pictures and honours(model, _half_empty(model))

    def _offered(self) -> tuple[str, ...]:
        """The classes, or sentences, that can be asked for."""
        labels = self.model.spec.label_names
        if self._texts:
            captions = dict.fromkeys(filter(None, self._fetched().validation.captions))
            return tuple(sorted(captions, key=len)[:: max(1, len(captions) // SENTENCES)][:SENTENCES])
        return labels if len(labels) > 1 and honours(self.model, Condition(label=labels[0])) else ()

    # Making

    def make(self, n: int, wish: str, seed: int) -> Iterator[Drawn]:
        """See `Studio`: what `playfield sample` makes of that seed."""
        model, condition = self.model, self._condition(wish)
        if isinstance(model, Draws) and isinstance(model, Decodes):
            latents = model.drawn(n, condition.label, seed)
            for first in range(0, n, CHUNK):
                values = model.decode(latents[first : first + CHUNK])
                yield Drawn(values, latents[first : first + CHUNK], self.notes(values))
        else:
            values = model.sample(n, condition, self._options, seed).values
            yield Drawn(values, self._latents(values), self.notes(values))

    def trace(self, n: int, wish: str, seed: int) -> Iterator[Drawn]:
        """See `Studio`."""
        assert isinstance(self.model, Traces)
        for values in self.model.trace(n, self._condition(wish), self._options, seed):
            yield Drawn(values)

    def decode(self, latents: Array) -> Array:
        """See `Studio`."""
        assert isinstance(self.model, Decodes)
        return self.model.decode(latents)

    def between(self, first: Array, second: Array, steps: int) -> Array:
        """See `Studio`; along an arc, since in many dimensions all of a Gaussian lies near a sphere."""
        return spherical(first, second, steps)

    def fill(self, value: Array, mask: Array, n: int, seed: int) -> Array:
        """See `Studio`."""
        return self.model.sample(n, Condition(frame=value, mask=mask), self._options, seed).values

    def _condition(self, wish: str) -> Condition:
        if wish == ANYTHING:
            return Condition()
        return Condition(text=wish) if self._texts else Condition(label=wish)

    def _latents(self, values: Array) -> Array | None:
        return self.model.encode(values) if isinstance(self.model, Encodes) else None

    # Knowing

    def real(self, n: int, wish: str, seed: int) -> Iterator[Drawn]:
        """See `Studio`."""
        held_out = self._fetched().validation
        rows = np.arange(len(held_out))
        if wish in held_out.label_names:
            rows = rows[held_out.labels == held_out.label_names.index(wish)]
        rows = np.random.default_rng(seed).permutation(rows)[:n]
        values = held_out.values[rows]
        yield Drawn(values, self._latents(values), self.notes(values))

    def about(self, value: Array) -> About:
        """See `Studio`; neighbours are among what was learned from, so that copies would be found out."""
        train = self._fetched().train
        if self._likeness is None:
            self._likeness = Likeness(train)
        rows, far = self._likeness.nearest(value, NEIGHBOURS)
        several = len(train.label_names) > 1
        names = [f"{train.label_names[train.labels[row]]} · " if several else "" for row in rows]
        near = tuple(
            Neighbour(picture, f"{name}{distance:.2g}")
            for picture, name, distance in zip(self.pictures(train.values[rows]), names, far, strict=True)
        )
        return About(near, self._axes_of(int(train.labels[rows[0]])) if self.decodes else ())

    def _axes_of(self, label: int) -> tuple[Axis, ...]:
        """The directions of a class: named by what they move where that can be found out, else by size."""
        if label not in self._axes:
            train = self._fetched().train
            own = train.take(np.flatnonzero(train.labels == label))
            self._axes[label] = self._named(own) or self._principal(train.label_names[label])
        return self._axes[label]

    def _named(self, examples: Collection) -> tuple[Axis, ...]:
        """By the facts that the simulator tells of pictures, or by the numbers that vectors consist of."""
        if not isinstance(self.model, Encodes):
            return ()
        if examples.axes:
            tables = [dict(zip(examples.axes, row, strict=True)) for row in examples.values.tolist()]
            examples = replace(examples, truths=tuple(Percept("truth", facts=table) for table in tables))
        if not examples.truths:
            return ()
        found = named_axes(self.model.encode(examples.values), examples)
        return tuple(
            _slider(a.name, a.direction, a.weights, a.offset, a.low, a.high)
            for a in found[:AXES]
            if a.r2 >= TELLING
        )

    def _principal(self, label: str) -> tuple[Axis, ...]:
        """Directions along which most changes, around where the samples of a class lie."""
        assert isinstance(self.model, Decodes)
        middle = self._middle(label)

        def decode(points: Array) -> Array:
            return self.decode(middle + points)

        return tuple(
            _slider(
                a.name.partition(",")[0], a.direction, a.weights, float(-middle @ a.weights), a.low, a.high
            )
            for a in principal_axes(decode, len(middle), AXES)
        )

    def _middle(self, label: str) -> Array:
        """(L,) where the samples of a class lie."""
        condition = self._condition(label if label in self.wishes else ANYTHING)
        if isinstance(self.model, Draws):
            return np.asarray(self.model.drawn(64, condition.label, 0).mean(0), np.float32)
        latents = self._latents(self.model.sample(64, condition, self._options, 0).values)
        assert latents is not None
        return np.asarray(latents.mean(0), np.float32)

    def pictures(self, values: Array) -> Array:
        """See `Studio`."""
        return thumbnails(values, self.model.spec, self._config.data)

    def notes(self, values: Array) -> tuple[str, ...]:
        """See `Studio`: whether boards are legal and poses possible."""
        return noted(values, self._config.data)

    def close(self) -> None:
        """See `Studio`."""

    def _fetched(self) -> Examples:
        with self._fetching:
            if self._examples is None:
                self._examples = some_examples(self._scene, self._recipe, self._say)
            return self._examples


def noted(values: Array, data: str) -> tuple[str, ...]:
    """What the simulator says of each of the examples (n, …) of a data set, in a few words."""
    origin = origin_of(data)
    if origin is None or origin.family.decode is None:
        return ()
    return tuple(found.note for found in origin.family.decode(origin.variant, values))


def _slider(name: str, direction: Array, weights: Array, offset: float, low: float, high: float) -> Axis:
    more = BEYOND * (high - low)
    return Axis(name.replace("_", " "), direction, weights, offset, low - more, high + more)


def honours(model: SamplerModel, condition: Condition) -> bool:
    """Whether a sampler can be asked for this, by asking it."""
    try:
        model.sample(1, condition, SampleOptions(steps=1), 0)
    except ConditionError:
        return False
    return True


def _kind(model: SamplerModel) -> type:
    return np.uint8 if model.spec.pictures else np.float32


def _half_empty(model: SamplerModel) -> Condition:
    """The wish that the lower half of a dark picture is filled in."""
    shape = model.spec.shape
    mask = np.zeros(shape[:2], bool)
    mask[shape[0] // 2 :] = True
    return Condition(frame=np.zeros(shape, np.uint8), mask=mask)
