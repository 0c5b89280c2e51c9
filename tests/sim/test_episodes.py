"""Recorded episodes: Minari opens them, and they are bit for bit what a replay gives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, Graph
from step_counter import StepCounter

from sim.catalog import make_world, make_worlds, world_config
from sim.records import Decision, Episode
from sim.storage.episodes import (
    CHUNK_BYTES,
    AddRenderInfo,
    EpisodeInProgress,
    GrowingColumn,
    RecordingError,
    dataset_id,
    new_dataset,
    record,
)
from sim.storage.files import SaveError
from sim.vector import EnvWorlds, episode_seed
from sim.viewer.contract.gesture import Gesture
from sim.viewer.output.play_recorder import ReplayError, record_play, replay

SPACES = Box(-1, 1, (2,), np.float32), Discrete(2)


class Anything:
    """Plays any legal action."""

    def __init__(self, space):
        self._space = space
        self.seed(0)

    def seed(self, seed):
        self._generator = np.random.default_rng(seed)

    def act(self, obs, info, memory=None, *, greedy=False):
        legal = info.get("action_mask", np.ones((len(obs), int(self._space.n)), bool))
        return Decision(np.array([self._generator.choice(np.flatnonzero(row)) for row in legal])), None


def test_a_policys_memory_is_reset_where_an_episode_ended(tmp_path):
    worlds = make_worlds("gym/tests/Masked-v0", 3)
    policy = StepCounter(worlds)
    with new_dataset(tmp_path, worlds.single_observation_space, worlds.single_action_space) as dataset:
        for _ in record(policy, worlds, dataset, seed=0, greedy=False, episodes=9):
            pass
    worlds.close()
    assert policy.checked >= 9


def written(target, worlds, *, seed, **end):
    spaces = worlds.single_observation_space, worlds.single_action_space
    try:
        with new_dataset(target, *spaces) as dataset:
            for _ in record(Anything(spaces[1]), worlds, dataset, seed=seed, greedy=False, **end):
                pass
    finally:
        worlds.close()
    return minari.MinariDataset(target)


def seeds(dataset):
    return [episode["seed"] for episode in dataset.storage.get_episode_metadata(range(len(dataset)))]


def replayed(world, seed, actions):
    """What a fresh world gives for the recorded seed and actions: lists of T + 1 and T."""
    obs, info = world.reset(seed=seed)
    rows = [(obs, info)]
    steps = []
    for action in actions:
        obs, reward, terminated, truncated, info = world.step(action)
        rows.append((obs, info))
        steps.append((reward, terminated, truncated))
    return [obs for obs, _ in rows], [info for _, info in rows], steps


@pytest.mark.parametrize(
    ("name", "fields", "num_envs", "episodes"),
    [
        ("gym/CartPole-v1", {}, 3, 7),
        ("atari/pong", {"max_frames": 100}, 1, 2),
        pytest.param("atari/breakout", {}, 2, 2, marks=pytest.mark.slow),
        ("chess/kqk", {"max_plies": 24}, 2, 4),
    ],
)
def test_every_bit_is_that_of_a_replay_from_the_seed(tmp_path, name, fields, num_envs, episodes):
    dataset = written(tmp_path / "x", make_worlds(name, num_envs, 5, **fields), seed=5, episodes=episodes)
    assert len(dataset) == episodes
    world = gymnasium.make("CartPole-v1") if name.startswith("gym") else make_world(name, **fields)
    for seed, episode in zip(seeds(dataset), dataset, strict=True):
        observations, infos, steps = replayed(world, seed, episode.actions)
        np.testing.assert_array_equal(episode.observations, np.stack(observations), strict=True)
        rewards, terminated, truncated = np.array(steps).T
        np.testing.assert_array_equal(episode.rewards, rewards)
        np.testing.assert_array_equal(episode.terminations, terminated)
        np.testing.assert_array_equal(episode.truncations, truncated)
        assert not (episode.terminations | episode.truncations)[:-1].any()
        assert (episode.terminations | episode.truncations)[-1]
        if name.startswith("chess"):
            assert [fen.decode() for fen in episode.infos["fen"]] == [info["fen"] for info in infos]
            masks = np.stack([info["action_mask"] for info in infos])
            np.testing.assert_array_equal(episode.infos["action_mask"], masks)
        if name.startswith("atari"):
            told = 0 if terminated[-1] else -1  # the batch does not tell where a game was cut
            assert episode.infos["lives"].tolist() == [info["lives"] for info in infos[:-1]] + [told]
    assert dataset.total_steps == sum(len(episode) for episode in dataset)


def test_pictures_are_those_that_people_see_the_last_one_included(tmp_path):
    config = world_config("chess/kqk", {"max_plies": 6})
    worlds = EnvWorlds([lambda: AddRenderInfo(config.make(3)) for _ in range(2)], 3)
    dataset = written(tmp_path / "x", worlds, seed=3, episodes=2)
    world = config.make(0)
    for seed, episode in zip(seeds(dataset), dataset, strict=True):
        world.reset(seed=seed)
        pictures = [world.render()]
        for action in episode.actions:
            world.step(action)
            pictures.append(world.render())
        np.testing.assert_array_equal(episode.infos["rgb"], np.stack(pictures), strict=True)
        assert episode.infos["fen"][-1].decode() == world.game.fen


def test_a_number_that_begins_whole_is_not_cut(tmp_path):
    dataset = written(tmp_path / "x", make_worlds("gym/FrozenLake-v1"), seed=0, episodes=1)
    _, infos, _ = replayed(gymnasium.make("FrozenLake-v1"), 0, dataset[0].actions)
    assert infos[0]["prob"] == 1 and infos[1]["prob"] < 1
    assert dataset[0].infos["prob"].tolist() == [info["prob"] for info in infos]


def test_minari_opens_it_by_folder_and_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    written(tmp_path / "all" / "pole-v3", make_worlds("gym/CartPole-v1"), seed=0, episodes=2)
    assert not (tmp_path / "home").exists()
    assert minari.MinariDataset(tmp_path / "all" / "pole-v3" / "data").total_episodes == 2
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "all"))
    assert minari.load_dataset("pole-v3").id == "pole-v3"
    assert list(minari.list_local_datasets()) == ["pole-v3"]


def test_each_world_plays_its_fixed_share(tmp_path):
    dataset = written(tmp_path / "x", make_worlds("gym/CartPole-v1", 3, 8), seed=8, episodes=7)
    wanted = {episode_seed(8, i, k) for i, share in enumerate((3, 2, 2)) for k in range(share)}
    assert set(seeds(dataset)) == wanted and len(dataset) == 7


def test_enough_steps_end_it_after_whole_episodes(tmp_path):
    dataset = written(tmp_path / "x", make_worlds("gym/CartPole-v1", 2), seed=0, steps=100)
    *_, last = lengths = [len(episode) for episode in dataset]
    assert sum(lengths) >= 100 > sum(lengths) - last - max(lengths)


def test_long_columns_come_back_whole_and_small(tmp_path):
    rows = [np.full(CHUNK_BYTES // 8, float(i)) for i in range(5)]  # a chunk each
    column = GrowingColumn(rows[0])
    for row in rows[1:]:
        column.append(row)
    assert column.nbytes < 2 * CHUNK_BYTES
    take = EpisodeInProgress(1, np.float32([0, 0]), {"big": rows[0]})
    for row in rows[1:]:
        take.note(np.int64(1), 0.5, False, row is rows[-1], np.float32([1, 0]), {"big": row})
    with new_dataset(tmp_path / "x", *SPACES) as dataset:
        dataset.add(take)
    np.testing.assert_array_equal(minari.MinariDataset(tmp_path / "x")[0].infos["big"], np.stack(rows))


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").touch()
    with pytest.raises(RecordingError, match="x exists: choose another --out"):
        with new_dataset(tmp_path / "x", *SPACES):
            pass
    with pytest.raises(RecordingError, match="y exists"):
        with new_dataset(tmp_path / "y", *SPACES) as dataset:
            dataset.add(short_take())
            (tmp_path / "y").write_text("another's")
    assert (tmp_path / "y").read_text() == "another's"


def short_take():
    take = EpisodeInProgress(1, np.float32([0, 0]), {})
    take.note(np.int64(1), 1.0, True, False, np.float32([1, 0]), {})
    return take


def test_what_minari_cannot_hold_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="Minari cannot hold observations of Graph"):
        with new_dataset(tmp_path / "x", Graph(Discrete(2), Discrete(2)), Discrete(2)):
            pass
    assert list(tmp_path.iterdir()) == []


def test_without_an_episode_or_with_an_error_nothing_is_left(tmp_path):
    with new_dataset(tmp_path / "x", *SPACES):
        pass
    with pytest.raises(ZeroDivisionError):
        with new_dataset(tmp_path / "x", *SPACES) as dataset:
            dataset.add(short_take())
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from gymnasium.spaces import Box, Discrete
from sim.storage.files import SaveError
from sim.storage.episodes import EpisodeInProgress, new_dataset
resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**20, 3 * 2**20))
noise = np.random.default_rng(0).integers(0, 256, (9, 2**18), np.uint8)
try:
    with new_dataset(Path("x"), Box(0, 255, (2**18,), np.uint8), Discrete(2)) as dataset:
        for _ in range(9):
            take = EpisodeInProgress(1, noise[0], {})
            for i in range(3):
                take.note(np.int64(1), 1.0, i == 2, False, noise[i], {})
            dataset.add(take)
except SaveError as error:
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_no_room_ends_in_one_clean_error(tmp_path):
    """In a process of its own: HDF5 itself would crash at its end."""
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (7, "")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_called_by_its_name(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    with pytest.raises(SaveError, match="the disk is full"):
        with new_dataset(tmp_path / "x", *SPACES) as dataset:
            monkeypatch.setattr("os.posix_fallocate", full, raising=False)
            dataset.add(short_take())
    assert list(tmp_path.iterdir()) == []


def test_names_become_minaris():
    assert dataset_id("a.b c") == "a-b-c-v0"
    assert dataset_id("é") == "episodes-v0"


@dataclass
class Seen:
    """What `RecordingShow` reads of a moment."""

    actions: np.ndarray | None
    reward: np.ndarray
    person: bool = False
    episodes: tuple = field(default_factory=tuple)


class PoleShow:
    """A pole that an agent pushes left, as long as no person pushes it."""

    num_worlds = 1
    title = "Pole"

    def __init__(self):
        self.worlds = make_worlds("gym/CartPole-v1", 1, 4)

    def start(self, seed):
        self.worlds.reset(seed=seed)
        return Seen(None, np.zeros(1))

    def step(self, person, *, drawn=True):
        actions = np.array([0 if person is None else person])
        _, reward, _, _, info = self.worlds.step(actions)
        ended = (Episode(1.0, 1),) if "_episode" in info else ()
        return Seen(actions, reward, person is not None, ended)


def test_what_was_watched_is_recorded_as_it_was_played(tmp_path):
    show = record_play(PoleShow(), seed=4)
    assert show.title == "Pole"
    show.start(4)
    show.step(1)  # given up:
    show.start(None)
    for i in range(60):
        show.step(i % 2 if i % 3 else None)
    assert len(show.played) >= 2
    world = make_world("gym/CartPole-v1")
    with new_dataset(tmp_path / "x", world.observation_space, world.action_space) as dataset:
        for played in show.played:
            replay(played, world, dataset)
    found = minari.MinariDataset(tmp_path / "x")
    assert seeds(found) == [episode_seed(4, 0, k) for k in range(1, len(found) + 1)]
    first, people = found[0], [bool(i % 3) for i in range(len(found[0]))]
    assert first.actions.tolist() == [i % 2 if i % 3 else 0 for i in range(len(first))]
    assert first.infos["person"].tolist() == [False, *people]
    observations, _, _ = replayed(gymnasium.make("CartPole-v1"), seeds(found)[0], first.actions)
    np.testing.assert_array_equal(first.observations, np.stack(observations))


def test_a_replay_that_goes_another_way_is_refused(tmp_path):
    show = record_play(PoleShow(), seed=4)
    show.start(5)
    while not show.played:
        show.step(1)
    show.played[0].seed += 1
    show.played[0].actions[0] = np.int64(0)
    with pytest.raises(ReplayError, match="is not what was played"):
        with new_dataset(tmp_path / "x", *SPACES) as dataset:
            replay(show.played[0], make_world("gym/CartPole-v1"), dataset)


class Talking(PoleShow):
    abilities = frozenset({"point"})
    waits = True

    def touch(self, gesture):
        return f"touched {gesture}"

    def look(self):
        return Seen(None, np.zeros(1))


def test_a_show_that_takes_gestures_still_does():
    show, gesture = record_play(Talking(), seed=0), Gesture("resize", 3, 4)
    assert show.waits and show.abilities == {"point"} and show.touch(gesture) == f"touched {gesture}"
    assert {"abilities", "waits", "touch", "look"} <= set(dir(type(show)))  # where isinstance looks


def test_only_one_world_can_be_watched_and_recorded():
    show = PoleShow()
    show.num_worlds = 2
    with pytest.raises(RecordingError, match="one world"):
        record_play(show, seed=0)
