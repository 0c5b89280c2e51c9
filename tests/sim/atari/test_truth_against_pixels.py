"""Over 1,000 pictures of each game the truth agrees with what colours alone show.

This writes the table of docs/perception.md:
``python -m pytest -q -s -n 0 -m slow tests/sim/atari/test_truth_against_pixels.py``.
"""

import functools
from collections import defaultdict

import numpy as np
import pytest
from palette_segments import ALIKE, segments

from scenes.build.agents import build_policy, scene_world
from scenes.schema import load_scene
from sim.atari.truth import GAMES, facts, objects
from sim.catalog import make_world

PICTURES = 1000
FRAME_SKIP = 3  # the invaders' bombs are drawn in every second frame: an even skip would show none, or all
FRAMES_APART = 25  # between the pictures of the player who follows the ball
HOLD = 4  # steps that a random action is kept: random play then gets somewhere


def overlaps(ours, theirs):
    """(n, m) intersections over unions of (n, 4) and (m, 4) boxes."""
    ours, theirs = np.reshape(ours, (-1, 1, 4)), np.reshape(theirs, (1, -1, 4))
    sides = np.minimum(ours[..., 2:], theirs[..., 2:]) - np.maximum(ours[..., :2], theirs[..., :2])
    common = np.maximum(sides, 0).prod(axis=2)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=2) for boxes in (ours, theirs)]
    return common / (areas[0] + areas[1] - common)


def hits(ours, theirs, threshold=0.5):
    """How many boxes pair up one to one, the closest first, at an overlap of at least `threshold`."""
    close = overlaps(ours, theirs)
    pairs = np.argwhere(close >= threshold)
    paired, matched = set(), set()
    for i, j in pairs[np.argsort(-close[tuple(pairs.T)], kind="stable")]:
        if i not in paired and j not in matched:
            paired.add(i)
            matched.add(j)
    return len(paired)


def test_the_yardstick_is_right():
    np.testing.assert_allclose(
        overlaps([(0, 0, 4, 2)], [(0, 0, 4, 2), (2, 0, 6, 2), (4, 0, 8, 2)]), [[1, 1 / 3, 0]]
    )
    one, two = (0, 0, 4, 4), (0, 1, 4, 5)  # overlap 12 / 20
    assert hits([one, two], [one]) == hits([one], [one, two]) == 1
    assert hits([one, two], [two, one]) == 2
    assert hits([], [one]) == hits([one], []) == hits([one], [(0, 2, 4, 6)]) == 0


def random_play(game):
    """Memory and palette screens of a random player, episode after episode."""
    world = make_world(f"atari/{game}", seed=7, frame_skip=FRAME_SKIP)
    rng = np.random.default_rng(7)
    world.reset()
    for step in range(PICTURES):
        if step % HOLD == 0:
            action = int(rng.integers(world.action_space.n))
        _, _, terminated, truncated, _ = world.step(action)
        if terminated or truncated:
            world.reset()
        yield world.ram(), world.palette_screen()


def following_play():
    """The same of Breakout, by a player that follows the ball until a few bricks are left."""
    world = make_world("atari/breakout", seed=7, frame_skip=1, repeat_action_probability=0.0)
    rng = np.random.default_rng(7)
    world.reset()
    for frame in range(PICTURES * FRAMES_APART):
        known = facts("breakout", world.ram())
        away = known.get("ball x", 80) - known["paddle x"] + int(rng.integers(-5, 6))
        _, _, terminated, _, _ = world.step(1 if frame % 20 == 0 else 0 if abs(away) < 4 else 2 + (away < 0))
        if terminated:
            world.reset()
        if frame % FRAMES_APART == 0:
            yield world.ram(), world.palette_screen()


def trained_play(name):
    """The same, of a shipped scene's agent."""
    scene = load_scene(name)
    config = scene_world(scene)
    worlds, world = config.make_batch(1, scene.seed), config.make(seed=7)
    policy, _ = build_policy(scene, worlds, config, "cpu")
    worlds.close()
    obs, info = world.reset()
    for _ in range(PICTURES):
        decision, _ = policy.act(obs[None], {key: np.array([info[key]]) for key in info}, greedy=True)
        obs, _, terminated, truncated, info = world.step(int(decision.actions[0]))
        if terminated or truncated:
            obs, info = world.reset()
        yield world.ram(), world.palette_screen()


def compare(game, frames):
    """Class → counts [boxes seen, hits, boxes told], for memory alone and for memory and picture."""
    counts = {source: defaultdict(lambda: np.zeros(3, int)) for source in ("memory", "truth")}
    alike = ALIKE.get(game, {})
    for ram, screen in frames:
        seen = defaultdict(list)
        for label, box in segments(game, screen):
            seen[label].append(box)
        for source, found in (("memory", objects(game, ram)), ("truth", objects(game, ram, screen))):
            told = defaultdict(list)
            for thing in found:
                told[alike.get(thing.label, thing.label)].append(thing.box)
            for label in told.keys() | seen.keys():
                both = hits(told[label], seen[label])
                counts[source][label] += (len(seen[label]), both, len(told[label]))
    return counts


def f1(count):
    seen, both, told = count
    return 2 * both / (seen + told)


def row(game, play, label, counts):
    seen, both, told = counts["truth"][label] if label else sum(counts["truth"].values())
    memory = f1(counts["memory"][label] if label else sum(counts["memory"].values()))
    precision, recall = both / max(told, 1), both / max(seen, 1)
    figures = f"{memory:.3f} | {precision:.3f} | {recall:.3f} | {f1((seen, both, told)):.3f}"
    print(f"| {game} | {play} | {label or '**all**'} | {seen} | {figures} |")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "play", "player"),
    [(game, "random", functools.partial(random_play, game)) for game in GAMES]
    + [("breakout", "follower", following_play)]
    + [("pong", "trained", functools.partial(trained_play, "pong"))],
)
def test_truth_agrees_with_what_colours_show(game, play, player):
    counts = compare(game, player())
    print()
    for label in (None, *sorted(counts["truth"])):
        row(game, play, label, counts)
    assert f1(sum(counts["truth"].values())) >= 0.9
    for label, count in counts["truth"].items():
        assert count[0] < 20 or f1(count) >= 0.9, f"{label} in {game}"
