"""Following a run: new checkpoints are played, damaged or deleted ones do no harm."""

import json
import shutil
import threading

import numpy as np
import pytest
from polling import until

from scenes.build.agents import build_policy, scene_world
from scenes.cli.watching import check_run
from scenes.cli.watching import watch as watch_verb
from scenes.schema import SHIPPED, SceneError, load_scene
from scenes.watching.playlist import playlist
from scenes.watching.run_follower import Curve, Follower
from scenes.watching.scene_show import WAITING, SceneShow
from sim.storage.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from sim.viewer.app.window import watch

SOURCE = SHIPPED / "checkpoints" / "cartpole-ppo"


def put(run, step, weights=None, **changes):
    """A checkpoint as a training process writes it: complete at once."""
    source = load_checkpoint(SOURCE)
    card = source.card | {"trained": {"env_steps": step}} | changes
    save_checkpoint(run / "checkpoints" / str(step), card, weights or source.weights)


def log(run, *rows):
    with (run / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "scene.toml").touch()
    return folder


@pytest.fixture
def followers(run):
    """Followers of `run`, opened; unless told, they poll only when the test calls `look`."""
    opened = []

    def follow(**options):
        follower = Follower(run, lambda checkpoint: None, **{"poll": 3600.0} | options)
        opened.append(follower)
        follower.open()
        return follower

    yield follow
    for follower in opened:
        follower.close()


@pytest.fixture
def shows():
    opened = []

    def show(run, **options):
        opened.append(SceneShow(load_scene("cartpole"), device="cpu", run=run, most_worlds=1, **options))
        return opened[-1]

    yield show
    for each in opened:
        each.close()


def looked(show):
    """The moment after the follower has polled and the show has made a step."""
    show.live_agent.follower.look()
    return show.step(None)


def test_what_lands_is_taken_once_and_said(run, followers):
    put(run, 100)
    follower = followers(poll=0.005)
    first = follower.take()
    assert first.folder.name == "100" and follower.take() is None
    follower.plays(first)
    assert follower.learning.training == "100 steps" and follower.learning.message == ""
    follower.start()
    put(run, 2_400_000)
    taken = []
    until(lambda: taken.append(follower.take()) or taken[-1])
    follower.plays(taken[-1])
    assert follower.learning.message == "now 2.4 M steps" and follower.learning.checkpoint == "2400000"


def test_an_older_one_is_not_news(run, followers):
    put(run, 300)
    follower = followers()
    follower.take()
    put(run, 200)
    follower.look()
    assert follower.take() is None


def test_a_half_written_checkpoint_waits_until_it_is_whole(run, followers):
    put(run, 100)
    follower = followers()
    follower.plays(follower.take())
    put(run, 200)
    weights = run / "checkpoints" / "200" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    follower.look()
    assert follower.take() is None and follower.learning.message == ""  # perhaps it is being copied
    follower.look()
    assert "cut short" in follower.learning.message and follower.learning.checkpoint == "100"
    follower.say("")
    follower.look()
    assert follower.learning.message == ""  # said once
    weights.write_bytes(whole)
    follower.look()
    assert follower.take().folder.name == "200"


def test_a_broken_newest_one_leaves_the_one_before(run, followers):
    put(run, 100)
    put(run, 200)
    (run / "checkpoints" / "200" / "card.toml").unlink()
    (run / "checkpoints" / "300").mkdir()
    assert followers().take().folder.name == "100"


def test_what_is_deleted_is_no_error(run, followers):
    put(run, 100)
    follower = followers()
    for folder in (run / "checkpoints" / "100", run / "checkpoints", run):
        shutil.rmtree(folder)
        follower.look()
    assert follower.take().folder.name == "100"


def test_a_checkpoint_of_another_world_is_refused_at_the_start_and_skipped_later(run, shows):
    put(run, 100, world="gym/Acrobot-v1")
    with pytest.raises(CheckpointError, match="its world is gym/Acrobot-v1, here it is gym/CartPole-v1"):
        shows(run)
    put(run, 200)
    show = shows(run)
    show.start(0)
    put(run, 300, world="gym/Acrobot-v1")
    put(run, 250)
    assert looked(show).learning.training == "250 steps"


def test_weights_of_another_shape_leave_those_that_play(run, shows):
    put(run, 100)
    show = shows(run)
    show.start(0)
    before = show.live_agent.policy.weights()
    weights = load_checkpoint(SOURCE).weights
    last = sorted(weights)[-1]
    put(run, 200, {name: w + 1 for name, w in weights.items()} | {last: np.zeros((3, 3), np.float32)})
    assert "does not fit" in looked(show).learning.message
    for name, array in show.live_agent.policy.weights().items():
        np.testing.assert_array_equal(array, before[name])
    assert show.step(None).learning.checkpoint == "100"


