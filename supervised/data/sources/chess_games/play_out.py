"""Play-outs: decisive games that were given up, played on to mate by an engine on both sides.

Strong players resign, so their games hardly ever show how a mate is made. Only games are played on whose last
position the engine finds won for the side that won, and only those count that end in that side's mate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import chess
import numpy as np

from sim.chess.rules.encoding import move_of
from sim.records import Array
from supervised.data.sources.chess_games.replay import (
    BLACK_WON,
    POSITION,
    WHITE_WON,
    Replayed,
    board_of,
    position_row,
    times_occurred,
)
from supervised.data.sources.chess_games.uci_analysis import AnalysisEngine, AnalysisLimits, EngineCrash

MOST_PLIES = 160  # of a play-out
CLEAR = 700  # permille of wins that the engine must see for the winner


@dataclass(frozen=True)
class PlayOutOptions:
    """Options of play-outs.

    Attributes:
        command: of the engine.
        nodes: of its search for each move.
    """

    command: tuple[str, ...]
    nodes: int = 400


class PlayOut:
    """Plays games on by one process of an engine, which is started anew after a crash."""

    def __init__(self, options: PlayOutOptions) -> None:
        self._options = options
        self._engine: AnalysisEngine | None = None

    def extended(self, game: Replayed) -> Replayed | None:
        """The game with the positions of its play-out; None where there is none, or the engine failed."""
        if game.result not in (WHITE_WON, BLACK_WON) or game.cut:
            return None
        try:
            if self._engine is None:
                limits = AnalysisLimits(self._options.nodes)
                self._engine = AnalysisEngine(self._options.command, limits)
            rows = _played_on(_final_board(game), game.result == WHITE_WON, self._engine)
        except EngineCrash:
            self.close()
            return None
        return replace(game, positions=np.concatenate([game.positions, rows])) if len(rows) else None

    def close(self) -> None:
        """End the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def _final_board(game: Replayed) -> chess.Board:
    board = board_of(game.positions[-1])
    move = move_of(int(game.positions[-1]["action"]), board)
    assert move is not None
    board.push(move)
    return board


def _played_on(board: chess.Board, winner: chess.Color, engine: AnalysisEngine) -> Array:
    """Positions (P,) of `POSITION` until the mate by `winner`; none if it does not come about."""
    rows: list[Array] = []
    occurred: dict[tuple[int | None, ...], int] = {}
    while len(rows) < MOST_PLIES and not board.is_game_over():
        if not board.halfmove_clock:
            occurred.clear()
        before = times_occurred(board, occurred)
        row = np.array([position_row(board, 0, min(before, 2))], POSITION)
        label = engine.label(row[0], 0)
        wins = int(label["wdl"][0, 0 if board.turn == winner else 2])
        if before >= 2 or (not rows and wins < CLEAR):
            break
        row["action"] = label["actions"][0, 0]
        rows.append(row)
        move = move_of(int(row["action"][0]), board)
        assert move is not None
        board.push(move)
    mated = board.is_checkmate() and board.turn != winner
    return np.concatenate(rows) if rows and mated else np.zeros(0, POSITION)


def play_out_of(options: PlayOutOptions | None) -> PlayOut | None:
    """A player of play-outs; None where none are wanted."""
    return None if options is None else PlayOut(options)


def extended(games: Sequence[Replayed], player: PlayOut | None) -> tuple[list[Replayed], int]:
    """The games, those with a play-out extended, and how many these are."""
    if player is None:
        return list(games), 0
    longer = [player.extended(game) for game in games]
    return [game if more is None else more for game, more in zip(games, longer, strict=True)], sum(
        more is not None for more in longer
    )
