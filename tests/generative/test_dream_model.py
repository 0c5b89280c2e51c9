"""World model of Pong: palette frames, gameplay data, denoiser, training, dreaming, grades."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from generative.data import gameplay
from generative.data.data_request import DataError, DataRequest
from generative.data.palette import PaletteError, groups, palette
from generative.diffusion.sampling import generators
from generative.dream import grading, world_model
from generative.dream.denoiser import (
    SIGMA_LAST,
    SIGMA_MAX,
    noise_levels,
    self_fed_context,
    world_model_loss,
)
from generative.dream.windows import Windows
from generative.dream.world_model import DiffusionWorldModel, DiffusionWorldModelConfig
from sim.atari.world import Atari
from sim.records import Budget, Decision
from sim.storage.checkpoints import CheckpointError
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset, Spec

TINY = DiffusionWorldModelConfig(channels=(8, 8), batch_size=8, ema=0.0)
PONG = palette("pong")


@pytest.fixture(scope="module")
def played():
    """Two hundred steps of chance."""
    return gameplay.collect(DataRequest(200, 0, "pong"))


@pytest.fixture
def model():
    return DiffusionWorldModel(TINY, seed=0)


def frame(ball=(40, 40), player=30, enemy=30):
    """A frame with the ball's, the player's and the enemy's upper left corners."""
    made = np.zeros((80, 80), np.uint8)
    made[enemy : enemy + 8, 8:10], made[player : player + 8, 70:72] = 1, 2
    if ball is not None:
        made[ball[0] : ball[0] + 2, ball[1]] = 3
    return made


def rolled(n=60, speed=2):
    """Frames whose ball flies right and begins anew at the left."""
    return np.stack([frame((40, 12 + (speed * i) % 56)) for i in range(n)])


def gameplay_of(values, episode=20):
    n = len(values)
    return Dataset(
        values=values,
        labels=LabelColumn.one("pong", n),
        episodes=np.arange(n) // episode,
        order=np.arange(n) % episode,
        actions=np.zeros(n, np.int64),
        rewards=np.zeros(n),
        terminated=np.zeros(n, bool),
        positions=PONG.positions(values),
        scores=np.zeros((n, 2), np.int64),
    )


