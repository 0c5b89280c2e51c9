"""Dreamed worlds: conformance, starts from real contexts, points, broken frames, and what is refused."""

import numpy as np
import pytest
from drift_model import FIRE, TINY, DriftModel

import generative.dream.world as dream_world
from generative.data.palette import palette
from generative.dream.real_contexts import COUNT, real_contexts
from generative.dream.renderer import DreamRenderer
from generative.dream.world import Dream, DreamedEpisodes, grey
from generative.dream.world_model import DiffusionWorldModel
from sim.atari.resize import AreaResize
from sim.conformance import check_world
from sim.storage.checkpoints import CheckpointError, load_card
from sim.vector import ActionError, WorldError
from sim.viewer.contract.gesture import Gesture


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dream") / "tiny"
    DiffusionWorldModel(TINY, seed=3).save(folder)
    return str(folder)


@pytest.fixture
def drift(monkeypatch, checkpoint):
    model = DriftModel()
    monkeypatch.setattr(dream_world, "load_model", lambda config: model)
    return Dream("pong", checkpoint, max_steps=5), model


def test_it_conforms_like_every_world(drift):
    check_world(drift[0], steps=11)


def test_a_batch_dreams_what_single_worlds_do_with_the_network_too(checkpoint):
    config = Dream("pong", checkpoint, steps=1)
    worlds, actions = config.make_batch(3, seed=5), np.array([[0, 2, 3], [5, 2, 3]])
    first, _ = worlds.reset()
    batch = [worlds.step(row) for row in actions]
    for i in range(3):
        world = config.make(5 + i)
        assert np.array_equal(world.reset()[0], first[i])
        for row, (obs, reward, *_) in zip(actions, batch, strict=True):
            seen, gained, *_ = world.step(row[i])
            assert np.array_equal(seen, obs[i]) and gained == reward[i]
    assert len({obs[i].tobytes() for obs, *_ in batch for i in range(3)}) == 6


def test_a_clone_dreams_on_alike_and_other_noise_otherwise(drift):
    world = drift[0].make(0)
    world.reset()
    world.step(2)
    state = world.clone_state()
    ways = []
    for _ in range(2):
        ways.append([world.step(3)[0] for _ in range(3)])
        assert np.array_equal(world.restore_state(state)[-1], state[1][-1])
    assert np.array_equal(*ways)
    seeds = [world.reset(seed=seed)[0].tobytes() + world.step(3)[0].tobytes() for seed in range(6)]
    assert len(set(seeds)) > 3


def test_it_starts_from_frames_that_the_emulator_gave(drift):
    bank, game = real_contexts("pong", 4), palette("pong")
    assert bank.frames.shape == (COUNT, 4, 80, 80) and bank.actions.shape == (COUNT, 3)
    counts = [game.counts(frame) for frame in bank.frames[:, -1]]
    assert all(0 <= count["ball"] <= 1 and count["player"] <= 1 for count in counts)
    world = drift[0].make(4)
    world.reset()
    field = world.render()[24:]  # below the score
    assert any(np.array_equal(game.screen(frames[-1])[24:], field) for frames in bank.frames)
    starts = {world.reset()[0].tobytes() for _ in range(8)}
    assert len(starts) > 4


def test_an_episode_starts_from_a_given_context(drift):
    frames, actions = (part[7] for part in real_contexts("pong", 4))
    world = drift[0].make(0)
    obs, _ = world.reset(options={"context": (frames, actions)})
    assert np.array_equal(world.render()[24:], palette("pong").screen(frames[-1])[24:])
    assert len({frame.tobytes() for frame in obs}) == len({frame.tobytes() for frame in frames})


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ((np.zeros((4, 64, 64), np.uint8), np.zeros(3, int)), "another game or size"),
        ((np.zeros((3, 80, 80), np.uint8), np.zeros(2, int)), "another game or size"),
        ((np.zeros((4, 80, 80), np.float32), np.zeros(3, int)), "not float32"),
        ((np.full((4, 80, 80), 9, np.uint8), np.zeros(3, int)), "class in 0…3"),
        ((np.zeros((4, 80, 80), np.uint8), np.array([0, 6, 0])), r"3 actions in 0…5, not \[0, 6, 0\]"),
    ],
)
def test_a_context_of_something_else_is_refused(drift, context, words):
    with pytest.raises(WorldError, match=words):
        drift[0].make(0).reset(options={"context": context})


