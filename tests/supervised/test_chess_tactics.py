"""Chess tactics: the positions that ship have the mates that they claim, and are found again."""

import lzma

import chess
import pytest

from sim.chess.mates import mates_in_one, mates_in_two
from supervised.data.sources import chess_tactics
from supervised.data.sources.chess_tactics import TACTICS, WANTED, find_tactics, tactics


def test_the_file_is_small_and_complete():
    assert TACTICS.stat().st_size <= 15_000
    for moves, count in WANTED.items():
        found = tactics(moves)
        assert len(found) == len({tactic.fen for tactic in found}) == count
        assert {tactic.moves for tactic in found} == {moves}


def test_every_mate_in_one_mates():
    for tactic in tactics(1):
        board = chess.Board(tactic.fen)
        assert board.is_valid()
        assert {move.uci() for move in mates_in_one(board)} == set(tactic.solutions) != set()


@pytest.mark.parametrize("part", range(10))
def test_every_mate_in_two_has_one_solution_and_no_mate_in_one(part):
    for tactic in tactics(2)[part::50]:
        board = chess.Board(tactic.fen)
        assert board.is_valid() and not mates_in_one(board)
        assert [move.uci() for move in mates_in_two(board)] == list(tactic.solutions)
        assert len(tactic.solutions) == 1


@pytest.mark.slow
def test_every_mate_in_two_is_one():
    for tactic in tactics(2):
        assert [move.uci() for move in mates_in_two(chess.Board(tactic.fen))] == list(tactic.solutions)


def test_they_are_found_in_games_and_in_games_played_on(monkeypatch):
    monkeypatch.setattr(chess_tactics, "WANTED", {1: 1, 2: 1})
    scholar = "e4 e5 Bc4 Nc6 Qh5 Nf6 Qxf7# 1-0"
    assert find_tactics([scholar])[1] == [
        "r1bqkb1r/pppp1ppp/2n2n2/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - dm 1; bm Qxf7#;"
    ]
    assert find_tactics(["e4 e5 1/2-1/2"]) == {1: [], 2: []}  # nobody has won: nobody mates
    resigned = scholar.replace(" Qxf7#", "")  # two greedy players go on from there
    assert find_tactics([resigned])[1] and find_tactics([resigned]) == find_tactics([resigned])


def test_the_file_is_reproduced(tmp_path, monkeypatch):
    monkeypatch.setattr(chess_tactics, "WANTED", {1: 3, 2: 1})
    for name in ("a", "b"):
        chess_tactics.write(tmp_path / name, most_games=40)
    lines = [lzma.decompress((tmp_path / name).read_bytes()) for name in ("a", "b")]
    assert lines[0] == lines[1] and lines[0].count(b"dm 1") >= 1
