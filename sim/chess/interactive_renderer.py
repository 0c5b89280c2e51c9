"""Interactive chess board for the window: drawn at any size, played by mouse or keys.

Pieces are moved by two clicks, by dragging, or with the arrows and Enter; only legal moves come out.
A `sim.viewer.contract.gesture.InteractiveRenderer`.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise
from typing import TYPE_CHECKING

import chess
import numpy as np

from sim.chess.draw import SMALLEST, draw_board, draw_piece, square_at, square_corner
from sim.chess.rules import WORTH, ChessGame
from sim.chess.truth import Place, truth_of
from sim.records import Array, Percept
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Readout

if TYPE_CHECKING:
    from sim.chess.world import ChessWorld

GROUND = (17, 20, 24)  # above and below the board
TRAY = (138, 147, 133)  # under the captured pieces: as far from black ones as from white ones
CURSOR = (230, 159, 0)
PLATE = (250, 248, 243)  # under the pieces that a pawn may become

_PROMOTIONS = {"q": chess.QUEEN, "r": chess.ROOK, "b": chess.BISHOP, "n": chess.KNIGHT}
_ARROWS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_NAMES = {chess.WHITE: "White", chess.BLACK: "Black"}
_STRIP = 0.5  # height of the captured pieces, in squares
_OVERLAP = 0.55  # width that one of them takes, of its own
_DIM = 0.45  # brightness of the board behind a choice

Move = tuple[chess.Square, chess.Square]


class ChessRenderer:
    """Interactive renderer of one `ChessWorld`: draws its board and turns gestures into legal moves."""

    abilities = frozenset({Ability.POINT, Ability.FLIP, Ability.SAVE})
    turns = True

    def __init__(self, world: ChessWorld) -> None:
        self._world = world
        self._board = 480  # side in pixels
        self._strip = 30
        self._turned = False
        self._person = False
        self._game: ChessGame | None = None
        self._base: tuple[Hashable, Array] | None = None
        self._let_go()

    def _let_go(self) -> None:
        self._picked: chess.Square | None = None
        self._fresh = False  # whether the press in progress picked it
        self._held_at: tuple[float, float] | None = None  # of a dragged piece
        self._promoting: Move | None = None
        self._cursor: chess.Square | None = None

    # Drawing

    def note(self) -> None:
        """Copy the position and result from the world; see `InteractiveRenderer.note`."""
        self._game = self._world.game
        self._colour = self._world.colour
        self._ending = self._world.ending
        self._moves = self._world.plies
        self._pgn = self._world.pgn() if self._ending else None  # the world forgets when it is reset
        self._first = self._world.first
        self._let_go()

    @property
    def asks(self) -> tuple[str, ...]:
        """The keys that play now; none unless a person plays."""
        if not self._person:
            return ()
        if self._ending:
            return ("return",)
        if self._promoting:
            return (*_PROMOTIONS, "escape")
        return (*_ARROWS, "return", *(("escape",) if self._picked is not None else ()))

    @property
    def caption(self) -> str:
        """Caption: the game's result, or the keys that choose a promotion."""
        if self._promoting:
            return "Q R B N or a click chooses, Esc takes back"
        if not self._ending:
            return ""
        outcome, reason = self._ending
        winner = self._colour if outcome == "win" else not self._colour
        words = f"{_NAMES[winner]} wins: {reason}" if outcome in ("win", "loss") else f"draw: {reason}"
        if not outcome:
            words = f"cut off: {reason}"
        return words + (" · a click begins the next game" if self._person else "")

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Side to move, number of the move, and material balance."""
        assert self._game is not None
        board = self._game.board
        lead = sum(
            worth * (len(board.pieces(kind, chess.WHITE)) - len(board.pieces(kind, chess.BLACK)))
            for kind, worth in WORTH.items()
        )
        ahead = "even" if not lead else f"{_NAMES[lead > 0]} +{abs(lead)}"
        return (
            Readout("to move", "–" if self._ending else _NAMES[self._game.turn]),
            Readout("move", str(board.fullmove_number), f"ply {self._moves}"),
            Readout("material", ahead, "pawns" if lead else ""),
        )

    @property
    def board(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of the board in `draw()`'s picture, pixels."""
        return 0, self._strip, self._board, self._strip + self._board

    def truth(self) -> Percept:
        """Ground truth of the board in `draw()`'s picture, in the board's own pixels; also after the end."""
        assert self._game is not None
        return truth_of(self._game.board, Place.flat(self._board), self._board, flipped=self._flipped)

    @property
    def _flipped(self) -> bool:
        return self._turned != (self._colour == chess.BLACK)

    def draw(self) -> Array:
        """The board between the captured pieces, (H, W, 3) uint8; `W` is the board's side."""
        picture = self._still().copy()
        board = self._part(picture)
        if self._cursor is not None and self._person:
            left, top, cell = square_corner(self._cursor, self._board, self._flipped)
            width = max(2, cell // 16)
            square = board[top : top + cell, left : left + cell]
            inside = square[width:-width, width:-width].copy()
            square[:] = CURSOR
            square[width:-width, width:-width] = inside
        if self._promoting:
            self._draw_choice(board, self._promoting)
        elif self._held_at is not None and self._picked is not None:
            assert self._game is not None
            piece = self._game.board.piece_at(self._picked)
            if piece is not None:
                draw_piece(picture, piece, *self._held_at, self._board // 8)
        return picture

    def _still(self) -> Array:
        """The picture without what follows the pointer, cached until the position or selection changes."""
        assert self._game is not None
        held = self._picked if self._held_at is not None or self._promoting else None
        key = (self._game, self._board, self._flipped, self._picked, held, self._promoting)
        if self._base is None or self._base[0] != key:
            picture = np.empty((self._board + 2 * self._strip, self._board, 3), np.uint8)
            picture[:] = GROUND
            position = self._game.board
            dots = [
                m.to_square for m in self._legal() if m.from_square == self._picked and not self._promoting
            ]
            if held is not None:
                position.remove_piece_at(held)
            self._part(picture)[:] = draw_board(
                position,
                self._board,
                flipped=self._flipped,
                last_move=self._game.last_move,
                selected=self._picked,
                dots=set(dots),
            )
            self._draw_captured(picture)
            self._base = (key, picture)
        return self._base[1]

    def _part(self, picture: Array) -> Array:
        part: Array = picture[self._strip : self._strip + self._board]
        return part

    def _draw_captured(self, picture: Array) -> None:
        """Draw the pieces that each side has captured, on its side of the board, the most valuable first."""
        assert self._game is not None
        cell = self._strip
        for taker in chess.COLORS:
            bottom = taker != self._flipped
            y = picture.shape[0] - cell / 2 if bottom else cell / 2
            kinds = captured(self._first.board, self._game.board, not taker)
            if not kinds:
                continue
            steps = [cell * (_OVERLAP if one == other else 0.85) for one, other in pairwise(kinds)]
            middles = cell / 2 + np.cumsum([0, *steps])
            top = round(y - cell / 2)
            picture[top : top + cell, : round(middles[-1] + cell / 2)] = TRAY
            for kind, x in zip(kinds, middles, strict=True):
                draw_piece(picture, chess.Piece(kind, not taker), x, y, cell)

    def _draw_choice(self, board: Array, move: Move) -> None:
        """Draw the four promotion pieces, from the pawn's goal inwards, over a dimmed board."""
        board[:] = board * _DIM
        for kind, square in self._choice(move):
            left, top, cell = square_corner(square, self._board, self._flipped)
            board[top : top + cell, left : left + cell] = PLATE
            draw_piece(board, chess.Piece(kind, self._colour), left + cell / 2, top + cell / 2, cell)

    def _choice(self, move: Move) -> list[tuple[chess.PieceType, chess.Square]]:
        inwards = -8 if chess.square_rank(move[1]) == 7 else 8
        return [(kind, move[1] + i * inwards) for i, kind in enumerate(_PROMOTIONS.values())]

    # Input

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        if gesture.kind == "resize":
            return self._resize(int(gesture.x), int(gesture.y))
        if gesture.kind == "flip":
            self._turned = not self._turned
        elif gesture.kind == "person":
            self._person = gesture.on
            self._let_go()
        elif gesture.kind == "save":
            return Answer(document=(".pgn", self._pgn or self._world.pgn()))
        elif gesture.kind == "key":
            return self._key(gesture.name)
        elif gesture.kind in ("press", "move", "release"):
            return self._point(gesture)
        return Answer(redraw=True)

    def _resize(self, width: int, height: int) -> Answer:
        """Fit the board into the room with whole pixels a square."""
        cell = min(width // 8, int(height / (8 + 2 * _STRIP)))
        self._board = max(SMALLEST, 8 * cell)
        self._strip = round(self._board // 8 * _STRIP)
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
        elif name in _PROMOTIONS and self._promoting:
            return self._play(self._promoting, _PROMOTIONS[name])
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
        self._let_go()
        return Answer(redraw=True, go=True, action=action)

    def _legal(self) -> list[chess.Move]:
        return list(self._game.moves.values()) if self._game is not None else []

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


def captured(first: chess.Board, now: chess.Board, colour: chess.Color) -> list[chess.PieceType]:
    """The pieces that `colour` has lost since `first`, the most valuable first; promoting loses none."""
    missing = {
        kind: len(first.pieces(kind, colour)) - len(now.pieces(kind, colour))
        for kind in sorted(WORTH, key=lambda kind: (-WORTH[kind], -kind))
    }
    promoted = sum(-count for count in missing.values() if count < 0)
    missing[chess.PAWN] -= promoted
    return [kind for kind, count in missing.items() for _ in range(count)]
