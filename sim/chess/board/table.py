"""One chess game at the board, ply by ply: its positions, players, clock, result; moves can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import chess
import chess.pgn

from sim.chess.board.clock import ChessClock, TimeControl
from sim.chess.rules import CHECKMATE, ChessGame, IllegalMoveError

NAMES = {chess.WHITE: "White", chess.BLACK: "Black"}
NORMAL, TIME_FORFEIT, UNTERMINATED = "normal", "time forfeit", "unterminated"  # PGN's tag Termination


@dataclass(frozen=True)
class Ending:
    """How a game ended otherwise than on the board.

    Attributes:
        result: as in PGN; ``"*"``: without one.
        reason: in words.
        termination: PGN's tag.
    """

    result: str
    reason: str
    termination: str


@dataclass
class PlayedMove:
    """One move of the game: the action, its SAN, who made it, and the clocks before it."""

    action: int
    san: str
    mover: str
    left: dict[chess.Color, float] = field(default_factory=dict)
    taken_back: tuple[str, ...] = ()  # moves that were tried in its place


class Table:
    """One game at the board. `colour` sits at the bottom: the person's side, or the agent's.

    Attributes:
        colour: see above.
        names: of whom sits on each side now.
        moves: both sides', in order.
        clock: None for a game without.
    """

    def __init__(
        self,
        first: ChessGame,
        colour: chess.Color,
        names: dict[chess.Color, str],
        *,
        control: TimeControl | None = None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.colour = colour
        self.names = dict(names)
        self.moves: list[PlayedMove] = []
        self.clock = None if control is None else ChessClock(control, now)
        self._positions = [first]
        self._ended: Ending | None = None
        self._withdrawn: tuple[str, ...] = ()  # SAN of the moves that were just taken back

    @property
    def first(self) -> ChessGame:
        """The position that the game began from."""
        return self._positions[0]

    @property
    def game(self) -> ChessGame:
        """The position on the board."""
        return self._positions[-1]

    @property
    def before(self) -> ChessGame | None:
        """The position before the last move; None at the start."""
        return self._positions[-2] if len(self._positions) > 1 else None

    @property
    def actions(self) -> list[int]:
        """Every action so far, both sides'."""
        return [move.action for move in self.moves]

    @property
    def ending(self) -> tuple[str, str] | None:
        """Outcome for `colour` and reason, once the game is over; None while it goes on."""
        return (self.outcome, self.reason) if self.over else None

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return self._ended is not None or self.game.reason is not None

    def play(self, action: int) -> None:
        """Play a legal action of the side to move, and press its clock.

        Raises:
            sim.chess.rules.IllegalMoveError: if it is not legal; nothing has changed then.
        """
        game = self.game
        if self._ended is not None:
            raise IllegalMoveError(f"{game.refusal(int(action))}; the game is over: {self.reason}")
        after = game.play(action)
        left = {} if self.clock is None else self.clock.left
        ply = PlayedMove(int(action), game.san(action), self.names[game.turn], left, self._withdrawn)
        self.moves.append(ply)
        self._withdrawn = ()
        self._positions.append(after)
        if self.clock is not None:
            self.clock.press(game.turn, starts=not self.over and len(self.moves) >= 2)

    def take_back(self, count: int) -> int:
        """Undo up to `count` moves, and an ending; returns how many were undone."""
        count = min(count, len(self.moves))
        if not count:
            return 0
        gone = self.moves[-count:]
        del self.moves[-count:], self._positions[-count:]
        self._ended = None
        self._withdrawn = (*gone[0].taken_back, " ".join(ply.san for ply in gone))
        if self.clock is not None:
            self.clock.stop()
            self.clock.set(gone[0].left)
            if len(self.moves) >= 2:
                self.clock.start(self.game.turn)
        return count

    def end(self, ending: Ending) -> None:
        """End the game otherwise than on the board; what the rules have ended stays as it is."""
        if not self.over:
            self._ended = ending
        if self.clock is not None:
            self.clock.stop()

    def flag(self) -> bool:
        """End the game if a side's time is up: a loss, or a draw if the other side cannot mate."""
        side = None if self.clock is None or self.over else self.clock.flagged
        if side is None:
            return False
        reason = f"{NAMES[side]}'s time is up"
        if self.game.board.has_insufficient_material(not side):
            self.end(Ending("1/2-1/2", f"{reason}, {NAMES[not side]} cannot mate", TIME_FORFEIT))
        else:
            self.end(Ending("0-1" if side else "1-0", reason, TIME_FORFEIT))
        return True

    @property
    def result(self) -> str:
        """The result as in PGN; ``"*"`` while the game goes on."""
        if self._ended is not None:
            return self._ended.result
        if self.game.reason is None:
            return "*"
        if self.game.reason == CHECKMATE:
            return "0-1" if self.game.turn else "1-0"
        return "1/2-1/2"

    @property
    def termination(self) -> str:
        """PGN's tag Termination."""
        if self._ended is not None:
            return self._ended.termination
        return NORMAL if self.over else UNTERMINATED

    @property
    def reason(self) -> str:
        """How the game ended, in words; "" while it goes on."""
        return self._ended.reason if self._ended is not None else self.game.reason or ""

    @property
    def outcome(self) -> str:
        """For `colour`: ``"win"``, ``"draw"``, ``"loss"``; "" while it goes on and without a result."""
        if self.result in ("*", "1/2-1/2"):
            return "" if self.result == "*" else "draw"
        return "win" if (self.result == "1-0") == self.colour else "loss"

    @property
    def players(self) -> tuple[str, str]:
        """Who sits on White's and on Black's side now."""
        return self.names[chess.WHITE], self.names[chess.BLACK]

    def movers(self) -> dict[chess.Color, str]:
        """Who played each side: those who moved, in order; who sits there if nobody has moved yet."""
        found = {}
        for side in chess.COLORS:
            movers = dict.fromkeys(ply.mover for i, ply in enumerate(self.moves) if self._turn(i) == side)
            found[side] = ", ".join(movers) or self.names[side]
        return found

    def pgn(self, event: str = "Playfield", renamed: Mapping[str, str] | None = None) -> str:
        """The game so far in Portable Game Notation, with who moved; taken-back moves stand in comments.

        Args:
            event: PGN's tag.
            renamed: players that are called otherwise in PGN.
        """
        record = chess.pgn.Game()
        record.setup(self.first.board)
        movers = self.movers()
        called = [self._renamed(movers[side], renamed or {}) for side in (chess.WHITE, chess.BLACK)]
        headers = record.headers
        headers["Event"], headers["Date"] = event, f"{date.today():%Y.%m.%d}"
        headers["White"], headers["Black"] = called
        headers["Result"] = self.result
        headers["TimeControl"] = "-" if self.clock is None else self.clock.control.pgn
        headers["Termination"] = self.termination
        node: chess.pgn.GameNode = record
        for game, move in zip(self._positions, self.moves, strict=False):
            node = node.add_variation(game.moves[move.action])
            if move.taken_back:
                node.comment = f"taken back: {'; '.join(move.taken_back)}"
        if self._ended is not None:
            node.comment = " ".join(filter(None, (node.comment, self.reason)))
        return f"{record}\n"

    @staticmethod
    def _renamed(movers: str, renamed: Mapping[str, str]) -> str:
        return ", ".join(renamed.get(one, one) for one in movers.split(", "))

    def _turn(self, ply: int) -> chess.Color:
        """The side that made move number `ply`, from 0."""
        return self._positions[ply].turn
