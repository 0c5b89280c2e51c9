"""Percepts as observations: known numbers, tracking, and invariance to the order of detections."""

import math

import numpy as np
import pytest

from sim.records import Percept
from supervised.observation.percept_observation import (
    FASTEST,
    MEMORY,
    NEAR,
    SlotError,
    SlotLayout,
    assign_nearest,
    fill_slots,
    no_tracks,
    observations,
    slot_layout,
    update_tracks,
)

PONG = SlotLayout(("ball", "player"), (), 160, 200)
BRICKS = SlotLayout(("brick",) * 3, (), 100, 100)
LIMB = SlotLayout((), ("hip", "toe"), 100, 50)


def percept(*things, scores=None):
    """Boxes from (label, x0, y0, x1, y1)."""
    boxes = np.array([thing[1:] for thing in things], np.float32).reshape(-1, 4)
    labels = tuple(thing[0] for thing in things)
    return Percept("model", boxes=boxes, labels=labels, scores=None if scores is None else np.array(scores))


def seen(layout, *percepts):
    """The observation after these pictures of one world."""
    tracks = no_tracks(layout, 1)
    for each in percepts:
        tracks = update_tracks(tracks, fill_slots(layout, each, tracks, 0)[None])
    return observations(layout, tracks)[0]


def named(layout, row):
    return dict(zip(layout.names, row.tolist(), strict=True))


def brick(x):
    return "brick", x, 50, x + 10, 60


def test_known_numbers():
    ball = "ball", 79, 100, 81, 104
    moved = "ball", 87, 95, 89, 99
    row = named(PONG, seen(PONG, percept(ball), percept(moved, ("player", 140, 150, 144, 170))))
    assert row == pytest.approx(
        {
            "ball 0 present": 1,
            "ball 0 x": 88 / 160,
            "ball 0 y": 97 / 200,
            "ball 0 width": 2 / 160,
            "ball 0 height": 4 / 200,
            "ball 0 dx": (8 / 160) / FASTEST,
            "ball 0 dy": (-5 / 200) / FASTEST,
            "player 0 present": 1,
            "player 0 x": 142 / 160,
            "player 0 y": 160 / 200,
            "player 0 width": 4 / 160,
            "player 0 height": 20 / 200,
            "player 0 dx": 0,
            "player 0 dy": 0,
        },
        abs=1e-6,
    )


def test_keypoints_are_there_where_they_can_be_seen():
    first = Percept("truth", keypoints={"toe": (50, 25, 1.0), "hip": (20, 10, 0.0)})
    second = Percept("truth", keypoints={"toe": (52.5, 25, 1.0), "hip": (20, 10, 0.0)})
    row = named(LIMB, seen(LIMB, first, second))
    assert row == pytest.approx(
        {f"hip {name}": 0 for name in ("present", "x", "y", "dx", "dy")}
        | {"toe present": 1, "toe x": 0.525, "toe y": 0.5, "toe dx": 0.2, "toe dy": 0}
    )


def test_nothing_seen_is_all_zeros_and_every_number_has_its_name_and_range():
    for layout in (PONG, BRICKS, LIMB):
        row = seen(layout, Percept("truth"))
        assert not row.any()
        assert row.shape == layout.space.shape == (len(set(layout.names)),)


def test_what_is_missed_goes_on_as_it_went_and_is_then_forgotten():
    ball = [percept(("ball", 40 + 4 * i, 100, 42 + 4 * i, 104)) for i in range(2)]
    nothing = percept()
    for missed in range(1, MEMORY + 1):
        row = named(PONG, seen(PONG, *ball, *[nothing] * missed))
        assert row["ball 0 present"] == 0
        assert row["ball 0 x"] == pytest.approx((45 + 4 * missed) / 160)
        assert row["ball 0 dx"] == pytest.approx(4 / 160 / FASTEST)
    assert not seen(PONG, *ball, *[nothing] * (MEMORY + 1)).any()


