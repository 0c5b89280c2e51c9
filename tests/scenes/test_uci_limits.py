"""Time management and limits of a UCI search, on a clock that is only counted."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.uci.info import Line
from scenes.uci.limits import Allotment, LagMeter, Limits, TimeManager, allot, expected_moves
from scenes.uci.protocol import GoCommand

STEADY = {"lead": 0.0, "pace": 100.0}


def spent_after(manager, step, best=lambda used: 0, lead=0.0, pace=100.0):
    """Seconds that a search takes that looks at the time every `step` seconds."""
    used = step
    while not manager.spent(used, best(used), lead, pace):
        used += step
    return used


def test_the_clock_of_the_side_to_move_counts():
    go = GoCommand(wtime=1000, btime=60_000, winc=0, binc=2000, movestogo=10)
    assert allot(go, 1, 1, 0.0).target == pytest.approx(6 + 1.8)
    assert allot(go, 0, 1, 0.0).target == pytest.approx(0.1)


@pytest.mark.parametrize("left", [-500, 0, 1, 40, 100, 1000, 10_000_000])
@pytest.mark.parametrize("increment", [0, 50, 5000])
@pytest.mark.parametrize("movestogo", [None, 1, 2, 40, 10_000])
def test_no_move_gets_more_than_the_clock_holds(left, increment, movestogo):
    allotment = allot(GoCommand(btime=left, binc=increment, movestogo=movestogo), 1, 30, 0.02)
    assert 0 < allotment.target <= allotment.most
    assert allotment.most <= max(0.001, left / 1000 - 0.02)


def test_a_move_before_the_last_of_a_control_leaves_time_for_the_next():
    two = allot(GoCommand(wtime=10_000, movestogo=2), 0, 39, 0.05)
    one = allot(GoCommand(wtime=10_000, movestogo=1), 0, 40, 0.05)
    assert two.most < 5 < 9 < one.target


def test_fewer_moves_are_expected_as_the_game_goes_on():
    expected = [expected_moves(number) for number in range(1, 300)]
    assert expected == sorted(expected, reverse=True) and expected[-1] >= 20


def test_movetime_is_spent_in_full_and_not_overstepped():
    manager = TimeManager(allot(GoCommand(movetime=1000), 0, 1, 0.05))
    assert 0.90 <= spent_after(manager, 0.04, lead=np.inf) <= 0.95


def test_a_best_move_that_has_stood_gets_less_and_one_that_changes_gets_more():
    allotment = Allotment(target=1.0, most=3.0)
    steady = spent_after(TimeManager(allotment), 0.01)
    nervous = spent_after(TimeManager(allotment), 0.01, best=lambda used: int(used * 20))
    once = spent_after(TimeManager(allotment), 0.01, best=lambda used: int(used > 0.6))
    assert steady == pytest.approx(0.7, abs=0.02) and nervous == pytest.approx(2.0, abs=0.02)
    assert steady < once < nervous


def test_a_lead_that_cannot_be_caught_ends_the_search():
    allotment = Allotment(target=1.0, most=3.0)
    assert spent_after(TimeManager(allotment), 0.01, lead=51, pace=100) == pytest.approx(0.2, abs=0.02)
    assert spent_after(TimeManager(allotment), 0.01, lead=np.inf) == pytest.approx(0.01)


def test_a_slow_step_is_kept_in_reserve():
    manager = TimeManager(Allotment(target=0.9, most=1.0))
    assert not manager.spent(0.4, 0, **STEADY), "another 0.4 s fits"
    assert manager.spent(0.65, 1, **STEADY), "another 0.4 s does not"


def test_after_a_ponder_hit_the_time_counts_anew():
    manager = TimeManager(Allotment(target=1.0, most=3.0))
    manager.restart()
    assert spent_after(manager, 0.01) == pytest.approx(0.7, abs=0.02)


def test_what_a_move_costs_beyond_the_engines_time_is_learned_from_the_clock():
    meter, left = LagMeter(), 10_000
    for _ in range(40):
        go = GoCommand(wtime=left, winc=50)
        overhead = meter.overhead(go, 0, 0.01)
        meter.moved(go, 0, 0.1, 0.02)
        left += 50 - 100 - 120  # 0.12 s went elsewhere
    assert overhead == pytest.approx(0.12, abs=0.001)
    meter.moved(GoCommand(wtime=1000), 0, 0.1, 0.02)
    assert meter.overhead(GoCommand(wtime=50_000), 0, 0.01) == overhead, "the next time control"
    meter.moved(GoCommand(wtime=50_000), 0, 0.1, 0.02)
    assert meter.overhead(GoCommand(wtime=1000), 0, 0.01) == overhead, "another game, or a pause"
    meter.moved(GoCommand(wtime=1000, btime=1000), 0, 0.1, 0.02)
    assert meter.overhead(GoCommand(wtime=1000, btime=500), 1, 0.01) == overhead, "the other side"
    assert LagMeter().overhead(go, 0, 0.07) == 0.07
    assert meter.first_look == pytest.approx(0.02, abs=0.001)


def test_moves_that_cost_more_than_their_increment_are_kept_back():
    go = GoCommand(wtime=5000, winc=50)
    even, slow = allot(go, 0, 1, 0.05, 0.0), allot(go, 0, 1, 0.05, 0.04)
    assert even.target == pytest.approx((5 - 0.05) / 44)
    assert slow.target == pytest.approx(0.04 + (5 - 0.05 - 60 * 0.04) / 44)
    assert allot(GoCommand(wtime=5000, movestogo=2), 0, 1, 0.05, 0.04).target > 1.5


def game(generator, seconds, increment, moves, slowness):
    """Least time on the clock, in a game on a machine whose steps and messages take random time."""
    left = least = seconds
    for number in range(1, moves + 1):
        go = GoCommand(wtime=int(left * 1000), winc=int(increment * 1000))
        manager = TimeManager(allot(go, 0, number, 0.05))
        used = generator.uniform(0, 0.01)  # until the search begins
        wild = generator.random() < 0.3  # the best move keeps changing
        while True:
            used += generator.exponential(slowness) + (0.08 if generator.random() < 0.002 else 0.0)
            if manager.spent(used, int(used * 50) if wild else 0, 0.0, 100.0):
                break
        left -= used + generator.uniform(0, 0.02)  # and until the client has its answer
        least = min(least, left)
        left += increment
    return least


@pytest.mark.parametrize(("seconds", "increment"), [(5.0, 0.05), (60.0, 0.6)])
def test_a_hundred_games_are_never_lost_on_time(seconds, increment):
    generator = np.random.default_rng(0)
    for _ in range(100 if seconds < 10 else 3):
        moves, slowness = int(generator.integers(20, 150)), generator.choice([0.002, 0.01])
        assert game(generator, seconds, increment, moves, slowness) > 0


def test_time_is_used_and_not_hoarded():
    generator = np.random.default_rng(1)
    least = [game(generator, 60.0, 0.0, 60, 0.01) for _ in range(3)]
    assert all(0 < seconds < 30 for seconds in least), least


@pytest.mark.parametrize(
    ("limits", "nodes", "line", "reached"),
    [
        (Limits(nodes=5), 4, None, False),
        (Limits(nodes=5), 5, None, True),
        (Limits(depth=3), 9, Line(("a", "b"), 0.0, None, None, False), False),
        (Limits(depth=3), 9, Line(("a", "b", "c"), 0.0, None, None, False), True),
        (Limits(depth=3), 9, Line(("a",), 0.0, None, 1, True), True),  # beyond the end there is no depth
        (Limits(mate=2), 9, Line(("a", "b", "c"), 0.9, None, 2, True), True),
        (Limits(mate=1), 9, Line(("a", "b", "c"), 0.9, None, 2, True), False),
        (Limits(mate=2), 9, Line(("a", "b"), -0.9, None, -1, True), False),  # being mated is no find
    ],
)
def test_a_limit_is_reached(limits, nodes, line, reached):
    assert limits.reached(nodes, 0 if line is None else len(line.moves), line) is reached
