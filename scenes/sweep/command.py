"""Verb ``sweep``: checks a request, begins or opens a sweep's folder, trains its trials and reports them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agents.actors.ray_cluster import check_address
from scenes.report import Report
from scenes.schema import LARGEST_SEED, Scene, load_scene
from scenes.sweep.folder import Definition, SweepError, SweepFolder
from scenes.sweep.search_space import NumberRange, fitted_to_scene, parse_space
from scenes.training.loop import CHECKPOINTS_IN_A_RUN
from scenes.training.resume import catalogue_names, differences
from scenes.training.session import budget_of
from sim.catalog import MissingPackageError, install_hint
from sim.plurals import number_of
from sim.storage.runs import new_folder

if TYPE_CHECKING:
    from scenes.sweep.ray_tune import Cluster
    from scenes.sweep.study import SweepStudy

TRIALS = 20  # unless told
Say = Callable[[str], None]


@dataclass(frozen=True)
class SweepRequest:
    """Request for a sweep, as the command line has it; None: not told.

    Attributes:
        scene: name or path.
        changes: ``key.path=value`` each, of all trials.
        seed: first seed of every trial.
        search: ``KEY=RANGE`` each, see `scenes.sweep.search_space`.
        trials: how many there are to be.
        seeds: how many each trial trains.
        parallel: worker processes here, or trials at a time on a cluster.
        minutes: after which all stop.
        steps: budget of each seed.
        run: the sweep's folder.
        resume: go on with it, or join another process that does.
        overwrite: replace an older sweep.
        cluster: address of a Ray cluster, or ``auto``.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    scene: str
    changes: Sequence[str] = ()
    seed: int | None = None
    search: Sequence[str] = ()
    trials: int | None = None
    seeds: int | None = None
    parallel: int = 1
    minutes: float | None = None
    steps: int | None = None
    run: Path | None = None
    resume: bool = False
    overwrite: bool = False
    cluster: str | None = None
    device: str = "auto"


def sweep(request: SweepRequest, say: Say) -> Report:
    """Run a sweep until all trials have ended, the time is over or Ctrl-C.

    Raises:
        RequestError: if the request is wrong; nothing was written.
        WorkError: if it could not go on, or no trial came to a score; what was saved stays.
    """
    check_request(request)
    _check_packages(request)
    planned = resumed(request) if request.resume else defined(request)
    with _cluster(request) as cluster:  # before anything is written: it may not answer
        folder, definition = opened(request) if request.resume else begun(request, planned)
        from scenes.sweep.study import SweepStudy

        study = SweepStudy(folder, definition)
        study.propose_own()
        searched, trials = (
            number_of(len(definition.space), "parameter"),
            number_of(definition.trials, "trial"),
        )
        say(f"sweep of {definition.scene}: {searched}, {trials} in {folder.path}")
        stopped = _trained(study, request, cluster, say)
    return _reported(study, stopped, say)


def check_request(request: SweepRequest) -> None:
    """Check amounts that are wrong whatever the scene is.

    Raises:
        SweepError, ClusterError: naming the option.
    """
    for option, amount in (
        ("--trials", request.trials),
        ("--seeds", request.seeds),
        ("--parallel", request.parallel),
        ("--steps", request.steps),
    ):
        if amount is not None and amount < 1:
            raise SweepError(f"{option} must be at least 1, not {amount}")
    if request.minutes is not None and not 0 < request.minutes < float("inf"):
        raise SweepError(f"--minutes must be above 0, not {request.minutes:g}")
    if request.cluster is not None:
        check_address(request.cluster)
    if request.resume and request.run is None:
        raise SweepError("--resume needs --run DIR, the sweep to go on with")
    if request.resume and request.overwrite:
        raise SweepError("--resume goes on with a sweep and --overwrite replaces it: give one of them")


def _check_packages(request: SweepRequest) -> None:
    """Check that what a sweep imports is installed.

    Raises:
        MissingPackageError: with the line that installs it.
    """
    for module in ("optuna", "matplotlib", *(["ray"] if request.cluster else [])):
        if importlib.util.find_spec(module) is None:
            what = "a cluster" if module == "ray" else "a sweep"
            raise MissingPackageError(f"{what} needs {install_hint(module)}")


