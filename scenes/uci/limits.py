"""Limits of a search: nodes, depth, mate and time, and the time management of a game with clocks.

A clock is shared among the moves that are probably left. The share is spent in full where the best move
keeps changing, and up to `LONGEST` times as much; less where it has long stood, and no more at all once the
simulations that are left cannot change it. The longest simulation so far is kept in reserve, so that a slow
machine does not overstep, and what the last moves cost beyond the engine's own time (`LagMeter`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scenes.uci.protocol import GoCommand

if TYPE_CHECKING:
    from scenes.uci.info import Line

LEAST_SECONDS = 0.001
#: Moves that are left in a game, where the client does not tell: so many at its start, so many at least.
MOVES_AT_START, MOVES_AT_END, MOVES_PER_MOVE = 45, 25, 0.5
MOST_MOVES_TO_GO = 50
RESERVED_MOVES = 60  # longer games than expected, on a machine too slow for their increment
LONGEST = 3.0  # times its share that a move may take
MOST_OF_CLOCK = 0.4  # share of the clock that one move may take, where more are to come
LARGEST_LAG, NEWEST_LAG = 5.0, 0.2  # seconds; more was a pause. Weight of the newest in the mean
STANDS_LONG, STANDS_SHORT = 0.6, 0.25  # share of the time that the best move has stood
SHORTER, LONGER = 0.7, 2.0  # times its share, where it has stood for long, and where it has just changed


@dataclass(frozen=True)
class Allotment:
    """Time for a move, in seconds.

    Attributes:
        target: to be spent on an ordinary move.
        most: never to be overstepped.
        exact: spend the target, whatever is found.
    """

    target: float
    most: float
    exact: bool = False


def allot(
    go: GoCommand, to_play: int, move_number: int, overhead: float, first_look: float = 0.0
) -> Allotment | None:
    """Time for a move; None where `go` sets none.

    Args:
        go: the command.
        to_play: 0 for White, 1 for Black.
        move_number: of the game, from 1.
        overhead: seconds of each move that the client and the connection need.
        first_look: seconds that the shortest search takes. Where both are more than the increment, time
            for `RESERVED_MOVES` such moves is kept back.

    >>> allot(GoCommand(movetime=500), 0, 1, 0.05)
    Allotment(target=0.45, most=0.45, exact=True)
    >>> allot(GoCommand(wtime=40_000, btime=1, movestogo=1), 0, 1, 0.0)
    Allotment(target=40.0, most=40.0, exact=False)
    >>> allot(GoCommand(wtime=40_000), 1, 1, 0.05), allot(GoCommand(nodes=3), 0, 1, 0.05)
    (None, None)
    """
    if go.movetime is not None:
        seconds = max(LEAST_SECONDS, go.movetime / 1000 - overhead)
        return Allotment(seconds, seconds, exact=True)
    clock = clock_of(go, to_play)
    if clock is None:
        return None
    left, gain = max(0.0, clock[0]), clock[1]
    moves = min(go.movestogo, MOST_MOVES_TO_GO) if go.movestogo else expected_moves(move_number)
    surplus = gain - overhead - first_look  # of a move that is answered at once
    ahead = moves - 1 if surplus > 0 else min(go.movestogo or RESERVED_MOVES, RESERVED_MOVES)
    spendable = left - overhead + surplus * ahead  # beyond the first look at each move
    most = (left - overhead) * (MOST_OF_CLOCK if moves > 1 else 1)
    most = max(LEAST_SECONDS, most)
    target = min(max(LEAST_SECONDS, first_look + spendable / moves), most)
    return Allotment(target, min(most, LONGEST * target))


class LagMeter:
    """Measures what a move costs in any case: the first look at it, and what the engine does not know of.

    The clock that one `go` tells, less the time used and with the increment, should be the next one's; what
    is missing went to the client, the connection, or a busy machine. The mean of it over the last moves
    counts where it is more than the option `Move Overhead`.

    Attributes:
        first_look: mean seconds from `go` to what a search first finds.
    """

    def __init__(self) -> None:
        self.first_look = 0.0
        self._mean = 0.0
        self._last: tuple[int, float] | None = None

    def overhead(self, go: GoCommand, to_play: int, least: float) -> float:
        """Seconds to reckon with for the move of this `go`; `least` is what the option says."""
        clock = clock_of(go, to_play)
        if self._last is not None and clock is not None and self._last[0] == to_play:
            lag = self._last[1] - clock[0]
            if 0 <= lag < LARGEST_LAG:
                self._mean += NEWEST_LAG * (lag - self._mean)
        self._last = None
        return max(least, self._mean)

    def forget_game(self) -> None:
        """Expect another clock: a new game begins."""
        self._last = None

    def moved(self, go: GoCommand, to_play: int, used: float, first_look: float) -> None:
        """Note how many seconds the move of this `go` took, and how many the first look at it."""
        self.first_look += NEWEST_LAG * (first_look - self.first_look)
        clock = clock_of(go, to_play)
        self._last = None if clock is None else (to_play, clock[0] + clock[1] - used)


def clock_of(go: GoCommand, to_play: int) -> tuple[float, float] | None:
    """Seconds on the mover's clock, and its increment; None where `go` tells none."""
    clock, increment = (go.wtime, go.winc) if to_play == 0 else (go.btime, go.binc)
    return None if clock is None else (clock / 1000, (increment or 0) / 1000)