def test_frames_hold_all_of_the_field_and_its_objects():
    world = Atari("pong", repeat_action_probability=0.0).make(0)
    world.reset()
    assert PONG.encode(world.render()).max() == 3, "the first picture has colours of its own"
    compared = 0
    for step in range(90):
        world.step((2, 2, 3)[step // 10 % 3])
        screen, truth = world.render(), world.truth()
        seen = PONG.encode(screen)
        cut = any(y0 <= 34 or y1 >= 194 for _, y0, _, y1 in truth.boxes)
        for name, (x0, y0, x1, y1) in zip(truth.labels, truth.boxes, strict=True):
            middle = ((x0 + x1) / 4, (y0 + y1 - 68) / 4)
            assert PONG.objects(seen)[name] == pytest.approx(middle, abs=0.26)
        if not cut and (len(truth.labels) < 3 or truth.boxes[0][3] - truth.boxes[0][1] == 4):
            assert np.array_equal(PONG.screen(seen)[24:], screen[24:])
            compared += 1
    world.close()
    assert compared > 20


def test_screens_of_other_games_and_sizes_are_refused_by_name():
    with pytest.raises(
        PaletteError, match=r"not one of pong: its pixel \(34, 0\) has the colour \(1, 2, 3\)"
    ):
        PONG.encode(np.full((210, 160, 3), (1, 2, 3), np.uint8))
    with pytest.raises(PaletteError, match=r"uint8 \(210, 160, 3\)"):
        PONG.encode(np.zeros((84, 84, 3), np.uint8))
    with pytest.raises(PaletteError, match="pong"):
        palette("pang")


def test_a_detector_counts_groups_of_pixels():
    assert groups(np.eye(3, dtype=bool)) == [(1, i, i, i + 1, i + 1) for i in range(3)]
    assert PONG.objects(frame()) == {"enemy": (9, 34), "player": (71, 34), "ball": (40.5, 41)}
    two = frame() + 3 * np.roll(frame() == 3, 9, 0).astype(np.uint8)
    assert PONG.counts(two) == {"enemy": 1, "player": 1, "ball": 2}
    smeared = frame()
    smeared[10:30, 40] = 3
    assert PONG.counts(smeared)["ball"] == -1 and PONG.objects(frame(None))["ball"] is None


def test_gameplay_is_what_the_emulator_did(played):
    assert len(played) == 200 and played.label_names == ("pong",)
    later = played["order"] > 0  # in the first picture's colours memory's objects are not found
    seen, told = PONG.positions(played.values)[later], played["positions"][later]
    assert np.array_equal(np.isnan(seen), np.isnan(told))
    assert np.nanmax(np.abs(seen - told)) <= 0.25, "cut by the field's edge, a quarter of a pixel"
    order, episodes = played["order"], played.episodes
    world = Atari("pong", repeat_action_probability=0.0).make(0)
    first = np.flatnonzero(episodes == episodes[0])
    assert order[first].tolist() == list(range(len(first)))
    world.reset()
    for row in first[:40]:
        assert np.array_equal(PONG.encode(world.render()), played.values[row])
        world.step(int(played["actions"][row]))
    world.close()


def test_random_actions_are_a_share_of_epsilon_and_are_held():
    class Always:
        def seed(self, seed):
            pass

        def act(self, obs, info, memory=None, *, greedy=False):
            return Decision(np.full(len(obs), 7)), memory

    mixture = gameplay.EpsilonMixture(Always(), 6, 5, seed=0)
    acts = np.stack([mixture.act(np.zeros((5, 1))) for _ in range(4_000)])
    assert (acts != 7).mean(0) == pytest.approx(gameplay.EPSILONS, abs=0.05)
    changes = (np.diff(acts[:, -1]) != 0).mean()
    assert 0.08 < changes < 0.25, "an action is held for 6.5 steps in the mean"
    mixture.ended(np.ones(5, bool))
    assert mixture.epsilon.tolist() == list(gameplay.EPSILONS), "five worlds, five shares"


def test_other_games_have_no_gameplay():
    with pytest.raises(DataError, match="gameplay/pong"):
        gameplay.collect(DataRequest(200, 0, "tetris"))


def test_maps_are_one_hot_and_come_back(model):
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (2, 3, 80, 80)).astype(np.uint8))
    maps = model.network.maps(frames)
    assert maps.shape == (2, 3, *model.map_shape)
    assert torch.equal(model.network.frames(maps[:, 1]), frames[:, 1])
    per_pixel = maps.view(2, 3, 4, 16, 20, 20)
    assert torch.allclose(per_pixel.sum(2), torch.zeros(()), atol=1e-6)
    assert torch.allclose(per_pixel.square().sum(2), torch.tensor(3.0))


def test_without_a_prior_the_denoiser_is_the_exact_posterior(model):
    """A network that knows nothing leaves Bayes' rule for a one-hot vector in Gaussian noise."""
    for parameter in model.network.unet.parameters():
        torch.nn.init.zeros_(parameter)
    frames = torch.from_numpy(rolled(1))
    x_0 = model.network.maps(frames)
    x = x_0 + 1.5 * torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    past, acts = model.network.maps(frames[:, None].repeat(1, 4, 1, 1)), torch.zeros((1, 4), dtype=torch.long)
    told = model.network.logits(x, torch.tensor([1.5]), past, acts).softmax(1)
    vectors = torch.eye(4) * 2 - 0.5  # √K (one-hot − 1/K)
    pixels = torch.nn.functional.pixel_shuffle(x, 4)[0].flatten(1).T  # (6400, 4)
    exact = (-torch.cdist(pixels, vectors).square() / (2 * 1.5**2)).softmax(1)
    assert torch.allclose(told[0].flatten(1).T, exact, atol=1e-4)


