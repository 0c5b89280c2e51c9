"""Verbs of the command line, called with parsed options by `scenes.cli.main`.

Every verb calls the function of the library that works, prints what it returns, and returns the JSON object
of its ``--json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenes.cli.display import has_display
from scenes.console import say, show, stdout_console
from scenes.schema import Scene, SceneError
from sim.catalog import install_hint
from sim.errors import RequestError
from sim.plurals import number_of
from sim.ranks import is_follower, launched_ranks

if TYPE_CHECKING:
    from scenes.cli.options.train import Sweep

Answer = dict[str, Any]


def train(
    name: str,
    changes: Sequence[str],
    seed: int | None,
    *,
    device: str,
    run: Path | None,
    steps: int | None,
    resume: bool,
    start_from: Path | None,
    seeds: int = 1,
    actors: int | None = None,
    cluster: str | None = None,
    max_staleness: int | None = None,
) -> tuple[Answer, bool]:
    """Train a scene; the second value tells whether Ctrl-C ended it."""
    from scenes.build.perceptions import trains_perception
    from scenes.build.samplers import trains_sampler, trains_world_model
    from scenes.training.actors import actor_options
    from scenes.training.resume import training_scene
    from scenes.training.seeds import check_seeds, train_seeds
    from scenes.training.session import train as work

    with _ranks_together(device):
        scene, run = training_scene(name, changes, seed, run=run, steps=steps, resume=resume)
        crew = actor_options(scene, actors, cluster, max_staleness, seeds=seeds)
        check_seeds(scene, run, seeds, resume=resume)
        if seeds > 1:
            result, runs = train_seeds(scene, run, seeds, device=device, start_from=start_from, say=say)
        else:
            result = work(
                scene, run, device=device, resume=resume, start_from=start_from, say=say, actors=crew
            )
            runs = [result.folder]
    if is_follower():
        return {}, False
    if result.stopped:
        say(f"stopped: {result.stopped}")
    acts = not trains_perception(scene) and not trains_sampler(scene)
    done = number_of(result.env_steps, "env step") if acts else number_of(result.updates, "update")
    show(f"{done} in {result.folder}")
    if not trains_world_model(scene):  # in which one plays, instead of seeing samples of it
        say(f"see it: {how_to_watch(name, runs[-1])}")
    say(f"score it: playfield evaluate {name} --checkpoint {result.folder}")
    counted = {"env_steps": result.env_steps} if acts else {}
    return {
        "run": str(result.folder),
        **counted,
        "updates": result.updates,
        "seconds": round(result.seconds, 3),
        "steps_per_second": round(result.rate, 1),
        "metrics": result.metrics,
        **({"runs": [str(folder) for folder in runs]} if seeds > 1 else {}),
    }, result.stopped == "interrupted"


@contextmanager
def _ranks_together(device: str) -> Iterator[None]:
    """Context of one training by the ranks that torchrun started, if it did."""
    if launched_ranks() == 1:
        yield
        return
    from scenes.training.ranks import faults_told
    from supervised.distributed import join

    with faults_told(join(device)):
        yield


def how_to_watch(name: str, folder: Path) -> str:
    """Command line that shows a run's newest checkpoint."""
    return f"playfield watch {name} --run {folder}"


def sweep(options: Sweep) -> tuple[Answer, bool]:
    """Search hyperparameters; the second value tells whether Ctrl-C ended it."""
    from scenes.sweep.command import SweepRequest
    from scenes.sweep.command import sweep as work

    asked = {
        field.name: getattr(options, field.name) for field in fields(SweepRequest) if field.name != "changes"
    }
    report = work(SweepRequest(changes=options.set, **asked), say=say)
    report.show()
    return report.answer, report.interrupted


def evaluate(
    scene: Scene,
    *,
    device: str,
    episodes: int | None,
    seeds: int,
    checkpoint: Path | None,
    **walker: Any,
) -> Answer:
    """Evaluate a scene's agent beside a random one, or its perception or samplers beside a baseline."""
    from scenes.api.evaluate import evaluate as work

    report = work(
        scene, device=device, episodes=episodes, seeds=seeds, checkpoint=checkpoint, say=say, **walker
    )
    report.show()
    return report.answer


def match(
    scene: Scene,
    opponents: Sequence[str],
    *,
    device: str,
    episodes: int | None,
    checkpoint: Path | None,
    pgn: Path | None,
    overwrite: bool,
) -> tuple[Answer, bool]:
    """Play a scene's chess agent against opponents; the second value tells whether Ctrl-C ended it."""
    try:
        from scenes.evaluation.chess_match import MatchRequest, play_matches
    except ModuleNotFoundError as error:
        raise RequestError(f"a chess match needs {install_hint(error.name or 'chess')}") from error
    request = MatchRequest(opponents, episodes, checkpoint, pgn, overwrite)
    report = play_matches(scene, request, device=device, say=say)
    report.show()
    return report.answer, report.interrupted


