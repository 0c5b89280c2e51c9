"""Search on the fast rules core is search on python-chess's, to the bit."""

import numpy as np
import pytest

from agents.alphazero.train import AlphaZero
from sim.catalog import make_worlds
from sim.chess.rules import ChessGame

pytest.importorskip("rust_chess", reason='needs rust-chess: python -m pip install "playfield[chess-fast]"')


def game_after(fen, *moves):
    game = ChessGame(fen, 2)
    for uci in moves:
        game = game.play(game.action(uci))
    return game


def games_to_search():
    """Positions where a repetition, the fifty moves, mates, promotions and dead positions are in reach."""
    shuffle = ["g1g2", "c6c5", "g2g1", "c5c6"]
    queen = "8/8/2k5/8/8/4K3/8/6Q1 w - - 0 1"
    return (
        game_after(queen, *shuffle, *shuffle[:3]),
        game_after("6k1/5ppp/8/8/8/8/8/R6K w - - 0 1"),
        game_after("7k/P7/8/8/8/8/7p/K7 w - - 96 200"),
        game_after("8/8/8/4k3/4p3/8/3P4/4K3 w - - 0 1"),
    )


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_decisions_are_equal_on_both_cores(monkeypatch, search):
    worlds = make_worlds("chess", 1, history=2)
    config = AlphaZero(network="board32", precision="float32", num_simulations=32, search=search)
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    games = games_to_search()
    fast = tuple(game.for_search() for game in games)
    assert not any(isinstance(game, ChessGame) for game in fast)
    monkeypatch.setattr(ChessGame, "for_search", lambda game: game)
    found = []
    for positions in (games, fast):
        agent.seed(3)
        info = {"action_mask": np.ones((len(games), 4672), bool), "games": positions}
        decision, _ = agent.act(ChessGame.observe(games), info)
        found.append(decision)
    slow, quick = found
    np.testing.assert_array_equal(quick.actions, slow.actions)
    np.testing.assert_array_equal(quick.visits, slow.visits)
    np.testing.assert_array_equal(quick.value, slow.value)
    assert len(set(np.unique(slow.visits))) > 3, "the searches went somewhere"