def test_noise_levels_fall_from_the_first_to_the_last_in_equal_ratios():
    levels = noise_levels(5)
    assert levels[0] == SIGMA_MAX and levels[-1] == pytest.approx(SIGMA_LAST)
    ratios = np.array(levels[1:]) / levels[:-1]
    assert ratios == pytest.approx(np.full(4, ratios[0]))


def test_windows_are_aligned_as_steps_are():
    values = rolled(40)
    data = gameplay_of(values).assign(
        actions=np.arange(40) % 6, rewards=np.where(np.arange(40) % 20 == 9, -2.0, 0.0)
    )
    windows = Windows(data, 4, (64, 20, 20))
    assert len(windows) == 2 * (20 - 6)
    batch = windows.batch(np.arange(len(windows)), np.random.default_rng(0))
    first = batch["frames"][0]
    assert np.array_equal(first, values[:7]) and batch["actions"][0].tolist() == [0, 1, 2, 3, 4, 5]
    assert batch["outcome"][4] == 0 and (batch["outcome"] == 0).sum() == 2, (
        "the step from frame 9 lost a point"
    )
    assert (batch["level"][14:] == 0).all() and batch["sigma"].min() >= 0.5 and batch["sigma"].max() <= 10
    with pytest.raises(ValueError, match="actions"):
        Windows(data.drop("actions"), 4, (64, 20, 20))


def test_dreamed_contexts_are_the_networks_own_frames(model):
    frames = torch.from_numpy(rolled(7))[None]
    acts = torch.zeros((1, 6), dtype=torch.long)
    noise = torch.randn((3, *model.map_shape), generator=torch.Generator().manual_seed(0))
    past = self_fed_context(model.network, frames, acts, noise, 4)
    assert torch.equal(past[:, :2], frames[:, 2:4]), "the older half is real"
    one, _ = model.network.denoise(noise[:1], model.network.maps(frames[:, :4]), acts[:, :4], 1)
    assert torch.equal(past[:, 2], one)


def test_a_resumed_fit_ends_in_the_same_weights_bit_for_bit(monkeypatch):
    monkeypatch.setattr(world_model, "VALIDATE_EVERY", 2)
    data = gameplay_of(rolled(20))
    whole, resumed = (DiffusionWorldModel(TINY, seed=0).fit(data, data, seed=0) for _ in range(2))
    states = {progress.updates: whole.state() for progress in whole.learn(Budget(updates=6))}
    resumed.restore(states[4])
    list(resumed.learn(Budget(updates=6)))
    for name, array in whole.weights().items():
        assert np.array_equal(array, resumed.weights()[name]), name
    assert resumed._fed == 4, "in the last part half of the contexts are dreamed"
    assert not np.array_equal(
        states[4]["network"]["unet.conv_in.weight"], whole.weights()["unet.conv_in.weight"]
    )


@pytest.mark.slow
def test_it_learns_a_flying_ball(monkeypatch):
    monkeypatch.setattr(world_model, "VALIDATE_EVERY", 150)
    config = DiffusionWorldModelConfig(channels=(16, 32), batch_size=16, ema=0.0, learning_rate=4e-3)
    data = gameplay_of(rolled(140))
    learned = DiffusionWorldModel(config, seed=0)
    *_, last = learned.fit(data, data, seed=0).learn(Budget(updates=300))
    assert last.metrics["validation_frame_nats"] < 1, "of a ball of two pixels among 6,400"
    play = grading.stretches(learned, data, 10, 0, free_ball=True)
    made = grading.dreamed_positions(learned, play, 3, 0)
    off = grading.distance(made[..., 2, :], play.truth[..., 2, :])
    assert off[:, 1].mean() < 0.5 and off[:, 10].mean() < 2, "it goes on, where copying is 20 px off"


