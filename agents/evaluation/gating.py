"""Gating: whether a candidate replaces the incumbent, by a match of paired games.

AlphaGo Zero's evaluator (Silver et al. 2017, Methods) lets a new network play 400 games against the best one,
which it replaces with a score of 55 % or more. Here the games are paired: both sides of each opening.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.evaluation.elo import EloEstimate, elo_estimate, share_interval
from agents.evaluation.paired_match import TOGETHER, Opening, PairedGame, PairedMatch, PairTally, PolicyPlayer
from agents.evaluation.statistics import Interval
from sim.protocols import Policy

THRESHOLD = 0.55  # Silver et al. 2017


@dataclass(frozen=True)
class GateResult:
    """Result of a gating match, for the candidate.

    Attributes:
        passes: whether it replaces the incumbent.
        score: mean points of a game, 1 for a win and ½ for a draw.
        interval: of the score, 95 % over pairs.
        elo: difference to the incumbent.
        games: how many there were.
    """

    passes: bool
    score: float
    interval: Interval
    elo: EloEstimate
    games: int


def gate(
    candidate: Policy,
    incumbent: Policy,
    openings: Sequence[Opening],
    *,
    num_actions: int,
    max_plies: int,
    seed: int,
    threshold: float = THRESHOLD,
    certain: bool = False,
    greedy: bool = True,
    together: int = TOGETHER,
    on_game: Callable[[PairedGame], None] = lambda game: None,
) -> GateResult:
    """Play both sides of each opening, all games in one batch, and compare the score with `threshold`.

    Args:
        candidate: the policy that wants in.
        incumbent: the policy to beat.
        openings: one a pair of games: distinct ones, for two greedy players repeat themselves.
        num_actions: of the game.
        max_plies: a longer game is cut and counts as half a point.
        seed: of both policies' sampling.
        threshold: the score that passes, at least.
        certain: the interval's lower end must also be above ½, so that no luck passes.
        greedy: whether both play their best moves or sample.
        together: games in progress at once.
        on_game: called with each game as it ends.

    Raises:
        ValueError: without openings, or if no game had a result.
    """
    if not openings:
        raise ValueError("a gating match needs at least one opening")
    challenger = PolicyPlayer(candidate, num_actions, greedy=greedy, seed=seed)
    champion = PolicyPlayer(incumbent, num_actions, greedy=greedy, seed=seed)
    match = PairedMatch(challenger, champion, openings, max_plies=max_plies, seed=seed, together=together)
    for game in match.play():
        on_game(game)
    tally = PairTally.of(match.games)
    elo = elo_estimate(tally.points, tally.games)
    score = float(tally.points.sum() / tally.games.sum())
    interval = share_interval(tally.points, tally.games)
    passes = score >= threshold and (not certain or interval[0] > 0.5)
    return GateResult(passes, score, interval, elo, int(tally.games.sum()))