def defined(request: SweepRequest) -> Definition:
    """Definition of a new sweep, checked against its scene; nothing is written.

    Raises:
        RequestError: for a search space that does not fit the scene, a scene without a budget, and a folder
            that is taken.
    """
    from scenes.sweep.scoring import usual_metric

    scene, parsed = _scene(request), parse_space(request.search)

    def changed(change: str) -> Scene:
        return load_scene(request.scene, [*request.changes, change], request.seed)

    metric, direction, prunes = usual_metric(scene)
    space = fitted_to_scene(parsed, scene, changed)
    seeds = request.seeds or 1
    if scene.seed + seeds - 1 > LARGEST_SEED:
        raise SweepError(f"--seeds {seeds} from seed {scene.seed} on go beyond {LARGEST_SEED:,}")
    if request.run is not None:
        check_free(request.run, overwrite=request.overwrite)
    return Definition(
        scene=request.scene,
        name=scene.name,
        search={each.key: each.text for each in space},
        whole=tuple(each.key for each in space if isinstance(each, NumberRange) and each.whole),
        trials=request.trials or TRIALS,
        seed=scene.seed,
        seeds=seeds,
        steps=request.steps or budget_of(scene).amount,
        unit="updates" if scene.train.updates is not None else "env_steps",
        metric=metric,
        direction=direction,
        prunes=prunes,
        changes=tuple(request.changes),
    )


def _scene(request: SweepRequest) -> Scene:
    return load_scene(request.scene, request.changes, request.seed)


def begun(request: SweepRequest, definition: Definition) -> tuple[SweepFolder, Definition]:
    """Begin a new sweep in a folder of its own; with ``--overwrite`` the one that is there goes first.

    Raises:
        SweepError: if the folder has been taken meanwhile.
        SaveError: if it cannot be made.
    """
    if request.run is None:
        path = new_folder(Path("runs") / f"{definition.name}-sweep-{datetime.now():%Y%m%d-%H%M%S}")
    else:
        path = request.run
        check_free(path, overwrite=request.overwrite)
    folder = SweepFolder(path)
    if folder.exists():
        folder.remove()
    folder.create(definition, with_budget(_scene(request), definition))
    return folder, definition


