"""Training of one scene with several seeds, one after another, and their joint evaluation.

runs/<name>/scene.toml      the scene of all seeds, with the first seed
            seed-<n>/       an ordinary run folder for each seed
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.statistics import mean_interval
from scenes.schema import LARGEST_SEED, Scene, SceneError
from scenes.training.session import Trained, default_folder, train
from sim.errors import RequestError
from sim.ranks import launched_ranks
from sim.storage.files import SaveError, reason
from sim.storage.runs import RunError, new_folder, seed_folder, seed_of, seed_runs


def check_seeds(scene: Scene, folder: Path | None, count: int, *, resume: bool) -> None:
    """Check that the number of seeds fits the run folder.

    Raises:
        SceneError, RunError: naming the mend.
    """
    if count < 1:
        raise SceneError(f"--seeds must be at least 1, not {count}")
    if count > 1 and launched_ranks() > 1:
        raise SceneError(f"--seeds {count} trains in one process: start torchrun once for each --seed")
    if scene.seed + count - 1 > LARGEST_SEED:
        raise SceneError(f"--seeds {count} from seed {scene.seed} on go beyond {LARGEST_SEED:,}")
    if folder is None:
        return
    found = seed_runs(folder)
    if count == 1 and found != [folder]:
        raise RunError(
            f"{folder} holds the runs of {len(found)} seeds: go on with --resume --seeds {len(found)}, "
            "or choose another --run"
        )
    if count == 1:
        return
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, not a run folder: choose another --run")
    if (folder / "checkpoints").is_dir():
        raise RunError(f"{folder} is the run of one seed: leave --seeds out, or choose another --run")
    if not resume and folder.is_dir() and any(folder.iterdir()):
        raise RunError(f"{folder} exists: go on with --resume --seeds {count}, or choose another --run")


def train_seeds(
    scene: Scene,
    folder: Path | None,
    count: int,
    *,
    device: str,
    start_from: Path | None,
    say: Callable[[str], None],
) -> tuple[Trained, list[Path]]:
    """Train `count` seeds from the scene's own on, one after another; finished seeds are skipped.

    Args:
        scene: what to train.
        folder: of all seeds, see the module; None for a new one with the default name.
        count: number of seeds, checked by `check_seeds`.
        device: ``auto``, ``cpu`` or ``cuda``.
        start_from: checkpoint with the initial weights of every seed.
        say: takes lines for a person.

    Returns:
        Their joint result, and the run folders of the seeds that were begun.

    Raises:
        TrainingFailed: if one could not go on; what had been saved stays.
        RunError, SceneError, CheckpointError: if the request is wrong.
    """
    whole = new_folder(default_folder(scene)) if folder is None else folder
    new = not (whole / "scene.toml").is_file()
    if new:
        _keep(scene, whole)
    done: list[Trained] = []
    try:
        for seed in range(scene.seed, scene.seed + count):
            say(f"seed {seed}, {len(done) + 1} of {count}")
            run = seed_folder(whole, seed)
            done.append(
                train(
                    with_seed(scene, seed),
                    run,
                    device=device,
                    resume=run.is_dir(),
                    start_from=start_from,
                    say=say,
                    going_on=f"--run {whole} --resume --seeds {count}",
                )
            )
            _keep(scene, whole)  # with this command's changes, now that one seed has resumed with them
            if done[-1].stopped == "interrupted":
                break
    except RequestError:
        if new and not done:
            shutil.rmtree(whole, ignore_errors=True)
        raise
    return joint_result(whole, done), [result.folder for result in done]


def with_seed(scene: Scene, seed: int) -> Scene:
    """A copy of the scene with another seed."""
    return replace(scene, seed=seed)


def joint_result(folder: Path, done: Sequence[Trained]) -> Trained:
    """Joint result of several seeds: counts and times are summed, metrics and rates averaged."""
    rates = [result.rate for result in done if result.rate]
    shared = [name for name in done[0].metrics if all(name in result.metrics for result in done)]
    return Trained(
        folder,
        env_steps=sum(result.env_steps for result in done),
        updates=sum(result.updates for result in done),
        seconds=sum(result.seconds for result in done),
        rate=float(np.mean(rates)) if rates else 0.0,
        stopped=done[-1].stopped,
        metrics={name: float(np.mean([result.metrics[name] for result in done])) for name in shared},
    )


def grade_seeds(
    grade: Callable[[Scene, Path], dict[str, Any]], scene: Scene, runs: Sequence[Path]
) -> dict[str, Any]:
    """Evaluate each seed's run by `grade`, and join the answers.

    Each is scored on what is held out by its own seed. Metrics are means over seeds with Student's intervals
    over seeds; the breakdown is by seed.
    """
    answers = {run.name: grade(with_seed(scene, seed_of(run)), run) for run in runs}
    first, *_ = answers.values()
    columns = {
        name: np.array([answer["metrics"][name] for answer in answers.values()])
        for name in first["metrics"]
        if all(name in answer["metrics"] for answer in answers.values())
    }
    return first | {
        "metrics": {name: float(column.mean()) for name, column in columns.items()},
        "breakdown": {run: answer["metrics"] for run, answer in answers.items()},
        "n": sum(answer["n"] for answer in answers.values()),
        "ci95": {name: list(mean_interval(column)) for name, column in columns.items()},
    }


def _keep(scene: Scene, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / "scene.new"
        whole.write_text(scene.toml(), "utf-8")
        whole.replace(folder / "scene.toml")
    except OSError as error:
        raise SaveError(error.errno, f"could not write {folder}: {reason(error)}") from error
