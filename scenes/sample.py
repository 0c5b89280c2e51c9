"""`playfield sample`: new examples of a scene's sampler as a gallery on disk."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generative.gallery import Gallery, write_gallery
from scenes.asking import AskingError, asked
from scenes.build import chosen_device
from scenes.judging import Judge, share_holding
from scenes.sampling import build_sampler, own_options, sampler_config, some_examples
from scenes.schema import Scene
from scenes.studio import Studio, filling_errors
from scenes.words import in_words as budget_in_words
from sim.checkpoints import Card
from sim.errors import RequestError
from sim.protocols import SamplerConfig, SamplerModel, Traces
from sim.records import Array, Condition, SampleOptions

MOST = 4_096  # samples in one gallery


@dataclass(frozen=True)
class Wish:
    """What is asked for; None leaves it to the sampler's own keys."""

    out: Path
    n: int = 64
    conditions: Sequence[str] = ()
    checkpoint: Path | None = None
    steps: int | None = None
    scheduler: str | None = None
    guidance: float | None = None

    def options(self, config: SamplerConfig) -> SampleOptions:
        """How to sample: as asked, else as the sampler's keys of these names say.

        Raises:
            RequestError: for a number out of range.
        """
        wishes = {name: getattr(self, name) for name in ("steps", "scheduler", "guidance")}
        options = replace(own_options(config), **{k: v for k, v in wishes.items() if v is not None})
        if options.steps < 1:
            raise RequestError(f"--steps must be at least 1, not {options.steps}")
        if not 0 <= options.guidance <= 100:
            raise RequestError(f"--guidance must be from 0 to 100, not {options.guidance:g}")
        return options


def sample(scene: Scene, wish: Wish, *, device: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Draw samples and write the gallery.

    Args:
        scene: whose first sampler.
        wish: what is asked for.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: takes lines for a person.

    Returns:
        What ``--json`` says.

    Raises:
        RequestError: if the request is wrong; nothing was written.
        SaveError: if the disk is full; finished files are kept.
    """
    if not 1 <= wish.n <= MOST:
        raise RequestError(f"--n must be from 1 to {MOST:,}, not {wish.n}")
    if wish.out.exists() and not wish.out.is_dir():
        raise RequestError(f"--out {wish.out} is a file: name a folder")
    drawing, judge = _draw(scene, wish, chosen_device(device), say)
    gallery = hung(drawing, judge)
    files = write_gallery(wish.out, gallery)
    say(f"{wish.n} samples at {drawing.metrics['images_per_second']:g} a second; open {files[0]}")
    return {"files": [str(path) for path in files], "metrics": drawing.metrics}


@dataclass(frozen=True)
class Drawing:
    """Samples (n, …) and how they came about."""

    scene: Scene
    wish: Wish
    model: SamplerModel
    card: Card | None
    condition: Condition
    options: SampleOptions
    values: Array
    metrics: dict[str, float]


def _draw(scene: Scene, wish: Wish, device: str, say: Callable[[str], None]) -> tuple[Drawing, Judge]:
    config = sampler_config(scene)
    options = wish.options(config)
    model, card = build_sampler(scene, 0, device, wish.checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: these are samples of an untrained {scene.sampler[0].use}")
    examples = some_examples(scene, config, device, say)
    condition = asked(wish.conditions, model.spec, lambda: examples.validation)
    begun = time.perf_counter()
    values = drawn(model, wish.n, condition, options, scene.seed)
    metrics = {"images_per_second": round(wish.n / (time.perf_counter() - begun), 1)}
    if isinstance(model, Traces):
        metrics["steps"] = options.steps
    drawing = Drawing(scene, wish, model, card, condition, options, values, metrics)
    return drawing, Judge(config.data, examples, device)


def drawn(model: SamplerModel, n: int, condition: Condition, options: SampleOptions, seed: int) -> Array:
    """(n, …) samples.

    Raises:
        AskingError: if the sampler cannot honour the condition or the options.
    """
    try:
        return model.sample(n, condition, options, seed).values
    except ValueError as error:
        raise AskingError(f"--condition: {error}") from error


def hung(drawing: Drawing, judge: Judge) -> Gallery:
    """The gallery of these samples; puts what is found out about them into their metrics."""
    scene, condition, values, metrics = drawing.scene, drawing.condition, drawing.values, drawing.metrics
    studio = Studio(drawing.model, judge, scene.seed)
    verdicts = judge.verdicts(values, condition)
    true = share_holding(verdicts)
    if true is not None:
        metrics["truth"] = round(true, 4)
    strips = studio.strips()
    columns: dict[str, dict[str, float]] = {}
    if condition.mask is not None and condition.frame is not None:
        strips.insert(0, studio.filled(condition, values))
        metrics["rmse"], beside = filling_errors(condition, values, judge.examples.train)
        columns["nearest real filling"] = {"rmse": beside}
    card = drawing.card or {}
    scores = card.get("scores", {})
    graded = {name: value for name, value in scores.items() if isinstance(value, float)}
    budget = budget_in_words(card["trained"]) if card else "untrained"
    return Gallery(
        title=scene.title,
        about=f"{scene.sampler[0].use} on {judge.data}, {budget}",
        exhibits=studio.exhibits(values, condition, verdicts),
        metrics=graded | metrics,
        columns=columns,
        ci95=scores.get("ci95", {}),
        strips=tuple(strips),
        clips=tuple(studio.clips(drawing.options)),
        command=command(scene, drawing.wish),
        protocol=scores.get("protocol", {}),
        n=int(scores.get("n", len(values))),
        note=f"nearest among {len(judge.examples.train):,} real examples that it may have learned from",
    )


def command(scene: Scene, wish: Wish) -> str:
    """The line that makes this gallery again."""
    parts = ["playfield sample", scene.asked(), f"--n {wish.n}", f"--seed {scene.seed}", f"--out {wish.out}"]
    parts += [f"--checkpoint {wish.checkpoint}"] if wish.checkpoint else []
    parts += [f"--condition {shlex.quote(pair)}" for pair in wish.conditions]
    for name in ("steps", "scheduler", "guidance"):
        if getattr(wish, name) is not None:
            parts.append(f"--{name} {getattr(wish, name)}")
    return " ".join(parts)
