"""What is true of samples: whether a board could stand, and a sentence says what was asked for.

Every share of true ones is worth only as much as the same share of real examples: perceptions err, and play
is wilder than rules. Of poses the simulator itself judges (`sim.walker.poses`).
"""

from __future__ import annotations

from sim.records import Percept
from supervised.grammar import CaptionError
from supervised.wording import parse

UNSEEN = ("flight",)  # slots of a sentence that one picture does not show


def says_the_same(asked: str, told: str) -> bool | None:
    """Whether two sentences tell the same of one picture; None if either is of no game.

    >>> told = "Low on the left is the ball; the left paddle is low and the right one high; it stands 1 to 2."
    >>> asked = told.replace("Low on the left is the ball", "The ball is falling, low to the left")
    >>> says_the_same(asked, told), says_the_same(asked, told.replace("1", "2"))
    (True, False)
    """
    try:
        wanted, found = ({k: v for k, v in parse(text).items() if k not in UNSEEN} for text in (asked, told))
    except CaptionError:
        return None
    return wanted == found


def board_is_legal(percept: Percept) -> bool:
    """Whether the board that was read could stand in a game of chess, with either side to move."""
    from sim.chess.rules import PositionError, checked_board

    for mover in "wb":
        try:
            checked_board(f"{percept.fen} {mover} - - 0 1")
        except PositionError:
            continue
        return percept.fen is not None
    return False
