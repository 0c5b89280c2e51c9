"""Evaluation of a scene's samplers by sample metrics, beside a floor and a Gaussian baseline, in one table.

Every sampler of the scene draws equally many samples, which are scored against held-out examples in the same
space. The first column is the floor, what as many real training examples score; the last is a Gaussian with
mean and covariance of the training data: a model that is not far better has learned nothing but those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from generative.metrics import Grade
from generative.metrics.clusters import nmi_beside_pixels
from generative.metrics.names import metric_title
from generative.metrics.truth import share_interval
from scenes.build.devices import chosen_device
from scenes.build.samplers import own_options, sampler_config
from scenes.data.sampler_data import DataRecipe, build_sampler, check_recipe, differences, fetch_examples
from scenes.evaluation.sample_scoring import SampleScorer, held_out_prompts, share_correct
from scenes.report import Report
from scenes.schema import Scene
from sim.plurals import number_of
from sim.progress import track, waiting
from sim.protocols import Clusters, HasLikelihood, SamplerConfig, SamplerModel, TextConditional, Traces
from sim.records import Array, Condition, SampleOptions
from sim.storage.checkpoints import Card

GRADED = 500  # samples of each
PASSES = 12_000  # network evaluations for the samples of one model, at most: a minute on two cores
A_LABEL = 20  # samples of each class
SENTENCES = 100  # held-out captions used as prompts, one sample each
COUNTED = 100  # samples of a class whose objects are counted
LIKELY = 200  # held-out examples whose likelihood is computed
GROUPED = 1_200  # held-out examples that are clustered
REAL, GAUSSIAN = "real examples", "Gaussian"
#: The lines of the table, and how many digits they have.
FIGURES = {
    "frechet": 2,
    "kernel_distance": 3,
    "density": 2,
    "coverage": 2,
    "sliced_wasserstein": 3,
    "memorising": 2,
    "truth": 2,
    "top1": 2,
    "objects": 2,
    "nmi": 3,
    "bits_per_dim": 2,
    "steps": 0,
    "images_per_second": 0,
    "training_seconds": 0,
}

Figures = dict[str, float]


@dataclass(frozen=True)
class SamplerRow:
    """Scores of one sampler: a column of the table.

    Attributes:
        name: of its checkpoint, else of its family.
        metrics: metrics by their fixed names, with ``training_seconds`` where the card has them.
        grade: scores in the main space, with intervals.
        baseline: metrics of the Gaussian baseline, and of k-means on pixels for clusterings.
        as_learned: metrics against training instead of held-out examples.
        at_random: metrics in the space of random convolutions; empty for vectors.
        classes: metrics of each class, for class-conditional samplers.
        protocol: the protocol stamp.
    """

    name: str
    metrics: Figures
    grade: Grade
    baseline: Figures
    as_learned: Figures
    at_random: Figures = field(default_factory=dict)
    classes: dict[str, Figures] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)


def grade_samplers(
    scene: Scene, *, device: str, checkpoint: Path | None, say: Callable[[str], None], n: int | None = None
) -> Report:
    """Evaluate all of the scene's samplers.

    Args:
        scene: with at least one sampler.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the first sampler's own.
        say: takes lines for a person.
        n: samples of each; None for `sample_count`.

    Returns:
        The table, and the answer of ``--json``: metrics of the first sampler; ``baseline``, the Gaussian; in
        ``breakdown`` those of each sampler, of each of its classes, and of real examples.

    Raises:
        SceneError, FieldError, DataError, CheckpointError: if the request is wrong.
    """
    place = chosen_device(device)
    scorers: dict[DataRecipe, SampleScorer] = {}
    rows: list[SamplerRow] = []
    samplers = scene.sampler
    for number in track(range(len(samplers)), f"scoring {number_of(len(samplers), 'sampler')}"):
        config = sampler_config(scene, number)
        model, card = build_sampler(scene, number, place, checkpoint if number == 0 else None)
        name = _name(scene, number, None if number else checkpoint)
        if any(row.name == name for row in rows):
            name = f"{name} {number + 1}"
        if card is None:
            say(f"{name} has no checkpoint: these are scores of an untrained {scene.sampler[number].use}")
        recipe = DataRecipe.of_scene(scene, config, card)
        if card is not None:
            check_recipe(scene, name, number, card, recipe)
        if recipe not in scorers:
            scorers[recipe] = SampleScorer(recipe.data, fetch_examples(scene, recipe), place)
        scorer = scorers[recipe]
        for difference in differences(card or {}, recipe, len(scorer.examples.train)):
            say(f"{name}: {difference}")
        count = n or sample_count(model, config)
        rows.append(score_sampler(name, model, card, config, scorer, scene.seed, count))
    return Report(json_answer(rows), metrics_table(scene, rows))


def _name(scene: Scene, number: int, checkpoint: Path | None) -> str:
    """Name of a sampler in the table: its checkpoint's, as one family may occur twice."""
    table = scene.sampler[number]
    if checkpoint is not None:
        return checkpoint.name
    return Path(table.checkpoint).name if table.checkpoint else table.use


