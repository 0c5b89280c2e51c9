"""Sampling from a scene's sampler into a gallery on disk (`playfield sample`)."""

from __future__ import annotations

import functools
import itertools
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from generative.conditions import ConditionError
from generative.diffusion.schedule import TIMESTEPS
from generative.dream.world_model import DiffusionWorldModel
from generative.gallery import GalleryContent, Grades, gallery_files, write_gallery
from scenes.build.devices import chosen_device
from scenes.build.samplers import own_options, sampler_config, trains_world_model
from scenes.data.sampler_data import DataRecipe, build_sampler, fetch_examples, some_examples
from scenes.data.task_data import has_task
from scenes.evaluation.sample_scoring import SampleScorer, held_out_prompts, share_correct
from scenes.interruption import interruption
from scenes.report import Report
from scenes.sampling.conditions import ConditionOptionError, parse_condition
from scenes.sampling.dreamed_episodes import MOST as MOST_DREAMS
from scenes.sampling.dreamed_episodes import PANELS, DreamedEpisodes
from scenes.sampling.gallery_export import GalleryExport, inpainting_errors
from scenes.sampling.texts import TextRequest, sample_texts
from scenes.schema import Scene
from scenes.watching.labels import in_words as budget_in_words
from sim.errors import RequestError
from sim.plurals import number_of
from sim.progress import waiting
from sim.protocols import SamplerConfig, SamplerModel, TextConditional, Traces
from sim.records import Array, Condition, SampleOptions
from sim.storage.checkpoints import Card
from sim.storage.files import new_folder

MOST = 4_096  # samples in one gallery
FOLDER = Path("gallery")  # default output folder
PROMISE = "stopping: the finished files of the gallery are kept"
OPTIONS = ("steps", "scheduler", "guidance")  # of sampling


@dataclass(frozen=True)
class SampleRequest:
    """Request for samples; options that are None follow the sampler's keys, `out` the next free name.

    Without `neighbours` nearest training examples are not searched, and no examples are played for a gallery.
    """

    out: Path | None
    n: int = 64
    conditions: Sequence[str] = ()
    checkpoint: Path | None = None
    steps: int | None = None
    scheduler: str | None = None
    guidance: float | None = None
    overwrite: bool = False
    neighbours: bool = True

    def check_folder(self) -> None:
        """Check that a gallery would overwrite nothing in the folder.

        Raises:
            RequestError: naming what would be lost.
        """
        if self.out is None:
            return
        if self.out.exists() and not self.out.is_dir():
            raise RequestError(f"--out {self.out} is a file: name a folder")
        taken = gallery_files(self.out)
        if taken and not self.overwrite:
            others = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
            raise RequestError(
                f"--out {self.out}: {taken[0]}{others} would be overwritten; name another folder, "
                "or add --overwrite"
            )

    def folder(self) -> AbstractContextManager[Path]:
        """The gallery's folder: `out`, or the next free name."""
        return new_folder(FOLDER) if self.out is None else nullcontext(self.out)

    def options(self, config: SamplerConfig) -> SampleOptions:
        """Sampling options: those requested, else the sampler's keys of the same names.

        Raises:
            RequestError: for a number out of range.
        """
        wishes = {name: getattr(self, name) for name in OPTIONS}
        options = replace(own_options(config), **{k: v for k, v in wishes.items() if v is not None})
        if not 1 <= options.steps <= TIMESTEPS:
            raise RequestError(f"--steps must be from 1 to {TIMESTEPS:,}, not {options.steps}")
        if not 0 <= options.guidance <= 100:
            raise RequestError(f"--guidance must be from 0 to 100, not {options.guidance:g}")
        return options

    def check_options(self, use: str, config: SamplerConfig, model: SamplerModel, filling: bool) -> None:
        """Check that the sampler supports the requested options, and that each has an effect.

        Args:
            use: the sampler's catalogue name.
            config: its keys.
            model: the sampler.
            filling: whether the request is for inpainting.

        Raises:
            RequestError: naming the option.
        """
        for name in OPTIONS:
            value = getattr(self, name)
            if value is None:
                continue
            why = idle(name, use, config, model, filling) or refusal(config, name, value)
            if why:
                raise RequestError(f"--{name} {value}: {why}")


