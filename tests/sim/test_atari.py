"""Atari: both backends agree to the last bit, every game starts and rewinds, pictures shrink as in OpenCV."""

from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest

from sim.atari.resize import AreaResize
from sim.atari.world import Atari, AtariWorld
from sim.catalog import CatalogError, make_world, make_worlds, world_names
from sim.fields import FieldError
from sim.vector import ActionError

#: game: (steps of the first episode, its emulator frames, step and value of the first reward), all for
#: seed 0 and numpy's default_rng(0) as player. Frames that are no multiple of 4 end inside the skip.
EPISODES = {
    "asterix": (228, 911, 9, 50.0),
    "berzerk": (151, 621, 11, 50.0),  # the emulator starts it itself, in 20 frames
    "breakout": (184, 735, 127, 1.0),
    "carnival": (449, 1794, 12, 20.0),  # 214 lines
    "hangman": (161, 641, 161, -1.0),
    "klax": (122, 485, None, None),  # 250 lines
    "pacman": (446, 1797, 30, 1.0),  # 250 lines; started in 16 frames
    "trondead": (319, 1274, 96, 10.0),
}


#: Games played by default, by their screens of 210 and 250 lines and their starts; the rest are slow.
#: Loading a cartridge takes 100 ms, as long as two hundred steps: tests here make as few worlds as they can.
OFTEN = ("breakout", "pacman")


def mostly_slow(games):
    return [pytest.param(game, marks=[] if game in OFTEN else [pytest.mark.slow]) for game in games]


def play_both(config, steps, seed=0):
    """Play one episode on both backends, comparing everything; returns (rewards, terminated, truncated)."""
    worlds, world = config.make_batch(1, seed, num_threads=1), config.make(seed)
    obs, info = worlds.reset()
    single, single_info = world.reset()
    np.testing.assert_array_equal(obs[0], single)
    generator = np.random.default_rng(0)
    rewards, terminated, truncated = [], False, False
    while len(rewards) < steps and not (terminated or truncated):
        assert {key: value[0] for key, value in info.items()} == single_info
        action = generator.integers(world.action_space.n)
        obs, reward, over, cut, info = worlds.step(np.array([action]))
        single, gained, terminated, truncated, single_info = world.step(action)
        assert (reward[0], over[0], cut[0]) == (gained, terminated, truncated), f"step {len(rewards)}"
        shown = info["final_obs"][0] if terminated or truncated else obs[0]
        np.testing.assert_array_equal(shown, single, err_msg=f"step {len(rewards)}")
        rewards.append(gained)
    if terminated or truncated:
        assert (info["episode"]["r"][0], info["episode"]["l"][0]) == (sum(rewards), len(rewards))
    worlds.close()
    return rewards, terminated, truncated, single_info


@pytest.mark.parametrize("game", mostly_slow(EPISODES))
def test_both_backends_play_the_same_whole_episode(game):
    length, frames, first, value = EPISODES[game]
    rewards, terminated, truncated, info = play_both(Atari(game), steps=500)
    assert (len(rewards), info["episode_frame_number"]) == (length, frames)
    assert (terminated, truncated) == (True, False)
    earned = np.flatnonzero(rewards)
    assert (first is None) == (len(earned) == 0)
    if first is not None:
        assert (earned[0] + 1, rewards[earned[0]]) == (first, value)


