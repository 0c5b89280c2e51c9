"""Action replays in the window: saved from a show, and played again to the last pixel."""

import json

import numpy as np
import pytest

from scenes.cli.main import main
from scenes.schema import SHIPPED, load_scene
from scenes.watching.replay_files import read
from scenes.watching.replay_scene import replay_scene
from scenes.watching.replay_show import OVER, ReplayShow
from scenes.watching.scene_show import SceneShow
from sim.viewer.contract.gesture import Ability, Gesture
from sim.viewer.output.play_recorder import ReplayError

INVADERS = 'use = "atari/space_invaders"\nmax_frames = 240'


@pytest.fixture
def opened():
    shows = []
    yield lambda show: shows.append(show) or show
    for show in shows:
        show.close()


def scene(tmp_path, world, agent='[agent]\nuse = "random"'):
    file = tmp_path / "own.toml"
    file.write_text(f'title = "Own"\nseed = 4\n[world]\n{world}\n{agent}\n')
    return load_scene(str(file))


def saved(show, tmp_path, number):
    answer = show.touch(Gesture("save", number))
    assert answer.document is not None, answer.message
    file = tmp_path / "episode.pfr"
    file.write_text(answer.document[1], "utf-8")
    return file


def played(file, opened, **options):
    replay, its_scene = read(file, print)
    return opened(ReplayShow(replay, its_scene, device="cpu", **options))


def test_a_game_that_a_person_and_an_agent_played_is_played_again_to_the_last_pixel(tmp_path, opened):
    """By frames, with sticky actions and without, handed over in the middle of a step; its second episode."""
    show = opened(SceneShow(scene(tmp_path, INVADERS), device="cpu", every_frame=True))
    moments, hands = [show.start(11)], {270: True, 329: False, 420: True}
    keys = np.random.default_rng(2).integers(0, 4, 470)
    for step in range(470):
        if step in hands:
            show.touch(Gesture("person", on=hands[step]))
        moments.append(show.step(int(keys[step]) if show._person else None))
    begun = next(i for i, moment in enumerate(moments) if moment.length[0] == 0 and i)
    assert begun <= 240
    file = saved(show, tmp_path, len(moments) - 1)
    again = played(file, opened)
    assert again.num_worlds == 1 and again.frames_per_step == 4
    found = [again.start(None)]
    while not again.waits:
        found.append(again.step(None))
    wanted = moments[begun:]
    assert len(found) == len(wanted) == again.moments and found[-1].caption == OVER
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.pictures[0], other.pictures[0])
        assert one.score[0] == other.score[0] and one.length[0] == other.length[0]
    assert [one.person for one in found[1:]] == [other.person for other in wanted[1:]]
    assert found[-1].score[0] > 0 and len({one.person for one in found}) == 2
    restarted = again.start(None)
    np.testing.assert_array_equal(restarted.pictures[0], wanted[0].pictures[0])


def test_whole_steps_are_played_by_frames_in_a_window(tmp_path, opened):
    show = opened(SceneShow(scene(tmp_path, INVADERS), device="cpu", most_worlds=1))
    moments = [show.start(11), *(show.step(None) for _ in range(40))]
    again = played(saved(show, tmp_path, 40), opened)
    assert again.frames_per_step == 4 and again.moments == 161
    found = [again.start(None), *(again.step(None) for _ in range(160))]
    for one, other in zip(found[::4], moments, strict=True):
        np.testing.assert_array_equal(one.pictures[0], other.pictures[0])
    assert again.waits and again.step(None).caption == OVER


def test_the_agent_decides_beside_it_and_the_recorded_action_is_lit(tmp_path, opened):
    agent = '[agent]\nuse = "random"'
    show = opened(SceneShow(scene(tmp_path, 'use = "gym/CartPole-v1"', agent), device="cpu", most_worlds=1))
    moments = [show.start(4), *(show.step(None) for _ in range(8))]
    again = played(saved(show, tmp_path, 8), opened)
    found = [again.start(None), *(again.step(None) for _ in range(8))]
    assert [int(m.decision.actions[0]) for m in found[:-1]] == [int(m.actions[0]) for m in moments[1:]]
    assert all(m.decision.probabilities is not None for m in found)


def test_a_perturbed_robot_walks_again_as_it_did(tmp_path, opened):
    world = (
        'use = "walker/hopper"\nwidth = 32\nheight = 32\nmass = [0.6, 1.4]\npush_force = 40.0\nlatency = 1'
    )
    show = opened(SceneShow(scene(tmp_path, world), device="cpu", most_worlds=1))
    show.start(4)
    seen = [show._obs[0].copy()]
    while len(seen) < 60:
        moment = show.step(None, drawn=False)
        seen.append(show._obs[0].copy())
    begun = len(seen) - 1 - int(moment.length[0])
    assert begun > 0, "its first episode is over"
    again = played(saved(show, tmp_path, len(seen) - 1), opened)
    again.start(None)
    for wanted in seen[begun:]:
        np.testing.assert_array_equal(again._obs[0], wanted)
        if not again.waits:
            again.step(None, drawn=False)
    show.touch(Gesture("shove", 1.0))
    assert show.touch(Gesture("save", 10**6)).message == "no replay of this episode: a push is no action"


