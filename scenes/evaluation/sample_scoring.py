"""What judges samples: unseen real examples, an encoder, and what the simulator or a perception says of each.

One `SampleScorer` belongs to one data set, so that several families can be put on one board.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from generative.metrics import Grade, Grader, as_they_are
from generative.metrics.distances import kernel_distance
from generative.metrics.encoder import EncoderModel, PictureEncoder, RandomEncoder, shipped
from generative.metrics.neighbours import Nearest, nearest
from generative.metrics.truth import says_the_same
from scenes.build.perceptions import build_perception, scene_vocabulary
from scenes.data.families.table import origin_of
from scenes.data.sampler_data import Examples
from scenes.schema import load_scene
from sim.protocols import PerceptionModel
from sim.records import Array, Condition, Percept

MOST = 2_000  # training examples among which the nearest is sought
MOST_OF_A_CLASS = 300  # unseen examples that samples of one class are set beside
VOTERS = 5  # nearest training examples that vote on a class
TOLD = 6  # numbers told of a sample, at most
READER = "narrator"  # the shipped scene whose perception says what pictures of its game show


@dataclass(frozen=True)
class Verdict:
    """What was decoded of one sample.

    Attributes:
        text: in words.
        holds: whether that is what was asked for, or can be; None where nobody says so.
    """

    text: str = ""
    holds: bool | None = None


class SampleScorer:
    """Judges samples of one data set.

    Args:
        data: its name.
        examples: its training and held-out examples.
        device: of the encoders.
    """

    def __init__(self, data: str, examples: Examples, device: str) -> None:
        self.data, self.examples = data, examples
        self._origin = origin_of(data)
        self._device = device
        rows = np.random.default_rng(0).permutation(len(examples.train))[:MOST]
        self._known = examples.train.take(np.sort(rows))

    @cached_property
    def encoder(self) -> PictureEncoder | None:
        """The trained encoder; None for vectors."""
        return shipped(self._device) if self.examples.spec.pictures else None

    def stamp(self) -> dict[str, Any]:
        """What a protocol must say of it: which data, by what was asked for, and in which space."""
        recipe = self.examples.recipe
        space: dict[str, Any] = {"encoder": "none: numbers in their own standard deviations"}
        if self.encoder is not None:
            space = dict(self.encoder.stamp())
        if self.reader is not None:
            space |= {"reader": READER}
        return {"data": self.data, **(recipe.protocol() if recipe else {}), **space}

    @cached_property
    def reader(self) -> PerceptionModel | None:
        """What tells in a sentence what samples show; None where nothing does."""
        scene = load_scene(READER)
        assert scene.world is not None
        if self._origin is None or self._origin.world != scene.world.use:
            return None
        return build_perception(scene, 0, scene_vocabulary(scene), self._device)[0]

    @cached_property
    def _grader(self) -> Grader:
        train, held_out = self.examples.train.values, self.examples.validation.values
        return Grader(train, held_out, self._encode)

    @cached_property
    def _familiar_grader(self) -> Grader:
        """One half of the training examples against the other, whatever episodes they are of."""
        values = self.examples.train.values
        order = np.random.default_rng(1).permutation(len(values))
        return Grader(values[order[::2]], values[order[1::2]], self._encode)

    @cached_property
    def _random_grader(self) -> Grader:
        encoder = RandomEncoder(device=self._device)
        return Grader(self.examples.train.values, self.examples.validation.values, encoder.encode)

    def _encode(self, values: Array) -> Array:
        return (
            as_they_are(self.examples.train.values)(values)
            if self.encoder is None
            else self.encoder.encode(values)
        )

    def grade(self, samples: Array) -> Grade:
        """All figures in the space of the trained encoder, or of the numbers themselves."""
        return self._grader.grade(samples)

    def grade_as_learned(self, samples: Array) -> Grade:
        """The same beside training examples, without intervals.

        Unseen episodes differ from those that were learned from, and no model can know how: this tells how
        well one knows what it could.
        """
        return self._familiar_grader.grade(samples, intervals=False)

    def grade_at_random(self, samples: Array) -> Grade | None:
        """The same in the space of random filters, without intervals; None for vectors."""
        return self._random_grader.grade(samples, intervals=False) if self.examples.spec.pictures else None

    def distance_in_class(self, samples: Array, name: str) -> float | None:
        """The kernel distance of samples of one class from its unseen real ones; None if there are too few.

        It has no bias, however few the samples; the Fréchet distance would be far too large.
        """
        unseen = self.examples.validation
        real = unseen.values[unseen.labels == self.examples.spec.label_names.index(name)][:MOST_OF_A_CLASS]
        if min(len(samples), len(real)) < 2:
            return None
        return kernel_distance(self._encode(samples), self._encode(real))

    @cached_property
    def _features(self) -> tuple[Array, Array]:
        """(K, D) of what may be nearest, and (M,) how near unseen real examples are."""
        known = self._encode(self._known.values)
        return known, np.sort(nearest(self._encode(self.examples.validation.values), known).distances)

    def neighbours(self, samples: Array) -> tuple[Array, list[str]]:
        """The nearest training example (n, …) of each sample, and how near it is, in words."""
        known, usual = self._features
        found: Nearest = nearest(self._encode(samples), known)
        nearer = 1 - np.searchsorted(usual, found.distances, side="left") / len(usual)
        words = [
            f"at {distance:.2f}; {share:.0%} of unseen real examples are farther from theirs"
            for distance, share in zip(found.distances, nearer, strict=True)
        ]
        return self._known.values[found.rows], words

    def verdicts(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What is true of each sample, as far as anybody can say."""
        return self._decoder[1](samples, condition)

    @property
    def reading(self) -> str:
        """How it is known what a sample shows, in words: from the simulator, a model, or neighbours."""
        return self._decoder[0]

    @property
    def _decoder(self) -> tuple[str, Callable[[Array, Condition], list[Verdict]]]:
        """What tells `verdicts`: the simulator, else a perception, the encoder, the nearest real examples."""
        family = None if self._origin is None else self._origin.family
        if family is not None and family.decode is not None:
            return "decoded truth", self._of_simulator
        if self.reader is not None:
            return f"as the {READER} reads it", self._of_sentences
        if family is not None and family.encoded and isinstance(self.encoder, EncoderModel):
            return "as the encoder reads it", self._of_frames
        return "by the nearest real ones", self._of_classes

    def _of_simulator(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the family of worlds decodes, exactly."""
        assert self._origin is not None and self._origin.family.decode is not None
        found = self._origin.family.decode(self._origin.variant, samples)
        return [Verdict(one.text, one.holds) for one in found]

    def _of_sentences(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the reader says."""
        assert self.reader is not None
        return [_of_sentence(percept, condition) for percept in self.reader.perceive(list(samples))]

    def _of_frames(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the encoder reads."""
        assert isinstance(self.encoder, EncoderModel)
        return [_of_frame(percept, condition) for percept in self.encoder.perceive(list(samples))]

    def _of_classes(self, samples: Array, condition: Condition) -> list[Verdict]:
        """The class that the nearest training examples vote for; nothing where there is one class only."""
        if len(self.examples.spec.label_names) < 2:
            return [Verdict()] * len(samples)
        known, _ = self._features
        features, names = self._encode(samples).astype(np.float64), self.examples.spec.label_names
        verdicts = []
        for row in features:
            closest = np.square(known - row).sum(1).argsort()[:VOTERS]
            name = names[int(np.bincount(self._known.labels[closest]).argmax())]
            verdicts.append(Verdict(f"looks like {name}", _as_asked(name, condition)))
        return verdicts


def _as_asked(name: str, condition: Condition) -> bool | None:
    return None if condition.label is None else name == condition.label


def _of_frame(percept: Percept, condition: Condition) -> Verdict:
    """The game that the encoder takes it for, and what it reads of it."""
    assert percept.label is not None and percept.scores is not None
    facts = [f"{name} {value}" for name, value in percept.facts.items() if "," not in name][:TOLD]
    text = "; ".join([f"{percept.label} ({percept.scores[0]:.0%})", *facts])
    return Verdict(text, _as_asked(percept.label, condition))


def _of_sentence(percept: Percept, condition: Condition) -> Verdict:
    """What the reader says of a picture, and whether that is what was asked for."""
    assert percept.caption is not None
    asked = condition.text
    return Verdict(percept.caption, None if asked is None else says_the_same(asked, percept.caption))


def share_holding(verdicts: Sequence[Verdict]) -> float | None:
    """The share of samples that hold, among those of which somebody says so; None if there are none."""
    known = [verdict.holds for verdict in verdicts if verdict.holds is not None]
    return sum(known) / len(known) if known else None
