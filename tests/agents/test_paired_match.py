"""Matches of paired games, Elo differences with their intervals, and gating."""

import numpy as np
import pytest
from nim import Nim

from agents.evaluation.elo import elo_difference, elo_estimate, expected_score, share_interval
from agents.evaluation.gating import gate
from agents.evaluation.paired_match import (
    ADJUDICATED,
    RESIGNATION,
    Opening,
    PairedMatch,
    PairTally,
    PolicyPlayer,
)
from sim.chess.opponents import Forfeit
from sim.chess.rules.game import ChessGame
from sim.records import Decision


class Perfect:
    """A policy that leaves a multiple of four where it can, else takes one."""

    def seed(self, seed):
        self.batches = []

    def act(self, obs, info, memory=None, *, greedy=False):
        self.batches.append(len(obs))
        assert info["action_mask"].shape == (len(obs), 3)
        best = [(game.heap - 1) % 4 for game in info["games"]]
        assert [row.sum() for row in info["action_mask"]] == [min(3, game.heap) for game in info["games"]]
        return Decision(np.array([action if action < 3 else 0 for action in best])), None


class Ones(Perfect):
    """A policy that always takes one."""

    def act(self, obs, info, memory=None, *, greedy=False):
        return Decision(np.zeros(len(obs), int)), None


class Scripted:
    """A player that replies the same to everything."""

    def __init__(self, reply):
        self.answer = reply

    def reply(self, games, generators):
        return [self.answer] * len(games)


def match(player, rival, heaps, max_plies=99, **options):
    openings = [Opening(Nim(heap)) for heap in heaps]
    return PairedMatch(player, rival, openings, max_plies=max_plies, seed=0, **options)


def test_each_opening_is_played_from_both_sides_and_all_games_in_one_batch():
    policy = Perfect()
    played = match(PolicyPlayer(policy, 3), PolicyPlayer(Ones(), 3), [4, 5, 6])
    ended = list(played.play())
    assert len(ended) == 6 and {(game.pair, game.side) for game in ended} == {
        (pair, side) for pair in range(3) for side in (0, 1)
    }
    # Side 0 moves first: lost from a heap of 4 only if the rival plays well too, and it takes one each time.
    points = {(game.pair, game.side): game.points for game in ended}
    assert points[1, 0] == points[2, 0] == points[0, 1] == 1.0 and points[0, 0] == 1.0
    assert policy.batches[0] == 3 and max(policy.batches) == 6  # then the games of both sides are in step
    assert all(game.mate and game.reason == "win" for game in ended)


def test_few_games_at_a_time_end_the_same():
    def result(together):
        played = match(PolicyPlayer(Perfect(), 3), PolicyPlayer(Ones(), 3), range(4, 12), together=together)
        ended = list(played.play())
        assert len(ended) == 16
        return [(game.points, tuple(game.actions)) for game in played.games]

    assert result(2) == result(64)


@pytest.mark.parametrize(
    ("reply", "points", "reason", "failed"),
    [
        (None, 1.0, RESIGNATION, None),
        (Forfeit("it died"), None, "it died", 1),
        (7, None, "illegal move: 8 of 8", 1),
    ],
)
def test_a_rival_that_resigns_has_lost_and_one_that_fails_leaves_no_result(reply, points, reason, failed):
    played = match(PolicyPlayer(Perfect(), 3), Scripted(reply), [10])
    first, second = played.play()
    assert {first.points, second.points} == {points} and not first.mate
    white = first if first.side == 0 else second
    assert (white.reason, white.failed) == (reason, failed)
    tally = PairTally.of(played.games)
    assert tally.games.sum() == (2 if points else 0) and tally.mates.sum() == 0


def test_long_games_are_cut_and_count_half_a_point():
    played = match(Scripted(0), Scripted(0), [9, 3], max_plies=4)
    for game in played.play():
        assert (game.reason == ADJUDICATED) == (game.pair == 0)
    tally = PairTally.of(played.games)
    assert tally.points.tolist() == [1.0, 1.0] and tally.cut.tolist() == [2, 0]
    assert tally.draws.sum() == 0 and tally.wins.tolist() == tally.losses.tolist() == [0, 1]


