"""Analysis of a game from a PGN file by the command line: in the window, or as a table and a video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from scenes.interruption import FAULTS, error_line
from scenes.report import Report
from scenes.schema import Scene
from scenes.watching.game_analysis.analysis import AnalysedGame, build_analyst, title_of
from scenes.watching.game_analysis.show import GameAnalysisShow
from sim.chess.pgn_games import PgnFile
from sim.errors import RequestError, WorkError
from sim.plurals import number_of
from sim.progress import waiting
from sim.viewer.app.window import Watched
from sim.viewer.app.window import watch as open_window
from sim.viewer.contract.game_analysis import SideSummary
from sim.viewer.output.recorder import check_target
from supervised.data.sources.chess_games.game_file import lines


class AnalysisFailed(WorkError):
    """An analysis whose agent failed."""


@dataclass(frozen=True)
class GameRequest:
    """What is analysed, and how it is shown.

    Attributes:
        pgn: the file.
        game: number of the game in it, from 1.
        checkpoint: of the agent, instead of the scene's own.
        headless: without a window: the whole game is analysed, then recorded if asked for.
        frames: pictures after which to end; None: never in a window, else one a position.
        record: an .mp4 or .gif file of what is drawn.
        overwrite: replace that file.
    """

    pgn: Path
    game: int
    checkpoint: Path | None
    headless: bool
    frames: int | None
    record: Path | None
    overwrite: bool


def analyse(scene: Scene, request: GameRequest, *, device: str, say: Callable[[str], None]) -> Report:
    """Show a game with the evaluations of the scene's agent.

    Returns:
        The answer of ``watch --json``, with one of `moves` for each move that was analysed; its table.

    Raises:
        DataError, PgnError, SceneError, CheckpointError, ViewerError: if the request is wrong.
        AnalysisFailed: if the agent failed.
    """
    if request.game < 1:
        raise RequestError(f"--game counts from 1, and {request.game} is below it")
    if request.record is not None:
        check_target(request.record, overwrite=request.overwrite)
    file = PgnFile(str(request.pgn), "\n".join(line for _, line, _ in lines(request.pgn)))
    record = file.game(request.game)  # before an agent is built: a wrong file is told at once
    analyst = build_analyst(scene, device=device, checkpoint=request.checkpoint)
    if not analyst.trained:
        say(f"{scene.name} has no checkpoint: these are the opinions of an untrained agent")
    if record.fault:
        say(f"{request.pgn}, game {request.game}: {record.fault}; the moves before it are analysed")
    game = None
    if request.headless:
        game = AnalysedGame(file.game(request.game, analyst.history))
        _analyse_whole(game, analyst)
    agent = scene.agent.use if scene.agent is not None else ""
    show = GameAnalysisShow(file, request.game, analyst, title=scene.title, agent=agent, game=game)
    watched = Watched(0, 0.0, 0, [], None)
    if not request.headless or request.record is not None or request.frames is not None:
        frames = request.frames or (len(show.game) + 1 if request.headless else None)
        watched = open_window(
            show,
            fps=scene.view.fps,
            frames=frames,
            record=request.record,
            headless=request.headless,
            overwrite=request.overwrite,
        )
    return _report(show.game, watched, table=request.headless)


def _analyse_whole(game: AnalysedGame, analyst: Any) -> None:
    """Analyse all positions, under a progress bar.

    Raises:
        AnalysisFailed: if the agent failed.
    """
    with waiting(f"analysing {number_of(len(game.left), 'position')}", len(game.left)) as progress:
        try:
            for found in game.work(analyst):
                game.take(found)
                progress.advance(len(found))
        except RequestError:
            raise
        except FAULTS as error:
            raise AnalysisFailed(f"the analysis failed: {error_line(error)}") from error


def _report(game: AnalysedGame, watched: Watched, *, table: bool) -> Report:
    answer = {
        "frames": watched.frames,
        "fps": round(watched.fps, 1),
        "episodes": watched.episodes,
        "returns": watched.returns,
        "file": str(watched.file) if watched.file else None,
        "moves": game.rows(),
        "white": game.sides()[0]._asdict(),
        "black": game.sides()[1]._asdict(),
    }
    parts: list[Table | str] = []
    if table:
        parts = [moves_table(game), *map(summary, ("White", "Black"), game.sides())]
    if watched.file is not None:
        parts.append(f"{number_of(watched.frames, 'frame')} in {watched.file}")
    return Report(answer, parts, watched.interrupted)


def moves_table(game: AnalysedGame) -> Table:
    """Table of the moves, one a line."""
    table = Table(title=title_of(game.record))
    for heading in ("move", "network", "rank", "favourite", "best", "White before", "after", "drop"):
        table.add_column(heading, justify="left" if heading in ("move", "favourite", "best") else "right")
    for move in game.moves():
        table.add_row(
            f"{move.number} {move.san}{move.mark and ' ' + move.mark}",
            in_percent(move.policy),
            "–" if move.rank is None else str(move.rank),
            move.favourite or "–",
            move.best or "–",
            in_percent(move.win_before),
            in_percent(move.win_after),
            "–" if move.drop is None else f"{100 * move.drop + 0.0:.1f}",
        )
    table.caption = "in %: the network's policy for the move, White's expected score, and what the mover lost"
    return table


def in_percent(share: float | None) -> str:
    """A share in per cent, with one decimal.

    >>> in_percent(0.1234), in_percent(None)
    ('12.3', '–')
    """
    return "–" if share is None else f"{100 * share:.1f}"


def summary(side: str, found: SideSummary) -> str:
    """Summary of one side's play.

    >>> summary("White", SideSummary(40, 0.0312, 3, 1, 0))
    'White: 3.1 % of the expected score lost a move; 3 inaccuracies, 1 mistake, 0 blunders'
    """
    if not found.moves:
        return f"{side}: no moves with a known expected score"
    inaccuracies = "1 inaccuracy" if found.inaccuracies == 1 else f"{found.inaccuracies} inaccuracies"
    counts = f"{inaccuracies}, {number_of(found.mistakes, 'mistake')}, {number_of(found.blunders, 'blunder')}"
    return f"{side}: {100 * found.mean_drop:.1f} % of the expected score lost a move; {counts}"