def test_the_agent_changes_in_the_middle_of_a_game(run, shows):
    """The new weights decide from the next step on, and the game goes on."""
    weights = load_checkpoint(SOURCE).weights
    put(run, 100, {name: np.zeros_like(array) for name, array in weights.items()})
    show = shows(run)
    first = show.start(0)
    assert first.decision.probabilities[0] == pytest.approx([0.5, 0.5])
    put(run, 200)
    moment = looked(show)
    assert moment.length[0] == 1 and moment.learning.checkpoint == "200"
    scene = load_scene("cartpole")
    policy, _ = build_policy(scene, show.worlds, scene_world(scene), "cpu", run / "checkpoints" / "200")
    expected = policy.act(show._obs, show._info)[0].probabilities
    np.testing.assert_array_equal(moment.decision.probabilities, expected)
    assert abs(expected[0, 0] - 0.5) > 0.01


def test_a_run_without_a_checkpoint_is_played_untrained_until_there_is_one(run, shows):
    show = shows(run)
    moment = show.start(0)
    assert moment.caption == WAITING and show.training == moment.learning.training == "untrained"
    put(run, 64)
    moment = looked(show)
    assert moment.caption == "" and moment.learning.message == "now 64 steps"


def test_an_older_checkpoint_is_held_and_the_run_goes_on_beside_it(run, shows):
    put(run, 100)
    put(run, 200)
    show = shows(run, checkpoint=run / "checkpoints" / "100")
    assert not show.start(0).learning.following
    put(run, 300)
    log(run, {"env_steps": 300, "return_mean": 9.0})
    moment = looked(show)
    assert moment.learning.steps == 300
    assert moment.learning.checkpoint == "100" and "]" in moment.learning.message
    assert moment.learning.played == pytest.approx(1 / 3)


def test_the_last_listing_follows_and_the_others_hold(run):
    put(run, 100)
    put(run, 200)
    found = playlist(load_scene("cartpole"), device="cpu", run=run)
    assert found.follows and found.checkpoint == "200"
    states = []
    for entry in found.checkpoints():
        show = entry.make()
        states.append((show.live_agent.learning.checkpoint, show.live_agent.learning.following))
        show.close()
    assert states == [("100", False), ("200", True)]


def test_headless_follows_as_well(run, shows):
    put(run, 100)
    show = shows(run)
    played, step = [], show.step

    def noted(person, *, drawn=True):
        if len(played) == 10:
            put(run, 200)
            show.live_agent.follower.look()
        moment = step(person, drawn=drawn)
        played.append(moment.learning.checkpoint)
        return moment

    show.step = noted
    watched = watch(show, headless=True, frames=30, size=(480, 360))
    assert watched.frames == 30 and played[:10] == ["100"] * 10 and set(played[10:]) == {"200"}
    assert not any(t.name == "follower" for t in threading.enumerate())


def test_a_recording_does_not_wait_and_a_folder_that_is_no_run_is_refused(run, tmp_path):
    with pytest.raises(SceneError, match=r"no checkpoint yet; .* watch in a window"):
        watch_verb(
            load_scene("cartpole"),
            device="cpu",
            person=False,
            run=run,
            headless=True,
            frames=5,
            record=None,
            overwrite=False,
        )
    check_run(run, waits=True)
    with pytest.raises(SceneError, match="no such folder"):
        check_run(tmp_path / "none", waits=True)
    with pytest.raises(SceneError, match=r"no scene\.toml"):
        check_run(tmp_path, waits=True)


def test_an_agent_that_does_not_learn_cannot_follow(run, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('title = "Own"\n[world]\nuse = "gym/CartPole-v1"\n[agent]\nuse = "random"\n')
    with pytest.raises(SceneError, match='"random" has nothing to learn'):
        SceneShow(load_scene(str(file)), device="cpu", run=run)


def test_the_curve_grows_by_whole_lines_and_starts_again_after_a_resume(tmp_path):
    file = tmp_path / "metrics.jsonl"
    curve = Curve(file)
    assert not curve.read()
    log(tmp_path, {"env_steps": 100}, {"env_steps": 200, "return_mean": 1.0})
    with file.open("a") as out:
        out.write('{"env_steps": 400, "ret')
    assert curve.read() and curve.last == 200
    with file.open("a") as out:
        out.write('urn_mean": 3.0}\nnot json\n[]\n')
    assert curve.read() and curve.last == 400 and not curve.read()
    values = curve.values()
    assert np.isnan(values[:199]).all() and values[-1] == 3.0
    assert values[300] == pytest.approx(1 + 2 * (300 / 399 * 400 - 200) / 200)
    file.write_text('{"env_steps": 100, "return_mean": 7.0}\n')  # `--resume` cut it
    assert curve.read() and curve.last == 100 and curve.values()[-1] == 7.0
