"""Interactive chess board for the window: drawn at any size, played by mouse or keys.

Pieces are moved by two clicks, by dragging, or with the arrows and Enter; only legal moves come out.
A `sim.viewer.contract.gesture.InteractiveRenderer`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Protocol

import chess

from sim.chess.board.picture import board_picture, captured, free_width, slide_of
from sim.chess.board.state import (
    MoveList,
    arrows_of,
    evaluation_of,
    line_of,
    material_lead,
    result_words,
    side_number,
)
from sim.chess.draw import SMALLEST, draw_piece, square_at, square_corner
from sim.chess.rules import ChessGame
from sim.chess.truth import Place, truth_of
from sim.records import Array, Decision, Percept
from sim.viewer.contract.board import BoardState, Slide
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Readout

CURSOR = (230, 159, 0)
PLATE = (250, 248, 243)  # under the pieces that a pawn may become

_PROMOTIONS = {"q": chess.QUEEN, "r": chess.ROOK, "b": chess.BISHOP, "n": chess.KNIGHT}
_ARROWS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_NAMES = {chess.WHITE: "White", chess.BLACK: "Black"}
_STRIP = 0.5  # height of the names and captured pieces, in squares
_BAR = 0.35  # width that is left free at either side, in squares: for the evaluation
_CLOCK = 2.2  # width of a clock, in heights of the strip
_DIM = 0.45  # brightness of the board behind a choice

Move = tuple[chess.Square, chess.Square]


class BoardSource(Protocol):
    """A game to draw, such as a `sim.chess.world.ChessWorld`."""

    @property
    def game(self) -> ChessGame:
        """The position on the board."""

    @property
    def first(self) -> ChessGame:
        """The position that the game began from."""

    @property
    def colour(self) -> chess.Color:
        """The side at the bottom, which a person may move."""

    @property
    def actions(self) -> Sequence[int]:
        """Every action so far, both sides'."""

    @property
    def players(self) -> tuple[str, str]:
        """Who plays White and Black."""

    @property
    def ending(self) -> tuple[str, str] | None:
        """Outcome for `colour`, and reason, once the game is over; None while it goes on."""

    def pgn(self) -> str:
        """The game so far in Portable Game Notation."""


class ChessRenderer:
    """Interactive renderer of one chess game: draws its board and turns gestures into legal moves."""

    abilities = frozenset({Ability.POINT, Ability.FLIP, Ability.SAVE, Ability.BOARD})
    turns = True
    has_clocks = False  # leaves room for them

    def __init__(self, world: BoardSource) -> None:
        self._world = world
        self._board = 480  # side in pixels
        self._strip = 30
        self._turned = False
        self._person = False
        self._game: ChessGame | None = None
        self._plies = 0
        self._list = MoveList()
        self._base: tuple[Hashable, Array] | None = None
        self._before: ChessGame | None = None  # the position noted before, while it is one move back
        self._dragged = False  # whether the last move was dragged there: then nothing glides
        self._let_go()

    def _let_go(self) -> None:
        self._picked: chess.Square | None = None
        self._fresh = False  # whether the press in progress picked it
        self._held_at: tuple[float, float] | None = None  # of a dragged piece
        self._promoting: Move | None = None
        self._cursor: chess.Square | None = None
        self._dropped = False  # whether a release is being dealt with

    # Drawing

    def note(self) -> None:
        """Copy the position and result from the world; see `InteractiveRenderer.note`."""
        plies = len(self._world.actions)
        if self._game is not self._world.game:
            one_on = self._game is not None and plies == self._plies + 1
            self._before = self._game if one_on and not self._dragged else None
            self._dragged = False
        self._game = self._world.game
        self._colour = self._world.colour
        self._ending = self._world.ending
        self._plies, self._actions = plies, tuple(self._world.actions)
        self._players = self._world.players
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
        return self.result + (" · a click begins the next game" if self._person else "")

    @property
    def result(self) -> str:
        """The result in a line, such as ``"1–0, mate in 41 moves"``; "" while the game goes on."""
        if not self._ending:
            return ""
        outcome, reason = self._ending
        return result_words(outcome, reason, self._colour, self._plies, white_began=self._first.turn)

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Side to move, number of the move, and material balance."""
        assert self._game is not None
        board = self._game.board
        lead = material_lead(board)
        ahead = "even" if not lead else f"{_NAMES[lead > 0]} +{abs(lead)}"
        return (
            Readout("to move", "–" if self._ending else _NAMES[self._game.turn]),
            Readout("move", str(board.fullmove_number), f"ply {self._plies}"),
            Readout("material", ahead, "pawns" if lead else ""),
        )

    def state(
        self, decision: Decision | None, moment: int, *, agent: str = "", outcome_values: bool = True
    ) -> BoardState:
        """The game as the window draws it, with what a decision on this position knows of it.

        Args:
            decision: of the side to move; None without one.
            moment: number of the moment that will show it.
            agent: who "agent" is.
            outcome_values: see `sim.chess.board.state.evaluation_of`.
        """
        game, first = self._game, self._first
        assert game is not None
        named = [agent or name if name == "agent" else name for name in self._players]
        return BoardState(
            board=self.board,
            white_at_bottom=not self._flipped,
            names=(named[0], named[1]),
            to_move=-1 if self._ending else side_number(game.turn),
            lead=material_lead(game.board),
            room=(self._room(chess.WHITE), self._room(chess.BLACK)),
            ply=self._plies,
            moves=self._list.update(first, self._actions, moment),
            first_number=first.board.fullmove_number,
            black_begins=not first.turn,
            result=self.result,
            evaluation=evaluation_of(decision, game, outcome_values=outcome_values),
            arrows=arrows_of(decision, game),
            line=line_of(decision, game),
            slide=self.slide(),
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
            dots = {
                m.to_square for m in self._legal() if m.from_square == self._picked and not self._promoting
            }
            lifted = () if held is None else (held,)
            self._base = (key, self._drawing(lifted, selected=self._picked, dots=dots)())
        return self._base[1]

    def _drawing(
        self,
        lifted: tuple[chess.Square, ...],
        *,
        selected: chess.Square | None = None,
        dots: set[chess.Square] | None = None,
    ) -> partial[Array]:
        """Draws board and captured pieces without those `lifted`; depends on nothing that changes."""
        assert self._game is not None
        return partial(
            board_picture,
            self._first.board,
            self._game,
            self._board,
            self._strip,
            flipped=self._flipped,
            lifted=lifted,
            selected=selected,
            dots=dots or set(),
            margin=self._margin,
        )

    @property
    def _margin(self) -> int:
        """Pixels that a clock takes in a strip."""
        return round(_CLOCK * self._strip) if self.has_clocks else 0

    def _room(self, side: chess.Color) -> int:
        """Pixels that the name of a side has in its strip."""
        assert self._game is not None
        kinds = captured(self._first.board, self._game.board, not side)
        return free_width(kinds, self._board, self._strip, self._margin)

    def slide(self) -> Slide | None:
        """The last move as pieces that glide; None where nothing moved, or a person dragged it there."""
        if self._game is None or self._before is None:
            return None
        return slide_of(
            self._before.board,
            self._game.last_move,
            self._drawing,
            size=self._board,
            strip=self._strip,
            flipped=self._flipped,
        )

    def _part(self, picture: Array) -> Array:
        part: Array = picture[self._strip : self._strip + self._board]
        return part

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
        cell = min(int(width / (8 + 2 * _BAR)), int(height / (8 + 2 * _STRIP)))
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
        self._dragged = self._dropped
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
