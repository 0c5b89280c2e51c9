"""Play-outs: resigned games reach mate and keep their key, others stay as they are."""

from __future__ import annotations

import shutil

import chess
import numpy as np
import pytest

from sim.chess.rules.encoding import action_of, move_of
from supervised.data.sources.chess_games import play_out
from supervised.data.sources.chess_games.game_records import GameRecord
from supervised.data.sources.chess_games.labels import label_dtype
from supervised.data.sources.chess_games.play_out import PlayOut, PlayOutOptions
from supervised.data.sources.chess_games.replay import board_of, replay
from supervised.data.sources.chess_games.uci_analysis import EngineCrash

RESIGNED = ("f3", "e5", "g4")  # Qh4# would follow


class Oracle:
    """An engine that mates where it can, and finds any position as won as it is told."""

    def __init__(self, wins=900):
        self.wins, self.asked = wins, 0

    def label(self, position, index):
        self.asked += 1
        board = board_of(position)
        best = min(board.legal_moves, key=lambda move: (not mates(board, move), move.uci()))
        label = np.zeros(1, label_dtype(1))
        label["wdl"], label["actions"] = (self.wins, 0, 1000 - self.wins), action_of(best, board.turn)
        return label

    def close(self):
        pass


def mates(board, move):
    after = board.copy()
    after.push(move)
    return after.is_checkmate()


def player(monkeypatch, engine):
    monkeypatch.setattr(play_out, "AnalysisEngine", lambda command, limits: engine)
    return PlayOut(PlayOutOptions(("engine",)))


def game(result="0-1", moves=RESIGNED):
    return replay(GameRecord(moves=moves, result=result))


def test_a_resigned_game_is_played_on_to_mate(monkeypatch):
    before = game()
    after = player(monkeypatch, Oracle()).extended(before)
    assert len(after.positions) == 4 and after.key == before.key and after.result == before.result
    np.testing.assert_array_equal(after.positions[:3], before.positions)
    board = board_of(after.positions[-1])
    board.push(move_of(int(after.positions[-1]["action"]), board))
    assert board.is_checkmate() and board.turn == chess.WHITE


@pytest.mark.parametrize(
    ("result", "moves", "wins"),
    [
        ("1/2-1/2", RESIGNED, 900),  # a draw
        ("0-1", RESIGNED, 400),  # the engine does not see it won
        ("1-0", RESIGNED, 100),  # the other side mates
        ("0-1", (*RESIGNED, "Qh4#"), 900),  # it is over
    ],
)
def test_other_games_stay_as_they_are(monkeypatch, result, moves, wins):
    assert player(monkeypatch, Oracle(wins)).extended(game(result, moves)) is None


def test_a_game_at_which_the_engine_crashes_stays_as_it_is(monkeypatch):
    class Crashing(Oracle):
        def label(self, position, index):
            raise EngineCrash("gone")

    assert player(monkeypatch, Crashing()).extended(game()) is None


@pytest.mark.skipif(
    shutil.which("stockfish", path="/usr/games:/usr/bin:/usr/local/bin") is None, reason="no Stockfish"
)
def test_stockfish_finishes_a_won_game():
    engine = shutil.which("stockfish", path="/usr/games:/usr/bin:/usr/local/bin")
    finisher = PlayOut(PlayOutOptions((engine,), nodes=200))
    found = finisher.extended(game())
    finisher.close()
    assert len(found.positions) == 4
