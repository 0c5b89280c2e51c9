"""Worlds whose observations are percepts: conformance, numbers, noise, exact resume."""

import json

import numpy as np
import pytest

from sim.catalog import world_config
from sim.conformance import check_world
from sim.records import Percept
from supervised.observation.percept_env import PerceptObservation, PerceptSource, noise_of
from supervised.observation.percept_noise import noisy
from supervised.observation.percept_observation import (
    fill_slots,
    no_tracks,
    observations,
    slot_layout,
    update_tracks,
)

PONG = slot_layout(("ball", "player", "enemy"), (), {}, width=160, height=210)
HOPPER = slot_layout((), ("head", "hip", "knee", "ankle", "toe", "heel"), {}, width=64, height=64)
SHORT = {"max_frames": 160}  # 40 steps, so that episodes end within a check


def pong(witness, **fields):
    world = world_config("atari/pong", {"truth": True, "observation": "ram"} | SHORT | fields)
    return PerceptObservation(world, witness, PONG)


class Counting:
    """A model that says what the brightest pixels say, and notes how many pictures it was given at once."""

    reads = "rgb"

    def __init__(self):
        self.asked = []

    def perceive(self, inputs):
        self.asked.append(len(inputs))
        return [self.told(rgb) for rgb in inputs]

    def told(self, rgb):
        field = rgb[34:194].sum(-1) == 3 * 236
        rows, columns = np.nonzero(field)
        boxes = np.zeros((0, 4))
        if len(rows):
            boxes = np.array([[columns.min(), rows.min() + 34, columns.max() + 1, rows.max() + 35]])
        return Percept("model", boxes=boxes, labels=("ball",) * len(boxes))


@pytest.mark.slow  # loading a game takes long, and this loads thirty; the walker below is as noisy
@pytest.mark.parametrize("origin", ["truth", "noisy truth"])
def test_a_perceived_game_keeps_every_promise(origin):
    check_world(pong(PerceptSource("detector", origin)), steps=45)


def test_a_perceived_walker_keeps_every_promise():
    walker = world_config("walker/hopper", {"width": 64, "height": 64, "max_steps": 20})
    check_world(
        PerceptObservation(walker, PerceptSource("pose", "noisy truth", kinds=("keypoints",)), HOPPER),
        steps=30,
    )


@pytest.mark.slow
def test_a_game_that_a_model_looks_at_keeps_every_promise():
    check_world(pong(PerceptSource("bright", "model", Counting())), steps=45)


def test_a_model_is_asked_once_a_step_for_all_worlds():
    model = Counting()
    worlds = pong(PerceptSource("bright", "model", model)).make_batch(3, seed=0)
    worlds.reset()
    for _ in range(50):  # all three are cut after 40, and looked at again
        worlds.step(np.zeros(3, int))
    assert model.asked == [3] * 52
    worlds.close()


def test_the_agent_gets_the_numbers_of_what_was_seen():
    world, bare = (
        pong(PerceptSource("detector", "noisy truth")).make(5),
        world_config("atari/pong", SHORT).make(5),
    )
    obs, _ = world.reset()
    bare.reset()
    generator, tracks = noise_of(5), no_tracks(PONG, 1)
    for action in [2, 3, 3, 1, 2, 0] * 5:
        percept = noisy(bare.truth(), generator)
        tracks = update_tracks(tracks, fill_slots(PONG, percept, tracks, 0)[None])
        np.testing.assert_array_equal(obs, observations(PONG, tracks)[0])
        np.testing.assert_array_equal(world.percept.boxes, percept.boxes)
        obs, *_ = world.step(action)
        bare.step(action)
    np.testing.assert_array_equal(world.render(), bare.render())


def test_a_state_survives_json_and_nothing_is_looked_at_for_it():
    model = Counting()
    config = pong(PerceptSource("bright", "model", model))
    worlds = config.make_batch(2, seed=3)
    worlds.reset()
    for step in range(25):
        obs, *_ = worlds.step(np.full(2, step % 6))
    state = worlds.state()
    state["noise"] = json.loads(json.dumps(state["noise"]))
    asked = len(model.asked)
    other = config.make_batch(2, seed=9)
    again, _ = other.restore(state)
    assert len(model.asked) == asked
    np.testing.assert_array_equal(again, obs)


def test_rarely_seeded_worlds_are_restored_with_their_noise_through_several_episodes():
    config = pong(PerceptSource("detector", "noisy truth"))
    batches = worlds, other = config.make_batch(2, seed=3), config.make_batch(2, seed=9)
    for batch in batches:
        batch.seed_rarely()
        assert batch.seed_every == batch.world.seed_every == 4_000
        batch.reset()
    for step in range(130):  # each is cut after 40
        worlds.step(np.full(2, step % 6))
    assert len(worlds.state()["played"]) == 130, "none was seeded again"
    other.restore(worlds.state())
    for step in range(50):
        for found, wanted in zip(
            other.step(np.full(2, step % 6)), worlds.step(np.full(2, step % 6)), strict=True
        ):
            np.testing.assert_equal(found, wanted)
        assert other.length.tolist() == worlds.length.tolist()


def test_the_stamp_says_who_looks():
    plain = world_config("atari/pong", {}).protocol()
    truth = PerceptObservation(
        world_config("atari/pong", {}), PerceptSource("detector", "truth"), PONG, plain
    )
    assert truth.protocol() == plain | {"feed": "agent", "perception": "detector", "origin": "truth"}
    rough = PerceptSource("detector", "noisy truth", pixels=4.0, misses=0.5).protocol()
    assert (rough["noise_pixels"], rough["noise_misses"]) == (4.0, 0.5)


def test_a_models_word_needs_a_model():
    with pytest.raises(ValueError, match="needs a model"):
        PerceptSource("detector", "model")


def test_an_agent_sees_by_its_own_camera_whatever_the_audience_does():
    walker = world_config("walker/hopper", {"width": 64, "height": 64})
    world = PerceptObservation(walker, PerceptSource("pose", "truth", kinds=("keypoints",)), HOPPER).make(0)
    first, _ = world.reset()
    bare = world.unwrapped
    bare.camera.orbit(40, 10)
    bare.camera.width = 200
    again, _ = world.reset(seed=0)
    np.testing.assert_array_equal(first, again)
    assert world.render().shape[:2] == (64, 200)
    assert (
        world.current_percept().keypoints == world.percept.keypoints != bare.truth(("keypoints",)).keypoints
    )
    world.close()
