"""Two checkpoints side by side: in lockstep, each episode of both from one seed."""

import json
from pathlib import Path

import numpy as np
import pygame
import pytest

from scenes.cli.main import main
from scenes.schema import SHIPPED, SceneError, load_scene
from scenes.watching.pair_show import PairShow, joined, names_of
from sim.records import Decision
from sim.viewer.contract.gesture import Ability, Gesture
from sim.viewer.contract.show import frames_per_step
from sim.viewer.draw.theme import PAIR
from sim.viewer.playback.history import History
from sim.viewer.playback.view import Facts

CARTPOLE = SHIPPED / "checkpoints" / "cartpole-ppo"


@pytest.fixture
def pair():
    show = PairShow(load_scene("cartpole"), (None, CARTPOLE), device="cpu", attended=False)
    yield show
    show.close()


def weaken(show):
    """Give the right side an agent that knows nothing, and the left one that knows less."""
    for side, strength in zip(show._sides, (0.15, 0.0), strict=True):
        policy = side.live_agent.policy
        policy.load_weights({name: strength * weights for name, weights in policy.weights().items()})


def test_the_same_agent_twice_plays_the_same_game_twice(pair):
    pair.start(7)
    for _ in range(40):
        moment = pair.step(None)
        np.testing.assert_array_equal(*moment.pictures)
        assert moment.score[0] == moment.score[1] == moment.length[1]
    assert moment.decision.actions.shape == (2,) and moment.decision.value[0] == moment.decision.value[1]


def test_who_ends_first_waits_and_the_next_episode_begins_for_both_from_one_seed(pair):
    weaken(pair)
    moments = [pair.start(7)]
    while len(moments) < 700 and sum(len(m.episodes) for m in moments) < 2:
        moments.append(pair.step(None))
    first = next(i for i, moment in enumerate(moments) if moment.episodes)
    lost = moments[first]
    assert lost.score[1] == lost.episodes[0].score < moments[-1].score[0]
    for moment in moments[first:]:  # its last picture stands, with its return
        np.testing.assert_array_equal(moment.pictures[1], lost.pictures[1])
        assert moment.score[1] == lost.score[1]
    assert [m.score[0] for m in moments] == list(range(len(moments))), "the left one went on"
    begun = pair.step(None)
    np.testing.assert_array_equal(*begun.pictures)
    assert (begun.score == 0).all() and (begun.length == 0).all() and not begun.episodes
    assert not np.array_equal(begun.pictures[0], moments[0].pictures[0]), "from another seed"


def test_the_charts_have_a_line_for_each(pair):
    weaken(pair)
    history = History(pair.steps_per_second)
    history.append(pair.start(7))
    for _ in range(60):
        history.append(pair.step(None))
    view = history.view()
    assert view.value[-1] == view.moment.decision.value[0] and view.rival_value[-1] == 0.0
    assert view.score[-1] > view.rival_score[-1] == view.moment.score[1]
    assert view.moment.names == pair.names == ("the scene's own", "cartpole-ppo")
    facts = Facts.of(pair)
    assert not facts.played and {"worlds", "events", "pair"} <= facts.abilities
    assert Ability.EPISODE not in pair.abilities and frames_per_step(pair) == 1
    assert not pair.touch(Gesture("person", on=True)).redraw and not pair._sides[0]._person


def test_both_stand_side_by_side_with_their_names(pair, monkeypatch):
    from sim.viewer.app.viewer import Viewer
    from sim.viewer.draw.theme import Ink

    written, write = [], Ink.write
    monkeypatch.setattr(
        Ink,
        "write",
        lambda self, surface, text, *a, **k: (written.append(text), write(self, surface, text, *a, **k))[1],
    )
    viewer = Viewer(pair, size=(1280, 500), seed=7, headless=True)
    viewer.open()
    for _ in range(3):
        while not viewer.advance():
            pass
        picture = viewer.draw()
    viewer.close()
    assert viewer.choices.grid and {"the scene's own", "cartpole-ppo"} <= {*written}
    assert any(text.startswith("left · ") for text in written)
    pixels = pygame.surfarray.array3d(picture)
    assert all((pixels == color).all(axis=2).any() for color in PAIR)


def test_agents_are_told_apart_by_training_or_folder():
    assert names_of("1 k steps", "2 k steps", (None, Path("x"))) == ("1 k steps", "2 k steps")
    same = names_of("1 k steps", "1 k steps", (Path("a/checkpoints/10"), Path("b/checkpoints/10")))
    assert same == ("a · 10", "b · 10")


def test_decisions_are_joined_where_both_have_them():
    left = Decision(np.array([1]), probabilities=np.array([[0.2, 0.8]]), value=np.array([3.0]))
    right = Decision(np.array([0]), probabilities=np.array([[0.6, 0.4]]))
    found = joined(left, right)
    assert found.actions.tolist() == [1, 0] and found.value is None and found.q_values is None
    np.testing.assert_array_equal(found.probabilities, [[0.2, 0.8], [0.6, 0.4]])
    assert joined(left, None) is None


def test_what_has_no_agent_has_no_pair(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('title = "Own"\n[world]\nuse = "gym/CartPole-v1"\n')
    with pytest.raises(SceneError, match="own has no agent"):
        PairShow(load_scene(str(file)), (None, CARTPOLE), device="cpu")


def test_the_command_line_puts_two_side_by_side(capsys):
    two = ["watch", "cartpole", "--headless", "--frames", "5", "--beside", str(CARTPOLE), "--json"]
    assert main(two) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["frames"] == 5
    for wrong, told in (
        (
            ["watch", "cartpole", "--beside", str(CARTPOLE), "--run", "runs/x"],
            "--beside puts two checkpoints",
        ),
        (["watch", "digits-gan", "--headless", "--frames", "2", "--beside", "x"], "digits-gan has no world"),
        (["watch", "cartpole", "--headless", "--frames", "2", "--beside", "nowhere"], "nowhere"),
        ([*two[:5], "--beside", str(CARTPOLE), "--record", "x.pfr"], "only games and robots"),
    ):
        assert main(wrong) == 2
        assert told in capsys.readouterr().err