def expected_moves(move_number: int) -> int:
    """Moves that are left in a game.

    >>> [expected_moves(number) for number in (1, 21, 41, 200)]
    [44, 34, 25, 25]
    """
    return max(MOVES_AT_END, int(MOVES_AT_START - MOVES_PER_MOVE * move_number))


@dataclass
class TimeManager:
    """Decides when a search with an allotment of time is over.

    Attributes:
        allotment: the time.
        changed: when the best move last changed, in seconds since the search began.
        longest: the longest step between two looks, in seconds.
    """

    allotment: Allotment
    changed: float = 0.0
    longest: float = 0.0
    _looked: float = field(default=0.0, repr=False)
    _best: int | None = field(default=None, repr=False)

    def restart(self) -> None:
        """Begin to count, at `ponderhit`: the best move has stood since."""
        self.changed = self._looked = 0.0

    def spent(self, used: float, best: int, lead: float, pace: float) -> bool:
        """Whether the search is over.

        Args:
            used: seconds since the search began.
            best: the action that would be played now.
            lead: visits that it is ahead of the second.
            pace: simulations a second.
        """
        self.longest = max(self.longest, used - self._looked)
        self._looked = used
        if best != self._best:
            self.changed = used if self._best is not None else 0.0
            self._best = best
        time = self.allotment
        if used + self.longest >= time.most:
            return True
        if time.exact:
            return False
        target = min(time.most, time.target * self._patience(used))
        return used >= target or lead > pace * (target - used)

    def _patience(self, used: float) -> float:
        """Times its share that a move gets, by how long the best one has stood."""
        stood = (used - self.changed) / max(used, LEAST_SECONDS)
        if self.changed == 0.0 or stood > STANDS_LONG:
            return SHORTER
        return LONGER if stood < STANDS_SHORT else 1.0


@dataclass(frozen=True)
class Limits:
    """Limits of a search other than time; None for no limit. Without any, the agent's own simulations count.

    Attributes:
        nodes: number of simulations.
        depth: plies of the principal variation.
        mate: moves to a mate.
    """

    nodes: int | None = None
    depth: int | None = None
    mate: int | None = None

    @property
    def looks_ahead(self) -> bool:
        """Whether `reached` needs the principal variation."""
        return self.depth is not None or self.mate is not None

    def reached(self, nodes: int, depth: int, line: Line | None) -> bool:
        """Whether a search has reached one.

        Args:
            nodes: simulations so far.
            depth: plies that were searched.
            line: its principal variation. Beyond the game's end there is no depth: it counts as deep enough.
        """
        if self.nodes is not None and nodes >= self.nodes:
            return True
        if line is None:
            return False
        deep = self.depth is not None and (depth >= self.depth or line.ended)
        return deep or (self.mate is not None and line.mate is not None and 0 < line.mate <= self.mate)