def test_after_a_gap_the_motion_is_that_of_one_picture():
    away = [percept(("ball", 40, 100, 42, 104)), percept(), percept(), percept(("ball", 49, 100, 51, 104))]
    row = named(PONG, seen(PONG, *away))
    assert row["ball 0 present"] == 1
    assert row["ball 0 dx"] == pytest.approx(3 / 160 / FASTEST)
    forgotten = [away[0], *[percept()] * (MEMORY + 1), away[3]]
    assert named(PONG, seen(PONG, *forgotten))["ball 0 dx"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_things_are_told_changes_nothing(seed):
    generator = np.random.default_rng(seed)
    pictures = [[brick(10 + step), brick(40 - step), brick(70 + 2 * step)] for step in range(3)]
    scores = [0.9, 0.8, 0.7]
    plain = seen(BRICKS, *(percept(*things, scores=scores) for things in pictures))
    orders = [generator.permutation(3) for _ in pictures]
    shuffled = [
        percept(*(things[i] for i in order), scores=[scores[i] for i in order])
        for things, order in zip(pictures, orders, strict=True)
    ]
    np.testing.assert_array_equal(seen(BRICKS, *shuffled), plain)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_told_the_numbers_stay_in_their_ranges(seed):
    generator = np.random.default_rng(seed)
    tracks = no_tracks(PONG, 1)
    for _ in range(30):
        names = generator.choice(["ball", "player", "ghost"], generator.integers(5))
        things = [(name, *generator.uniform(-50, 300, 4)) for name in names]
        tracks = update_tracks(tracks, fill_slots(PONG, percept(*things), tracks, 0)[None])
        assert PONG.space.contains(observations(PONG, tracks)[0])


def test_a_thing_keeps_its_slot_when_another_comes_or_goes():
    first, second = (
        seen(BRICKS, percept(brick(40))),
        seen(BRICKS, percept(brick(40)), percept(brick(5), brick(41))),
    )
    assert named(BRICKS, first)["brick 0 x"] == pytest.approx(0.45)
    row = named(BRICKS, second)
    assert row["brick 0 x"] == pytest.approx(0.46), "what was there stays where it was"
    assert row["brick 1 x"] == pytest.approx(0.10), "what is new takes an empty slot"
    row = named(BRICKS, seen(BRICKS, percept(brick(5), brick(40)), percept(brick(41))))
    assert (row["brick 0 present"], row["brick 1 present"]) == (0, 1)


def test_two_that_cross_keep_their_slots_by_where_they_are_expected():
    pictures = [percept(brick(20 + 8 * step), brick(60 - 8 * step)) for step in range(5)]
    row = named(BRICKS, seen(BRICKS, *pictures))
    assert row["brick 0 x"] == pytest.approx((20 + 32 + 5) / 100)
    assert row["brick 1 x"] == pytest.approx((60 - 32 + 5) / 100)


def test_of_too_many_the_likeliest_are_taken():
    row = named(PONG, seen(PONG, percept(("ball", 0, 0, 2, 4), ("ball", 100, 0, 102, 4), scores=[0.4, 0.9])))
    assert row["ball 0 x"] == pytest.approx(101 / 160)


@pytest.mark.parametrize("seed", range(30))
def test_every_thing_gets_a_slot_of_its_own(seed):
    numbers = np.random.default_rng(seed)
    slots = int(numbers.integers(1, 7))
    things = int(numbers.integers(1, slots + 1))
    known = numbers.random(slots) < 0.5
    taken = assign_nearest(numbers.random((things, 2)), numbers.random((slots, 2)), known)
    assert len(set(taken)) == things and set(taken) <= set(range(slots))


def test_one_row_a_world_and_none_of_another():
    tracks = no_tracks(PONG, 3)
    found = np.full((3, 2, 4), np.nan)
    found[1, 0] = 0.5, 0.25, 0.1, 0.1
    rows = observations(PONG, update_tracks(tracks, found))
    assert not rows[[0, 2]].any()
    assert rows[1, :3].tolist() == [1, 0.5, 0.25]


def test_slots_are_one_a_class_unless_told():
    layout = slot_layout(("ball", "brick"), (), {"brick": 2}, width=160, height=210)
    assert layout.boxes == ("ball", "brick", "brick")
    assert slot_layout(("ball",), ("toe",), {"ball": 0}, width=9, height=9).boxes == ()


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"bal": 1}, 'no class "bal"; there are ball'),
        ({"ball": -1}, "slots.ball must be a whole number from 0 on, not -1"),
        ({"ball": True}, "slots.ball must be a whole number"),
        ({"ball": 0}, "at least one box or keypoint"),
    ],
)
def test_slots_that_cannot_be_are_refused(counts, words):
    with pytest.raises(SlotError, match=words):
        slot_layout(("ball",), (), counts, width=160, height=210)