def idle(name: str, use: str, config: SamplerConfig, model: SamplerModel, filling: bool) -> str:
    """Reason why an option has no effect on this sampler; empty where it has one.

    Args:
        name: of `OPTIONS`.
        use: the sampler's catalogue name.
        config: its keys.
        model: the sampler.
        filling: whether the request is for inpainting, which takes steps in every family.
    """
    if not (isinstance(model, Traces) or hasattr(config, name) or (filling and name == "steps")):
        return f'the sampler "{use}" has no {name}'
    if name == "scheduler" and filling:
        return "inpainting always uses ddpm, so leave the scheduler out"
    if name == "scheduler" and refusal(config, "steps", 2):
        return f'the sampler "{use}" takes one step, so it has no scheduler'
    return ""


def refusal(config: SamplerConfig, name: str, value: Any) -> str:
    """Reason why a sampler's key cannot have a value; empty where it can, or where there is no such key."""
    if not hasattr(config, name):
        return ""
    try:
        replace(config, **{name: value})  # type: ignore[type-var]
    except ValueError as error:
        return str(error)
    return ""


def sample(scene: Scene, request: SampleRequest, *, device: str, say: Callable[[str], None]) -> Report:
    """Draw samples and write the gallery.

    Args:
        scene: with a sampler; its first one is used.
        request: the request.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: takes lines for a person.

    Returns:
        The files, what was measured, and whether Ctrl-C or SIGTERM came while the gallery was written.

    Raises:
        RequestError: if the request is wrong; nothing was written.
        SaveError: if the disk is full; finished files are kept.
    """
    if has_task(scene):
        return sample_texts(scene, text_request(scene, request), device=device, say=say)
    if not 1 <= request.n <= MOST:
        raise RequestError(f"--n must be from 1 to {MOST:,}, not {request.n}")
    request.check_folder()
    make: Callable[[], GalleryContent]
    if trains_world_model(scene):
        make = functools.partial(_dream_gallery, *_dream(scene, request, chosen_device(device), say))
    else:
        make = functools.partial(make_gallery, *_draw(scene, request, chosen_device(device), say))
    with request.folder() as out, interruption(PROMISE) as interrupted:
        if request.out is None and out != FOLDER:
            say(f"{FOLDER} exists: writing to {out}")
        with waiting("writing the gallery"):
            gallery = make()
            files = write_gallery(out, gallery, interrupted)
        stopped = interrupted()
    lines = []
    if files[0].name != "index.html":
        say(f"interrupted: the gallery in {out} has no page; finished: {', '.join(f.name for f in files)}")
    else:
        rate = gallery.metrics["images_per_second"]
        lines.append(f"{number_of(len(gallery.samples), 'sample')} at {rate:g} a second; open {files[0]}")
    return Report({"files": [str(path) for path in files], "metrics": dict(gallery.metrics)}, lines, stopped)


def _dream(
    scene: Scene, request: SampleRequest, device: str, say: Callable[[str], None]
) -> tuple[Scene, SampleRequest, Card, DreamedEpisodes]:
    """Dream episodes of a world model from held-out play.

    Raises:
        RequestError: for an option or a condition, which dreams do not have, or an untrained model.
    """
    given = [f"--{name}" for name in ("scheduler", "guidance") if getattr(request, name) is not None]
    given += ["--condition"] if request.conditions else []
    if given:
        raise RequestError(
            f"{given[0]}: a world model dreams on from held-out frames and actions; leave it out"
        )
    config = sampler_config(scene)
    steps = request.options(config).steps
    model, card = build_sampler(scene, 0, device, request.checkpoint)
    assert isinstance(model, DiffusionWorldModel)
    if card is None:
        raise RequestError(
            f"{scene.name} has no checkpoint to dream by: train it, or name one by --checkpoint"
        )
    if request.n > MOST_DREAMS:
        say(f"a gallery of dreams has {MOST_DREAMS} episodes at most, not {request.n}")
    examples = fetch_examples(scene, DataRecipe.of_scene(scene, config, card))
    try:
        n = min(request.n, MOST_DREAMS)
        return scene, request, card, DreamedEpisodes(model, examples.validation, n, steps, scene.seed)
    except ValueError as error:
        raise RequestError(f"{scene.name}: {error}") from error


