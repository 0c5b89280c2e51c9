"""The greedy agent takes what is worth most, in chess; elsewhere it is refused."""

from __future__ import annotations

import numpy as np
import pytest

from agents.greedy import Greedy, GreedyError
from sim.catalog import make_worlds, world_config
from sim.chess.rules.game import ChessGame
from sim.conformance import check_policy


def player(world="chess", **fields):
    worlds = make_worlds(world, 2, seed=1, **fields)
    return Greedy().build(worlds.single_observation_space, worlds.single_action_space, seed=0), worlds


@pytest.mark.parametrize(
    ("fen", "best"),
    [
        ("4k3/8/8/1q1r4/2P5/8/8/4K3 w - - 0 1", {"c4b5"}),  # the queen, not the rook
        ("4k3/8/8/1r1r4/2P5/8/8/4K3 w - - 0 1", {"c4b5", "c4d5"}),
        ("4k3/8/8/2pP4/8/8/8/4K3 w - c6 0 1", {"d5c6"}),  # en passant
        ("1r2k3/P7/8/8/8/8/8/4K3 w - - 0 1", {f"a7b8{piece}" for piece in "qrbn"}),
        ("4k3/8/8/8/5n2/4n3/8/4K2B b - - 0 1", {None}),  # nothing to take: any legal move
    ],
)
def test_it_takes_the_most_valuable_piece(fen, best):
    agent, worlds = player()
    game = ChessGame(fen)
    legal = {game.board.lan(move): action for action, move in game.moves.items()}
    wanted = set(legal.values()) if best == {None} else {game.action(uci) for uci in best}
    for seed in range(30):
        agent.seed(seed)
        found = set()
        for info in ({"fen": np.array([fen] * 3)}, {"games": (game,) * 3}, {"fen": fen}):
            decision, _ = agent.act(worlds.reset()[0], info)
            found |= set(decision.actions.tolist())
        wanted_now = found <= wanted
        assert wanted_now, (found, wanted)


def test_ties_are_broken_by_chance():
    agent, worlds = player()
    game = ChessGame("4k3/8/8/1r1r4/2P5/8/8/4K3 w - - 0 1")
    actions = [int(agent.act(None, {"games": (game,)})[0].actions[0]) for _ in range(200)]
    counts = [actions.count(game.action(uci)) for uci in ("c4b5", "c4d5")]
    assert sum(counts) == 200 and min(counts) > 60


def test_it_keeps_every_promise_of_a_policy():
    agent, worlds = player(colour="random")
    check_policy(agent, worlds)


def test_it_takes_more_than_it_loses_against_random_play():
    agent, worlds = player(reward="capture")
    obs, info = worlds.reset()
    gained = np.zeros(2)
    for _ in range(40):
        obs, reward, _, _, info = worlds.step(agent.act(obs, info)[0].actions)
        gained += reward
    assert (gained > 10).all()


@pytest.mark.parametrize("world", ["gym/CartPole-v1", "gym/Pendulum-v1", "atari/pong"])
def test_worlds_that_cannot_tell_are_refused_by_name(world):
    worlds = make_worlds(world, 1)
    with pytest.raises(GreedyError, match=r"greedy plays chess only.*(Discrete|Box)"):
        Greedy().build(worlds.single_observation_space, worlds.single_action_space, seed=0)


def test_a_world_that_hides_its_position_is_refused():
    agent, _ = player()
    with pytest.raises(GreedyError, match='neither "games" nor "fen"'):
        agent.act(np.zeros((1, 119, 8, 8), np.uint8), {})


def test_it_can_sit_on_the_other_side():
    agent, _ = player()
    config = world_config("chess", {}).against(agent, "greedy agent")
    worlds = config.make_batch(2, 0)
    obs, info = worlds.reset()
    generator = np.random.default_rng(0)
    for _ in range(10):
        legal = [int(generator.choice(np.flatnonzero(row))) for row in info["action_mask"]]
        obs, _, _, truncated, info = worlds.step(np.array(legal))
        assert not truncated.any()  # a crash or an illegal reply would cut the game
