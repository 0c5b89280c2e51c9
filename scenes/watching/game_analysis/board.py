"""Board of an analysed game: the window's own board, with the last move's mark on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import chess
import numpy as np

from scenes.watching.game_analysis.analysis import AnalysedGame, annotated
from sim.chess.board.interactive_renderer import ChessRenderer
from sim.chess.diagrams.draw import square_corner
from sim.chess.diagrams.shapes import arc, coverage, disc, grid, stroke, union
from sim.chess.rules.game import ChessGame
from sim.records import Array
from sim.viewer.contract.board import BoardState, Evaluation
from sim.viewer.contract.gesture import Answer, Gesture
from sim.viewer.draw.theme import MARK_COLORS, PALETTE, Color

_BADGE = 0.42  # side of a mark, in squares


class ReplayedGame:
    """A recorded game at one of its positions, for the renderer. A `BoardSource`."""

    colour = chess.WHITE

    def __init__(self, analysed: AnalysedGame) -> None:
        self._analysed, self.ply = analysed, 0
        record = analysed.record
        self._all = record.actions
        self.first = record.positions[0]
        self.players = record.player(chess.WHITE), record.player(chess.BLACK)

    @property
    def game(self) -> ChessGame:
        """The position shown."""
        return self._analysed.record.positions[self.ply]

    @property
    def actions(self) -> Sequence[int]:
        """The moves up to it; none of a game that goes on after a draw, which the rules cannot replay."""
        return () if self._analysed.record.goes_on else self._all[: self.ply]

    @property
    def ending(self) -> tuple[str, str] | None:
        """Outcome for White and reason, where the rules end the game."""
        outcome, reason = self.game.outcome(), self.game.reason
        if outcome is None or reason is None:
            return None
        return ("draw" if not outcome else "loss" if self.game.turn else "win"), reason

    def pgn(self, event: str = "", renamed: Mapping[str, str] | None = None) -> str:
        """The whole game with its annotations; event and players are those that it was recorded with."""
        return annotated(self._analysed)


class AnalysisBoard:
    """Draws the positions of an analysed game."""

    def __init__(self, analysed: AnalysedGame) -> None:
        self._analysed = analysed
        self._replayed = ReplayedGame(analysed)
        self._renderer = ChessRenderer(self._replayed)
        self._renderer.note()
        self._flipped = False

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a flip, or another size."""
        self._flipped ^= gesture.kind == "flip"
        return self._renderer.touch(gesture)

    def go_to(self, ply: int) -> None:
        """Show another position."""
        self._replayed.ply = ply
        self._renderer.note()

    def state(self) -> BoardState:
        """The game as the window draws it: players, evaluation, arrows."""
        ply = self._replayed.ply
        opinion = self._analysed.opinions[ply]
        decision = None if opinion is None else opinion.decision
        scores = opinion is not None and opinion.win is not None
        state = self._renderer.state(decision, ply, outcome_values=scores)
        if self._replayed.ending is not None:
            win = self._analysed.win(ply) or 0.0
            drawn = float(win == 0.5)
            state = replace(
                state, evaluation=Evaluation(win - drawn / 2, drawn, 1 - win - drawn / 2, "result")
            )
        return replace(state, ply=ply)

    def draw(self, mark: str) -> Array:
        """The board between the captured pieces, (H, W, 3) uint8, with the last move's mark."""
        picture = self._renderer.draw()
        move = self._replayed.game.last_move
        if mark and move is not None:
            left, top, right, bottom = self._renderer.board
            _draw_mark(picture[top:bottom, left:right], move.to_square, self._flipped, mark)
        return picture


def _draw_mark(board: Array, square: chess.Square, flipped: bool, mark: str) -> None:
    """Draw a mark on a disc into the upper right corner of a square."""
    left, top, cell = square_corner(square, board.shape[0], flipped)
    side = max(8, round(_BADGE * cell))
    part = board[top : top + side, left + cell - side : left + cell]
    ground, signs = _badge(mark, side)
    _mix(part, ground, MARK_COLORS[mark])
    _mix(part, signs, PALETTE.ground)


def _mix(part: Array, weight: Array, color: Color) -> None:
    weight = weight[..., None]
    part[:] = part * (1 - weight) + weight * np.array(color, np.float32) + 0.5


@lru_cache(maxsize=32)
def _badge(mark: str, side: int) -> tuple[Array, Array]:
    """Opacity of a mark's disc and of its signs, (side, side) each."""
    at, shapes = grid(side), []
    middles = [0.5] if len(mark) == 1 else [0.34, 0.66]
    for sign, x in zip(mark, middles, strict=True):
        if sign == "?":
            shapes.append(stroke([*arc(x, 0.36, 0.12, -180, 90), (x, 0.6)], 0.09))
        else:
            shapes.append(stroke([(x, 0.26), (x, 0.6)], 0.09))
        shapes.append(disc(x, 0.74, 0.055))
    ground: Array = coverage(disc(0.5, 0.5, 0.48)(at), 1.0 / side).astype(np.float32)
    signs: Array = coverage(union(*shapes)(at), 1.0 / side).astype(np.float32)
    return ground, signs
