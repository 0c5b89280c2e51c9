"""Evaluation of a scene's world model on held-out play, beside the last frame again and straight lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from generative.dream.grading import ASTRAY, MISSING, WorldModelGrade, grade_world_model
from generative.dream.world_model import DiffusionWorldModel
from scenes.build.devices import chosen_device
from scenes.build.samplers import own_options, sampler_config
from scenes.data.sampler_data import DataRecipe, build_sampler, check_recipe, differences, fetch_examples
from scenes.evaluation.reality_gap import STEPS, returns_of_both
from scenes.report import Report
from scenes.schema import Scene, SceneError

#: Metric → unit or kind, and digits; the lines of the table, in order. Others follow.
UNITS = {
    "ball_error": ("px", 2),
    "paddle_error": ("px", 2),
    "ball_any_error": ("px", 2),
    "objects_right": ("share", 3),
    "objects_right_late": ("share", 3),
    "action_response": ("share", 3),
    "reward_f1": ("", 3),
    "end_f1": ("", 3),
    "psnr": ("dB", 1),
    "frames_until_divergence": ("frames", 1),
    "return_dream": ("points", 2),
    "return_emulator": ("points", 2),
}
COLUMNS = {"copy_last": "copy last", "straight_line": "straight line", "emulator": "emulator"}


def grade_world_models(
    scene: Scene, *, device: str, checkpoint: Path | None, say: Callable[[str], None]
) -> Report:
    """Evaluate the scene's first sampler, a world model.

    Args:
        scene: with a world model.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        say: takes lines for a person.

    Raises:
        SceneError, FieldError, DataError, CheckpointError: if the request is wrong.
    """
    config = sampler_config(scene)
    model, card = build_sampler(scene, 0, chosen_device(device), checkpoint)
    assert isinstance(model, DiffusionWorldModel)
    table = scene.sampler[0]
    name = checkpoint.name if checkpoint else Path(table.checkpoint or table.use).name
    if card is None:
        say(f"{name} has no checkpoint: these are scores of an untrained {table.use}")
    recipe = DataRecipe.of_scene(scene, config, card)
    if card is not None:
        check_recipe(scene, name, 0, card, recipe)
    examples = fetch_examples(scene, recipe)
    for difference in differences(card or {}, recipe, len(examples.train)):
        say(f"{name}: {difference}")
    options = own_options(config)
    try:
        grade = grade_world_model(model, examples.validation, steps=options.steps, seed=scene.seed)
    except ValueError as error:
        raise SceneError(f"{scene.source.name}, examples = {config.examples:,}: {error}") from error
    if scene.sampler[0].graded_by and card is not None:
        weights = checkpoint or scene.resolve(str(table.checkpoint))
        both = returns_of_both(scene, weights, model.config.game, options.steps)
        for key, returns in both.items():
            grade.note(key, returns, scene.seed)
    answer = json_answer(
        grade, recipe.protocol() | {"steps": options.steps, "repeat_action_probability": 0.0}
    )
    return Report(answer, grade_table(scene, grade, options.steps))


def json_answer(grade: WorldModelGrade, protocol: dict[str, Any]) -> dict[str, Any]:
    """The answer of ``--json``.

    ``baseline`` is the last frame again; in ``breakdown`` are the other baselines, the N of each metric
    (``counts``), medians, and the share of stretches in which the dreamed ball is missing.
    """
    return {
        "metrics": grade.metrics,
        "baseline": grade.baselines.get("copy_last", {}),
        "breakdown": {name: figures for name, figures in grade.baselines.items() if name != "copy_last"}
        | {"counts": grade.n, "median": grade.medians, "missing": grade.missing},
        "n": max(grade.n.values()),
        "ci95": grade.ci95,
        "protocol": protocol,
    }


def grade_table(scene: Scene, grade: WorldModelGrade, steps: int) -> list[Table | str]:
    """Table with a column for the dream, its interval, N and each baseline."""
    table = Table(title=f"{scene.title}: held-out play, {steps} denoising steps a frame", box=None)
    table.add_column("", no_wrap=True)
    for name in ("dream", "95 %", "N", *COLUMNS.values()):
        table.add_column(name, justify="right", no_wrap=True)
    for key, value in grade.metrics.items():
        stem = key if key in UNITS else key.rpartition("_")[0]
        unit, digits = UNITS[stem]
        low, high = grade.ci95.get(key, (None, None))
        cells = [f"{value:.{digits}f}", "" if low is None else f"{low:.{digits}f} … {high:.{digits}f}"]
        cells.append(f"{grade.n[key]:,}" if key in grade.n else "")
        for of in COLUMNS:
            other = grade.baselines.get(of, {}).get(key)
            cells.append("" if other is None else f"{other:.{digits}f}")
        table.add_row(f"{key} ({unit})" if unit else key, *cells)
    balls = ", ".join(
        f"{key} {grade.medians[key]:.2f} ({grade.missing[key]:.0%} missing)" for key in grade.medians
    )
    agent = Path(scene.sampler[0].graded_by or "").name
    gap = [
        f"return_dream, return_emulator: of {agent}, points won less lost in {STEPS:,} steps without "
        "sticky actions, after 0 to 30 no-ops"
    ]
    return [
        table,
        f"medians: {balls}; a missing ball counts {MISSING:g} px",
        "ball_error: where the ball meets no paddle; ball_any_error and paddle_error: any play; pixels of an "
        f"80 × 80 field. Diverged: an object more than {ASTRAY:g} px off, or on one side only.",
        *(gap if "return_dream" in grade.metrics else []),
    ]