def sample_count(model: SamplerModel, config: SamplerConfig) -> int:
    """Number of samples to score: `GRADED`, or fewer for models with many denoising steps."""
    options = own_options(config)
    passes = options.steps * (1 if options.guidance == 1 else 2) if isinstance(model, Traces) else 1
    return min(GRADED, max(1, PASSES // passes))


def score_sampler(
    name: str,
    model: SamplerModel,
    card: Card | None,
    config: SamplerConfig,
    scorer: SampleScorer,
    seed: int,
    n: int,
) -> SamplerRow:
    """Draw `n` samples of one sampler and score them."""
    options = own_options(config)
    begun = time.perf_counter()
    with waiting(f"{name}: drawing {number_of(n, 'sample')}", n):
        samples = model.sample(n, Condition(), options, seed).values
    metrics: Figures = {"images_per_second": round(n / (time.perf_counter() - begun), 1)}
    metrics["steps"] = options.steps if isinstance(model, Traces) else 1
    if isinstance(model, HasLikelihood):
        unseen = scorer.examples.validation.values
        unseen = unseen[:: max(1, len(unseen) // LIKELY)][
            :LIKELY
        ]  # of every class: they lie one after another
        with waiting(f"{name}: likelihoods"):
            metrics["bits_per_dim"] = float(np.mean(model.bits_per_dim(unseen)))
    each = samples_of_a_class(scorer, n)
    with waiting(f"{name}: drawing samples of each class"):
        classes = metrics_by_class(model, scorer, options, seed, each)
    with waiting(f"{name}: checking samples"):
        true = correctness_of(model, scorer, samples, options, seed, classes)
    if true is not None:
        metrics[scorer.correctness] = true
    if card is not None and "seconds" in card.get("trained", {}):
        metrics["training_seconds"] = float(card["trained"]["seconds"])
    apart: Figures = {}
    if isinstance(model, Clusters):
        metrics["nmi"], apart["nmi"] = cluster_agreement(model, config, scorer, seed)
    with waiting(f"{name}: distances to held-out examples"):
        grade, at_random = scorer.grade(samples), scorer.grade_at_random(samples)
        as_learned = scorer.grade_as_learned(samples).metrics
    with waiting(f"{name}: counting objects"):
        grade = grade_beside_objects(grade, model, scorer, options, seed)
    if "top1" in metrics:
        grade = grade_beside_classifier(grade, scorer, metrics["top1"], each, seed)
    rules: dict[str, Any] = {"n": n, "references": grade.references, "steps": metrics["steps"]}
    if isinstance(model, Traces):
        rules |= {"guidance": options.guidance, "scheduler": getattr(config, "scheduler", "its own")}
    return SamplerRow(
        name,
        grade.metrics | metrics,
        grade,
        grade.baseline | apart,
        as_learned,
        {} if at_random is None else at_random.metrics,
        classes,
        scorer.stamp() | rules,
    )


def samples_of_a_class(scorer: SampleScorer, n: int) -> int:
    """Number of samples of each class: as many as make `n` where a classifier reads them, else `A_LABEL`."""
    return A_LABEL if scorer.classifier is None else max(A_LABEL, n // len(scorer.examples.spec.label_names))


def grade_beside_classifier(grade: Grade, scorer: SampleScorer, top1: float, each: int, seed: int) -> Grade:
    """Add to a grade the samples' ``top1``: its interval, and those of real examples and of the Gaussian."""
    real, gaussian = scorer.top1_beside(each, seed)
    interval = list(share_interval(top1, each * len(scorer.examples.spec.label_names)))
    return replace(
        grade,
        copies=grade.copies | {"top1": real},
        baseline=grade.baseline | {"top1": gaussian},
        ci95=grade.ci95 | {"top1": interval},
    )


def grade_beside_objects(
    grade: Grade, model: SamplerModel, scorer: SampleScorer, options: SampleOptions, seed: int
) -> Grade:
    """Add to a grade the share of samples that show all objects of their class once; as it is without any.

    The objects of `COUNTED` samples are counted, those of one class; real examples are the ceiling, because
    in a point's first moments Pong has no ball.
    """
    shares, real = [], []
    for name, complete in scorer.counted_classes.items():
        asked = Condition(label=name) if len(scorer.examples.spec.label_names) > 1 else Condition()
        try:
            drawn = model.sample(COUNTED, asked, options, seed).values
        except ValueError:  # of a sampler without classes
            return grade
        shares.append(float(complete(drawn).mean()))
        real.append(scorer.real_objects(name))
    if not shares:
        return grade
    share = float(np.mean(shares))
    return replace(
        grade,
        metrics=grade.metrics | {"objects": share},
        copies=grade.copies | {"objects": float(np.mean(real))},
        ci95=grade.ci95 | {"objects": list(share_interval(share, COUNTED * len(shares)))},
    )


def cluster_agreement(
    model: Clusters, config: SamplerConfig, scorer: SampleScorer, seed: int
) -> tuple[float, float]:
    """Normalised mutual information with the classes, of a clustering and of k-means on pixels."""
    unseen = scorer.examples.validation
    rows = np.random.default_rng(seed).permutation(len(unseen))[:GROUPED]
    groups = int(getattr(config, "clusters", len(unseen.label_names)))
    values, labels = unseen.values[rows], unseen.labels[rows]
    return nmi_beside_pixels(model.assign, values, labels, groups, seed=seed)


def prompt_agreement(
    model: SamplerModel, scorer: SampleScorer, options: SampleOptions, seed: int
) -> float | None:
    """Share of held-out captions that agree with the sample drawn for each; None if it takes no text."""
    if not isinstance(model, TextConditional):
        return None
    asked = held_out_prompts(scorer.examples.validation, seed)[:SENTENCES]
    drawn = model.illustrate(asked, options, seed)
    return share_correct(scorer.verdicts_by_prompt(drawn, asked))


def metrics_by_class(
    model: SamplerModel, scorer: SampleScorer, options: SampleOptions, seed: int, each: int
) -> dict[str, Figures]:
    """Metrics by class of `each` samples: kernel distance to held-out examples, and share of correct ones.

    Empty for a single class and for samplers that are not class-conditional.
    """
    names, found = scorer.examples.spec.label_names, {}
    for i, name in enumerate(names if len(names) > 1 else ()):
        asked = Condition(label=name)
        try:
            drawn = model.sample(each, asked, options, seed + 1 + i).values
        except ValueError:
            return {}
        distance, true = scorer.distance_in_class(drawn, name), share_correct(scorer.verdicts(drawn, asked))
        figures = {"kernel_distance": distance, scorer.correctness: true}
        found[name] = {key: value for key, value in figures.items() if value is not None}
    return found


def correctness_of(
    model: SamplerModel,
    scorer: SampleScorer,
    samples: Array,
    options: SampleOptions,
    seed: int,
    classes: Mapping[str, Figures],
) -> float | None:
    """Share of correct samples; None where correctness is unknown.

    Boards are correct if legal, poses if possible, both from unconditional samples. For class-conditional
    samplers it is the share that shows the requested class; for text see `prompt_agreement`.
    """
    if scorer.examples.spec.words and scorer.reader is not None:
        return prompt_agreement(model, scorer, options, seed)
    free = share_correct(scorer.verdicts(samples, Condition()))
    shares = [each[scorer.correctness] for each in classes.values() if scorer.correctness in each]
    if free is not None or not shares:
        return free
    return float(np.mean(shares))


def json_answer(rows: list[SamplerRow]) -> dict[str, Any]:
    """The answer of ``--json``."""
    first = rows[0]
    breakdown: dict[str, Mapping[str, float]] = {row.name: row.metrics for row in rows}
    breakdown |= {f"{row.name}, beside training data": row.as_learned for row in rows}
    breakdown |= {f"{row.name}, random encoder": row.at_random for row in rows if row.at_random}
    breakdown |= {f"{row.name}, {name}": each for row in rows for name, each in row.classes.items()}
    return {
        "metrics": first.metrics,
        "baseline": first.baseline,
        "breakdown": breakdown | {REAL: first.grade.copies},
        "n": first.grade.n,
        "ci95": first.grade.ci95,
        "protocol": first.protocol,
    }


def metrics_table(scene: Scene, rows: list[SamplerRow]) -> list[Table | str]:
    """Table with a column for real examples, each sampler, and the Gaussian baseline."""
    first = rows[0].grade
    columns = {REAL: first.copies, **{row.name: row.metrics for row in rows}, GAUSSIAN: first.baseline}
    counts = f"{number_of(first.n, 'sample')}, {first.references:,} held-out references"
    table = Table(title=f"{scene.title}: {counts}", box=None)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name.replace("-", " "), justify="right")
    for name, digits in FIGURES.items():
        if any(name in figures for figures in columns.values()):
            cells = [f"{figures[name]:.{digits}f}" if name in figures else "" for figures in columns.values()]
            table.add_row(metric_title(name), *cells)
    parts: list[Table | str] = [table]
    for row in rows:
        low, high = row.grade.ci95["frechet"]
        learned = row.as_learned
        beside = f"; to training data {learned['frechet']:.2f} (floor {learned['frechet_floor']:.2f})"
        part = row.metrics["frechet"] / row.grade.baseline["frechet"]
        if "nmi" in row.metrics:
            beaten = f"k-means on pixels {row.baseline['nmi']:.3f}"
            parts.append(f"{row.name}: nmi {row.metrics['nmi']:.3f}; {beaten}")
        if "objects" in row.metrics:
            parts.append(objects_line(row))
        interval = f"frechet {low:.2f} … {high:.2f} (95 %)"
        parts.append(f"{row.name}: {interval}, {part:.2f} of the Gaussian's{beside}")
        if row.classes:
            correct = "top1" if "top1" in row.metrics else "truth"
            parts.append(f"{row.name}, kernel distance and {correct} by class: {_by_class(row.classes)}")
    return parts


def objects_line(row: SamplerRow) -> str:
    """The share of samples with all objects in words, with its interval and that of real examples."""
    low, high = row.grade.ci95["objects"]
    share, real = row.metrics["objects"], row.grade.copies["objects"]
    return (
        f"{row.name}: {share:.2f} of {COUNTED} samples show one ball and two paddles "
        f"({low:.2f} … {high:.2f}), of real frames {real:.2f}"
    )


def _by_class(classes: Mapping[str, Figures]) -> str:
    """Format the metrics by class, such as "breakout 12.25 (1.00), freeway 8.10 (0.95)"."""
    told = []
    for name, figures in classes.items():
        distance = f" {figures['kernel_distance']:.2f}" if "kernel_distance" in figures else ""
        share = figures.get("top1", figures.get("truth"))
        told.append(f"{name}{distance}" + (f" ({share:.2f})" if share is not None else ""))
    return ", ".join(told)