def test_a_row_depends_on_its_own_noise_alone(model):
    context = np.stack([np.stack([frame((20 + 9 * i, 30))] * 4) for i in range(3)])
    acts = np.array([[0, 1, 2, 3]] * 3)
    together = model.next_frames(context, acts, steps=2, generator=generators(5, 0, 3))
    alone = model.next_frames(context[1:2], acts[1:2], steps=2, generator=generators(5, 1, 1))
    assert np.mean(together[0][1] == alone[0][0]) > 0.999
    assert together[0].dtype == np.uint8 and together[0].max() <= 3 and set(together[1]) <= {-1, 0, 1}
    again = model.next_frames(context, acts, steps=2, generator=generators(5, 0, 3))
    other = model.next_frames(context, acts, steps=2, generator=generators(6, 0, 3))
    assert np.array_equal(together[0], again[0]) and not np.array_equal(together[0], other[0])


def test_what_is_not_finite_is_reported(model):
    with torch.no_grad():
        model.network.unet.conv_in.weight[0, 0, 0, 0] = torch.nan
    context = np.stack([np.stack([frame()] * 4)] * 2)
    frames, reward, ended = model.next_frames(
        context, np.zeros((2, 4), np.int64), generator=torch.Generator().manual_seed(0)
    )
    assert np.isnan(reward).all() and np.array_equal(frames, context[:, -1]) and not ended.any()


@pytest.mark.parametrize(
    ("context", "actions", "words"),
    [
        (np.zeros((1, 4, 64, 64), np.uint8), np.zeros((1, 4), np.int64), "context of pong is uint8"),
        (np.full((1, 4, 80, 80), 9, np.uint8), np.zeros((1, 4), np.int64), "class in 0…3, not 9"),
        (np.zeros((1, 4, 80, 80), np.uint8), np.full((1, 4), 6), "actions of pong are"),
    ],
)
def test_other_contexts_and_actions_are_refused_by_name(model, context, actions, words):
    with pytest.raises(ValueError, match=words):
        model.next_frames(context, actions, generator=torch.Generator())


def test_models_of_other_games_actions_and_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match="action_names are UP, DOWN; those of pong are NOOP"):
        DiffusionWorldModel(DiffusionWorldModelConfig(action_names=("UP", "DOWN")))
    with pytest.raises(PaletteError, match="pong"):
        DiffusionWorldModel(DiffusionWorldModelConfig(data="gameplay/tetris"))
    with pytest.raises(ValueError, match="divides both sides"):
        DiffusionWorldModel(DiffusionWorldModelConfig(channels=(8, 8, 8, 8)))
    with pytest.raises(ValueError, match='data = "gameplay/pong"'):
        TINY.build(Spec((64, 64, 3), ("pong",)), seed=0)


def test_a_checkpoint_comes_back_and_opens_in_diffusers(model, tmp_path):
    from diffusers import UNet2DModel

    model.save(tmp_path / "it", storage="exact")
    again = DiffusionWorldModel.load(tmp_path / "it")
    assert again.config == model.config
    for name, array in model.weights().items():
        assert np.array_equal(array, again.weights()[name])
    unet = UNet2DModel.from_pretrained(tmp_path / "it", subfolder="unet")
    assert torch.equal(unet.conv_in.weight, model.network.unet.conv_in.weight)
    card = (tmp_path / "it" / "card.toml").read_text()
    (tmp_path / "it" / "card.toml").write_text(card.replace('"LEFTFIRE"', '"DUCK"'))
    with pytest.raises(CheckpointError, match="action_names are .*DUCK"):
        DiffusionWorldModel.load(tmp_path / "it")


def test_positions_go_on_in_a_straight_line():
    at = np.array([[[[2.0, 5.0]], [[3.0, 7.0]]]])
    assert grading.straight(at, 2, (80, 80))[0, :, 0].tolist() == [[3, 7], [4, 9], [5, 11]]


