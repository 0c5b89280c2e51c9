"""Action replays on disk: what is written comes back, and what is no replay is refused by name."""

import base64
import json
import zlib

import numpy as np
import pytest

from sim.storage.replays import (
    ActionReplay,
    EpisodeReplay,
    ReplayFileError,
    fingerprint,
    read_replay,
    replay_text,
)

GAME = EpisodeReplay(5, np.array([0, 3, 3, 2], np.uint8), np.array([0, 1, 1, 0], bool), -2.0, True, "ab")
WALK = EpisodeReplay(9, np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2), np.zeros(3, bool), 1.5, False)
REPLAY = ActionReplay('title = "Own"\n', 4, (GAME, WALK), {"ale-py": "0.12.1"})


@pytest.fixture
def written(tmp_path):
    def write(change=None):
        document = json.loads(replay_text(REPLAY))
        if change is not None:
            change(document)
        file = tmp_path / "own.pfr"
        file.write_text(json.dumps(document), "utf-8")
        return file

    return write


def test_a_replay_comes_back_as_it_was_written(written):
    found = read_replay(written())
    assert (found.scene, found.frames_per_step, found.made_with) == (REPLAY.scene, 4, {"ale-py": "0.12.1"})
    assert found.steps == 7
    for one, wanted in zip(found.episodes, REPLAY.episodes, strict=True):
        assert (one.seed, one.score, one.ended, one.observation) == (
            wanted.seed, wanted.score, wanted.ended, wanted.observation,
        )  # fmt: skip
        np.testing.assert_array_equal(one.actions, wanted.actions)
        np.testing.assert_array_equal(one.person, wanted.person)
        assert one.actions.dtype == wanted.actions.dtype


def test_an_hour_of_a_game_takes_less_than_a_photograph():
    """Decisions in runs, four frames each: a video of the same takes a thousand times as much."""
    decisions = np.repeat(np.random.default_rng(0).integers(0, 6, 60 * 60 * 15 // 5), 5)
    actions = np.repeat(decisions, 4).astype(np.uint8)
    hour = EpisodeReplay(0, actions, np.zeros(len(actions), bool), 0.0, False)
    assert len(actions) == 60 * 3600
    assert len(replay_text(ActionReplay("", 4, (hour,), {}))) < 60_000


def test_a_fingerprint_is_of_the_bytes_in_order():
    rows = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert fingerprint(rows) == fingerprint(rows.copy()) != fingerprint(rows.T)
    assert fingerprint(rows.T) == fingerprint(np.ascontiguousarray(rows.T))


def packed(content):
    return base64.b64encode(zlib.compress(content)).decode()


def longer(document):
    document["episodes"][0]["actions"] = packed(bytes(10**7))


def episode(key, value, number=0):
    return lambda document: document["episodes"][number].__setitem__(key, value)


def top(key, value):
    return lambda document: document.__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (top("format", "cassette"), 'is no action replay: it does not say "format"'),
        (top("version", 2), "is of version 2, and this Playfield reads version 1"),
        (top("scene", None), "is damaged: scene must be a text"),
        (top("made_with", {"ale-py": 12}), "made_with must name versions"),
        (top("frames_per_step", 0), "frames_per_step must be a whole number from 1 to 64"),
        (top("episodes", []), "has no episode"),
        (top("episodes", [3]), r"an episode must be a table \(episode 1\)"),
        (episode("seed", -1), r"seed must be a whole number from 0 to 2147483647 \(episode 1\)"),
        (episode("seed", True), "seed must be a whole number"),
        (episode("count", 5), "does not have as many actions as it says"),
        (episode("count", 3), "does not have as many actions as it says"),
        (episode("count", 10**12), "count must be a whole number"),
        (longer, "does not have as many actions as it says"),
        (episode("actions", "%%"), "its actions cannot be unpacked"),
        (episode("actions", "aGVsbG8="), "its actions cannot be unpacked"),
        (episode("dtype", "object"), "dtype must be one of uint8, int64, float32, float64"),
        (episode("shape", [2, 2], 1), r"shape must be \[\] or one number.*\(episode 2\)"),
        (episode("score", "two"), "score must be a number"),
        (episode("ended", 1), "ended must be true or false"),
        (episode("person", [[1, 3], [2, 4]]), "person must hold rising pairs"),
        (episode("person", [[1, 9]]), "person must hold rising pairs"),
        (
            episode("actions", packed(np.full(6, np.nan, "f4").tobytes()), 1),
            "an action is not a finite number",
        ),
    ],
)  # fmt: skip
def test_what_is_no_replay_is_refused_by_name(written, change, told):
    file = written(change)
    with pytest.raises(ReplayFileError, match=told) as refused:
        read_replay(file)
    assert str(refused.value).startswith(str(file))


def test_a_file_that_was_cut_off_or_is_another_one_is_refused(tmp_path):
    file = tmp_path / "own.pfr"
    for content in (replay_text(REPLAY)[:-40].encode(), b"\x00\x01\xff", b"[" * 100_000, b""):
        file.write_bytes(content)
        with pytest.raises(ReplayFileError, match="no action replay: it is not JSON, or was cut off"):
            read_replay(file)
    with pytest.raises(ReplayFileError, match="there is no action replay"):
        read_replay(tmp_path / "none.pfr")
    with pytest.raises(ReplayFileError, match="is a folder, not an action replay"):
        read_replay(tmp_path)