def perceive(
    scene: Scene,
    *,
    device: str,
    source: str | None,
    out: Path | None,
    checkpoint: Path | None,
    overwrite: bool,
) -> tuple[Answer, bool]:
    """Run a perception on images or other inputs; the second value tells whether Ctrl-C ended it."""
    from scenes.perceiving.command import perceive as work
    from scenes.perceiving.request import PerceiveRequest

    request = PerceiveRequest(source, out, checkpoint, overwrite)
    report = work(scene, request, device=device, say=say, tell=show)
    report.show()
    return report.answer, report.interrupted


def sample(
    scene: Scene,
    *,
    device: str,
    out: Path | None,
    n: int,
    conditions: Sequence[str],
    steps: int | None,
    scheduler: str | None,
    guidance: float | None,
    checkpoint: Path | None,
    overwrite: bool,
    neighbours: bool,
) -> tuple[Answer, bool]:
    """Draw samples into a gallery; the second value tells whether Ctrl-C ended it."""
    try:
        from scenes.sampling.command import SampleRequest
        from scenes.sampling.command import sample as work
    except ModuleNotFoundError as error:
        raise RequestError(f"a gallery needs {install_hint(error.name or 'pillow')}") from error
    request = SampleRequest(out, n, conditions, checkpoint, steps, scheduler, guidance, overwrite, neighbours)
    report = work(scene, request, device=device, say=say)
    report.show()
    return report.answer, report.interrupted


def compare(
    runs: Sequence[Path],
    changes: Sequence[str],
    seed: int | None,
    *,
    device: str,
    episodes: int,
    across_protocols: bool,
    figure: Path | None = None,
    overwrite: bool = False,
) -> Answer:
    """Compare runs by evaluation on the same seeds, and draw the comparison if a figure is asked for."""
    from scenes.evaluation.compare import compare as work
    from scenes.evaluation.compare_figure import check_png, write_comparison

    if figure is not None:
        check_png("--figure", figure, overwrite=overwrite)
    report = work(
        runs, changes, seed or 0, device=device, episodes=episodes, across_protocols=across_protocols
    )
    report.show()
    if figure is not None:
        write_comparison(report.answer["rows"], figure)
        return report.answer | {"file": str(figure)}
    return report.answer


def plot(runs: Sequence[Path], *, out: Path | None, metric: str | None, x: Any, overwrite: bool) -> Answer:
    """Plot learning curves of runs."""
    from scenes.evaluation.plot import PlotRequest
    from scenes.evaluation.plot import plot as work

    return work(PlotRequest(runs, out, metric, x, overwrite), say=say)


def show_curves(answer: Answer) -> None:
    """Print a table of the curves, and the names of the files."""
    from rich.table import Column, Table

    table = Table(Column("run", overflow="fold"), box=None, pad_edge=False)
    headings = ("seeds", "steps", "minutes", f"last {answer['rows'][0]['metric']}", "best")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in answer["rows"]:
        cells = ["–" if row[key] is None else f"{row[key]:.4g}" for key in ("last", "best")]
        table.add_row(row["run"], str(row["seeds"]), f"{row['steps']:,}", f"{row['minutes']:,.1f}", *cells)
    stdout_console().print(table)
    for file in answer["files"]:
        show(file)


def collect(
    scene: Scene,
    *,
    device: str,
    out: Path,
    episodes: int | None,
    steps: int | None,
    checkpoint: Path | None,
    frames: bool,
    play: bool,
    overwrite: bool,
) -> tuple[Answer, bool]:
    """Record episodes; the second value tells whether Ctrl-C ended it."""
    try:
        from scenes.collecting import command as recording
    except ModuleNotFoundError as error:
        raise RequestError(f"recording needs {install_hint(error.name or 'minari')}") from error
    for option, amount in (("--episodes", episodes), ("--steps", steps)):
        if amount is not None and amount < 1:
            raise SceneError(f"{option} must be at least 1, not {amount}")
    if play and not has_display():
        raise SceneError("--play needs a display, and there is none: leave it out, and the agent plays")
    request = recording.CollectRequest(out, episodes, steps, checkpoint, frames, overwrite)
    work = recording.collect_played if play else recording.collect
    result = work(scene, request, device=device, say=say)
    return result.answer(), result.interrupted


def collect_games(
    scene: Scene,
    files: tuple[Path, ...],
    *,
    out: Path,
    overwrite: bool,
    resume: bool,
    labels: dict[str, int | None] | None,
    play_out: bool = False,
    nodes: int | None = None,
) -> tuple[Answer, bool]:
    """Convert recorded chess games, and label positions; the second value tells whether Ctrl-C ended it."""
    try:
        from scenes.collecting import recorded_games
    except ModuleNotFoundError as error:
        raise RequestError(f"chess games need {install_hint(error.name or 'chess')}") from error
    request = recorded_games.GamesRequest(files, out, overwrite, resume, labels, play_out, nodes)
    result = recorded_games.collect_games(scene, request, say=say)
    return result.answer(), result.interrupted
