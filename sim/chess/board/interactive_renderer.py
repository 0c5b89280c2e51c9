"""Interactive chess board for the window: drawn at any size, played by mouse or keys.

Pieces are moved by two clicks, by dragging, or with the arrows and Enter; only legal moves come out.
A `sim.viewer.contract.gesture.InteractiveRenderer`.
"""

from __future__ import annotations

import chess

from sim.chess.board.board_drawing import PROMOTIONS, BoardDrawing, Move
from sim.chess.diagrams.draw import SMALLEST, square_at
from sim.viewer.contract.gesture import Ability, Answer, Gesture

_ARROWS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_STRIP = 0.5  # height of the names and captured pieces, in squares
_BAR = 0.35  # width that is left free at either side, in squares: for the evaluation


class ChessRenderer(BoardDrawing):
    """Interactive renderer of one chess game: draws its board and turns gestures into legal moves."""

    abilities = frozenset({Ability.POINT, Ability.FLIP, Ability.SAVE, Ability.BOARD})
    turns = True

    @property
    def asks(self) -> tuple[str, ...]:
        """The keys that play now; none unless a person plays."""
        if not self._person:
            return ()
        if self._ending:
            return ("return",)
        if self._promoting:
            return (*PROMOTIONS, "escape")
        return (*_ARROWS, "return", *(("escape",) if self._picked is not None else ()))

    @property
    def caption(self) -> str:
        """Caption: the game's result, or the keys that choose a promotion."""
        if self._promoting:
            return "Q R B N or a click chooses, Esc takes back"
        if not self._ending:
            return ""
        return self.result + (" · a click begins the next game" if self._person else "")

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        if gesture.kind == "resize":
            self._space = int(gesture.x), int(gesture.y)
            return self._fit()
        if gesture.kind == "grid":
            self._bare = gesture.on
            return self._fit()
        if gesture.kind == "flip":
            self._turned = not self._turned
        elif gesture.kind == "person":
            self._person = gesture.on
            self._let_go()
        elif gesture.kind == "save":
            return Answer(document=(".pgn", self._pgn or self._written()))
        elif gesture.kind == "key":
            return self._key(gesture.name)
        elif gesture.kind in ("press", "move", "release"):
            return self._point(gesture)
        return Answer(redraw=True)

    def _fit(self) -> Answer:
        """Fit the board into its space with whole pixels a square; in a grid of games it stands alone."""
        if self._space is not None:
            width, height = self._space
            bar, strip = (0.0, 0.0) if self._bare else (_BAR, _STRIP)
            cell = min(int(width / (8 + 2 * bar)), int(height / (8 + 2 * strip)))
            self._board = max(SMALLEST, 8 * cell)
        self._strip = 0 if self._bare else round(self._board // 8 * _STRIP)
        return Answer(redraw=True)

    def _point(self, gesture: Gesture) -> Answer:
        if gesture.kind == "press" and not self._person:
            return Answer(message="the agent plays; M: you play")
        if not self._person:
            return Answer()
        if self._ending:
            return Answer(go=True) if gesture.kind == "press" else Answer()
        square = square_at(gesture.x, gesture.y - self._strip, self._board, self._flipped)
        if gesture.kind == "move":
            if self._held_at is None:
                return Answer()
            self._held_at = (gesture.x, gesture.y)
            return Answer(redraw=True)
        self._cursor = None
        if self._promoting:
            return self._choose(square) if gesture.kind == "press" else Answer()
        if gesture.kind == "press":
            return self._press(square, (gesture.x, gesture.y))
        return self._release(square)

    def _press(self, square: chess.Square | None, at: tuple[float, float] | None) -> Answer:
        """Pick a piece of one's own, or go where one is picked; `at` is None without a pointer."""
        if square is not None and self._mine(square):
            self._fresh = square != self._picked
            self._picked, self._held_at = square, at
            return Answer(redraw=True)
        if self._picked is None:
            return Answer()
        if square is None:
            self._let_go()
            return Answer(redraw=True)
        return self._go(self._picked, square)

    def _release(self, square: chess.Square | None) -> Answer:
        """End a drag; on its own square it was a click, and a second one puts the piece back."""
        if self._held_at is None or self._picked is None:
            return Answer()
        self._held_at = None
        self._dropped = square != self._picked
        if square == self._picked:
            if not self._fresh:
                self._let_go()
        elif square is not None:
            return self._go(self._picked, square)
        return Answer(redraw=True)

    def _key(self, name: str) -> Answer:
        if name not in self.asks:
            return Answer()
        if self._ending:
            return Answer(go=True)
        if name == "escape":
            self._let_go()
        elif name in PROMOTIONS and self._promoting:
            return self._play(self._promoting, PROMOTIONS[name])
        elif name in _ARROWS:
            self._cursor = self._moved_cursor(*_ARROWS[name])
        elif self._cursor is not None:
            if self._cursor == self._picked:
                self._picked = None
                return Answer(redraw=True)
            return self._press(self._cursor, None)
        return Answer(redraw=True)

    def _moved_cursor(self, right: int, down: int) -> chess.Square:
        """The next square as seen; the cursor starts on the king, and stays on the board."""
        assert self._game is not None
        if self._cursor is None:
            king = self._game.board.king(self._colour)
            return king if king is not None else chess.E4
        if self._flipped:
            right, down = -right, -down
        file = min(max(chess.square_file(self._cursor) + right, 0), 7)
        return chess.square(file, min(max(chess.square_rank(self._cursor) - down, 0), 7))

    def _choose(self, square: chess.Square | None) -> Answer:
        """A click while the four pieces are shown: on one of them, or beside them to take back."""
        assert self._promoting is not None
        for kind, place in self._choice(self._promoting):
            if place == square:
                return self._play(self._promoting, kind)
        self._let_go()
        return Answer(redraw=True)

    def _go(self, start: chess.Square, end: chess.Square) -> Answer:
        """Play the move if it is legal, ask what becomes of a pawn, or say what is wrong."""
        fitting = [m for m in self._legal() if (m.from_square, m.to_square) == (start, end)]
        if not fitting:
            message = self._refusal(start, end)
            cursor = self._cursor
            self._let_go()
            self._cursor = cursor
            return Answer(redraw=True, message=message)
        if fitting[0].promotion:
            self._held_at = None
            self._promoting = (start, end)
            return Answer(redraw=True)
        return self._play((start, end), None)

    def _play(self, move: Move, promotion: chess.PieceType | None) -> Answer:
        assert self._game is not None
        action = self._game.action(chess.Move(*move, promotion).uci())
        self._dragged = self._dropped
        self._by_hand.add(self._plies)
        self._let_go()
        return Answer(redraw=True, go=True, action=action)

    def _mine(self, square: chess.Square) -> bool:
        assert self._game is not None
        return self._game.board.color_at(square) == self._colour

    def _refusal(self, start: chess.Square, end: chess.Square) -> str:
        assert self._game is not None
        board = self._game.board
        piece = board.piece_at(start)
        letter = piece.symbol().upper() if piece and piece.piece_type != chess.PAWN else ""
        name = f"{letter}{chess.square_name(start)}–{chess.square_name(end)}"
        if any((m.from_square, m.to_square) == (start, end) for m in board.pseudo_legal_moves):
            return f"{name} is not legal: it leaves the king in check"
        return f"{name} is not legal" + (": the king is in check" if board.is_check() else "")
