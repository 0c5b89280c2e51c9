"""Drawing of a chess game for the window: board, captured pieces, selection, and its state in numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
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
from sim.chess.diagrams.draw import draw_piece, square_corner
from sim.chess.diagrams.truth import Place, truth_of
from sim.chess.rules.game import ChessGame
from sim.records import Array, Decision, Percept
from sim.viewer.contract.board import BoardState, Slide
from sim.viewer.contract.moment import Readout

AGENT = "agent"  # the player whose place a person may take, as a world calls it
CURSOR = (230, 159, 0)
PLATE = (250, 248, 243)  # under the pieces that a pawn may become
PROMOTIONS = {"q": chess.QUEEN, "r": chess.ROOK, "b": chess.BISHOP, "n": chess.KNIGHT}

_NAMES = {chess.WHITE: "White", chess.BLACK: "Black"}
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

    def pgn(self, event: str = ..., renamed: Mapping[str, str] | None = None) -> str:
        """The game so far in Portable Game Notation; some `players` are called otherwise there."""


class BoardDrawing:
    """Drawing of one chess game as it was noted last, and of what a person has selected on it."""

    has_clocks = False  # leaves room for them

    def __init__(self, world: BoardSource) -> None:
        self._world = world
        self._board = 480  # side in pixels
        self._strip = 30
        self._space: tuple[int, int] | None = None  # width and height that the picture may have
        self._bare = False  # without captured pieces: one of many games side by side
        self._turned = False
        self._person = False
        self._game: ChessGame | None = None
        self._plies = 0
        self._list = MoveList()
        self._base: tuple[Hashable, Array] | None = None
        self._agent = AGENT  # its name, once that is known
        self._by_hand: set[int] = set()  # the moves that a person made, from 0
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

    def note(self) -> None:
        """Copy the position and result from the world; see `InteractiveRenderer.note`."""
        plies = len(self._world.actions)
        if plies < self._plies:  # another game
            self._by_hand.clear()
        if self._game is not self._world.game:
            one_on = self._game is not None and plies == self._plies + 1
            self._before = self._game if one_on and not self._dragged else None
            self._dragged = False
        self._game = self._world.game
        self._colour = self._world.colour
        self._ending = self._world.ending
        self._plies, self._actions = plies, tuple(self._world.actions)
        self._players = self._world.players
        self._first = self._world.first
        self._pgn = self._written() if self._ending else None  # the world forgets when it is reset
        self._let_go()

    def _written(self) -> str:
        """The game in Portable Game Notation; "agent" is called after who made its moves, in order."""
        own = range(self._first.turn != self._colour, self._plies, 2)
        movers = dict.fromkeys("Human" if ply in self._by_hand else self._agent for ply in own)
        return self._world.pgn(renamed={AGENT: ", ".join(movers) or self._agent})

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
        self._agent = agent or AGENT
        seated = "You" if self._person else self._agent
        named = [seated if name == AGENT else name for name in self._players]
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
        key = (self._game, self._board, self._strip, self._flipped, self._picked, held, self._promoting)
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
        return [(kind, move[1] + i * inwards) for i, kind in enumerate(PROMOTIONS.values())]

    def _legal(self) -> list[chess.Move]:
        return list(self._game.moves.values()) if self._game is not None else []