@pytest.mark.parametrize(
    "max_frames", [99, 100, *(pytest.param(frames, marks=pytest.mark.slow) for frames in (98, 101))]
)
def test_both_backends_cut_inside_the_frame_skip_alike(max_frames):
    rewards, terminated, truncated, info = play_both(Atari("pong", max_frames=max_frames), steps=200)
    assert (terminated, truncated) == (False, True)
    assert len(rewards) == -(-max_frames // 4)
    assert info["episode_frame_number"] == max_frames


@pytest.mark.parametrize("frame_skip", [1, 3, pytest.param(5, marks=pytest.mark.slow)])
def test_both_backends_skip_any_number_of_frames_alike(frame_skip):
    config = Atari("freeway", frame_skip=frame_skip, max_frames=43)
    rewards, _, truncated, _ = play_both(config, steps=100)
    assert truncated and len(rewards) == -(-43 // frame_skip)


@pytest.mark.parametrize("stickiness", [pytest.param(0.0, marks=pytest.mark.slow), 0.9])
def test_both_backends_play_all_18_actions_and_any_stickiness_alike(stickiness):
    config = Atari("carnival", full_action_space=True, repeat_action_probability=stickiness)
    assert len(config.make(0).action_names) == 18
    rewards, *_ = play_both(config, steps=40, seed=4)
    assert any(rewards)


@pytest.mark.slow
@pytest.mark.parametrize("game", Atari.variants())
def test_both_backends_agree_over_many_steps_in_every_game(game):
    for seed in (1, 2):
        rewards, terminated, truncated, _ = play_both(Atari(game, max_frames=3998), steps=1000, seed=seed)
        assert terminated or (truncated and len(rewards) == 1000)


@pytest.mark.parametrize("game", mostly_slow(Atari.variants()))
def test_every_game_starts_and_steps(game):
    world = Atari(game).make(seed=1)
    first, info = world.reset()
    started = info["episode_frame_number"]
    second = world.step(0)[0]
    third, _, _, _, info = world.step(len(world.action_names) - 1)
    assert (first[:3] == 0).all(), "before the first frame there is nothing"
    np.testing.assert_array_equal(second[2], first[3])
    np.testing.assert_array_equal(third[1:3], second[2:])
    assert info["episode_frame_number"] == started + 8
    screen, picture = world.palette_screen(), world.render()
    assert picture.shape == (*screen.shape, 3) and picture.dtype == np.uint8
    rgb = picture.astype(np.int64) @ [1 << 16, 1 << 8, 1]
    pairs = np.unique(rgb * 256 + screen)
    assert len(pairs) == len(np.unique(screen)), "a palette index has one colour"
    assert world.ram().shape == (128,) and world.ram().dtype == np.uint8


def test_games_that_the_emulator_cannot_play_are_not_offered():
    names = [name for name in world_names() if name.startswith("atari/")]
    assert names == [f"atari/{game}" for game in Atari.variants()]
    assert len(names) >= 104 and "atari/pong" in names
    with pytest.raises(CatalogError, match='no world "atari/combat"'):
        make_world("atari/combat")  # it would end the process
    with pytest.raises(FieldError, match='no game "pongg"; did you mean "pong"'):
        make_world("atari", game="pongg")


def few_colours(generator, shape):
    return generator.choice(np.array([0, 87, 110, 148, 255], np.uint8), shape)


def noise(generator, shape):
    return generator.integers(0, 256, shape, dtype=np.uint8)


def two_halves(generator, shape):
    """Lines of 0 and 1: the averages are full of exact halves."""
    return np.broadcast_to(np.arange(shape[0])[:, None] % 2, shape).astype(np.uint8)


@pytest.mark.parametrize("height", [210, 214, 220, 230, 250])
@pytest.mark.parametrize("kind", [few_colours, noise, two_halves])
def test_pictures_shrink_to_the_last_bit_as_with_opencv(height, kind):
    resize, generator = AreaResize((height, 160), (84, 84)), np.random.default_rng(height)
    for _ in range(5):
        picture = kind(generator, (height, 160))
        wanted = cv2.resize(picture, (84, 84), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(resize(picture), wanted)


@pytest.mark.parametrize(
    ("source", "target"), [((97, 131), (84, 84)), ((85, 160), (84, 84)), ((250, 160), (64, 60))]
)
def test_pictures_of_odd_sizes_shrink_as_with_opencv(source, target):
    picture = noise(np.random.default_rng(0), source)
    wanted = cv2.resize(picture, target[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(AreaResize(source, target)(picture), wanted)


def watch(world, actions):
    return [(*world.step(action), world.ram(), world.render()) for action in actions]


@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_a_restored_world_replays_identically_sticky_actions_included(game):
    world = make_world(f"atari/{game}", seed=5)
    world.reset()
    actions = np.random.default_rng(1).integers(world.action_space.n, size=90)
    for action in actions[:30]:
        before = world.step(action)[0]
    clone = world.clone_state()
    first = watch(world, actions[30:])
    np.testing.assert_array_equal(world.restore_state(clone), before)
    second = watch(world, actions[30:])
    for (obs, *flags, info, ram, picture), (obs2, *flags2, info2, ram2, picture2) in zip(
        first, second, strict=True
    ):
        np.testing.assert_array_equal(obs, obs2)
        np.testing.assert_array_equal(ram, ram2)
        np.testing.assert_array_equal(picture, picture2)
        assert (flags, info) == (flags2, info2)
    assert len({ram.tobytes() for *_, ram, _ in first}) > 40, "the game went on meanwhile"


def test_a_clone_is_untouched_by_what_follows():
    world = make_world("atari/breakout", seed=5)
    world.reset()
    world.step(1)
    clone = world.clone_state()
    ram, picture, palette = world.ram(), world.render(), world.palette_screen()
    for _ in range(20):
        world.step(2)
    assert (world.ram() != ram).any()
    obs = world.restore_state(clone)
    np.testing.assert_array_equal(world.ram(), ram)
    np.testing.assert_array_equal(world.render(), picture)
    np.testing.assert_array_equal(world.palette_screen(), palette)
    assert (world.clone_state()[4][0] == picture).all(), "a clone of a restored world has its picture too"
    assert world.step(1)[4]["episode_frame_number"] == 8
    assert obs[2:].any()
    assert (world.render() != picture).any(), "the picture moves on"


def test_the_first_point_of_pong_is_known():
    world = make_world("atari/pong", seed=0)
    world.reset()
    rewards = [world.step(0)[1] for _ in range(110)]  # a paddle that stands still
    assert {step: reward for step, reward in enumerate(rewards, start=1) if reward} == {64: -1.0, 99: -1.0}


def test_later_episodes_are_reproducible_and_differ():
    def rams(world, seed=None):
        world.reset(seed=seed)
        return np.array([world.step(action)[4] and world.ram() for action in [2, 3] * 15])

    one, two = make_world("atari/pong", seed=8), make_world("atari/pong", seed=8)
    first, later = rams(one), rams(one)
    np.testing.assert_array_equal(first, rams(two))
    np.testing.assert_array_equal(later, rams(two))
    assert (first != later).any(), "sticky actions fall differently"
    np.testing.assert_array_equal(rams(one, seed=8), first)


def test_rarely_seeded_batches_load_seldom_agree_and_resume_exactly_on_any_number_of_threads(monkeypatch):
    loads = []
    load = AtariWorld._load
    monkeypatch.setattr(AtariWorld, "_load", lambda world, seed: (loads.append(seed), load(world, seed)))
    config = Atari("breakout", max_frames=240)
    batches = [
        config.make_batch(2, 5, num_threads=1), replace(config, truth=True).make_batch(2, 5),
        config.make_batch(2, 99, num_threads=2),
    ]  # fmt: skip
    for worlds in batches:
        worlds.seed_rarely()
        assert worlds.seed_every == 4_000
        worlds.seed_every = 80
    fast, truthful, other = batches
    start, _ = fast.reset()
    np.testing.assert_array_equal(truthful.reset()[0], start)
    generator, episodes = np.random.default_rng(0), 0
    for step in range(148):
        actions = generator.integers(4, size=2)
        *arrays, info = fast.step(actions)
        *truths, true_info = truthful.step(actions)
        ended = arrays[2] | arrays[3]
        episodes += int(ended.sum())
        if ended.any():
            np.testing.assert_array_equal(info["final_obs"], true_info["final_obs"])
        assert info["lives"].tolist() == true_info["lives"].tolist()
        compared = zip(arrays, truths, strict=True)
        if step == 116:
            other.restore(fast.state())
        elif step > 116:
            compared = zip(2 * arrays, [*truths, *other.step(actions)[:4]], strict=True)
        for found, wanted in compared:
            np.testing.assert_array_equal(found, wanted)
    assert episodes >= 4, "there is something to go on from"
    assert len(loads) <= 2 + 2, "two when they were made, and one of each in 148 steps"
    for worlds in batches:
        worlds.close()


def test_a_single_world_goes_on_with_its_own_chances_where_no_seed_is_given():
    first, second = make_world("atari/breakout", seed=3), make_world("atari/breakout", seed=8)
    second.reset(seed=8)
    started = [first.reset()[0], second.reset(seed=3)[0]]
    endings = []
    for world in (first, second):
        scores = []
        for _ in range(2):
            generator, ended, score = np.random.default_rng(0), False, []
            while not ended:
                _, reward, over, cut, _ = world.step(generator.integers(4))
                score.append(reward)
                ended = over or cut
            scores.append(score)
            world.reset()
        endings.append(scores)
    np.testing.assert_array_equal(*started)
    assert endings[0] == endings[1], "the seed of the first episode settles those that follow"
    assert endings[0][0] != endings[0][1], "which differ"


def test_final_info_claims_nothing_of_the_next_episode_and_final_obs_is_dense_where_one_world_ends():
    worlds = make_worlds("atari/pong", num_envs=2, max_frames=40)
    worlds.reset()
    for _ in range(10):
        _, _, _, truncated, info = worlds.step(np.zeros(2, np.int64))
    assert truncated.all()
    assert set(info["final_info"]) == {"episode"}
    assert info["episode_frame_number"].tolist() == [0, 0]
    for _ in range(4):
        worlds.step(np.zeros(2, np.int64))
    worlds.reset(options={"reset_mask": np.array([True, False])})
    for _ in range(6):
        obs, _, _, truncated, info = worlds.step(np.zeros(2, np.int64))
    assert truncated.tolist() == [False, True]
    np.testing.assert_array_equal(info["final_obs"][0], obs[0])
    assert (info["final_obs"][1] != obs[1]).any()
    worlds.close()


def test_a_single_world_refuses_bad_actions():
    world = make_world("atari/pong")
    world.reset()
    for action in (6, -1, 1.5, 2.0, "UP", float("nan"), np.array([1]), None):
        with pytest.raises(ActionError, match="is not in 0…5"):
            world.step(action)
    assert world.step(5)[4]["episode_frame_number"] == 4, "nothing had moved"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frame_skip": 0}, "frame_skip must be at least 1, not 0"),
        ({"frame_skip": 2.0}, "frame_skip must be a whole number, not 2.0"),
        ({"max_frames": 3}, "max_frames must be at least frame_skip, not 3"),
        ({"repeat_action_probability": 1.0}, "must be in .0, 1., not 1.0"),
        ({"repeat_action_probability": -0.1}, "must be in .0, 1., not -0.1"),
        ({"repeat_action_probability": float("nan")}, "must be a finite number"),
        ({"full_action_space": 1}, "must be true or false, not 1"),
        ({"frameskip": 4}, 'unknown key "frameskip"; did you mean "frame_skip"'),
    ],
)
def test_bad_keys_are_named(fields, message):
    with pytest.raises(FieldError, match=f'world "atari/pong".*{message}'):
        make_world("atari/pong", **fields)


def test_the_protocol_holds_every_rule_that_changes_scores():
    standard = Atari("pong").protocol()
    assert {key: value for key, value in standard.items() if key != "ale_py"} == {
        "world": "atari/pong",
        "repeat_action_probability": 0.25,
        "frame_skip": 4,
        "action_set": "minimal",
        "life_loss_ends": False,
        "noop_max": 0,
        "max_frames": 108_000,
    }
    changes = {"repeat_action_probability": 0.0, "frame_skip": 3, "full_action_space": True, "max_frames": 99}
    stamps = [Atari("pong", **{key: value}).protocol() for key, value in changes.items()]
    assert all(a != b for a, b in product(stamps, [standard]))


def test_actions_carry_their_names():
    worlds, names = make_worlds("atari/pong"), ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    assert worlds.action_names == make_world("atari/pong").action_names == names
    worlds.close()


def test_a_game_that_shows_its_memory_plays_as_the_one_that_shows_pixels():
    fields = {"truth": True, "max_frames": 120}
    pixels, memory = (make_worlds("atari/pong", 1, 5, observation=how, **fields) for how in ("pixels", "ram"))
    assert (pixels.frame_stack, memory.frame_stack) == (4, 1)
    pixels.reset()
    obs, _ = memory.reset()
    assert obs.shape == (1, 128) and obs.dtype == np.uint8
    generator = np.random.default_rng(0)
    for _ in range(35):  # cut after 30
        actions = generator.integers(6, size=1)
        wanted, found = pixels.step(actions), memory.step(actions)
        for one, other in zip(wanted[1:4], found[1:4], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(found[0], [env.ram() for env in pixels.envs])
        for one, other in zip(pixels.truth([0]), memory.truth([0]), strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
    assert "observation" not in Atari("pong").protocol()
    assert Atari("pong", observation="ram").protocol()["observation"] == "ram"


def test_a_game_that_shows_its_memory_goes_back_to_a_cloned_state():
    world = make_world("atari/pong", observation="ram")
    world.reset()
    for _ in range(30):
        before = world.step(2)[0]
    state = world.clone_state()
    world.step(3)
    np.testing.assert_array_equal(world.restore_state(state), before)


@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_a_game_goes_on_without_sticky_actions_and_with_them_again(game):
    """A person's key presses all count; at the hand-over the agent's rules and random numbers return."""
    plain, handed, seeds = Atari(game).make(3), Atari(game).make(3), []
    for world in (plain, handed):
        world.reset(seed=3)
        for i in range(40):
            world.step(2 + (i // 3) % 2)
    before = handed.render(), handed.ram()
    handed.set_sticky_actions(False)
    np.testing.assert_array_equal(handed.render(), before[0])
    np.testing.assert_array_equal(handed.ram(), before[1])
    assert not handed.sticky_actions and plain.sticky_actions
    handed.set_sticky_actions(True)
    for i in range(40):
        first, second = (world.step(2 + (i // 3) % 2) for world in (plain, handed))
        np.testing.assert_array_equal(first[0], second[0])
    for seed in (1, 2):  # without sticky actions nothing is random
        world = Atari(game).make(seed)
        world.set_sticky_actions(False)
        world.reset(seed=seed)
        seeds.append([world.step(2 + (i // 3) % 2)[0] for i in range(60)])
    np.testing.assert_array_equal(*seeds)


def test_actions_are_called_by_what_they_do():
    pong = make_world("atari/pong")
    pong.reset(seed=0)
    high = {}
    for name in ("UP", "DOWN"):
        pong.reset(seed=0)
        for _ in range(40):
            pong.step(pong.action_meanings.index(name))
        found = pong.truth()
        high[name] = found.boxes[found.labels.index("player")][1]
    assert high["UP"] < high["DOWN"]
    breakout = make_world("atari/breakout")
    assert breakout.action_meanings == breakout.action_names


def test_a_step_played_by_its_frames_is_the_same_step():
    """Sticky actions, pooling, rewards and an end inside a step included; clones too."""
    config = Atari("breakout", max_frames=250)  # which ends in the second frame of a step
    whole, by_frames = config.make(4), config.make(4)
    for world in (whole, by_frames):
        world.reset(seed=4)
    for i in range(63):
        action = 1 + (i // 5) % 3
        shown, earned = [], 0.0
        while by_frames.frames_left > 1:
            earned += by_frames.play_frame(action)
            shown.append(by_frames.render())
            if i == 20 and len(shown) == 2:
                by_frames.restore_state(by_frames.clone_state())
        left = by_frames.frames_left
        (obs, *told), (wanted, *others) = by_frames.step(action), whole.step(action)
        np.testing.assert_array_equal(obs, wanted)
        np.testing.assert_array_equal(by_frames.ram(), whole.ram())
        assert told == others and (left, len(shown)) == ((1, 3) if i < 62 else (0, 2))
        assert left or earned == told[0]
    assert told[2], "the frame limit cut it"
    by_frames.reset()
    for _ in range(4):
        by_frames.play_frame(0)
    with pytest.raises(ActionError, match="no frame"):
        by_frames.play_frame(0)


def test_the_key_of_a_person_acts_at_the_next_frame():
    """A paddle that is pushed in the last frame only has moved less than one that is pushed in all four."""
    reached = []
    for pushed in (0, 1, 4):
        world = Atari("pong").make(0)
        world.set_sticky_actions(False)
        world.reset(seed=0)
        for _ in range(20):
            world.step(0)
        for frame in range(3):
            world.play_frame(2 if frame >= 4 - pushed else 0)
        world.step(2 if pushed else 0)
        for _ in range(2):
            world.step(0)
        found = world.truth()
        reached.append(float(found.boxes[found.labels.index("player")][1]))
    assert reached[0] > reached[1] > reached[2], reached
