"""Several seeds of one scene: trained one after another, and graded together.

runs/<name>/scene.toml      what all seeds have in common; its seed is the first one
            seed-<n>/       an ordinary run folder for each seed
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.statistics import mean_interval
from scenes.schema import LARGEST_SEED, Scene, SceneError
from scenes.training.session import Trained, default_folder, train
from sim.errors import RequestError
from sim.storage.files import SaveError, reason
from sim.storage.runs import RunError, new_folder, seed_folder, seed_of, seed_runs


def check_seeds(scene: Scene, folder: Path | None, count: int, *, resume: bool) -> None:
    """Refuse a number of seeds that a run folder is not of.

    Raises:
        SceneError, RunError: naming the mend.
    """
    if count < 1:
        raise SceneError(f"--seeds must be at least 1, not {count}")
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
    """Train `count` seeds from the scene's own on, one after another; what is finished is left as it is.

    Args:
        scene: what to train.
        folder: of all of them, see the module; None for a new one of the usual name.
        count: how many; `check_seeds` has found them in order.
        device: ``auto``, ``cpu`` or ``cuda``.
        start_from: a checkpoint whose weights each of them starts with.
        say: takes lines for a person.

    Returns:
        What they came to together, and the folder of each that was begun.

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
                    reseeded(scene, seed),
                    run,
                    device=device,
                    resume=run.is_dir(),
                    start_from=start_from,
                    say=say,
                    going_on=f"--run {whole} --resume --seeds {count}",
                )
            )
            _keep(scene, whole)  # with what was changed: now one seed has gone on by it
            if done[-1].stopped == "interrupted":
                break
    except RequestError:
        if new and not done:
            shutil.rmtree(whole, ignore_errors=True)
        raise
    return together(whole, done), [result.folder for result in done]


def reseeded(scene: Scene, seed: int) -> Scene:
    """The scene with another seed."""
    return replace(scene, seed=seed)


def together(folder: Path, done: Sequence[Trained]) -> Trained:
    """What several seeds came to: counts and times in sum, metrics and rate on average."""
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
    """What `grade` says of each seed's run, as one answer of `playfield evaluate`.

    Each is graded by what is held out from its own seed. Metrics are means over seeds, and their intervals
    Student's over seeds; the breakdown is by seed.
    """
    answers = {run.name: grade(reseeded(scene, seed_of(run)), run) for run in runs}
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