def _dream_gallery(
    scene: Scene, request: SampleRequest, card: Card, dreamed: DreamedEpisodes
) -> GalleryContent:
    """Make the gallery of dreamed episodes."""
    return GalleryContent(
        title=scene.title,
        about=f"{scene.sampler[0].use} on {card['config']['data']}, {budget_in_words(card['trained'])}",
        samples=dreamed.samples(scene.seed),
        metrics=dreamed.metrics,
        columns=dreamed.columns(),
        checkpoint=grades_of(card),
        clips=dreamed.clips(),
        command=command_line(scene, request),
        protocol={"steps": dreamed.metrics["steps"], "data": card["config"]["data"]},
        note=f"{PANELS}; each at the frame where they diverge, or the last one",
    )


def text_request(scene: Scene, request: SampleRequest) -> TextRequest:
    """The request for texts of a task.

    Raises:
        RequestError: for options and conditions that texts do not have.
    """
    for name in OPTIONS:
        if getattr(request, name) is not None:
            raise RequestError(f"--{name}: texts have none; set perception.0.temperature, top_k or top_p")
    conditions = dict(pair.partition("=")[::2] for pair in request.conditions)
    others = sorted(set(conditions) - {"text"})
    if others or len(conditions) < len(request.conditions):
        raise RequestError(
            f'--condition {" ".join(request.conditions)}: texts take one, text="how they begin"'
        )
    prompt = conditions.get("text", "")
    return TextRequest(
        request.out, request.n, prompt, request.checkpoint, request.overwrite, command_line(scene, request)
    )


@dataclass(frozen=True)
class SampleBatch:
    """Samples (n, …) with their sampler, condition and options.

    Attributes:
        prompts: a sentence for each of the samples; none if they have one condition.
        metrics: of these samples.
        protocol: the options that had an effect.
    """

    scene: Scene
    request: SampleRequest
    model: SamplerModel
    card: Card | None
    condition: Condition
    options: SampleOptions
    values: Array
    metrics: dict[str, float]
    protocol: dict[str, Any]
    prompts: tuple[str, ...] = ()


