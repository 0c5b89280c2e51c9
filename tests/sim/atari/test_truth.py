"""The truth about Atari pictures: known pictures, any memory, one frame, and batches that tell it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sim.atari.truth import GAMES, NoTruthError, classes, facts, objects, table
from sim.catalog import make_world, make_worlds
from sim.conformance import check_world
from sim.fields import FieldError

#: After 150 steps of the same random play; looked at with the boxes drawn over the pictures.
KNOWN = {
    "asterix": ({"player": 1, "lyre": 4, "reward": 3, "food": 1}, {"score": 300, "lives": 3, "lane": 4}),
    "bowling": ({"player": 1, "ball": 1, "pin": 7}, {"score": 0, "frame": 1, "pins": 7}),
    "boxing": ({"player": 1, "enemy": 1}, {"player score": 2, "enemy score": 5, "seconds left": 110}),
    "breakout": ({"paddle": 1, "ball": 1, "brick": 105}, {"score": 3, "lives": 5, "bricks": 105}),
    "freeway": ({"player": 1, "enemy": 1, "car": 10}, {"player score": 0, "enemy score": 0}),
    "frostbite": ({"player": 1, "igloo": 1, "floe": 12, "bird": 2}, {"score": 40, "lives": 3, "degrees": 43}),
    "gopher": ({"farmer": 1, "gopher": 1, "carrot": 3}, {"score": 0, "carrots": 3}),
    "ice_hockey": ({"player": 2, "enemy": 2, "puck": 1}, {"player score": 0, "enemy score": 1}),
    "ms_pacman": ({"player": 1, "ghost": 3}, {"score": 110, "lives": 3, "dots eaten": 11}),
    "pong": ({"ball": 1, "enemy": 1, "player": 1}, {"player score": 0, "enemy score": 3}),
    "seaquest": ({"player": 1}, {"score": 0, "lives": 2, "divers": 0, "oxygen": 21}),
    "skiing": ({"skier": 1, "flag": 4, "tree": 2, "mogul": 1}, {"gates left": 20}),
    "space_invaders": (
        {"player": 1, "invader": 36, "shield": 3, "laser": 1},
        {"score": 0, "lives": 2, "invaders": 36},
    ),
    "tennis": (
        {"player": 1, "enemy": 1, "ball": 1, "shadow": 1},
        {"player points": 0, "enemy points": 2},
    ),
}


def random_actions(world, count, seed, hold=4):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers(world.action_space.n, size=-(-count // hold)), hold)[:count]


#: By default the games of shipped scenes and those whose tables have the most kinds of rules.
OFTEN = ("breakout", "freeway", "ms_pacman", "pong", "seaquest", "space_invaders")


@pytest.mark.parametrize(
    "game", [pytest.param(game, marks=[] if game in OFTEN else [pytest.mark.slow]) for game in GAMES]
)
def test_known_pictures_hold_known_objects_and_every_box_fits_what_was_drawn(game):
    world = make_world(f"atari/{game}", seed=1)
    world.reset()
    rng = np.random.default_rng(1)
    score = 0.0
    for step in range(150):
        if step % 4 == 0:
            action = int(rng.integers(world.action_space.n))
        _, reward, _, _, info = world.step(action)
        score += reward
    percept = world.truth()
    counts, numbers = KNOWN[game]
    assert Counter(percept.labels) == counts
    assert percept.facts.items() >= numbers.items()
    assert (percept.origin, percept.label) == ("truth", game)
    assert set(percept.labels) <= set(classes(game))
    told = percept.facts.get("score", percept.facts.get("player score"))
    if told is not None:
        assert told - percept.facts.get("enemy score", 0) == score, "memory counts what the game has paid"
    if "lives" in percept.facts:
        assert percept.facts["lives"] == info["lives"]
    assert_boxes_fit(world, game)


def assert_boxes_fit(world, game):
    """Each edge of a box touches a pixel of its class, but for heads whose colour is everyone's."""
    world.config = replace(world.config, frame_skip=3)  # sees the flicker of every second frame
    world.reset()
    checked = 0
    for action in random_actions(world, 30, seed=2):
        world.step(int(action))
        screen = world.palette_screen()
        for label, (x0, y0, x1, y1), colours in objects(game, world.ram(), screen):
            y0 += table(game).crown.get(label, 0)
            drawn = np.isin(screen[y0:y1, x0:x1], list(colours or table(game).classes[label]))
            assert drawn[0].any() and drawn[-1].any() and drawn[:, 0].any() and drawn[:, -1].any()
            checked += 1
    assert checked >= 30


@pytest.mark.parametrize("game", GAMES)
def test_any_memory_gives_whole_boxes_within_the_picture(game):
    rng = np.random.default_rng(0)
    screen = rng.integers(256, size=(210, 160), dtype=np.uint8)
    edges = table(game).area
    assert 0 <= edges[0] < edges[2] <= 160 and 0 <= edges[1] < edges[3] <= 210
    memories = [np.full(128, value, np.uint8) for value in (0, 127, 128, 255)]
    memories += list(rng.integers(256, size=(40, 128), dtype=np.uint8))
    seen = 0
    for ram in memories:
        for found in objects(game, ram) + objects(game, ram, screen):
            seen += 1
            x0, y0, x1, y1 = found.box
            assert all(type(edge) is int for edge in found.box)
            assert edges[0] <= x0 < x1 <= edges[2] and edges[1] <= y0 < y1 <= edges[3], found
            assert found.label in classes(game)
        assert all(type(number) is int for number in facts(game, ram).values())
    assert seen > 20


