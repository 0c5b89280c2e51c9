"""Correctness of samples: legality of chess boards, agreement of captions with prompts; its interval.

The share of correct samples is to be compared with the share of correct real examples, since perceptions make
errors. Poses are checked by the simulator itself (`sim.walker.poses`).
"""

from __future__ import annotations

import math

from sim.records import Percept
from supervised.captions.caption_grammars import parse
from supervised.captions.grammar import CaptionError

UNSEEN = ("flight",)  # slots of a caption that a single image does not show


def captions_agree(asked: str, told: str) -> bool | None:
    """Whether two captions state the same facts about one image; None if either cannot be parsed.

    >>> told = "Low on the left is the ball; the left paddle is low and the right one high; it stands 1 to 2."
    >>> asked = told.replace("Low on the left is the ball", "The ball is falling, low to the left")
    >>> captions_agree(asked, told), captions_agree(asked, told.replace("1", "2"))
    (True, False)
    """
    try:
        wanted, found = ({k: v for k, v in parse(text).items() if k not in UNSEEN} for text in (asked, told))
    except CaptionError:
        return None
    return wanted == found


def board_is_legal(percept: Percept) -> bool:
    """Whether the board of a percept is a legal chess position, with either side to move."""
    from sim.chess.rules.game import PositionError, checked_board

    for mover in "wb":
        try:
            checked_board(f"{percept.fen} {mover} - - 0 1")
        except PositionError:
            continue
        return percept.fen is not None
    return False


def share_interval(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of `n` independent samples (Wilson 1927), in [0, 1] also at both ends.

    >>> [round(end, 3) for end in share_interval(0.5, 100)]
    [0.404, 0.596]
    """
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return max(0.0, middle - reach), min(1.0, middle + reach)
