"""The position that the client has set up, followed from one `position` command to the next."""

from __future__ import annotations

from collections.abc import Sequence

from scenes.uci.protocol import EXCERPT, NULL_MOVE, Complain
from sim.chess.rules.game import FIFTY, THREEFOLD, ChessGame
from sim.fields import excerpt


class PositionTracker:
    """Follows the positions of a game: moves that are known from the last command are not played again.

    Attributes:
        game: the last one; None after one that was refused, for the client's is another one than the last
            valid one, and a move from that would most likely be illegal.
    """

    def __init__(self, history: int) -> None:
        """Begin with the usual position; `history` is of `ChessGame`."""
        self._history = history
        self._fen: str | None = None
        self._moves: tuple[str, ...] = ()
        self.game: ChessGame | None = self._played(ChessGame(history=history), ())

    def set(self, fen: str | None, moves: tuple[str, ...]) -> None:
        """Set up a position: `moves` in UCI from `fen`, None for the usual one.

        Raises:
            ValueError: for an illegal position or move.
        """
        known, at = self.game, len(self._moves)
        self.game = None
        if known is None or fen != self._fen or moves[:at] != self._moves:
            known = ChessGame(history=self._history) if fen is None else ChessGame(fen, self._history)
            at = 0
        self.game = self._played(known, moves[at:])
        self._fen, self._moves = fen, moves

    def _played(self, game: ChessGame, moves: tuple[str, ...]) -> ChessGame:
        game = without_draws(game, self._history)
        for text in moves:
            action = legal_action(game, text)
            game = without_draws(game.play(action), self._history)
        return game


def legal_action(game: ChessGame, text: str) -> int:
    """The action of a legal move in UCI.

    Raises:
        ValueError: naming the move and the position.
    """
    try:
        action = game.action(text)
    except (ValueError, LookupError) as error:
        raise ValueError(f"{excerpt(text, EXCERPT)} is no move in UCI, such as e2e4 or e7e8q") from error
    move = game.moves.get(action)
    if move is None or move.uci() != text:  # e7e8 without its piece, or e2e4 with one
        raise ValueError(f"{text} is not legal in {game.fen}")
    return action


def choices(game: ChessGame | None, asked: Sequence[str], complain: Complain) -> tuple[tuple[int, ...], str]:
    """What a search may choose from.

    Args:
        game: the position, None where it is not known.
        asked: the moves that the client wants to be searched; none for all.
        complain: takes what is wrong.

    Returns:
        Actions to choose from, none for all; and the move to answer with if there is no choice, or "".
    """
    if game is None:
        complain("the position is not known: the last one was refused")
        return (), NULL_MOVE
    if not game.moves:  # mate and stalemate; in dead positions a program may play on
        return (), next((move.uci() for move in game.board.legal_moves), NULL_MOVE)
    only = []
    for text in asked:
        try:
            only.append(legal_action(game, text))
        except ValueError as error:
            complain(str(error))
    return tuple(only), NULL_MOVE if asked and not only else ""


def without_draws(game: ChessGame, history: int) -> ChessGame:
    """The game without draws by repetition or fifty moves: under UCI a program may play on."""
    if game.reason not in (THREEFOLD, FIFTY):
        return game
    board = game.board
    board.halfmove_clock = 0
    return ChessGame(board.fen(), history)
