"""The show of a scene: moments, exploration, waiting for a person, drawing on demand, saliency."""

import io
import itertools
from types import SimpleNamespace

import chess.pgn
import numpy as np
import pygame
import pytest
from step_counter import StepCounter

from scenes.schema import load_scene
from scenes.watching.labels import entropy, exploration, selection
from scenes.watching.playlist import playlist
from scenes.watching.scene_show import SceneShow
from sim.catalog import make_world
from sim.records import Decision
from sim.viewer.contract.gesture import Ability, Gesture, Interactive
from sim.viewer.contract.moment import Exploration, Readout
from sim.viewer.output.play_recorder import record_play, replay
from sim.walker.rendering.pictures import WalkerPictures


def staged(tmp_path, world, agent='[agent]\nuse = "random"', **options):
    file = tmp_path / "own.toml"
    file.write_text(f'title = "Own"\nseed = 0\n[world]\n{world}\n{agent}\n')
    return SceneShow(load_scene(str(file)), device="cpu", **options)


@pytest.fixture
def shows():
    opened = []
    yield opened
    for show in opened:
        show.close()


def test_a_policys_memory_is_reset_where_an_episode_ended(tmp_path, shows):
    show = staged(tmp_path, 'use = "gym/CartPole-v1"')
    shows.append(show)
    show.live_agent.policy = counter = StepCounter(show.worlds)
    show.start(0)
    ended = 0
    for _ in range(60):
        ended += len(show.step(None, drawn=False).episodes)
    assert ended >= 2 and counter.checked == 61 * show.num_worlds


def test_entropy_is_minus_the_sum_of_p_log_p():
    p = np.array([[0.5, 0.25, 0.25, 0.0]])
    assert entropy(p[0]) == pytest.approx(1.5 * np.log(2))
    decision = Decision(np.array([0]), p)
    found = exploration(None, decision, {"action_mask": np.array([[1, 1, 1, 0]], bool)}, greedy=False)
    assert found == Exploration(
        "policy entropy", pytest.approx(1.0397, abs=1e-4), pytest.approx(np.log(3)), "nats"
    )
    assert exploration(None, Decision(np.array([0])), {}, greedy=False) is None


def test_epsilon_is_that_of_the_policy_and_0_when_greedy():
    class Policy:
        class config:
            epsilon_play = 0.05

    decision = Decision(np.array([0]), q_values=np.zeros((1, 3)))
    assert exploration(Policy(), decision, {}, greedy=False) == Exploration("ε", 0.05, 1.0)
    assert exploration(Policy(), decision, {}, greedy=True).value == 0.0


@pytest.mark.parametrize(
    ("decision", "epsilon", "greedy", "words"),
    [
        (Decision(np.array([0]), np.ones((1, 2)) / 2), None, False, "sampled from the policy"),
        (Decision(np.array([0]), np.ones((1, 2)) / 2), None, True, "the most probable one"),
        (Decision(np.array([0]), q_values=np.zeros((1, 3))), 0.05, False, "ε-greedy"),
        (Decision(np.array([0]), q_values=np.zeros((1, 3))), 0.05, True, "greedy"),
        (Decision(np.array([0]), q_values=np.zeros((1, 3))), 0.0, False, "greedy"),
        (Decision(np.array([[0.5]])), None, False, ""),
        (None, None, False, ""),
    ],
)
def test_how_an_action_was_chosen_is_said(decision, epsilon, greedy, words):
    policy = SimpleNamespace(config=SimpleNamespace(epsilon_play=epsilon))
    assert selection(policy, decision, greedy=greedy) == words


def test_chess_names_only_legal_moves_the_chosen_one_among_them(tmp_path, shows):
    show = staged(tmp_path, 'use = "chess"')
    shows.append(show)
    moment = show.start(3)
    options = moment.options
    board = chess.Board()
    legal = {board.san(move) for move in board.legal_moves}
    assert {choice.name for choice in options.shown} <= legal and len(options.shown) + options.rest == 20
    (chosen,) = [choice.name for choice in options.shown if choice.chosen]
    assert options.measure == "probability" and options.shown[0].value == pytest.approx(0.05)
    show.step(None)
    assert show.worlds.renderers[0]._game.board.fullmove_number == 2
    game = chess.pgn.read_game(io.StringIO(show.touch(Gesture("save")).document[1]))
    assert game.next().san() == chosen
    assert isinstance(show, Interactive) and Ability.POINT in show.abilities


def test_without_an_agent_any_legal_move_is_played(tmp_path, shows):
    first_moves = set()
    show = staged(tmp_path, 'use = "chess"', agent="")
    shows.append(show)
    for seed in range(6):
        show.start(seed)
        show.step(None)
        pgn = show.touch(Gesture("save")).document[1]
        first_moves.add(chess.pgn.read_game(io.StringIO(pgn)).next().uci())
    assert len(first_moves) > 2  # action 0 would always be the same


