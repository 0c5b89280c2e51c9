"""Three men, solved: published counts, Bellman's equation, and a defence that cannot be bettered."""

from __future__ import annotations

from collections import Counter

import chess
import numpy as np
import pytest

from sim.catalog import make_worlds, world_config
from sim.chess.opponents import perfect_move
from sim.chess.rules.encoding import symmetries
from sim.chess.rules.game import ChessGame
from sim.chess.starts import can_end, random_by_distance, random_placement
from sim.chess.tablebase import DRAWN, solve
from sim.fields import FieldError

#: Moves to mate with Black to move, in positions that differ by more than a turn of the board:
#: Bain & van Hoff, "Chess (King-Rook vs. King)", UCI Machine Learning Repository, 1994. The first are drawn.
ROOK = (2796, 27, 78, 246, 81, 198, 471, 592, 683, 1433, 1712, 1985, 2854, 3597, 4194, 4553, 2166, 390)


def test_the_rook_mates_as_published():
    table = solve("r")
    squares = symmetries()[0]
    king, rook, bare = np.nonzero(table.legal)
    places = [(64 * row[king] + row[rook]) * 64 + row[bare] for row in squares]
    different = np.unique(np.min(places, axis=0))
    plies = table.black.ravel()[different]
    assert (plies[plies != DRAWN] % 2 == 0).all()
    counts = Counter(plies.tolist())
    assert tuple(counts[plies] for plies in (DRAWN, *range(0, 33, 2))) == ROOK


def test_the_longest_mates_take_ten_and_sixteen_moves():
    assert (solve("q").white.max(), solve("r").white.max()) == (19, 31)


@pytest.mark.parametrize("start", ["kqk", "krk"])
def test_every_position_is_one_ply_from_its_best_successor(start):
    generator = np.random.default_rng(0)
    table = solve(start[1])
    for _ in range(100):
        game = ChessGame(random_placement(start, generator, agent_first=True))
        game = game.play(int(generator.choice(game.legal_actions()))) if generator.integers(2) else game
        plies = table.plies(game.board)
        after = [table.plies(game.play(int(action)).board) for action in game.legal_actions()]
        if game.outcome() is not None:
            assert plies == (0 if game.outcome() else None)
        elif game.to_play() == 0:
            assert plies == 1 + min(left for left in after if left is not None)
        else:
            assert plies == (None if None in after else 1 + max(after))


@pytest.mark.parametrize("start", ["kqk", "krk"])
def test_starts_by_distance_have_every_distance_equally_often(start):
    table, generator = solve(start[1]), np.random.default_rng(0)
    boards = [chess.Board(random_by_distance(start, generator, chess.WHITE)) for _ in range(500)]
    found = [table.plies(board) for board in boards]
    assert all(board.turn == (left % 2 == 1) for board, left in zip(boards, found, strict=True))
    plies, counts = np.unique(found, return_counts=True)
    assert plies.tolist() == list(range(1, table.black.max() + 1))
    assert counts.min() > 0.4 * 500 / len(plies) and counts.max() < 1.8 * 500 / len(plies)
    for fen in (random_by_distance(start, generator, chess.BLACK) for _ in range(40)):
        assert chess.Board(fen).turn == chess.BLACK or not can_end(ChessGame(fen))
    config = world_config(f"chess/{start}", {"by_distance": True})
    assert config.protocol()["fen"] == "random distance to mate"
    with pytest.raises(FieldError, match="by_distance needs a start that is solved"):
        world_config("chess", {"by_distance": True})


def test_colours_may_be_exchanged_and_other_pieces_are_refused():
    board = chess.Board("8/8/8/3k4/8/8/1Q6/K7 w - - 0 1")
    assert solve("q").plies(board) == solve("q").plies(board.mirror()) is not None
    assert solve("q").plies(chess.Board("8/8/8/3k4/8/8/8/K7 w - - 0 1")) is None
    for fen in ("8/8/8/3k4/8/8/1R6/K7 w - - 0 1", "8/8/8/3k1q2/8/8/1Q6/K7 w - - 0 1", chess.STARTING_FEN):
        with pytest.raises(ValueError, match="the table of KQ–K knows nothing of"):
            solve("q").plies(chess.Board(fen))


@pytest.mark.parametrize("start", ["kqk", "krk"])
def test_perfect_players_mate_in_exactly_as_many_plies_as_the_table_says(start):
    generator = np.random.default_rng(1)
    for _ in range(5):
        game = ChessGame(random_placement(start, generator, agent_first=True))
        plies = solve(start[1]).plies(game.board)
        for _ in range(plies):
            game = game.play(perfect_move(game, generator))
        assert game.reason == "checkmate"


def test_a_perfect_defence_takes_what_it_may():
    game = ChessGame("8/8/8/8/3k4/3Q4/8/7K b - - 0 1")
    assert game.san(perfect_move(game, np.random.default_rng(0))) == "Kxd3"


def test_it_sits_where_all_is_known_and_nowhere_else():
    worlds = make_worlds("chess/krk", 2, opponent="perfect")
    obs, info = worlds.reset(seed=0)
    obs, _, terminated, truncated, info = worlds.step(
        np.array([np.flatnonzero(m)[0] for m in info["action_mask"]])
    )
    assert not (terminated | truncated).any() and info["ply"].tolist() == [2, 2]
    assert list(world_config("chess/kqk", {}).rivals()) == ["random", "greedy", "perfect"]
    assert (
        list(world_config("chess", {}).rivals())
        == list(world_config("chess/kpk", {}).rivals())
        == ["random", "greedy"]
    )
    with pytest.raises(FieldError, match='opponent "perfect" plays chess/kqk and chess/krk only'):
        world_config("chess/kpk", {"opponent": "perfect"})