def test_relations_say_how_near_two_things_are():
    near = SlotLayout(("ball", "player"), (), 160, 200, relations=True)
    pictures = [percept(("ball", 130, 90, 132, 94), ("player", 140, 92, 144, 112))]
    row = named(near, seen(near, *pictures))
    assert row["player 0 from ball 0 dx"] == pytest.approx((142 - 131) / 160 / NEAR)
    assert row["player 0 from ball 0 dy"] == pytest.approx((102 - 92) / 200 / NEAR)
    far = named(near, seen(near, percept(("ball", 10, 90, 12, 94), ("player", 140, 192, 144, 200))))
    assert (far["player 0 from ball 0 dx"], far["player 0 from ball 0 dy"]) == (1, 1)
    alone = seen(near, percept(("ball", 10, 90, 12, 94)))
    assert not alone[-2:].any(), "nothing is near what is not there"
    assert near.space.shape == (16,) and near.space.contains(alone)
    assert len(SlotLayout(("brick",) * 4, (), 9, 9, relations=True).pairs) == 6


def test_smoothed_they_follow_the_line_that_fits_the_fading_past_best():
    theta, pictures = 0.6, 120
    x = 0.2 + 0.004 * np.arange(pictures) + np.random.default_rng(0).normal(0, 0.01, pictures)
    tracks = no_tracks(LIMB, 1)
    for place in x:
        found = np.full((1, 2, 4), np.nan)
        found[0, 0] = place, 0.5, 0.0, 0.0
        tracks = update_tracks(tracks, found, theta)
    age = np.arange(pictures)[::-1]
    slope, here = np.polyfit(-age, x, 1, w=theta ** (age / 2))  # polyfit squares its weights
    assert tracks.motion[0, 0, 0] == pytest.approx(slope, rel=1e-4)
    assert tracks.place[0, 0, 0] == pytest.approx(here, rel=1e-4)


def test_smoothed_motion_errs_less_and_unsmoothed_says_what_was_seen():
    generator = np.random.default_rng(1)
    x = 0.3 + 0.002 * np.arange(200) + generator.normal(0, 0.01, 200)
    off = {}
    for theta in (0.0, 0.5, 0.8):
        tracks, motions = no_tracks(LIMB, 1), []
        for place in x:
            found = np.full((1, 2, 4), np.nan)
            found[0, 0] = place, 0.5, 0.0, 0.0
            tracks = update_tracks(tracks, found, theta)
            motions.append(tracks.motion[0, 0, 0])
            if theta == 0:
                assert tracks.place[0, 0, 0] == np.float32(place)
        off[theta] = np.abs(np.array(motions[50:]) - 0.002).mean()
    assert off[0.5] < 0.3 * off[0.0] and off[0.8] < 0.3 * off[0.5]


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, math.nan])
def test_smoothing_that_never_moves_is_refused(smoothing):
    with pytest.raises(SlotError, match="smoothing must be at least 0 and below 1"):
        SlotLayout((), ("toe",), 10, 10, smoothing=smoothing)