def test_the_end_of_a_game_is_shown_before_the_next_begins(tmp_path, shows):
    show = staged(tmp_path, 'use = "chess"\nfen = "7k/5Q2/6K1/8/8/8/8/8 w - - 0 1"\nreward = "outcome"')
    shows.append(show)
    show.start(0)
    mate = show.worlds.renderers[0]._game.action("f7g7")
    ended = show.step(mate)
    assert ended.caption == "1–0, mate in 1 move" and ended.options.shown == ()
    assert ended.score[0] == 1.0 and ended.length[0] == 1 and ended.episodes[0].score == 1.0
    pgn = chess.pgn.read_game(io.StringIO(show.touch(Gesture("save")).document[1]))
    assert pgn.headers["Result"] == "1-0" and pgn.end().board().is_checkmate()
    begun = show.step(None)
    assert begun.caption == "" and begun.length[0] == 0 and begun.reward[0] == 0
    assert not np.array_equal(begun.pictures[0], ended.pictures[0])


def test_a_person_to_move_is_waited_for_only_where_worlds_take_turns(tmp_path, shows):
    board, pole = staged(tmp_path, 'use = "chess"'), staged(tmp_path, 'use = "gym/CartPole-v1"')
    shows += [board, pole]
    for show in (board, pole):
        assert not show.waits
        show.touch(Gesture("person", on=True))
    assert board.waits and not pole.waits
    board.touch(Gesture("person", on=False))
    assert not board.waits


def test_a_walker_says_what_it_does_and_turns(tmp_path, shows):
    show = staged(tmp_path, 'use = "walker/hopper"\nwidth = 96\nheight = 64')
    shows.append(show)
    moment = show.start(0)
    assert show.action_labels == ("thigh", "leg", "foot") and show.action_limit == 1.0
    assert {r.label: r.unit for r in moment.readouts} == {
        "speed": "m/s", "torso height": "m", "power": "W", "largest torque": "N·m", "ground force": "N"
    }  # fmt: skip
    assert moment.readouts[1].value == pytest.approx(1.25, abs=0.05)
    show.touch(Gesture("resize", 120, 80))
    assert show.look().pictures[0].shape == (80, 120, 3)
    before = show.look().pictures[0]
    show.touch(Gesture("orbit", 0.3, 0.0))
    turned = show.look().pictures[0]
    assert np.abs(turned.astype(int) - before).mean() > 1
    show.touch(Gesture("orbit", -0.3, 0.0))
    np.testing.assert_array_equal(show.look().pictures[0], before)
    show.touch(Gesture("zoom", 2.0))
    assert not np.array_equal(show.look().pictures[0], before)


def test_steps_that_nobody_looks_at_are_not_drawn_where_drawing_is_dear(tmp_path, shows):
    show = staged(tmp_path, 'use = "walker/hopper"\nwidth = 96\nheight = 64')
    shows.append(show)
    first = show.start(0)
    show.worlds.drawing_seconds = 1.0
    assert show.step(None, drawn=False).pictures is first.pictures
    assert show.step(None).pictures is not first.pictures


def test_the_programme_has_all_scenes_and_the_runs_checkpoints(tmp_path):
    for step in (100, 20):
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    scene = load_scene("cartpole")
    found = playlist(scene, device="cpu", run=tmp_path)
    assert found.scenes[found.scene].label == scene.title
    assert "Pong" in [entry.label for entry in found.scenes]
    assert [entry.label for entry in found.checkpoints()] == ["20", "100"] and found.checkpoint == "100"
    (tmp_path / "checkpoints" / "3000").mkdir()  # a run in progress
    assert len(found.checkpoints()) == 3
    assert playlist(scene, device="cpu").checkpoints() == []


def test_a_grid_of_robots_is_drawn_small_by_one_renderer_from_starts_of_their_own(
    tmp_path, shows, monkeypatch
):
    opened, make = [], WalkerPictures.__init__

    def spy(self, model, **how):
        opened.append(how)
        make(self, model, **how)

    monkeypatch.setattr(WalkerPictures, "__init__", spy)
    show = staged(tmp_path, 'use = "walker/hopper"\nnum_envs = 32')
    shows.append(show)
    assert show.num_worlds == 16
    for gesture in (Gesture("resize", 200, 160), Gesture("tile", 48, 36)):
        show.touch(gesture)
    moment = show.start(0)
    assert {picture.shape for picture in moment.pictures[1:]} == {(36, 48, 3)}
    assert moment.pictures[0].shape == (160, 200, 3)
    show.touch(Gesture("grid", on=True))
    seen = show.look().pictures
    assert {picture.shape for picture in seen} == {(36, 48, 3)}
    assert opened == [{}, {"sketch": True}], "one for the picture, one for all small ones"
    for _ in range(20):
        seen = show.step(None).pictures
    assert len({picture.tobytes() for picture in seen}) == 16
    assert len({tuple(world.unwrapped.simulation.qpos[0]) for world in show.worlds.envs}) == 16
    show.touch(Gesture("grid", on=False))
    assert show.look().pictures[0].shape == (160, 200, 3)