def test_a_chess_game_begins_after_its_opening_and_knows_its_moves():
    moves, game = [], ChessGame(history=8)
    for uci in ("f2f3", "e7e5"):
        moves.append(game.action(uci))
        game = game.play(moves[-1])
    opening = Opening(ChessGame(history=8), tuple(moves), ChessGame(history=1))

    class Mated:
        def reply(self, games, generators):
            return [game.action("g2g4" if game.turn else "d8h4") for game in games]

    played = PairedMatch(Mated(), Mated(), [opening], max_plies=99, seed=0)
    ours = {game.side: game for game in played.play()}
    assert [ours[side].points for side in (0, 1)] == [0.0, 1.0] and ours[0].reason == "checkmate"
    assert len(ours[0].actions) == 4
    planes = [view.planes().shape[0] for view in ours[0].views]
    assert planes == [119, 21] and ours[0].views[0].fen == ours[0].views[1].fen


def test_elo_is_the_logistic_curve_and_its_inverse():
    assert elo_difference(10 / 11) == pytest.approx(400) and elo_difference(0.5) == 0
    for score in (0.01, 0.3, 0.76):
        assert expected_score(elo_difference(score)) == pytest.approx(score)
        assert elo_difference(1 - score) == pytest.approx(-elo_difference(score))
    assert elo_difference(0.0) == -np.inf


def test_a_match_won_throughout_gives_a_bound_that_grows_with_the_games():
    two = np.full(10, 2.0)
    won, lost = elo_estimate(two, two), elo_estimate(np.zeros(10), two)
    # Who wins a pair with probability 0.05^(1/10), and else loses it, wins ten of them one time in twenty.
    assert expected_score(won.elo) ** 10 == pytest.approx(0.05)
    assert (won.low, won.high) == (won.elo, np.inf) and won.is_bound and str(won).startswith("> +")
    assert (lost.low, lost.high) == (-np.inf, -won.elo) and str(lost).startswith("< −")
    assert elo_estimate(np.full(50, 2.0), np.full(50, 2.0)).elo > won.elo
    with pytest.raises(ValueError, match="at least one game"):
        elo_estimate(np.zeros(2), np.zeros(2))


def test_pairs_that_all_ended_one_to_one_are_not_certain():
    low, high = share_interval(np.ones(3), np.full(3, 2.0))
    assert low < 0.35 and high > 0.65


@pytest.mark.parametrize("pairs", [5, 10, 100])
@pytest.mark.parametrize("decided_by_colour", [0.0, 0.5])
def test_the_interval_covers_the_true_score_in_95_of_100_matches(pairs, decided_by_colour):
    generator = np.random.default_rng(0)
    shape = 4_000, pairs
    games = generator.choice([1.0, 0.5, 0.0], p=[0.7, 0.2, 0.1], size=(2, *shape))
    games[:, generator.random(shape) < decided_by_colour] = [[1.0], [0.0]]
    true = (1 - decided_by_colour) * 0.8 + decided_by_colour * 0.5
    ends = np.array([share_interval(points, np.full(pairs, 2.0)) for points in games.sum(0)])
    covered = np.mean((ends[:, 0] <= true) & (true <= ends[:, 1]))
    assert covered > 0.94
    if pairs == 100:
        assert covered < 0.98  # and is no wider than it must be


def test_an_independent_pair_halves_the_interval_that_twice_the_games_would_need():
    mixed = np.tile([2.0, 0.0], 50)  # the opening decides
    even = np.ones(100)  # colour decides: each pair is 1–1
    wide, narrow = (np.diff(share_interval(points, np.full(100, 2.0)))[0] for points in (mixed, even))
    assert narrow < wide / 3


def test_gating_takes_the_better_and_refuses_the_equal():
    openings = [Opening(Nim(heap)) for heap in range(4, 24)]
    options = {"num_actions": 3, "max_plies": 99, "seed": 0}
    ended = []
    better = gate(Perfect(), Ones(), openings, on_game=ended.append, certain=True, **options)
    assert better.passes and better.score > 0.7 and better.interval[0] > 0.5 and better.games == 40
    assert len(ended) == 40 and better.elo.elo > 100
    worse = gate(Ones(), Perfect(), openings, **options)
    assert not worse.passes and worse.score == pytest.approx(1 - better.score)
    equal = gate(Perfect(), Perfect(), openings, **options)
    assert not equal.passes and equal.score == 0.5 and equal.elo.elo == 0
    lucky = gate(Perfect(), Ones(), openings[1:2], certain=True, **options)
    assert lucky.score >= 0.55 and not lucky.passes  # two games prove nothing
    with pytest.raises(ValueError, match="at least one opening"):
        gate(Perfect(), Ones(), [], **options)