def test_the_observation_is_the_emulators_picture_in_grey():
    from sim.atari.world import Atari

    world = Atari("pong", repeat_action_probability=0.0).make(0)
    world.reset()
    for _ in range(20):
        world.step(0)
    assert np.array_equal(grey(world.render()), world._ale.getScreenGrayscale())


def test_what_is_observed_is_the_emulators_picture_score_included(drift):
    from sim.atari.world import Atari

    emulator = Atari("pong", repeat_action_probability=0.0).make(0)
    emulator.reset()
    for points in ((0, 0), (3, 20)):
        emulator.write_ram(14, points[0])  # the player's
        emulator.write_ram(13, points[1])
        for _ in range(20):
            emulator.step(2)
        screen = emulator.render()
        episodes = DreamedEpisodes(drift[0], drift[1], 1)
        frame = drift[1].encode(screen)
        episodes.start(0, 0, (np.stack([frame] * 4), np.zeros(3, np.int64)))
        episodes.points[0] = points
        assert np.array_equal(episodes.picture(0), screen)
        seen = episodes._seen(frame[None], episodes.points)[0]
        assert np.array_equal(seen, AreaResize((210, 160), (84, 84))(emulator._ale.getScreenGrayscale()))


def test_the_game_ends_at_21_points(drift):
    config, model = drift
    world = Dream("pong", config.checkpoint).make(0)
    for reward, points in ((1.0, (21, 0)), (-1.0, (0, 21))):
        model.reward = reward
        world.reset()
        ends = [world.step(0)[1:4] for _ in range(21)]
        assert ends == [(reward, False, False)] * 20 + [(reward, True, False)]
        assert world.points == points


def test_a_frame_that_is_not_finite_ends_the_episode_as_truncated(drift):
    config, model = drift
    model.broken_at = FIRE
    world = config.make(0)
    world.reset()
    before = world.render()
    assert world.step(FIRE)[1:] == (0.0, False, True, {"broken": True})
    assert np.array_equal(world.render(), before)


def test_actions_out_of_range_and_senseless_numbers_are_refused(drift):
    world = drift[0].make(0)
    world.reset()
    for action in (-1, 6):
        with pytest.raises(ActionError, match=f"action {action} is not in 0…5"):
            world.step(action)
    for key in ("steps", "max_steps"):
        with pytest.raises(ValueError, match=f"{key} must be at least 1, not 0"):
            Dream("pong", "somewhere", **{key: 0})


def test_without_trained_weights_it_is_said_how_to_get_some(tmp_path):
    for ask in (Dream.protocol, lambda config: config.make(0), lambda config: config.make_batch(2, 0)):
        with pytest.raises(CheckpointError, match=r"dream/pong has no trained world model: .* train one on"):
            ask(Dream("pong", str(tmp_path)))


def test_a_world_model_of_another_game_is_refused(checkpoint):
    config = Dream("pong", checkpoint)
    object.__setattr__(config, "game", "breakout")
    with pytest.raises(CheckpointError, match="its game is pong, in dream/breakout it is breakout"):
        config.make(0)


def test_its_rules_name_the_weights_and_the_steps(checkpoint):
    rules = Dream("pong", checkpoint, steps=2).protocol()
    assert rules["world"] == "dream/pong" and rules["denoising_steps"] == 2
    assert rules["weights"].split()[0] == load_card(dream_world.Path(checkpoint))["weights"][0]["sha256"][:16]


def test_the_slider_and_its_key_change_the_denoising_steps(drift):
    world = drift[0].make(0)
    world.reset()
    renderer = DreamRenderer(world)
    seen = []
    for gesture in (
        Gesture("key", name="k"),
        Gesture("key", name="k"),
        Gesture("key", name="k", on=True),
        Gesture("slide", 0, 1.8),
        Gesture("nudge", 0, -0.1),
    ):
        assert renderer.touch(gesture).redraw
        seen.append((world.denoising_steps, renderer.targets[0].value))
    assert seen == [(5, 5.0), (1, 1.0), (5, 5.0), (2, 2.0), (1, 1.0)]
    assert not renderer.touch(Gesture("key", name="y")).redraw
