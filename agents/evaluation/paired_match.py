"""Matches of paired games: two players, each opening twice with sides changed, all games in one batch.

In: two players and openings. Out: `PairedGame` records, one after the other as the games end. A game ends by
its rules, is cut at a number of plies, which counts as half a point (engine matches adjudicate so), or has no
result, where a player failed: that game does not count. Does not know: names, files, Elo.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sim.chess.opponents import Forfeit
from sim.protocols import Game, Policy
from sim.records import Array

TOGETHER = 64  # games in progress: what a search of all of them at once fits into memory
ADJUDICATED, RESIGNATION = "adjudication", "resignation"


class MatchPlayer(Protocol):
    """A player in several games at once, such as a `sim.chess.opponents.Opponent`."""

    def reply(
        self, games: Sequence[Any], generators: Sequence[np.random.Generator]
    ) -> Sequence[int | Forfeit | None]:
        """One action a game; None resigns, a `Forfeit` ends a game without a result."""


class PolicyPlayer:
    """A `MatchPlayer` that is a policy, greedy or not, without memory from move to move."""

    def __init__(self, policy: Policy, num_actions: int, *, greedy: bool = True, seed: int = 0) -> None:
        """Seed the policy.

        Args:
            policy: gets observations, masks and, as ``info["games"]``, the positions.
            num_actions: size of the masks.
            greedy: the best action instead of a sample.
            seed: of the sampling.
        """
        self._policy, self._num_actions, self._greedy = policy, num_actions, greedy
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start the sampling anew."""
        self._policy.seed(seed)

    def reply(
        self, games: Sequence[Any], generators: Sequence[np.random.Generator]
    ) -> Sequence[int | Forfeit | None]:
        """See `MatchPlayer`."""
        masks = np.zeros((len(games), self._num_actions), bool)
        for mask, game in zip(masks, games, strict=True):
            mask[game.legal_actions()] = True
        info = {"action_mask": masks, "games": tuple(games)}
        decision, _ = self._policy.act(games[0].observe(games), info, greedy=self._greedy)
        actions: Array = decision.actions
        return [int(action) for action in actions]


@dataclass(frozen=True)
class Opening:
    """Where the two games of a pair begin.

    Attributes:
        start: the position before any move, as the first player sees it.
        actions: moves of the opening, which nobody chooses.
        rival_start: the same position as the second player sees it, with another history of planes; None:
            `start`.
    """

    start: Game
    actions: tuple[int, ...] = ()
    rival_start: Game | None = None


@dataclass(eq=False)
class PairedGame:
    """One game of a match, in progress or ended.

    Attributes:
        pair: the number of its opening, from 0.
        side: the first player's: 0 moves where `Game.to_play` is 0, in chess White.
        opening: where it began.
        actions: all moves, the opening's included.
        points: the first player's, 1, ½ or 0; None while it goes on, and without a result.
        reason: how it ended; "" while it goes on.
        mate: whether the rules ended it with a winner.
        failed: who failed in a game without a result, 0 the first player, 1 the second; None: nobody.
    """

    pair: int
    side: int
    opening: Opening
    generator: np.random.Generator
    actions: list[int] = field(default_factory=list)
    points: float | None = None
    reason: str = ""
    mate: bool = False
    failed: int | None = None

    def __post_init__(self) -> None:
        """Play the opening."""
        rival = self.opening.rival_start
        self.views = (self.opening.start, self.opening.start if rival is None else rival)
        for action in self.opening.actions:
            self.play(action)

    @property
    def game(self) -> Game:
        """The position on the board."""
        return self.views[0]

    @property
    def over(self) -> bool:
        """Whether it has ended, with or without a result."""
        return bool(self.reason)

    @property
    def mover(self) -> int:
        """Which player moves: 0 the first, 1 the second."""
        return int(self.game.to_play() != self.side)

    def play(self, action: int) -> None:
        """Make a move for the side to move.

        Raises:
            ValueError: if it is not legal.
        """
        ours, theirs = self.views
        after = ours.play(action)
        self.views = (after, after if theirs is ours else theirs.play(action))
        self.actions.append(action)

    def answer(self, reply: int | Forfeit | None, max_plies: int) -> None:
        """Take the mover's reply, and end the game where that ends it."""
        if reply is None:
            self.points, self.reason = float(self.mover), RESIGNATION
        elif isinstance(reply, Forfeit):
            self.failed, self.reason = self.mover, reply.reason
        else:
            try:
                self.play(reply)
            except ValueError as error:
                self.failed, self.reason = self.mover, f"illegal move: {error}"
                return
            self.end(max_plies)

    def end(self, max_plies: int) -> None:
        """End the game where the rules or the limit do."""
        outcome = self.game.outcome()
        if outcome is not None:
            self.points = (1 + (outcome if self.mover == 0 else -outcome)) / 2
            self.mate = outcome != 0
            self.reason = getattr(self.game, "reason", None) or ("win" if outcome else "draw")
        elif len(self.actions) >= max_plies:
            self.points, self.reason = 0.5, ADJUDICATED


