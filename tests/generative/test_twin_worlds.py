"""Twin worlds: the emulator's side, divergence, synchronisation, fans, what the window shows of them."""

from dataclasses import replace

import numpy as np
import pytest
from drift_model import FIRE, TINY, DriftModel

import generative.twin.world as twin_world
from generative.dream.world_model import DiffusionWorldModel
from generative.twin.divergence import DivergenceMeter, Trial, distances
from generative.twin.renderer import (
    DREAM_ONLY,
    EMULATOR_ONLY,
    HORIZONS,
    Places,
    TwinRenderer,
    difference,
    resized,
    trail,
)
from generative.twin.world import Twin
from sim.atari.world import Atari
from sim.conformance import check_world
from sim.storage.checkpoints import CheckpointError
from sim.vector import STATISTICS
from sim.viewer.contract.gesture import Gesture

FRAME = np.zeros((4, 4), np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "tiny"
    DiffusionWorldModel(TINY, seed=3).save(folder)
    return str(folder)


@pytest.fixture
def drift(monkeypatch, checkpoint):
    model = DriftModel()
    monkeypatch.setattr(twin_world, "load_model", lambda config: model)
    return Twin("pong", checkpoint, horizon=5, max_steps=60), model


def step(meter, emulator, dream, reward=(0.0, 0.0)):
    return meter.step((FRAME, emulator, reward[0]), (FRAME, dream, reward[1]))


def test_an_object_more_than_four_pixels_off_is_a_divergence():
    meter = DivergenceMeter()
    assert step(meter, {"ball": (10.0, 10.0)}, {"ball": (10.0, 14.0)}).diverged_at is None
    assert step(meter, {"ball": (10.0, 10.0)}, {"ball": (13.0, 13.0)}, (1.0, -1.0)).diverged_at == 2
    now = step(meter, {"ball": (10.0, 10.0)}, {"ball": (10.0, 10.0)})
    assert (now.frames, now.diverged_at, now.emulator_score, now.dream_score) == (3, 2, 1.0, -1.0)


def test_an_object_that_one_lacks_is_a_divergence_in_the_third_frame_in_a_row():
    meter = DivergenceMeter()
    both, none = {"ball": (1.0, 1.0)}, {}
    found = [
        step(meter, *pair).diverged_at for pair in [(both, none)] * 2 + [(both, both)] + [(none, both)] * 3
    ]
    assert found == [None] * 5 + [6]
    assert np.isnan(distances(both, none)["ball"]) and distances(none, none) == {}


def test_pixels_count_by_their_share_also_in_colour():
    meter = DivergenceMeter()
    for other in (FRAME.copy(), np.zeros((4, 4, 3), np.uint8)):
        other[0, :2] = 7
        assert meter.step((np.zeros_like(other), {}, 0.0), (other, {}, 0.0)).pixels == 2 / 16


def test_the_mean_of_trials_counts_those_without_divergence_as_the_horizon():
    meter = DivergenceMeter(trials=[Trial(4, True), Trial(10, False), Trial(3, False), Trial(25, True)])
    mean, low, high, count = meter.summary(10)
    assert (mean, count) == (8.0, 3)  # 4, 10, 10; three frames without a divergence tell nothing
    assert low == 4.0 and high == 10.0
    assert DivergenceMeter().summary(10)[3] == 0


@pytest.mark.slow
def test_it_conforms_like_every_world(drift):
    check_world(replace(drift[0], horizon=3, max_steps=5), steps=11)


def test_reward_end_and_observation_are_the_emulators(drift):
    world, emulator = drift[0].make(3), Atari("pong", repeat_action_probability=0.0).make(0)
    obs, _ = world.reset()
    emulator.reset()
    for _ in range(1 + int(np.random.default_rng(3).integers(31)) + 3):  # the context has four frames
        seen = emulator.step(0)[0]
    assert np.array_equal(obs, seen)
    for action in [2, 2, 3, 5, 1, 4] * 2:
        seen, reward, over, cut, _ = emulator.step(action)
        again = world.step(action)
        assert np.array_equal(again[0], seen) and again[1:4] == (reward, over, cut)
        assert np.array_equal(world.frames[0], drift[1].encode(emulator.render()))


def test_the_dream_starts_from_the_emulators_frames_after_every_horizon(drift):
    world = drift[0].make(0)
    world.reset()
    counted = []
    for _ in range(12):
        world.step(2)
        counted.append(world.divergence.frames)
    assert counted == [1, 2, 3, 4, 5] * 2 + [1, 2]
    assert len(world.meter.trials) == 2
    world.synchronise()
    assert np.array_equal(*world.frames) and world.divergence.frames == 0


def test_the_agent_may_see_the_dream(drift):
    world = replace(drift[0], observed="dream").make(0)
    world.reset()
    obs, *_ = world.step(2)
    assert not np.array_equal(obs, drift[0].make(0).reset()[0])
    assert not np.array_equal(obs[-1], world._observed[-1])


def test_a_branch_holds_each_action_in_both_and_changes_nothing(drift):
    world, beside = drift[0].make(0), drift[0].make(0)
    for one in (world, beside):
        one.reset()
        one.step(2)
    fan = world.branch(3)
    assert fan.emulator.shape == fan.dream.shape == (6, 3, 80, 80)
    for action in (0, 3, 3):
        here, there = world.step(action), beside.step(action)
        assert np.array_equal(here[0], there[0]) and here[1:] == there[1:]
        assert all(np.array_equal(*pair) for pair in zip(world.frames, beside.frames, strict=True))
        if action == 0:
            assert np.array_equal(world.frames[0], fan.emulator[0, 0])
            assert np.array_equal(world.frames[1], fan.dream[0, 0])
    assert len({future.tobytes() for future in fan.dream}) == 6
    up, down = (np.argwhere(fan.emulator[action, -1] == 2)[:, 0].mean() for action in (2, 3))
    assert up < down


def test_a_clone_goes_on_alike(drift):
    world = drift[0].make(0)
    world.reset()
    world.step(2)
    state = world.clone_state()
    ways = []
    for _ in range(2):
        ways.append([(world.step(3)[0], *world.frames, world.divergence) for _ in range(7)])
        world.restore_state(state)
    for first, second in zip(*ways, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(first[:3], second[:3], strict=True))
        assert str(first[3]) == str(second[3])


def test_a_broken_dream_cuts_the_episode(drift):
    config, model = drift
    model.broken_at = FIRE
    world = config.make(0)
    world.reset()
    assert world.step(FIRE)[2:] == (False, True, {"broken": True})


def test_another_action_set_is_refused(drift):
    config, model = drift
    model.config = replace(model.config, action_names=("NOOP", "UP"))
    with pytest.raises(CheckpointError, match="its actions are NOOP, UP, in atari/pong they are NOOP, FIRE"):
        config.make(0)


def test_an_episode_tells_its_frames_until_divergence(drift):
    worlds = replace(drift[0], max_steps=11).make_batch(2, 0)
    worlds.keep_statistics()
    worlds.reset()
    told = {}
    for _ in range(11):
        info = worlds.step(np.array([2, 2]))[4]
        if "final_info" in info:
            told |= info["final_info"][STATISTICS]
    assert set(told) == {0, 1} and all(1 <= row["frames_until_divergence"] <= 5 for row in told.values())


@pytest.mark.parametrize("room", [(376, 420), (834, 720), (1320, 1000), (200, 150)])
def test_the_picture_fills_its_room_and_its_lines_lie_within(drift, room):
    world = drift[0].make(0)
    world.reset()
    renderer = TwinRenderer(world)
    renderer.touch(Gesture("resize", *room))
    renderer.note()
    for gesture in (None, Gesture("key", name="b")):
        if gesture is not None:
            assert renderer.touch(gesture).redraw
        height, width = renderer.draw().shape[:2]
        if min(room) > 300:
            assert width <= room[0] and height <= room[1]
            assert 2 * width > room[0] or 2 * height > room[1]
        for label in renderer.labels:
            assert 0 <= label.left and label.left + label.width <= width and 9 <= label.middle <= height - 9
    names = [label.text for label in renderer.labels]
    assert names[:2] == ["Emulator", "Dream · 3 denoising steps"] and "DOWNFIRE" in names


def test_the_keys_synchronise_branch_and_change_steps_and_horizon(drift):
    world = drift[0].make(0)
    world.reset()
    renderer = TwinRenderer(world)
    world.step(2)
    assert "goes on" in renderer.touch(Gesture("key", name="y")).message and world.divergence.frames == 0
    renderer.touch(Gesture("key", name="k"))
    renderer.touch(Gesture("key", name="l"))
    assert (world.denoising_steps, world.horizon) == (5, HORIZONS[1])
    renderer.touch(Gesture("key", name="l", on=True))
    renderer.touch(Gesture("slide", 0, 2.2))
    assert (world.denoising_steps, world.horizon) == (2, HORIZONS[0])
    renderer.touch(Gesture("slide", 1, 70))
    assert world.horizon == 60 and [slider.value for slider in renderer.targets] == [2.0, 60.0]
    plain = renderer.draw()
    assert renderer.touch(Gesture("key", name="b")).message and not np.array_equal(renderer.draw(), plain)
    renderer.touch(Gesture("key", name="b"))
    assert np.array_equal(renderer.draw(), plain)
    assert not renderer.touch(Gesture("press", 1, 1)).redraw


def test_read_outs_tell_the_divergence(drift):
    world = drift[0].make(0)
    world.reset()
    renderer = TwinRenderer(world)
    for _ in range(6):
        world.step(0)
        renderer.note()
    told = {readout.label: readout.value for readout in renderer.readouts}
    assert told["frame"].startswith("1 of 5 · ") and len(world.meter.trials) == 1
    assert set(told) >= {"ball off", "player off", "enemy off", "pixels that differ", "points"}
    assert "emulator 0, dream " in told["points"] and "diverges after (n = 1)" in told
    assert 0 < told["pixels that differ"] < 100


def test_the_difference_has_a_colour_for_each_side():
    emulator, dream = np.zeros((6, 6, 3), np.uint8), np.zeros((6, 6, 3), np.uint8)
    emulator[1, 1], dream[2, 2] = 255, 255
    emulator[4, 4] = dream[4, 4] = 200
    shown = difference(emulator, dream)
    assert tuple(shown[1, 1]) == EMULATOR_ONLY and tuple(shown[2, 2]) == DREAM_ONLY
    assert tuple(shown[4, 4]) == (44, 44, 44) and not shown[0, 0].any()


def test_a_trail_keeps_the_last_frame_and_darkens_the_past():
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    for i in range(3):
        frames[i, 0, i] = 200
    merged = trail(frames)
    assert merged[0, :3, 0].tolist() == [90, 90, 200]


def test_small_pictures_average_and_large_ones_repeat():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[0, 0] = 200
    assert resized(picture, 2)[0, 0].tolist() == [50] * 3
    assert (resized(picture, 6)[:, :, 0] == 200).sum() == 4 and resized(picture, 6).shape == (6, 6, 3)


def test_both_frames_are_as_large_as_the_room_allows():
    at = Places.within((834, 720), (80, 80), 6)
    assert (at.large, at.small, at.beside) == (5, 3, True)
    small = Places.within((376, 420), (80, 80), 6)
    assert (small.large, small.small, small.beside) == (2, 2, False)
