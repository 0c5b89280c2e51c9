"""Scoring of generated samples of one data set: distances, nearest neighbours, correctness.

One `SampleScorer` belongs to one data set, so that models of several families are scored alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from generative.metrics import Grade, Grader, standardised_vectors
from generative.metrics.distances import kernel_distance
from generative.metrics.encoder import EncoderModel, PictureEncoder, RandomEncoder, shipped
from generative.metrics.gaussian import GaussianBaseline
from generative.metrics.neighbours import Nearest, nearest
from generative.metrics.truth import FactCheck, compare_captions
from scenes.build.perceptions import build_perception, scene_vocabulary
from scenes.data.families.table import origin_of
from scenes.data.sampler_data import DataSplit
from scenes.data.task_data import build_task, task_config, task_splits
from scenes.schema import load_scene
from sim.protocols import PerceptionModel
from sim.records import Array, Condition, Percept
from supervised.data.dataset import Dataset

MOST = 2_000  # training examples among which nearest neighbours are searched; more where they are small
LARGE = 64 * 64  # pixels of a picture that is not small
SMALL = 32  # pixels of a side below which neighbours are those by pixels
MOST_OF_A_CLASS = 300  # held-out references of one class
VOTERS = 5  # nearest training examples that vote on a class
TOLD = 6  # facts in a verdict, at most
READER = "narrator"  # the shipped scene whose captioner reads samples of its game
#: Data set → the shipped scene whose classifier, trained apart from all samplers, reads samples of it.
CLASSIFIERS = {"animals": "alexnet", "mnist-5k": "lenet"}
MOST_READ = 500  # of the classifier's own test images, for its accuracy on real ones


@dataclass(frozen=True)
class Verdict:
    """Content decoded from one sample, and whether it is correct.

    Attributes:
        text: the content in words.
        holds: whether it is as conditioned, or valid (legal, possible); None where nothing can tell.
        checks: facts of the prompt, each beside what is read from the sample; empty without a prompt.
        label: the class that it is read as; empty where no class is read.
    """

    text: str = ""
    holds: bool | None = None
    checks: tuple[FactCheck, ...] = ()
    label: str = ""


class SampleScorer:
    """Scores samples of one data set.

    Args:
        data: name of the data set.
        examples: its training and held-out examples.
        device: of the encoders.
    """

    def __init__(self, data: str, examples: DataSplit, device: str) -> None:
        self.data, self.examples = data, examples
        self._origin = origin_of(data)
        self._device = device
        most = MOST * max(1, LARGE // math.prod(examples.spec.shape[:2])) if examples.spec.pictures else MOST
        rows = np.random.default_rng(0).permutation(len(examples.train))[:most]
        self._known = examples.train.take(np.sort(rows))

    @cached_property
    def encoder(self) -> PictureEncoder | None:
        """The trained encoder; None for vectors."""
        return shipped(self._device) if self.examples.spec.pictures else None

    def stamp(self) -> dict[str, Any]:
        """Protocol stamp: data set, request, and the encoder or space of the distances."""
        recipe = self.examples.recipe
        space: dict[str, Any] = {"encoder": "none: numbers in their own standard deviations"}
        if self.encoder is not None:
            space = dict(self.encoder.stamp())
        if self.reader is not None:
            space |= {"reader": READER}
        if self.classifier is not None:
            space |= {"reader": CLASSIFIERS[self.data]}
        return {"data": self.data, **(recipe.protocol() if recipe else {}), **space}

    @cached_property
    def reader(self) -> PerceptionModel | None:
        """Captioner that reads samples, for frames of its own game; None for other data."""
        return None if self._origin is None else caption_reader(self._origin.world, self._device)

    @cached_property
    def classifier(self) -> PerceptionModel | None:
        """Independent classifier of this data set's classes; None where none was trained."""
        scene = load_scene(CLASSIFIERS[self.data]) if self.data in CLASSIFIERS else None
        if scene is None or scene.perception[0].checkpoint is None:
            return None
        return build_task(scene, task_config(scene), self._device)[0]

    @property
    def correctness(self) -> str:
        """Name of the share of correct samples: ``top1`` where a classifier reads them, else ``truth``."""
        return "truth" if self.classifier is None else "top1"

    def top1_beside(self, each: int, seed: int) -> tuple[float, float]:
        """The classifier's accuracy on its own test images, and on a Gaussian of each class (`each` samples).

        They are the ceiling and the baseline of the samples' ``top1``.
        """
        assert self.classifier is not None
        scene = load_scene(CLASSIFIERS[self.data])
        test = task_splits(scene, task_config(scene)).test
        rows = np.random.default_rng(seed).permutation(len(test))[:MOST_READ]
        asked = [str(test.truths[row].label) for row in rows]
        ceiling = self._top1(test.values_by_row[rows], asked)
        train, drawn, wanted = self.examples.train, [], []
        for number, name in enumerate(train.label_names):
            own = train.values_by_row[np.flatnonzero(train.labels == number)]
            if len(own) > 1:  # one has no covariance
                drawn.append(GaussianBaseline(own).sample(each, seed))
                wanted += [name] * each
        return ceiling, self._top1(np.concatenate(drawn), wanted)

    def _top1(self, pictures: Array, asked: Sequence[str]) -> float:
        assert self.classifier is not None
        read = self.classifier.perceive(list(pictures))
        return float(np.mean([one.label == label for one, label in zip(read, asked, strict=True)]))

    @property
    def counted_classes(self) -> dict[str, Callable[[Array], Array]]:
        """Classes whose objects are counted in pictures, with whether all of them are there, each once."""
        if self._origin is None:
            return {}
        counted, names = self._origin.family.complete, self.examples.spec.label_names
        return {name: complete for name, complete in counted.items() if name in names}

    def real_objects(self, name: str) -> float:
        """Share of a class's real examples, training and held-out, that show all of its objects once."""
        complete, parts = self.counted_classes[name], (self.examples.train, self.examples.validation)
        number = self.examples.spec.label_names.index(name)
        shown = [complete(part.values_by_row[np.flatnonzero(part.labels == number)]) for part in parts]
        return float(np.concatenate(shown).mean())

    @cached_property
    def _grader(self) -> Grader:
        train, held_out = self.examples.train.values, self.examples.validation.values
        return Grader(train, held_out, self._encode)

    @cached_property
    def _familiar_grader(self) -> Grader:
        """Grader against training data: one half as references, the other for the floor."""
        values = self.examples.train.values
        order = np.random.default_rng(1).permutation(len(values))
        return Grader(values[order[::2]], values[order[1::2]], self._encode)

    @cached_property
    def _random_grader(self) -> Grader:
        encoder = RandomEncoder(device=self._device)
        return Grader(self.examples.train.values, self.examples.validation.values, encoder.encode)

    def _encode(self, values: Array) -> Array:
        return (
            standardised_vectors(self.examples.train.values)(values)
            if self.encoder is None
            else self.encoder.encode(values)
        )

    def grade(self, samples: Array) -> Grade:
        """Score samples (n, …) against held-out examples in the encoder's space; vectors in their own."""
        return self._grader.grade(samples)

    def grade_as_learned(self, samples: Array) -> Grade:
        """Score samples (n, …) against training examples, without intervals.

        Held-out episodes differ from those of the training set in ways that no model can know; this score is
        free of that difference.
        """
        return self._familiar_grader.grade(samples, intervals=False)

    def grade_at_random(self, samples: Array) -> Grade | None:
        """Score samples (n, …) in the space of random convolutions, without intervals; None for vectors."""
        return self._random_grader.grade(samples, intervals=False) if self.examples.spec.pictures else None

    def distance_in_class(self, samples: Array, name: str) -> float | None:
        """Kernel distance of samples of one class to its held-out examples; None if there are too few.

        It is unbiased for few samples; the Fréchet distance would be far too large.
        """
        unseen = self.examples.validation
        real = unseen.values[unseen.labels == self.examples.spec.label_names.index(name)][:MOST_OF_A_CLASS]
        if min(len(samples), len(real)) < 2:
            return None
        return kernel_distance(self._encode(samples), self._encode(real))

    @cached_property
    def _features(self) -> Array:
        """Features (K, D) of training examples."""
        return self._encode(self._known.values)

    @cached_property
    def _compares_pixels(self) -> bool:
        """Whether neighbours are those by pixels: the encoder learned from larger pictures than these."""
        return self.examples.spec.pictures and min(self.examples.spec.shape[:2]) < SMALL

    def _comparable(self, values: Array) -> Array:
        """Points (n, D) whose distances are those of neighbours; of pixels the root mean square."""
        if not self._compares_pixels:
            return self._encode(values)
        flat = values.reshape(len(values), -1).astype(np.float32)
        return flat / np.float32(math.sqrt(flat.shape[1]))

    @cached_property
    def _space(self) -> tuple[Array, Array]:
        """Points (K, D) of training examples, and sorted distances (M,) of held-out examples to them."""
        known = self._comparable(self._known.values) if self._compares_pixels else self._features
        return known, np.sort(nearest(self._comparable(self.examples.validation.values), known).distances)

    @property
    def searched(self) -> str:
        """What `neighbours` searches, and by which distance, in words."""
        by = ", by root mean square of pixels (levels of 255)" if self._compares_pixels else ""
        return f"{len(self._known):,} training examples{by}"

    def neighbours(self, samples: Array) -> tuple[Array, list[str]]:
        """Nearest training example (n, …) of each sample, and its distance in words.

        The percentile is the share of held-out examples that are nearer to the training set than the sample:
        50 is as near as real examples are, 0 nearer than any of them, like a copy.
        """
        known, usual = self._space
        found: Nearest = nearest(self._comparable(samples), known)
        percentiles = 100 * np.searchsorted(usual, found.distances, side="left") / len(usual)
        words = [
            f"distance {distance:.2f} (percentile {percentile:.0f})"
            for distance, percentile in zip(found.distances, percentiles, strict=True)
        ]
        return self._known.values[found.rows], words

    def places(self, values: Array) -> Array:
        """Points (n, D) of examples or samples in the space of the distances: features, or vectors scaled."""
        return self._encode(values)

    @property
    def places_space(self) -> str:
        """The space of `places` in words."""
        return (
            "the numbers, each in its standard deviation" if self.encoder is None else "the metrics' encoder"
        )

    @property
    def verdict_names(self) -> tuple[str, str]:
        """What samples are called that are correct, and those that are not."""
        family = None if self._origin is None else self._origin.family
        return ("correct", "wrong") if family is None else family.verdict_names

    def verdicts(self, samples: Array, condition: Condition) -> list[Verdict]:
        """Verdict on each sample (n, …), by simulator, captioner, classifier, encoder or neighbours."""
        return self._decoder[1](samples, condition)

    def verdicts_by_prompt(self, samples: Array, prompts: Sequence[str]) -> list[Verdict]:
        """Verdict on each sample (n, …), which has a prompt of its own."""
        return [
            self.verdicts(values[None], Condition(text=prompt))[0]
            for values, prompt in zip(samples, prompts, strict=True)
        ]

    @property
    def reading(self) -> str:
        """Source of the verdicts in words: the simulator, a model, or nearest neighbours."""
        return self._decoder[0]

    @property
    def _decoder(self) -> tuple[str, Callable[[Array, Condition], list[Verdict]]]:
        """Source of the verdicts: simulator, else captioner, classifier, encoder, nearest neighbours."""
        family = None if self._origin is None else self._origin.family
        if family is not None and family.decode is not None:
            return "decoded truth", self._of_simulator
        if self.reader is not None:
            return f"read by the captioner {READER}", self._of_sentences
        if self.classifier is not None:
            return f"read by the classifier {CLASSIFIERS[self.data]}", self._of_labels
        if family is not None and family.encoded and isinstance(self.encoder, EncoderModel):
            return "read by the encoder", self._of_frames
        return "by nearest neighbours", self._of_classes

    def _of_simulator(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the family of worlds decodes, exactly."""
        assert self._origin is not None and self._origin.family.decode is not None
        found = self._origin.family.decode(self._origin.variant, samples)
        return [Verdict(one.text, one.holds) for one in found]

    def _of_sentences(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the reader says."""
        assert self.reader is not None
        return [_of_sentence(percept, condition) for percept in self.reader.perceive(list(samples))]

    def _of_labels(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the classifier reads."""
        assert self.classifier is not None
        return [_of_label(percept, condition) for percept in self.classifier.perceive(list(samples))]

    def _of_frames(self, samples: Array, condition: Condition) -> list[Verdict]:
        """What the encoder reads."""
        assert isinstance(self.encoder, EncoderModel)
        return [_of_frame(percept, condition) for percept in self.encoder.perceive(list(samples))]

    def _of_classes(self, samples: Array, condition: Condition) -> list[Verdict]:
        """Verdicts by k-nearest-neighbour classification; none where there is one class, or no example."""
        if len(self.examples.spec.label_names) < 2 or not len(self._known):
            return [Verdict()] * len(samples)
        known = self._features
        features, names = self._encode(samples).astype(np.float64), self.examples.spec.label_names
        verdicts = []
        for row in features:
            closest = np.square(known - row).sum(1).argsort()[:VOTERS]
            name = names[int(np.bincount(self._known.labels[closest]).argmax())]
            verdicts.append(Verdict(f"classified as {name}", _as_asked(name, condition), label=name))
        return verdicts


def caption_reader(world: str, device: str) -> PerceptionModel | None:
    """The shipped captioner that reads samples of a world's pictures; None if it knows another world."""
    scene = load_scene(READER)
    assert scene.world is not None
    if world != scene.world.use:
        return None
    return build_perception(scene, 0, scene_vocabulary(scene), device)[0]


def _as_asked(name: str, condition: Condition) -> bool | None:
    return None if condition.label is None else name == condition.label


def _of_label(percept: Percept, condition: Condition) -> Verdict:
    """Verdict on a picture by the classifier: its class and that one's probability."""
    assert percept.label is not None and percept.scores is not None
    text = f"{percept.label} ({percept.scores[0]:.0%})"
    return Verdict(text, _as_asked(percept.label, condition), label=percept.label)


def _of_frame(percept: Percept, condition: Condition) -> Verdict:
    """Verdict on a frame by the encoder: its game, and the facts read from it."""
    assert percept.label is not None and percept.scores is not None
    facts = [f"{name} {value}" for name, value in percept.facts.items() if "," not in name][:TOLD]
    text = "; ".join([f"{percept.label} ({percept.scores[0]:.0%})", *facts])
    return Verdict(text, _as_asked(percept.label, condition), label=percept.label)


def _of_sentence(percept: Percept, condition: Condition) -> Verdict:
    """Verdict on a frame by the captioner: its caption, and whether that agrees with the prompt."""
    assert percept.caption is not None
    checks = None if condition.text is None else compare_captions(condition.text, percept.caption)
    if checks is None:
        return Verdict(percept.caption)
    return Verdict(percept.caption, all(check.right for check in checks), checks)


def held_out_prompts(held_out: Dataset, seed: int) -> list[str]:
    """Captions of held-out examples in random order; empty without any."""
    captions = [caption for caption in held_out.captions if caption]
    return [captions[row] for row in np.random.default_rng(seed).permutation(len(captions)).tolist()]


def share_correct(verdicts: Sequence[Verdict]) -> float | None:
    """Share of correct samples among those with a known verdict; None if there are none."""
    known = [verdict.holds for verdict in verdicts if verdict.holds is not None]
    return sum(known) / len(known) if known else None