@pytest.mark.parametrize("game", ["pong", "breakout", "freeway"])
def test_memory_and_picture_are_of_one_frame(game):
    """These games draw what they remember: where memory alone puts things, there they are, all of them."""
    world = make_world(f"atari/{game}", seed=4)
    for frame_skip in (1, 3, 4):
        world.config = replace(world.config, frame_skip=frame_skip)
        world.reset()
        close = total = 0
        for action in random_actions(world, 50, seed=4):
            world.step(int(action))
            remembered = [thing.box for thing in objects(game, world.ram())]
            drawn = [thing.box for thing in objects(game, world.ram(), world.palette_screen())]
            total += len(remembered)
            pairs = zip(remembered, drawn, strict=False)
            close += sum(np.abs(np.subtract(a, b)).max() <= 2 for a, b in pairs)
        assert close / total > 0.97, frame_skip


def test_after_a_reset_and_an_undo_the_truth_is_that_of_the_picture_shown():
    world = make_world("atari/breakout", seed=5)
    for _ in range(2):
        world.reset()
        assert Counter(world.truth().labels) == {"paddle": 1, "brick": 108}
    for action in (1, *random_actions(world, 40, seed=5)):
        world.step(int(action))
    before, clone = world.truth(), world.clone_state()
    for _ in range(10):
        world.step(3)
    assert not np.array_equal(world.truth().boxes, before.boxes)
    world.restore_state(clone)
    np.testing.assert_array_equal(world.truth().boxes, before.boxes)
    assert world.truth().facts == before.facts


@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_the_balls_velocity_is_the_way_it_goes(game):
    world = make_world(f"atari/{game}", seed=4, frame_skip=1)
    world.reset()
    before, right = {}, []
    for frame in range(300):
        world.step(1 if frame % 20 == 0 else 2 + frame // 30 % 2)
        now = facts(game, world.ram())
        if "ball x" in before and "ball x" in now:
            moved = np.array([now["ball x"] - before["ball x"], now["ball y"] - before["ball y"]])
            if game == "pong":
                right.append((moved == [before["ball dx"], before["ball dy"]]).all())
            else:
                right.append((np.sign(moved) == [before["ball right"], before["ball down"]]).all())
        before = now
    assert len(right) > 100
    assert np.mean(right) > 0.95, "but for the frames in which it bounces"


def test_bricks_are_known_one_by_one():
    """Bit by bit: clearing a brick in memory clears the one brick that it stands for."""
    world = make_world("atari/breakout", seed=0)
    world.reset()
    ram = world.ram()
    full = {thing.box for thing in objects("breakout", ram) if thing.label == "brick"}
    assert full == {(8 * c, 57 + 6 * r, 8 * c + 8, 63 + 6 * r) for c in range(1, 19) for r in range(6)}
    ram[35] = 0  # the byte of the top left brick, which has it to itself
    left = {thing.box for thing in objects("breakout", ram) if thing.label == "brick"}
    assert full - left == {(8, 57, 16, 63)}
    assert facts("breakout", ram)["bricks"] == 107


def test_batches_with_truth_equal_those_without_to_the_last_bit():
    fields = {"num_envs": 2, "seed": 3, "max_frames": 80}
    plain, truthful = (
        make_worlds("atari/breakout", **fields),
        make_worlds("atari/breakout", truth=True, **fields),
    )
    assert plain.action_names == truthful.action_names
    assert plain.frame_stack == truthful.frame_stack
    np.testing.assert_array_equal(plain.reset()[0], truthful.reset()[0])
    rng = np.random.default_rng(3)
    endings = 0
    for _ in range(25):
        actions = rng.integers(4, size=2)
        *one, info = plain.step(actions)
        *two, info2 = truthful.step(actions)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
        if "final_obs" in info:
            np.testing.assert_array_equal(info["final_obs"], info2["final_obs"])
            endings += 1
    assert endings == 1
    plain.close()
    truthful.close()


def test_a_batch_tells_the_truth_of_the_worlds_asked_for():
    worlds = make_worlds("atari/pong", num_envs=2, seed=6, truth=True, max_frames=4000)
    world = make_world("atari/pong", seed=7)
    worlds.reset()
    world.reset()
    for step in range(60):
        worlds.step(np.array([2 + step % 2, 3]))
        world.step(3)
    last, first = worlds.truth([1, 0])
    np.testing.assert_array_equal(last.boxes, world.truth().boxes)
    np.testing.assert_array_equal(worlds.render()[1], world.render())
    assert last.boxes.dtype == np.float32
    assert not np.array_equal(first.boxes, last.boxes)
    worlds.close()


def test_when_an_episode_ends_the_truth_is_that_of_the_next_ones_first_picture():
    worlds = make_worlds("atari/breakout", num_envs=1, seed=0, truth=True, max_frames=120)
    worlds.reset()
    ended = False
    while not ended:
        _, _, _, truncated, _ = worlds.step(np.array([1]))
        ended = bool(truncated[0])
    assert Counter(worlds.truth([0])[0].labels) == {"paddle": 1, "brick": 108}
    worlds.close()


@pytest.mark.slow
def test_worlds_with_truth_keep_every_promise():
    check_world("atari/breakout", truth=True, max_frames=200, steps=60)


def test_truth_is_no_rule_of_the_game():
    from sim.atari.world import Atari

    assert Atari("pong", truth=True).protocol() == Atari("pong").protocol()


def test_a_game_without_a_table_is_refused_by_name():
    with pytest.raises(FieldError, match='the objects in "tetris" are not known; they are in asterix, bowl'):
        make_worlds("atari/tetris", truth=True)
    world = make_world("atari/tetris")
    world.reset()
    with pytest.raises(NoTruthError, match="tetris.*pong"):
        world.truth()
