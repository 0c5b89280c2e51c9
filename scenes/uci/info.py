"""Lines of `info`: depth, nodes, time, score in centipawns or moves to mate, win-draw-loss, variation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scenes.uci.variations import PrincipalVariation
from sim.chess.rules.game import CHECKMATE, ChessGame

SURE = 0.5  # value beyond which a variation that ends in mate is told as one, where replies may differ


@dataclass(frozen=True)
class Line:
    """A variation in the client's terms.

    Attributes:
        moves: in UCI.
        value: for the side to move, None for none.
        draw: probability of a draw, None for none.
        mate: moves to the mate that it ends in, negative where the side to move is mated; None for none.
        ended: whether it ends with the game's end.
    """

    moves: tuple[str, ...]
    value: float | None
    draw: float | None
    mate: int | None
    ended: bool


def follow(game: ChessGame, variation: PrincipalVariation) -> Line:
    """Play a variation from `game`."""
    moves = []
    for action in variation.actions:
        moves.append(game.moves[action].uci())
        game = game.play(action)
    mate = moves_to_mate(len(moves), variation.value) if game.reason == CHECKMATE else None
    return Line(tuple(moves), variation.value, variation.draw, mate, game.reason is not None)


def moves_to_mate(plies: int, value: float | None) -> int | None:
    """Moves to a mate after so many plies; None where the search is not sure that it comes to that.

    A mate in one is certain; in longer ones the other side may have better replies, which show in the value.

    >>> moves_to_mate(1, 0.1), moves_to_mate(3, 0.9), moves_to_mate(4, -0.9), moves_to_mate(3, 0.1)
    (1, 2, -2, None)
    """
    moves = (plies + 1) // 2
    if plies == 1:
        return moves
    sign = 1 if plies % 2 else -1
    return sign * moves if value is not None and sign * value > SURE else None


def centipawns(value: float) -> int:
    """Convert a value in [−1, 1] to centipawns: 90 · tan(1.5637541897 · value), as Lc0 does (`search.cc`).

    >>> centipawns(0.0), centipawns(0.5), centipawns(-0.5)
    (0, 89, -89)
    """
    return round(90 * math.tan(1.5637541897 * max(-0.9999, min(0.9999, value))))


def pawns(value: float) -> int:
    """Convert the value of an agent whose reward is captures, in pawns, to centipawns.

    >>> pawns(1.5)
    150
    """
    return round(100 * value)


def per_mille(value: float, draw: float | None) -> tuple[int, int, int]:
    """Win, draw and loss per mille, 1,000 together, of a value in [−1, 1] = P(win) − P(loss).

    Without a probability of a draw there are none: a value alone does not tell them.

    >>> per_mille(0.2, 0.5), per_mille(0.2, None), per_mille(-1.0, 0.3)
    ((350, 500, 150), (600, 0, 400), (0, 0, 1000))
    """
    value = max(-1.0, min(1.0, value))
    draw = min(max(draw or 0.0, 0.0), 1 - abs(value))
    win, loss = round(500 * (1 - draw + value)), round(500 * (1 - draw - value))
    return win, 1000 - win - loss, loss


def info_lines(
    lines: Sequence[Line],
    *,
    depth: int,
    deepest: int,
    nodes: int,
    seconds: float,
    score: Callable[[float], int],
    wdl: bool,
) -> list[str]:
    """Lines of `info`, one a variation.

    Args:
        lines: best first.
        depth: plies that were searched.
        deepest: plies of the longest line.
        nodes: simulations.
        seconds: since the search began.
        score: centipawns of a value.
        wdl: tell win, draw and loss.
    """
    told = []
    for number, line in enumerate(lines, 1):
        words = [
            f"info depth {depth} seldepth {deepest} multipv {number}",
            *_score(line, score, wdl),
        ]
        words += [f"nodes {nodes} nps {nodes / seconds:.0f} time {1000 * seconds:.0f} pv", *line.moves]
        told.append(" ".join(words))
    return told


def _score(line: Line, score: Callable[[float], int], wdl: bool) -> list[str]:
    if line.mate is not None:
        sure = 1.0 if line.mate > 0 else -1.0
        words, value = [f"score mate {line.mate}"], sure
    elif line.value is not None:
        words, value = [f"score cp {score(line.value)}"], line.value
    else:
        return []
    if wdl:
        words.append("wdl {} {} {}".format(*per_mille(value, line.draw)))
    return words
