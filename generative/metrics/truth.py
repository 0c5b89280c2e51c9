"""Correctness of samples: legality of chess boards, agreement of captions with prompts; its interval.

The share of correct samples is to be compared with the share of correct real examples, since perceptions make
errors. Poses are checked by the simulator itself (`sim.walker.poses`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim.records import Percept
from supervised.captions.caption_grammars import parse
from supervised.captions.grammar import CaptionError

UNSEEN = ("flight",)  # slots of a caption that a single image does not show


class FactCheck(NamedTuple):
    """One fact of a prompt beside the same fact as it is read from the sample; "" where there is none."""

    name: str
    asked: str
    read: str

    @property
    def right(self) -> bool:
        """Whether the two agree."""
        return self.asked == self.read

    def __str__(self) -> str:
        """In words.

        >>> str(FactCheck("ball side", "left", "left")), str(FactCheck("ball side", "left", ""))
        ('ball side left', 'ball side left, not read')
        """
        if self.right:
            return f"{self.name} {self.asked}"
        asked = f"{self.asked}, " if self.asked else "not asked for, "
        return f"{self.name} {asked}{f'read as {self.read}' if self.read else 'not read'}"


def compare_captions(asked: str, told: str) -> tuple[FactCheck, ...] | None:
    """Compare a prompt with a caption of its sample, fact by fact; None if either cannot be parsed.

    Facts that a single image does not show are left out, and the game, unless it is another.

    >>> told = "Low on the left is the ball; the left paddle is low and the right one high; it stands 1 to 2."
    >>> found = compare_captions(told.replace("1 to 2", "1 to 3"), told)
    >>> found is not None and [str(check) for check in found if not check.right]
    ['right score 3, read as 2']
    """
    try:
        wanted, found = ({k: v for k, v in parse(text).items() if k not in UNSEEN} for text in (asked, told))
    except CaptionError:
        return None
    names = dict.fromkeys((*wanted, *found))
    checks = [FactCheck(name, str(wanted.get(name, "")), str(found.get(name, ""))) for name in names]
    return tuple(check for check in checks if check.name != "game" or not check.right)


def captions_agree(asked: str, told: str) -> bool | None:
    """Whether two captions state the same facts about one image; None if either cannot be parsed.

    >>> told = "Low on the left is the ball; the left paddle is low and the right one high; it stands 1 to 2."
    >>> asked = told.replace("Low on the left is the ball", "The ball is falling, low to the left")
    >>> captions_agree(asked, told), captions_agree(asked, told.replace("1", "2"))
    (True, False)
    """
    checks = compare_captions(asked, told)
    return None if checks is None else all(check.right for check in checks)


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
