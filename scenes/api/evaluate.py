"""Evaluation of a scene: its agent over whole episodes, or its models on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scenes.build.perceptions import trains_perception
from scenes.build.samplers import trains_sampler, trains_world_model
from scenes.data.task_data import has_task
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.storage.runs import seed_runs

EPISODES = 20  # that an agent is scored by


def evaluate(
    scene: Scene,
    *,
    device: str,
    episodes: int | None,
    seeds: int,
    checkpoint: Path | None,
    say: Callable[[str], None],
    opponents: Sequence[str] = (),
    perturb: bool = False,
    figure: Path | None = None,
    overwrite: bool = False,
) -> Report:
    """Score the scene's agent beside a random one, or grade its perception or samplers beside a baseline.

    Args:
        scene: what to score.
        device: ``auto``, ``cpu`` or ``cuda``.
        episodes: whole games from each seed, of an agent; None: `EPISODES`.
        seeds: how many seeds of evaluation, of an agent.
        checkpoint: instead of the scene's own; of a training of several seeds, all of them.
        say: takes remarks.
        opponents: of a chess agent, by name: matches with them instead (`scenes.evaluation.chess_match`).
        perturb: of a walker: its score under each perturbation, too (`scenes.evaluation.robustness`).
        figure: of a walker: PNG of its foot contacts (`scenes.evaluation.gait_figure`).
        overwrite: replace it where it exists.

    Raises:
        RequestError: if the request is wrong.
        WorkError: if a world or a model broke down.
    """
    if opponents:
        from scenes.evaluation.chess_match import MatchRequest, play_matches

        if seeds != 1:
            raise SceneError("seeds are for whole episodes: games against opponents differ by their opening")
        request = MatchRequest(opponents, episodes, checkpoint)
        return play_matches(scene, request, device=device, say=say)
    if trains_perception(scene) or trains_sampler(scene):
        if perturb or figure is not None:
            raise SceneError(f"--perturb and --figure are for walking agents, and {scene.name} trains none")
        if episodes is not None:
            say("--episodes counts games, and no agent is scored here: it changes nothing")
        return _graded(scene, device, checkpoint, say)
    from scenes.evaluation.agents import evaluate as work

    episodes = EPISODES if episodes is None else episodes
    options: dict[str, Any] = {"perturb": perturb, "figure": figure, "overwrite": overwrite}
    return work(
        scene, device=device, episodes=episodes, seeds=seeds, checkpoint=checkpoint, say=say, **options
    )


def _graded(scene: Scene, device: str, checkpoint: Path | None, say: Callable[[str], None]) -> Report:
    """The scene's perception or samplers graded; of a training of several seeds, all of them."""
    work: Callable[..., Report]
    if has_task(scene):
        from scenes.evaluation.tasks import grade_task as work
    elif trains_perception(scene):
        from scenes.evaluation.perceptions import grade_perception as work
    elif trains_world_model(scene):
        from scenes.evaluation.world_models import grade_world_models as work
    else:
        from scenes.evaluation.samplers import grade_samplers as work
    runs = [] if checkpoint is None else seed_runs(checkpoint)
    if runs in ([], [checkpoint]):
        return work(scene, device=device, checkpoint=checkpoint, say=say)
    from scenes.training.seeds import grade_seeds

    reports = []

    def grade(each: Scene, run: Path) -> dict[str, object]:
        reports.append(work(each, device=device, checkpoint=run, say=say))
        return reports[-1].answer

    answer = grade_seeds(grade, scene, runs)
    return Report(answer, [part for report in reports for part in report.parts])