def test_a_replay_that_does_not_come_out_again_says_what_differs(tmp_path, opened):
    show = opened(SceneShow(scene(tmp_path, 'use = "gym/CartPole-v1"'), device="cpu", most_worlds=1))
    show.start(4)
    while not show.step(None).episodes:
        pass
    file = saved(show, tmp_path, 2)
    document = json.loads(file.read_text("utf-8"))
    assert document["episodes"][0]["ended"]
    for key, value, told in (
        ("score", 99.0, "its return is [0-9]+ instead of 99"),
        ("observation", "0" * 64, "its last observation is another one; it was made with gymnasium 0.1"),
        ("ended", False, "it is over after"),
        ("seed", 5, "is not what was recorded"),
    ):
        other = json.loads(json.dumps(document))
        other["episodes"][0][key] = value
        other["made_with"]["gymnasium"] = "0.1"
        file.write_text(json.dumps(other), "utf-8")
        again = played(file, opened)
        again.start(None)
        with pytest.raises(ReplayError, match=told):
            for _ in range(500):
                assert not again.waits
                again.step(None)


def test_nobody_acts_in_a_replay_and_nothing_changes_it(tmp_path, opened):
    show = opened(SceneShow(scene(tmp_path, 'use = "gym/CartPole-v1"'), device="cpu", most_worlds=1))
    assert Ability.EPISODE in show.abilities and Ability.REPLAY not in show.abilities
    assert show.touch(Gesture("save", 0)).message == "no replay: nothing has been played yet"
    show.start(4)
    show.step(None), show.step(None)
    again = played(saved(show, tmp_path, 2), opened)
    assert Ability.REPLAY in again.abilities and Ability.EPISODE not in again.abilities
    again.start(None)
    for kind in ("person", "push", "save"):
        assert again.touch(Gesture(kind, on=True)).document is None
    assert not again._person and again.step(1).actions[0] == show.log.at(2).actions[0]


def test_the_scene_in_a_replay_finds_what_ships_on_any_machine(tmp_path):
    shipped = load_scene("pong-detector")
    text = replay_scene(shipped, (None, None), followed=False)
    assert 'checkpoint = "checkpoints/pong-ppo"' in text and str(SHIPPED) not in text
    assert "checkpoint" not in replay_scene(load_scene("pong"), (None, None), followed=True).replace(
        "checkpoint_every", ""
    )
    assert str(tmp_path / "mine") in replay_scene(shipped, (tmp_path / "mine", None), followed=False)


def test_models_whose_weights_are_elsewhere_are_left_out_and_it_is_said(tmp_path, opened):
    show = opened(SceneShow(scene(tmp_path, 'use = "gym/CartPole-v1"'), device="cpu", most_worlds=1))
    show.start(4)
    show.step(None)
    file = saved(show, tmp_path, 1)
    document = json.loads(file.read_text("utf-8"))
    agent = '[agent]\nuse = "ppo"\ncheckpoint = "/nowhere/at/all"\n'
    document["scene"] = document["scene"].replace('[agent]\nuse = "random"\n', agent)
    file.write_text(json.dumps(document), "utf-8")
    said = []
    assert read(file, said.append)[1].agent is None
    assert said == ["the weights of the agent are not here: only the actions of ppo are shown"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.__setitem__("scene", "x = = 1"), "own.pfr is damaged: its scene is not TOML"),
        (lambda d: d.__setitem__("scene", 'title = "No"'), "own.pfr"),
        (lambda d: d.__setitem__("scene", d["scene"] + "[wrold]\n"), "own.pfr"),
        (
            lambda d: d.__setitem__("frames_per_step", 3),
            "own is damaged: its world has 1 frames a step, not 3",
        ),
        (lambda d: d["episodes"][0].__setitem__("dtype", "float64"), "own.pfr is damaged"),
        (lambda d: d["episodes"][0].update(dtype="uint8", actions="eJxjAgAAAwAC"), "own"),
    ],
)
def test_the_command_line_refuses_what_it_cannot_play(tmp_path, capsys, change, told, opened):
    show = opened(SceneShow(scene(tmp_path, 'use = "gym/CartPole-v1"'), device="cpu", most_worlds=1))
    show.start(4)
    show.step(None)
    file = saved(show, tmp_path, 1)
    document = json.loads(file.read_text("utf-8"))
    change(document)
    (tmp_path / "own.pfr").write_text(json.dumps(document), "utf-8")
    assert main(["watch", str(tmp_path / "own.pfr"), "--headless"]) == 2
    assert told in capsys.readouterr().err


def test_the_command_line_records_and_plays_a_replay(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene(tmp_path, 'use = "gym/CartPole-v1"')
    assert main(["watch", "own.toml", "--headless", "--frames", "60", "--record", "game.pfr"]) == 0
    assert "60 frames in game.pfr" in capsys.readouterr().out
    replay, _ = read(tmp_path / "game.pfr", print)
    assert len(replay.episodes) > 1 and replay.episodes[0].ended and replay.steps >= 59
    assert main(["watch", "game.pfr", "--headless", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["frames"] == replay.steps + len(replay.episodes)
    assert answer["returns"] == [episode.score for episode in replay.episodes if episode.ended]
    assert main(["watch", "own.toml", "--headless", "--frames", "9", "--record", "game.pfr"]) == 2
    assert "game.pfr: it exists" in capsys.readouterr().err
    for options, told in (
        (["--seed", "3"], "--seed does not apply"),
        (["--set", "seed=3"], "--set does not apply"),
        (["--checkpoint", "x"], "--checkpoint does not apply"),
    ):
        assert main(["watch", "game.pfr", *options]) == 2
        assert told in capsys.readouterr().err
    assert main(["play", "game.pfr"]) == 2
    assert "nobody plays it" in capsys.readouterr().err