def _draw(
    scene: Scene, request: SampleRequest, device: str, say: Callable[[str], None]
) -> tuple[SampleBatch, SampleScorer]:
    config = sampler_config(scene)
    options = request.options(config)
    model, card = build_sampler(scene, 0, device, request.checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: these are samples of an untrained {scene.sampler[0].use}")
    recipe = DataRecipe.of_scene(scene, config, card)
    # Frames need examples: they are such by number, and the nearest real filling stands beside each.
    needed = request.neighbours or any(pair.startswith("frame=") for pair in request.conditions)
    without = None if needed else model.spec
    examples = functools.cache(lambda: some_examples(scene, recipe, say, without))
    condition = parse_condition(request.conditions, model.spec, lambda: examples().validation)
    use, filling = scene.sampler[0].use, condition.mask is not None
    request.check_options(use, config, model, filling)
    prompts: tuple[str, ...] = ()
    if isinstance(model, TextConditional) and not request.conditions:
        asked = held_out_prompts(examples().validation, scene.seed)
        prompts = tuple(itertools.islice(itertools.cycle(asked), request.n))
    begun = time.perf_counter()
    with waiting(f"drawing {number_of(request.n, 'sample')}", request.n):
        values = draw_samples(model, request.n, condition, options, scene.seed, prompts)
    metrics = {"images_per_second": round(request.n / (time.perf_counter() - begun), 1)}
    if isinstance(model, Traces):
        metrics["steps"] = options.steps
    used = {name for name in OPTIONS if not idle(name, use, config, model, filling)}
    named = {"scheduler": options.scheduler or getattr(config, "scheduler", "its own")}
    protocol = {name: value for name, value in (asdict(options) | named).items() if name in used}
    drawing = SampleBatch(scene, request, model, card, condition, options, values, metrics, protocol, prompts)
    return drawing, SampleScorer(config.data, examples(), device)


def draw_samples(
    model: SamplerModel,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    prompts: Sequence[str] = (),
) -> Array:
    """Draw samples (n, …): under one condition, or each by a prompt of its own where there are any.

    Raises:
        ConditionOptionError: if the sampler does not support the condition with these options.
    """
    try:
        if prompts and isinstance(model, TextConditional):
            return model.illustrate(prompts, options, seed)
        return model.sample(n, condition, options, seed).values
    except ConditionError as error:
        raise ConditionOptionError(f"--condition: {error}") from error
    except ValueError as error:
        raise ConditionOptionError(str(error)) from error


def make_gallery(drawing: SampleBatch, scorer: SampleScorer) -> GalleryContent:
    """Make the gallery of these samples, and add correctness and inpainting error to their metrics."""
    scene, condition, values, metrics = drawing.scene, drawing.condition, drawing.values, drawing.metrics
    export = GalleryExport(drawing.model, scorer, scene.seed, condition, drawing.prompts)
    neighbours = drawing.request.neighbours
    if drawing.prompts:
        verdicts = scorer.verdicts_by_prompt(values, drawing.prompts)
    else:
        verdicts = scorer.verdicts(values, condition)
    true = share_correct(verdicts)
    if true is not None:
        metrics[scorer.correctness] = round(true, 4)
    strips = export.strips()
    columns: dict[str, dict[str, float]] = {}
    if condition.mask is not None and condition.frame is not None:
        strips.insert(0, export.filled(values))
        metrics["rmse"], beside = inpainting_errors(condition, values, scorer.examples.train)
        columns["nearest real filling"] = {"rmse": beside}
    budget = budget_in_words(drawing.card["trained"]) if drawing.card else "untrained"
    return GalleryContent(
        title=scene.title,
        about=f"{scene.sampler[0].use} on {scorer.data}, {budget}",
        samples=export.samples(values, verdicts, neighbours),
        metrics=metrics,
        columns=columns,
        checkpoint=grades_of(drawing.card or {}),
        strips=tuple(strips),
        clips=tuple(export.clips(len(values), drawing.options)),
        command=command_line(scene, drawing.request),
        protocol=drawing.protocol,
        note="; ".join(
            ["prompts are captions of held-out examples"] * bool(drawing.prompts)
            + [f"nearest neighbours among {scorer.searched}"] * neighbours
        ),
        real=export.real(len(values)),
        latent_map=export.latent_map(values),
        verdicts=scorer.verdict_names,
    )


def grades_of(card: Card) -> Grades | None:
    """Scores of an earlier evaluation from a checkpoint's card; None if it has none."""
    scores = card.get("scores", {})
    metrics = {name: value for name, value in scores.items() if isinstance(value, float)}
    if not metrics:
        return None
    return Grades(metrics, scores.get("ci95", {}), int(scores.get("n", 0)), scores.get("protocol", {}))


def command_line(scene: Scene, request: SampleRequest) -> str:
    """The command that reproduces this gallery."""
    parts = ["playfield sample", scene.asked(), f"--n {request.n}", f"--seed {scene.seed}"]
    parts += [f"--out {request.out}"] if request.out else []
    parts += [f"--checkpoint {request.checkpoint}"] if request.checkpoint else []
    parts += [f"--condition {shlex.quote(pair)}" for pair in request.conditions]
    for name in OPTIONS:
        if getattr(request, name) is not None:
            parts.append(f"--{name} {getattr(request, name)}")
    parts += [] if request.neighbours else ["--no-neighbours"]
    return " ".join(parts)