def test_other_worlds_are_drawn_when_they_are_looked_at_or_drawing_is_cheap(tmp_path, shows):
    show = staged(tmp_path, 'use = "walker/hopper"\nwidth = 96\nheight = 64\nnum_envs = 3')
    shows.append(show)
    first = show.start(0)
    draw, drawn = show.worlds.renderers[0].draw, []

    def noted():
        drawn.append(0)
        return draw()

    show.worlds.renderers[0].draw, show.worlds.clock = noted, itertools.count().__next__
    alone = show.step(None)
    assert alone.pictures[1] is first.pictures[1] and len(drawn) == 1
    assert show.touch(Gesture("grid", on=True)).redraw
    seen = show.look().pictures[1]
    assert seen is not first.pictures[1]
    show.touch(Gesture("grid", on=False))
    show.worlds.clock = lambda: 0.0
    assert show.step(None).pictures[1] is not seen, "drawn in no time"


def test_closing_a_world_that_draws_with_pygame_leaves_the_window_alone(tmp_path):
    pygame.font.init()
    show = staged(tmp_path, 'use = "gym/CartPole-v1"')
    show.start(0)
    show.close()
    assert pygame.font.get_init()


SMALL = '[agent]\nuse = "ppo"\nnetwork = "small"\nnum_steps = 2\nminibatch_size = 2'


def test_explaining_changes_nothing_that_is_played(tmp_path, shows):
    """Neither weights nor random numbers: the same game, step for step, whether or not anybody asks."""
    games = []
    for asked in (False, True):
        show = staged(tmp_path, 'use = "atari/pong"', agent=SMALL)
        shows.append(show)
        moments = [show.start(7)]
        for _ in range(5):
            if asked:
                maps = moments[-1].attribution(False)
                assert maps.shape == (2, 84, 84) and np.isfinite(maps).all()
            moments.append(show.step(None))
        games.append(moments)
    for plain, explained in zip(*games, strict=True):
        np.testing.assert_array_equal(plain.decision.probabilities, explained.decision.probabilities)
        np.testing.assert_array_equal(plain.decision.actions, explained.decision.actions)
        np.testing.assert_array_equal(plain.pictures[0], explained.pictures[0])
    np.testing.assert_array_equal(
        games[0][3].attribution(False), games[1][3].attribution(False)
    )  # of the past, too


def test_only_agents_that_look_at_pictures_and_learn_are_explained(tmp_path, shows):
    pictures = staged(tmp_path, 'use = "atari/pong"', agent=SMALL)
    chance = staged(tmp_path, 'use = "atari/pong"')
    numbers = staged(tmp_path, 'use = "gym/CartPole-v1"', agent=SMALL.replace("small", "mlp"))
    board = staged(tmp_path, 'use = "chess"', agent=SMALL.replace("small", "board"))
    shows += [pictures, chance, numbers, board]
    assert [Ability.SALIENCY in show.abilities for show in shows] == [True, False, False, False]
    assert numbers.start(0).attribution is None and pictures.start(0).attribution is not None


def test_a_person_plays_without_sticky_actions_and_the_record_says_where(tmp_path, shows):
    show = record_play(staged(tmp_path, 'use = "atari/breakout"', most_worlds=1), 0)
    shows.append(show)
    world = show.worlds.envs[0].unwrapped
    show.start(0)
    fair = []
    for step in range(3_000):
        if step in (20, 80):
            show.touch(Gesture("person", on=step == 20))
            assert world.sticky_actions == (step == 80)
        person = 1 if 20 <= step < 80 else None  # FIRE
        moment = show.step(person)
        fair.append(person is not None)
        assert (Readout("sticky actions", "off while you play") in moment.readouts) == fair[-1]
        if show.played:
            break
    (played,) = show.played
    assert played.fair == played.person == fair and len(fair) > 100
    episodes = []
    again = make_world("atari/breakout", seed=5)
    replay(played, again, SimpleNamespace(add=episodes.append))
    told = [bool(sticky) for sticky in episodes[0].scalars["sticky_actions"]]
    assert [not sticky for sticky in told[1:]] == fair and told[0]


def test_it_is_told_who_is_who_for_three_seconds_after_a_hand_over(tmp_path, shows):
    show = staged(tmp_path, 'use = "atari/pong"', most_worlds=1)
    shows.append(show)
    show.start(0)
    assert all(not show.step(2).roles for _ in range(3))
    for on, own in ((True, "YOU"), (False, "AGENT")):
        show.touch(Gesture("person", on=on))
        moments = [show.step(2 if on else None) for _ in range(60)]
        named = [{role.name for role in moment.roles} for moment in moments]
        assert {own, "OPPONENT"} in named[:45] and all(own in names for names in named[30:45])
        assert not any(named[45:])
    last = show.step(None)
    show.touch(Gesture("person", on=True))
    found, truth = show.step(0).roles, show.worlds.envs[0].unwrapped.truth()
    boxes = dict(zip(truth.labels, truth.boxes.tolist(), strict=True))
    assert not last.roles and {role.name: list(role.box) for role in found} == {
        name: boxes[label] for name, label in (("YOU", "player"), ("OPPONENT", "enemy")) if label in boxes
    }
