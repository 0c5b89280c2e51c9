"""Atari by its emulator frames in the window: the same game, four pictures a step, keys that act at once."""

import numpy as np
import pytest

from scenes.schema import load_scene
from scenes.watching.playlist import show_of
from scenes.watching.scene_show import SceneShow
from sim.viewer.contract.gesture import Gesture
from sim.viewer.contract.moment import Readout
from sim.viewer.contract.show import frames_per_step
from sim.viewer.playback.history import MOMENTS, History
from sim.viewer.playback.view import Facts

POLICY = 'use = "ppo"\nnetwork = "small"\nnum_steps = 2\nminibatch_size = 2'


@pytest.fixture
def shown(tmp_path):
    opened = []

    def make(world, agent=POLICY, **options):
        file = tmp_path / "own.toml"
        file.write_text(f'title = "Own"\nseed = 3\n[world]\n{world}\n[agent]\n{agent}\n')
        opened.append(SceneShow(load_scene(str(file)), device="cpu", **options))
        return opened[-1]

    yield make
    for show in opened:
        show.close()


def test_by_frames_it_is_the_same_game_and_decisions_last_for_a_step(shown):
    world = 'use = "atari/breakout"\nnum_envs = 2\nmax_frames = 50'
    plain, fine = shown(world), shown(world, every_frame=True)
    assert (plain.steps_per_second, fine.steps_per_second) == (15, 60)
    assert (frames_per_step(plain), frames_per_step(fine)) == (1, 4)
    plain.worlds.clock = fine.worlds.clock = lambda: 0.0  # drawing is cheap, however busy the machine
    plain.start(3), fine.start(3)
    pictures, earned = 0, 0.0
    for step in range(16):
        wanted = plain.step(None)
        before = fine.look()
        while (moment := fine.step(None)).decision is before.decision:
            earned += moment.reward[0]
            assert moment.score[0] == pytest.approx(before.score[0] + earned)
            assert moment.length[0] == before.length[0] + fine.worlds.frames_played
            assert moment.observation is before.observation and not moment.episodes
            pictures += not np.array_equal(moment.pictures[0], before.pictures[0])
        np.testing.assert_array_equal(moment.decision.probabilities, wanted.decision.probabilities)
        np.testing.assert_array_equal(moment.observation, plain._obs[0])
        np.testing.assert_array_equal(moment.pictures, wanted.pictures)
        np.testing.assert_array_equal(moment.score, wanted.score)
        np.testing.assert_array_equal(moment.length, 4 * wanted.length)
        assert earned + moment.reward[0] == wanted.reward[0]
        ended = [(e.score, e.length) for e in moment.episodes]
        assert ended == [(e.score, 4 * e.length) for e in wanted.episodes]
        assert bool(ended) == (step == 12)  # in the second frame of a step
        earned = 0.0
    assert pictures > 30, "frames between two steps are pictures of their own"


def test_a_persons_key_acts_at_the_next_frame_without_sticky_actions(shown):
    show, heights = shown('use = "atari/pong"', every_frame=True), []
    for pushed in (0, 2):
        show.start(3)
        show.touch(Gesture("person", on=True))
        for _ in range(80):
            show.step(0)
        for frame in range(4):
            moment = show.step(2 if frame >= 4 - pushed else 0)
        assert {
            Readout("sticky actions", "off while you play"),
            Readout("your keys", "act at the next frame"),
        } <= {*moment.readouts}
        for _ in range(8):
            show.step(0)
        truth = show.worlds.envs[0].unwrapped.truth()
        heights.append(float(truth.boxes[truth.labels.index("player")][1]))
    assert heights[1] < heights[0], "two frames of UP moved the paddle"


def test_a_hand_over_in_the_middle_of_a_step_loses_no_frame(shown):
    show = shown('use = "atari/breakout"', every_frame=True)
    show.start(3)
    for _ in range(42):
        show.step(None)
    game = show.worlds.envs[0].unwrapped
    before = game.render(), game.frames_left
    show.touch(Gesture("person", on=True))
    np.testing.assert_array_equal(game.render(), before[0])
    assert game.frames_left == before[1] == 2 and not game.sticky_actions
    assert [show.step(0).length[0] for _ in range(3)] == [43, 44, 45]


def test_a_minute_is_remembered_and_charts_have_a_point_a_step(shown):
    show = shown('use = "atari/pong"', every_frame=True)
    history = History(show.steps_per_second, frames_per_step=4)
    history.append(show.start(3))
    for _ in range(43):
        history.append(show.step(None))
    view = history.view()
    assert view.capacity == 4 * MOMENTS == 60 * show.steps_per_second
    assert len(view.value) == len(view.score) == 11 and len(view.reward) == 44
    assert view.value[-1] == view.moment.decision.value[0]
    assert Facts.of(show).frames_per_step == 4


def test_only_a_window_shows_frames(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('title = "Own"\n[world]\nuse = "atari/pong"\n[agent]\nuse = "random"\n')
    for attended in (True, False):
        show = show_of(load_scene(str(file)), device="cpu", attended=attended)
        assert show.frames_per_step == (4 if attended else 1)
        show.close()
