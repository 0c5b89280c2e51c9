"""Verbs ``watch`` and ``play`` of the command line: the window, a recording, replays and recorded games."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenes.cli.display import has_display
from scenes.console import say, show
from scenes.schema import Scene, SceneError
from sim.catalog import install_hint
from sim.errors import RequestError
from sim.plurals import number_of
from sim.storage.checkpoints import CARD
from sim.storage.files import next_free
from sim.storage.replays import SUFFIX
from sim.storage.runs import seed_runs, step_folders

if TYPE_CHECKING:
    from scenes.cli.options.watch import Watch
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
        from scenes.watching.game_analysis.command import GameRequest, analyse
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