class PairedMatch:
    """A match of two games from each opening.

    Attributes:
        games: all of them, pair after pair; those that have not begun have no move beyond their opening.
    """

    def __init__(
        self,
        player: MatchPlayer,
        rival: MatchPlayer,
        openings: Sequence[Opening],
        *,
        max_plies: int,
        seed: int,
        together: int = TOGETHER,
    ) -> None:
        """Set up the boards; nobody has moved yet.

        Args:
            player: whose points count.
            rival: its opponent.
            openings: one a pair.
            max_plies: a game that is so long, its opening included, is cut; see the module.
            seed: of the generators that players get.
            together: how many games are in progress at once.
        """
        self._players, self._max_plies, self._together = (player, rival), max_plies, max(2, together)
        self.games = [
            PairedGame(pair, side, opening, np.random.default_rng((seed, pair, side)))
            for pair, opening in enumerate(openings)
            for side in (0, 1)
        ]

    def play(self) -> Iterator[PairedGame]:
        """Play all games, and yield each as it ends."""
        waiting, live = deque(self.games), list[PairedGame]()
        while waiting or live:
            while waiting and len(live) < self._together:
                live.append(waiting.popleft())
                live[-1].end(self._max_plies)  # an opening can be over, or longer than the limit
            for mover in (0, 1):
                self._ply(mover, [game for game in live if not game.over and game.mover == mover])
            yield from [game for game in live if game.over]
            live = [game for game in live if not game.over]

    def _ply(self, mover: int, games: Sequence[PairedGame]) -> None:
        """One move of a player in all games in which it is to move."""
        if not games:
            return
        positions = [game.views[mover] for game in games]
        replies = self._players[mover].reply(positions, [game.generator for game in games])
        for game, reply in zip(games, replies, strict=True):
            game.answer(reply, self._max_plies)


@dataclass(frozen=True)
class PairTally:
    """Sums over the games of a match with a result, pair by pair, (n,) each.

    Attributes:
        games: with a result.
        points: the first player's.
        wins: the first player's, by mate or resignation.
        draws: by the rules.
        losses: the first player's.
        mates: wins by mate.
        cut: games cut for their length, half a point each.
    """

    games: Array
    points: Array
    wins: Array
    draws: Array
    losses: Array
    mates: Array
    cut: Array

    @classmethod
    def of(cls, games: Sequence[PairedGame]) -> PairTally:
        """Count finished games; those in progress and those without a result are left out."""
        counted = [game for game in games if game.points is not None]
        pairs = sorted({game.pair for game in counted})
        row = {pair: i for i, pair in enumerate(pairs)}
        table = np.zeros((7, len(pairs)))
        for game in counted:
            assert game.points is not None
            cut = game.reason == ADJUDICATED
            won, lost = game.points == 1, game.points == 0
            facts = (1, game.points, won, not (won or lost or cut), lost, won and game.mate, cut)
            table[:, row[game.pair]] += facts
        return cls(*table)