def test_distances_count_what_is_missing_and_leave_out_what_is_not_there():
    truth = np.array([[0.0, 0.0], [0.0, 0.0], [np.nan, np.nan]])
    made = np.array([[3.0, 4.0], [np.nan, np.nan], [1.0, 1.0]])
    found = grading.distance(made, truth)
    assert found[:2].tolist() == [5, grading.MISSING] and np.isnan(found[2])


def test_a_ball_that_turns_or_vanishes_flies_not_freely():
    ball = np.zeros((4, 4, 2))
    ball[:, :, 0] = [[1, 2, 3, 4], [1, 2, 1, 0], [1, 2, np.nan, 4], [1, 1, 2, 3]]
    assert grading.flies_freely(ball).tolist() == [True, False, False, False]


def test_objects_are_right_once_each_and_a_pause_has_an_end(model):
    pause = [frame(None)] * (grading.PAUSE + 2)
    twice = frame() + 3 * np.roll(frame() == 3, 9, 0).astype(np.uint8)
    right = grading.objects_right(model, np.stack([frame(), twice, *pause, frame()]))
    assert right.tolist() == [True, False, *[True] * grading.PAUSE, False, False, True]


class Oracle(DiffusionWorldModel):
    """Knows the emulator: of each context it gives the frame that followed, by looking it up."""

    def __init__(self, data):
        super().__init__(TINY)
        values = data.values
        self.after = {values[i - 4 : i].tobytes(): values[i] for i in range(4, len(values))}

    def next_frames(self, context, actions, *, steps=None, generator):
        frames = np.stack([self.after.get(each.tobytes(), each[-1]) for each in context])
        return frames, np.zeros(len(context), np.float32), np.zeros(len(context), bool)


def test_an_oracle_gets_full_marks_and_copying_does_not(monkeypatch):
    monkeypatch.setattr(grading, "HORIZONS", (1, 5, 15))
    data = gameplay_of(np.concatenate([rolled(30), rolled(30)]), 30)
    grade = grading.grade_world_model(Oracle(data), data, steps=1, long=40)
    assert grade.metrics["ball_error_15"] == 0 and grade.ci95["ball_error_15"] == [0, 0]
    assert grade.medians["ball_error_15"] == grade.missing["ball_error_15"] == 0
    assert grade.baselines["copy_last"]["ball_error_5"] == pytest.approx(10)
    assert grade.baselines["straight_line"]["ball_error_5"] == pytest.approx(0)
    assert grade.metrics["frames_until_divergence"] == 15
    assert grade.baselines["copy_last"]["frames_until_divergence"] == 3, "2 px a frame, more than 4 off"
    assert grade.metrics["objects_right"] == 1 and grade.metrics["psnr"] > 60
    assert grade.metrics["action_response"] == 0, "the oracle's paddle never moves"


def test_f1_of_rewards_weighs_what_was_drawn_from():
    grade = grading.WorldModelGrade()
    told, true = np.array([True, True, False, False]), np.array([True, False, True, False])
    grading.note_f1(grade, "f1", told, true, np.ones(4, bool), np.array([1.0, 2.0, 1.0, 2.0]), 0)
    assert grade.metrics["f1"] == pytest.approx(2 * 1 / (3 + 2))


def test_the_loss_counts_frames_rewards_and_ends(model):
    windows = Windows(gameplay_of(rolled(40)), 4, model.map_shape)
    batch = {
        name: torch.from_numpy(array)
        for name, array in windows.batch(np.arange(8), np.random.default_rng(0)).items()
    }
    with torch.no_grad():
        loss, parts = world_model_loss(model.network, batch, 0)
        fed, _ = world_model_loss(model.network, batch, 4)
    total = parts["frame_nats"] / 400 + parts["reward_nats"] + parts["end_nats"]
    assert float(loss) == pytest.approx(float(total), rel=1e-5)
    assert float(fed) != float(loss), "dreamed contexts are others"
