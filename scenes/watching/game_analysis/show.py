"""Show of an analysed chess game: the board at one of its positions, with evaluations of every move.

In a window a thread of its own analyses, and each opinion is shown as it comes. In a recording the game has
been analysed before, and a step of the show is the next position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scenes.interruption import error_line
from scenes.watching.game_analysis.analysis import BATCH, AnalysedGame, Analyst, Opinion, annotated
from scenes.watching.game_analysis.board import AnalysisBoard
from sim.chess.pgn_games import PgnError, PgnFile
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Moment
from sim.viewer.gallery.worker import Worker

RATE = 1.0  # positions a second
FAR = 10  # plies that the arrows go with Shift
IN_FLIGHT = 1600  # simulations after which opinions are shown, and a search can be cancelled
KEYS = ("home", "end", "up", "down", "n")

_NOTHING = np.zeros(1)


class GameAnalysisShow:
    """Show of the games of a file. Satisfies `Show`, `Interactive` and `Working` of `sim.viewer.contract`.

    Args:
        file: the games.
        number: of the first one shown.
        analyst: gives the opinions.
        title: of the scene.
        agent: its name.
        game: game `number` where it has been analysed already; then nothing is done in the background.
    """

    abilities = frozenset({Ability.ANALYSIS, Ability.BOARD, Ability.FLIP, Ability.SAVE})
    action_names: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    action_limit = 1.0
    num_worlds = 1
    steps_per_second = RATE

    def __init__(
        self,
        file: PgnFile,
        number: int,
        analyst: Analyst,
        *,
        title: str,
        agent: str,
        game: AnalysedGame | None = None,
    ) -> None:
        self.title, self.agent = f"Analysis: {Path(file.name).name}", f"{title} ({agent})"
        searched = analyst.num_simulations
        self.training = analyst.trained or "untrained"
        self.protocol = f"{searched} simulations a position" if searched else "the policy alone, no search"
        self._file, self._number, self._analyst = file, number, analyst
        self._worker = Worker(self._failed)
        self._attended = game is None
        self.game = AnalysedGame(file.game(number, analyst.history)) if game is None else game
        self._board = AnalysisBoard(self.game)
        self._ply = 0
        self._size = Gesture("resize", 480, 480)
        self._flipped = False
        self._trouble = ""

    # Show

    def start(self, seed: int | None) -> Moment:
        """Begin at the first position; see `sim.viewer.contract.show.Show`."""
        self._go_to(0)
        if self.game.left and self._attended:
            self._analyse()
        return self.look()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Go on to the next position; see `sim.viewer.contract.show.Show`."""
        self._go_to(self._ply + 1)
        return self.look()

    def close(self) -> None:
        """Cancel the analysis in progress."""
        self._worker.close()

    # Interactive, and Working

    @property
    def waits(self) -> bool:
        """Whether the last position is shown; see `sim.viewer.contract.gesture.Interactive`."""
        return self._attended and self._ply == len(self.game)

    def listen(self, tell: Callable[[], None]) -> None:
        """See `sim.viewer.contract.show.Working`."""
        self._worker.listen(tell)

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        if gesture.kind == "news":
            return Answer(redraw=self._worker.deliver())
        if gesture.kind in ("resize", "flip"):
            self._flipped ^= gesture.kind == "flip"
            self._size = gesture if gesture.kind == "resize" else self._size
            return self._board.touch(gesture)
        if gesture.kind == "save":
            return Answer(document=(".pgn", annotated(self.game)))
        elif gesture.kind == "seek":
            self._go_to(int(gesture.x))
        elif gesture.kind == "key":
            return self._press(gesture.name, shift=gesture.on)
        else:
            return Answer()
        return Answer(redraw=True)

    def look(self) -> Moment:
        """The position shown, drawn again."""
        game, ply = self.game, self._ply
        return Moment(
            pictures=(self._board.draw(game.moves()[ply - 1].mark if ply else ""),),
            reward=_NOTHING,
            score=_NOTHING,
            length=np.array([ply]),
            asks=KEYS if self._attended else (),
            analysis=game.state(ply, self._status()),
            board=self._board.state(),
        )

    def _status(self) -> str:
        """The work in progress, what stopped it, or why the game ends early."""
        if self._trouble:
            return self._trouble
        done = len(self.game.opinions) - len(self.game.left)
        return f"analysing … {done} of {len(self.game.opinions)} positions" if self.game.left else ""

    # Keys

    def _press(self, name: str, *, shift: bool) -> Answer:
        if name == "n":
            return self._open(self._number + (-1 if shift else 1))
        far = FAR if shift else 1
        goals = {"left": self._ply - far, "right": self._ply + far, "home": 0, "end": len(self.game)}
        if name in goals:
            self._go_to(goals[name])
        elif (ply := self._marked(-1 if name == "up" else 1)) is not None:
            self._go_to(ply)
        else:
            return Answer(message=f"no {'earlier' if name == 'up' else 'later'} move is marked")
        return Answer(redraw=True)

    def _go_to(self, ply: int) -> None:
        self._ply = min(max(ply, 0), len(self.game))
        self._board.go_to(self._ply)

    def _marked(self, way: int) -> int | None:
        """The next position after a move with a mark, forwards or backwards."""
        plies = [ply for ply, move in enumerate(self.game.moves(), 1) if move.mark]
        if way > 0:
            return next((ply for ply in plies if ply > self._ply), None)
        return next((ply for ply in reversed(plies) if ply < self._ply), None)

    def _open(self, number: int) -> Answer:
        """Go to another game of the file; where there is none, the present one stays."""
        if number < 1:
            return Answer(message="this is the first game of the file")
        try:
            record = self._file.game(number, self._analyst.history)
        except PgnError as error:
            return Answer(message=error_line(error))
        self._number, self.game = number, AnalysedGame(record)
        self._trouble = ""
        self._board = AnalysisBoard(self.game)
        self._board.touch(self._size)
        if self._flipped:
            self._board.touch(Gesture("flip"))
        self._go_to(0)
        self._analyse()
        return Answer(redraw=True, message=f"game {number}" + (f" of {n}" if (n := self._file.count) else ""))

    # Analysis

    def _analyse(self) -> None:
        game, batch = self.game, min(BATCH, max(4, IN_FLIGHT // max(1, self._analyst.num_simulations)))
        work: Iterator[Sequence[tuple[int, Opinion]]] = game.work(self._analyst, batch)
        self._worker.ask("analysis", "the analysis", work, game.take)

    def _failed(self, words: str, error: Exception) -> None:
        self._trouble = f"{words} failed: {error_line(error)}"