def with_budget(scene: Scene, definition: Definition) -> Scene:
    """The scene with the budget of the sweep's trials, saved at least as often as one without a rhythm is.

    A scene's own rhythm may be longer than a trial, and a killed one would begin anew.
    """
    usual = max(1, definition.steps // CHECKPOINTS_IN_A_RUN)
    every = min(scene.train.checkpoint_every or usual, usual)
    budget = {definition.unit: definition.steps, "checkpoint_every": every}
    return replace(scene, train=replace(scene.train, **budget))


def check_free(path: Path, *, overwrite: bool) -> None:
    """Check that a new sweep can begin in a folder, with `overwrite` in place of another one.

    Raises:
        SweepError: if something else is there, or a sweep in use.
    """
    if path.exists() and not path.is_dir():
        raise SweepError(f"{path} is a file, not a folder: choose another --run")
    if not path.is_dir() or not any(path.iterdir()):
        return
    folder = SweepFolder(path)
    if not folder.exists():
        raise SweepError(f"{path} holds something else than a sweep: choose another --run")
    if not overwrite:
        raise SweepError(f"{path} exists: go on with --resume, choose another --run, or give --overwrite")
    folder.check_idle()


def resumed(request: SweepRequest) -> Definition:
    """Definition of the sweep to go on with, checked against the request; nothing is written.

    Raises:
        RequestError: if it is another sweep than the request describes.
    """
    assert request.run is not None
    folder = SweepFolder(request.run)
    definition = folder.read()
    check_same(request, folder, definition)
    return definition


def opened(request: SweepRequest) -> tuple[SweepFolder, Definition]:
    """Open a sweep of `resumed` to go on with it, with as many trials as the request says.

    Raises:
        SweepError: if that are fewer than have begun; nothing was written.
    """
    assert request.run is not None
    folder = SweepFolder(request.run)
    with folder.lock("claim"):  # others read the total under it
        definition = folder.read()
        if request.trials is not None and request.trials != definition.trials:
            begun = _begun_trials(folder, definition)
            if request.trials < begun:
                raise SweepError(
                    f"--trials {request.trials} is below the {begun} that {folder.path} has begun already"
                )
            definition = replace(definition, trials=request.trials)
            folder.write(definition)
    return folder, definition


def check_same(request: SweepRequest, folder: SweepFolder, definition: Definition) -> None:
    """Check that a request describes the sweep that is in the folder; what it leaves out is the sweep's.

    Raises:
        SweepError: naming what differs.
    """
    asked, kept = load_scene(request.scene), folder.scene(definition)
    if catalogue_names(asked) != catalogue_names(kept):
        mine, other = (", ".join(catalogue_names(scene)) for scene in (kept, asked))
        raise SweepError(
            f'{folder.path} is a sweep of "{kept.title}" ({mine}), not of {asked.name} ({other}): '
            "choose another --run"
        )
    differing: list[str] = []
    if request.changes:
        import tomllib

        changed = folder.scene(definition, request.changes)
        differing += differences(tomllib.loads(kept.toml()), tomllib.loads(changed.toml()))
    if request.search:
        texts = {each.key: each.text for each in parse_space(request.search)}
        differing += differences(definition.search, texts)
    for name, given in (("seed", request.seed), ("seeds", request.seeds), ("steps", request.steps)):
        if given is not None and given != getattr(definition, name):
            differing.append(f"{name} = {given} (was {getattr(definition, name)})")
    if differing:
        raise SweepError(
            f"{folder.path} cannot go on with {', '.join(differing)}: its trials would not compare; "
            "leave it out, or choose another --run"
        )


def _begun_trials(folder: SweepFolder, definition: Definition) -> int:
    """How many trials the study has, under the claim lock, which is therefore not taken again."""
    if not folder.journal.is_file():
        return 0
    from scenes.sweep.study import begun_trials

    return begun_trials(folder)


def _cluster(request: SweepRequest) -> AbstractContextManager[Cluster | None]:
    """The cluster that the request names; None for this machine.

    Raises:
        ClusterError: if it does not answer.
    """
    if request.cluster is None:
        return nullcontext()
    try:
        from scenes.sweep.ray_tune import Cluster
    except ImportError as error:  # Ray without what Tune needs
        raise MissingPackageError(f"a cluster needs Ray Tune ({error}): {install_hint('ray')}") from error
    return Cluster(request.cluster, request.parallel)


def _trained(study: SweepStudy, request: SweepRequest, cluster: Cluster | None, say: Say) -> str | None:
    """Train what is left; returns why it stopped, or None."""
    from scenes.sweep.process_pool import ProcessPool, threads_each

    if cluster is not None:
        return cluster.train(study, device=request.device, minutes=request.minutes, say=say)
    scene = study.folder.scene(study.definition)
    network = None if scene.agent is None else scene.agent.fields.get("network")
    threads = threads_each(request.parallel, network)
    pool = ProcessPool(study, parallel=request.parallel, device=request.device, threads=threads, say=say)
    return pool.run(request.minutes)


def _reported(study: SweepStudy, stopped: str | None, say: Say) -> Report:
    """Write the report of what there is, and say what is missing.

    Raises:
        SweepFailed: if all trials have ended and none has a score.
    """
    from scenes.sweep.page import report_lines, report_table, write_report
    from scenes.sweep.process_pool import SweepFailed, resume_command
    from scenes.sweep.report import make_report

    report = make_report(study)
    files = write_report(study.folder, report)
    again = resume_command(study.folder, study.definition)
    states = [row.state for row in report.rows]
    if stopped is not None:
        say(f"stopped: {stopped}; go on with {again}")
    elif "unfinished" in states:
        say(f"{states.count('unfinished')} of the trials train in another process; afterwards: {again}")
    elif report.best is None:
        errors = [row.error for row in report.rows if row.error]
        raise SweepFailed(
            f"no trial came to a score: {errors[0] if errors else 'all were pruned'}; see {files[0]}"
        )
    return Report(
        report.answer(), [report_table(report), *report_lines(report, files)], stopped == "interrupted"
    )
