"""Verbs of the command line, called with parsed options by `scenes.cli.main`.

Every verb calls the function of the library that works, prints what it returns, and returns the JSON object
of its ``--json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenes.cli.display import has_display
from scenes.console import say, show, stdout_console
from scenes.schema import Scene, SceneError
from sim.catalog import install_hint
from sim.errors import RequestError
from sim.plurals import number_of
from sim.ranks import is_follower, launched_ranks
from sim.storage.checkpoints import CARD
from sim.storage.files import next_free
from sim.storage.replays import SUFFIX
from sim.storage.runs import seed_runs, step_folders

if TYPE_CHECKING:
    from scenes.cli.options import Sweep, Watch
    from sim.storage.replays import ActionReplay
    from sim.viewer.app.window import Watched
    from sim.viewer.contract.show import Show

Answer = dict[str, Any]

FRAMES_WITHOUT_DISPLAY = 600
RETURNS_TOLD = 20  # the last ones, of a recording


def watch(
    scene: Scene,
    *,
    device: str,
    person: bool,
    run: Path | None,
    headless: bool,
    frames: int | None,
    record: Path | None,
    overwrite: bool,
    checkpoint: Path | None = None,
    beside: Path | None = None,
    replay: ActionReplay | None = None,
) -> tuple[Answer, bool]:
    """Open the window, or record without one; the second value tells whether Ctrl-C ended it.

    With `replay` that is played, and `scene` is its scene; with `beside` that checkpoint plays in lockstep. A
    `record` that ends in .pfr gets the actions.
    """
    try:
        from sim.viewer.app.window import watch as open_window
    except ModuleNotFoundError as error:
        raise RequestError(f"the window needs {install_hint(error.name or 'pygame')}") from error
    from scenes.watching.playlist import pair_of, playlist, show_of
    from scenes.watching.replay_files import logging_show, replay_of, write_replay
    from sim.viewer.contract.show import PlaylistEntry

    headless, frames, record, done = _output(
        scene, person, headless, frames, record, overwrite=overwrite, whole=replay is not None
    )
    if beside is not None and (person or run is not None):
        raise RequestError(
            "--beside puts two checkpoints side by side: no person plays, and no run is followed"
        )
    run, checkpoint = run_to_follow(run, checkpoint)
    if run is not None:
        check_run(run, waits=not headless)
    others = None if headless else playlist(scene, device=device, checkpoint=checkpoint, run=run)
    stage: Show | PlaylistEntry
    if replay is not None:
        replayed, others = replay_of(replay, scene, others, device=device, attended=not headless)
        frames = min(frames or replayed.moments, replayed.moments) if headless else frames
        stage = replayed
    elif beside is not None:
        rival = run_to_follow(None, beside)[1]
        assert rival is not None
        stage, others = pair_of(scene, (checkpoint, rival), others, device=device, attended=not headless)
    else:
        loaded = partial(show_of, scene, device=device, checkpoint=checkpoint, run=run, say=say)
        in_window = not headless and frames is None and record is None  # which is open while it loads
        stage = PlaylistEntry(scene.title, loaded) if in_window else loaded(attended=not headless)
    actions = record if _holds_actions(record) else None
    logged = None if actions is None else logging_show(stage, actions)
    if done:
        say(done)
    watched = open_window(
        stage,
        fps=scene.view.fps,
        frames=frames,
        record=record if logged is None else None,
        headless=headless,
        person=person,
        seed=scene.seed,
        playlist=others,
        overwrite=overwrite,
    )
    if logged is not None and actions is not None:
        watched = replace(watched, file=write_replay(logged, actions, overwrite=overwrite))
    if headless or watched.file:
        show(in_words(watched))
    answer = {
        "frames": watched.frames,
        "fps": round(watched.fps, 1),
        "episodes": watched.episodes,
        "returns": watched.returns,
        "file": str(watched.file) if watched.file else None,
    }
    return answer, watched.interrupted


def _holds_actions(record: Path | None) -> bool:
    return record is not None and record.suffix.lower() == SUFFIX


def _output(
    scene: Scene,
    person: bool,
    headless: bool,
    frames: int | None,
    record: Path | None,
    *,
    overwrite: bool,
    whole: bool,
) -> tuple[bool, int | None, Path | None, str]:
    """Whether there is a window, how many pictures, the file that they go to, and what is said of it.

    Args:
        scene: which is named by the file of a machine without a display.
        person: whether a person shall play.
        headless: as asked for, and so are `frames` and `record`.
        frames: pictures.
        record: a file.
        overwrite: replace it.
        whole: whether the show has an end, and goes on until then unless told otherwise.

    Raises:
        RequestError: if that is impossible.
    """
    from scenes.watching.replay_files import check_replay_target
    from sim.viewer.output.recorder import check_target

    if frames is not None and frames < 1:
        raise RequestError(f"--frames must be at least 1, not {frames}")
    if headless and frames is None and not whole:
        raise RequestError("--headless needs --frames N: nobody could close the window")
    alone = not headless and not has_display()
    if alone and person:
        raise RequestError("to play there must be a display, and there is none: watch the agent instead")
    if alone and frames is None:
        frames = None if whole else FRAMES_WITHOUT_DISPLAY
        record = record or next_free(Path(f"{scene.name}.mp4"))
    if record is not None and _holds_actions(record):
        check_replay_target(record, overwrite=overwrite)
    elif record is not None:
        check_target(record, overwrite=overwrite)
    done = ""
    if alone:
        drawn = "the whole replay" if frames is None else number_of(frames, "frame")
        done = f"recording {drawn} to {record}" if record else f"drawing {drawn} unseen"
        done = f"There is no display: {done} instead of opening a window."
    elif headless and record is None:
        done = "what is drawn is not kept; to keep it: --record FILE.mp4"
    return headless or alone, frames, record, done


def watch_replay(options: Watch) -> tuple[Answer, bool]:
    """Play an action replay; the second value tells whether Ctrl-C ended it."""
    path = Path(options.scene)
    has = {"--set": options.set, "--seed": options.seed is not None, "--run": options.run is not None}
    has |= {"--checkpoint": options.checkpoint is not None, "--pgn": options.pgn is not None}
    has |= {"--game": options.game is not None, "--beside": options.beside is not None}
    if wrong := next((name for name, given in has.items() if given), ""):
        raise RequestError(f"{wrong} does not apply to an action replay, which plays {path} as it was")
    if options.person:
        raise RequestError(f"{path} is an action replay, and nobody plays it: playfield watch {path}")
    try:
        from scenes.watching.replay_files import read
    except ModuleNotFoundError as error:
        raise RequestError(f"the window needs {install_hint(error.name or 'pygame')}") from error
    replay, scene = read(path, say)
    return watch(
        scene,
        device=options.device,
        person=False,
        run=None,
        headless=options.headless,
        frames=options.frames,
        record=options.record,
        overwrite=options.overwrite,
        replay=replay,
    )


def watch_game(
    scene: Scene,
    *,
    device: str,
    person: bool,
    run: Path | None,
    headless: bool,
    frames: int | None,
    record: Path | None,
    overwrite: bool,
    checkpoint: Path | None,
    pgn: Path | None,
    game: int | None,
) -> tuple[Answer, bool]:
    """Analyse a recorded game of chess; the second value tells whether Ctrl-C ended it."""
    if pgn is None:
        raise RequestError("--game says which game of a file, and there is none: name it with --pgn FILE")
    if person:
        raise RequestError("--pgn analyses a game that has been played: playfield watch instead of play")
    if run is not None:
        raise RequestError(f"--pgn is not analysed by a run in progress; by its newest: --checkpoint {run}")
    if frames is not None and frames < 1:
        raise RequestError(f"--frames must be at least 1, not {frames}")
    try:
        from scenes.watching.game_analysis_command import GameRequest, analyse
    except ModuleNotFoundError as error:
        raise RequestError(f"the analysis of games needs {install_hint(error.name or 'chess')}") from error

    headless = headless or not has_display()
    _, checkpoint = run_to_follow(None, checkpoint)
    number = 1 if game is None else game
    request = GameRequest(pgn, number, checkpoint, headless, frames, record, overwrite)
    report = analyse(scene, request, device=device, say=say)
    report.show()
    return report.answer, report.interrupted


def in_words(watched: Watched) -> str:
    """Summary of `watch` in one line."""
    where = f" in {watched.file}" if watched.file else ""
    ended = ", ".join(f"{score:g}" for score in watched.returns[-RETURNS_TOLD:])
    if len(watched.returns) > RETURNS_TOLD:
        ended = f"… {ended}"
    games = f"; {number_of(watched.episodes, 'episode')} ended" + (f", returns {ended}" if ended else "")
    return f"{number_of(watched.frames, 'frame')}{where} at {watched.fps:,.0f} a second{games}"


def run_to_follow(run: Path | None, checkpoint: Path | None) -> tuple[Path | None, Path | None]:
    """The run to follow, or the checkpoint to show instead: at most one of them.

    Args:
        run: a run's folder, or a checkpoint's, which is shown as it is.
        checkpoint: a checkpoint's folder, or a run's, which stands for its newest one.

    Raises:
        SceneError: if both are given.
    """
    if run is not None and checkpoint is not None:
        raise SceneError("--run follows a run and --checkpoint shows one state of it: give one of them")
    if run is not None and (run / CARD).is_file():
        say(f"{run} is a checkpoint, not a run: it is shown as it is")
        return None, run
    if checkpoint is not None and not (checkpoint / CARD).is_file():
        saved = step_folders(checkpoint / "checkpoints")
        checkpoint = saved[-1] if saved else checkpoint
    return run, checkpoint


def check_run(run: Path, *, waits: bool) -> None:
    """Check that a folder is a run to follow; with `waits` it need not have a checkpoint yet.

    Raises:
        SceneError: if there is nothing to follow.
    """
    if step_folders(run / "checkpoints"):
        return
    if not run.is_dir():
        raise SceneError(f"{run} holds no checkpoint: there is no such folder")
    if (seeds := seed_runs(run)) != [run]:
        raise SceneError(f"{run} holds the runs of {len(seeds)} seeds: name one, such as {seeds[0]}")
    if not (run / "scene.toml").is_file():
        raise SceneError(f"{run} holds no checkpoint: it is not a run folder, there is no scene.toml in it")
    if not waits:
        raise SceneError(f"{run} holds no checkpoint yet; train longer, or watch in a window, which waits")


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
