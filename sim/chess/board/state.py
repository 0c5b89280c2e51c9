"""Search results of a position, for drawing: evaluation for White, arrows, principal variation."""

from __future__ import annotations

from collections.abc import Sequence

import chess
import numpy as np

from sim.chess.rules.game import CHECKMATE, WORTH, ChessGame
from sim.records import Decision
from sim.viewer.contract.board import BLACK, WHITE, BoardMove, Evaluation, MoveArrow

ARROWS = 3
LINE = 10  # plies of a principal variation


def evaluation_of(
    decision: Decision | None, game: ChessGame, *, outcome_values: bool, row: int = 0
) -> Evaluation | None:
    """Evaluation from White's side by the decision of whoever moves in `game`; None if it has none.

    Args:
        decision: with `wdl`, or with a value of the mover in [−1, 1].
        game: the position.
        outcome_values: whether values without `wdl` are expected results; else they are other rewards.
        row: of the decision.
    """
    if decision is None:
        return None
    visits = None if decision.visits is None else int(decision.visits[row].sum())
    source = "network" if visits is None else f"search, {visits:,} visit{'s' * (visits != 1)}"
    if decision.wdl is not None:
        win, draw, loss = (float(p) for p in decision.wdl[row])
        exact = True
    elif decision.value is not None and (outcome_values or visits is not None):
        value = float(np.clip(decision.value[row], -1, 1))
        win, draw, loss, exact = (1 + value) / 2, 0.0, (1 - value) / 2, False
    else:
        return None
    if not game.turn:
        win, loss = loss, win
    return Evaluation(win, draw, loss, source, exact)


def arrows_of(decision: Decision | None, game: ChessGame, row: int = 0) -> tuple[MoveArrow, ...]:
    """The moves most visited by a search, the most visited first; none without a search."""
    if decision is None or decision.visits is None:
        return ()
    visits = decision.visits[row]
    total = int(visits.sum())
    best = np.argsort(-visits, kind="stable")[:ARROWS]
    found = []
    for action in best.tolist():
        move = game.moves.get(action)
        if move is not None and visits[action] > 0:
            count = int(visits[action])
            found.append(MoveArrow(move.from_square, move.to_square, count / total, count))
    return tuple(found)


def line_of(decision: Decision | None, game: ChessGame, row: int = 0) -> str:
    """The principal variation in SAN with move numbers; "" if the decision has none."""
    if decision is None or decision.lines is None:
        return ""
    sans, after = [], game
    for action in decision.lines[row][:LINE]:
        if action not in after.moves:
            break
        sans.append(after.san(action))
        after = after.play(action)
    return numbered(sans, game.board.fullmove_number, black_begins=not game.turn)


def numbered(sans: Sequence[str], first: int = 1, *, black_begins: bool = False) -> str:
    """Moves in a line with their numbers.

    >>> numbered(["e5", "Nf3", "Nc6"], 1, black_begins=True)
    '1… e5 2. Nf3 Nc6'
    """
    words = []
    for i, san in enumerate(sans, int(black_begins)):
        if i % 2 == 0:
            words.append(f"{first + i // 2}.")
        elif i == 1 and black_begins:
            words.append(f"{first}…")
        words.append(san)
    return " ".join(words)


def material_lead(board: chess.Board) -> int:
    """Material of White less that of Black, in pawns."""
    return sum(
        worth * (len(board.pieces(kind, chess.WHITE)) - len(board.pieces(kind, chess.BLACK)))
        for kind, worth in WORTH.items()
    )


def side_number(colour: chess.Color) -> int:
    """A side as `sim.viewer.contract.board` counts them."""
    return WHITE if colour else BLACK


def result_words(
    outcome: str, reason: str, colour: chess.Color, plies: int, *, white_began: chess.Color
) -> str:
    """The result of a game in a line.

    Args:
        outcome: for `colour`: ``"win"``, ``"draw"``, ``"loss"``; "" for a game without a result.
        reason: how it ended.
        colour: see `outcome`.
        plies: moves of both sides.
        white_began: whether White made the first of them.

    >>> result_words("win", "checkmate", chess.WHITE, 3, white_began=True)
    '1–0, mate in 2 moves'
    """
    if not outcome:
        return f"unfinished: {reason.replace('_', ' ')}"
    if outcome == "draw":
        return f"½–½, {reason}"
    winner = colour if outcome == "win" else not colour
    if reason == CHECKMATE:
        moves = (plies + (winner == white_began)) // 2
        reason = f"mate in {moves} move{'s' * (moves != 1)}"
    return f"{'1–0' if winner else '0–1'}, {reason}"


class MoveList:
    """The moves of a game in SAN, each with the moment in which it was first seen."""

    def __init__(self) -> None:
        self._first: ChessGame | None = None
        self._game: ChessGame | None = None
        self._actions: list[int] = []
        self._moves: list[BoardMove] = []

    def update(self, first: ChessGame, actions: Sequence[int], moment: int) -> tuple[BoardMove, ...]:
        """The moves now; `moment` is the number of the moment that shows the last one."""
        known = len(self._actions)
        if first is not self._first or self._actions != list(actions[:known]):
            self._first, self._game, self._actions, self._moves = first, first, [], []
            known = 0
        game = self._game
        assert game is not None
        for action in actions[known:]:
            self._moves.append(BoardMove(game.san(action), moment))
            game = game.play(action)
        self._game, self._actions = game, list(actions)
        return tuple(self._moves)
