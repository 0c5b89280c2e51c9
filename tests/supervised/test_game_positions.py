"""Recorded games as training positions: equal to the rules' own observations, split by game."""

from __future__ import annotations

import lzma

import chess
import numpy as np
import pytest

from sim.chess.rules import ChessGame
from supervised.data.sources.chess_games.game_records import GameRecord
from supervised.data.sources.chess_games.position_batch import planes
from supervised.data.sources.chess_games.replay import board_of, boards_of, replay
from supervised.data.sources.chess_games.shards import ShardWriter, open_shards
from supervised.data.sources.game_positions import GamePositions, game_positions, hashed
from supervised.data.sources.master_games import SAMPLE
from supervised.data.sources.splits import DataError

#: Both sides castle, one takes en passant, one promotes to a knight while taking; and repetitions.
GAMES = {
    "castling": "e4 e5 Nf3 Nc6 Bc4 Bc5 O-O d6 d3 Bg4 c3 Qd7 Nbd2 O-O-O Re1 f6 1-0",
    "en passant": "e4 c5 e5 d5 exd6 e5 Nf3 f5 d4 e4 dxc5 Bxd6 cxd6 b5 a4 b4 c4 bxc3 1-0",
    "promotion": "a4 b5 axb5 a6 bxa6 Bb7 a7 Bc6 axb8=N Rxb8 h4 g5 hxg5 h6 gxh6 Bg7 hxg7 Nf6 gxh8=Q+ Ng8 0-1",
    "black promotes": "a3 h5 Ra2 h4 Ra1 h3 Ra2 hxg2 Ra1 gxh1=R Ra2 Rxg1 Ra1 Rg5 Ra2 0-1",
    "repetition": "Nf3 Nf6 Ng1 Ng8 Nf3 Nf6 e4 Ng8 Ng1 e5 Nf3 Nf6 Ng1 Ng8 Nf3 d5 1/2-1/2",
    "rights lost": "e4 e5 Ke2 Ke7 Ke1 Ke8 Ke2 Ke7 Ke1 Ke8 a3 a6 Ra2 Ra7 Ra1 Ra8 1/2-1/2",
}


def shards_of(folder, *games):
    folder.mkdir()
    writer = ShardWriter(folder, most=40)  # so that there are several
    for moves in games:
        *words, result = moves.split()
        writer.add(replay(GameRecord(tuple(words), result)))
    writer.close({"sources": []})
    return open_shards(folder)


@pytest.mark.parametrize("history", [1, 3, 8])
def test_batches_are_what_the_rules_observe_ply_by_ply(tmp_path, history):
    shards = shards_of(tmp_path / "x", *GAMES.values())
    assert len(shards.positions) > 1
    examples = GamePositions(shards, np.arange(len(GAMES)), history=history)
    games, moves = [], []
    for text in GAMES.values():
        game = ChessGame(history=history)
        for word in text.split()[:-1]:
            games.append(game)
            moves.append(game.board.parse_san(word).uci())
            game = game.play(game.action(moves[-1]))
    assert len(examples) == len(games)
    order = np.random.default_rng(0).permutation(len(games))
    batch = examples.batch(order, np.random.default_rng(0))
    obs = ChessGame.observe(games)
    assert np.array_equal(batch["obs"], obs[order]) and batch["obs"].dtype == np.uint8
    assert obs[:, 12].any() and obs[:, -5:-1].min() == 0, "repetitions and lost rights must occur"
    for row, place in enumerate(order):
        legal = games[place].legal_actions()
        assert np.array_equal(batch["legal"][row][batch["mask"][row]], legal)
        assert not batch["policy"][row][~batch["mask"][row]].any() and batch["policy"][row].sum() == 1
        played = games[place].action(moves[place])
        assert batch["legal"][row][batch["policy"][row].argmax()] == played == batch["played"][row]
    assert batch["legal"].shape[1] % 32 == 0


def test_shipped_games_are_what_the_rules_observe(tmp_path):
    texts = lzma.open(SAMPLE, "rt").read().splitlines()[:5000:1700]
    shards = shards_of(tmp_path / "x", *texts)
    batch = GamePositions(shards, np.arange(len(texts)), history=8).batch(
        np.arange(len(np.concatenate(shards.positions))), np.random.default_rng(0)
    )
    row = 0
    for text in texts:
        game = ChessGame()
        for word in text.split()[:-1]:
            assert np.array_equal(batch["obs"][row], ChessGame.observe([game])[0])
            game = game.play(game.action(game.board.parse_san(word).uci()))
            row += 1
    assert row == len(batch["obs"])


def test_the_third_occurrence_is_marked_and_ends_the_game():
    words = ("Nf3 Nf6 Ng1 Ng8 " * 3).split()
    found = replay(GameRecord(tuple(words), "1/2-1/2"))
    assert found.positions["occurred"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.cut, "the rules end it when the first position stands for the third time"
    assert not replay(GameRecord(tuple(words[:8]), "1/2-1/2")).cut


def test_boards_come_out_as_they_went_in():
    board = chess.Board()
    words = GAMES["en passant"].split()[:-1]
    positions = replay(GameRecord(tuple(words))).positions
    for word, found in zip(words, boards_of(positions), strict=True):
        assert found.fen(en_passant="fen") == board.fen(en_passant="fen") and found.is_valid()
        board.push_san(word)
    assert board_of(positions[4]).ep_square == chess.D6


def test_values_are_the_movers(tmp_path):
    shards = shards_of(tmp_path / "x", "e4 e5 1-0", "d4 d5 0-1", "c4 c5 1/2-1/2", "f4 f5 *")
    batch = GamePositions(shards, np.arange(4), history=1).batch(np.arange(8), np.random.default_rng(0))
    win, draw, loss, none = [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]
    assert batch["wdl"].tolist() == [win, loss, loss, win, draw, draw, none, none]
    assert batch["weight"].tolist() == [1] * 6 + [0] * 2


def test_planes_ignore_what_stands_before_the_game():
    positions = replay(GameRecord(("e4", "e5", "Nf3"))).positions
    window = positions[[2, 1, 0]][None]
    assert not planes(window, np.array([1]))[0, 14:42].any()
    assert planes(window, np.array([2]))[0, 14:28].any()


def lines_of(count):
    return lzma.open(SAMPLE, "rt").read().splitlines()[:count]


@pytest.fixture(scope="module")
def two_files(tmp_path_factory):
    """Splits of 60 games, and of the same with 40 more in another order."""
    folder = tmp_path_factory.mktemp("games")
    lines = lines_of(100)
    (folder / "few.san").write_text("\n".join([*lines[:60], lines[3]]))
    (folder / "more.san").write_text("\n".join(lines[::-1]))
    return [game_positions(folder / name, history=2, most=0, seed=3) for name in ("few.san", "more.san")]


def keys(part):
    return set(part.shards.games["key"][part.games].tolist())


def test_no_game_is_in_two_parts_and_more_games_move_none(two_files):
    few, more = two_files
    parts = [[keys(part) for part in (s.train, s.validation, s.test)] for s in two_files]
    for own in parts:
        assert sum(map(len, own)) == len(set.union(*own)) and all(own)
    assert [len(set.union(*own)) for own in parts] == [60, 100]
    assert all(a <= b for a, b in zip(*parts, strict=True))
    assert few.skipped == ("1 game with the moves of another",) and more.skipped == ()
    assert few.source.name == "few.san" and len(few.source.sha256) == 64


def test_most_and_every_choose_by_hash(two_files, tmp_path):
    (tmp_path / "few.san").write_text("\n".join(lines_of(60)))
    whole = game_positions(tmp_path / "few.san", history=1, most=0, seed=5)
    some = game_positions(tmp_path / "few.san", history=1, most=55, seed=5, every=8)
    assert keys(some.train) < keys(whole.train)
    game, ply = some.train.locate(np.arange(len(some.train)))
    for number in some.train.games:
        own = ply[game == number]
        plies = some.train.shards.games["plies"][number]
        assert (np.diff(own) == 8).all() and own[0] < 8 and own[-1] >= plies - 8
    assert len({int(ply[game == number][0]) for number in some.train.games}) > 1


def test_hashes_are_even_and_differ_by_purpose():
    found = hashed(np.arange(10_000, dtype=np.uint64), 1, "split") / 2.0**64
    assert abs(found.mean() - 0.5) < 0.02 and abs((found < 0.05).mean() - 0.05) < 0.01
    other = hashed(np.arange(10_000, dtype=np.uint64), 1, "ply") / 2.0**64
    assert abs(np.corrcoef(found, other)[0, 1]) < 0.05


def test_too_few_games_and_wrong_numbers_are_said(tmp_path):
    (tmp_path / "one.san").write_text("e4 e5 1-0")
    with pytest.raises(DataError, match="1 games are too few: at least 3"):
        game_positions(tmp_path / "one.san", history=1, most=0, seed=0)
    with pytest.raises(DataError, match="history must be at least 1, not 0"):
        game_positions(None, history=0, most=0, seed=0)
    with pytest.raises(DataError, match=r"no chess game that can be replayed: bad\.san, line 1: .*Ke9"):
        (tmp_path / "bad.san").write_text("Ke9 e5 1-0")
        game_positions(tmp_path / "bad.san", history=1, most=0, seed=0)
    with pytest.raises(DataError, match=r"no folder of chess positions \(data\.toml is missing\)"):
        game_positions(tmp_path, history=1, most=0, seed=0)


def test_a_cache_that_cannot_be_written_costs_the_time_to_replay(tmp_path, monkeypatch):
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path / "blocked"))
    (tmp_path / "x.san").write_text("e4 e5 1-0\nd4 d5 0-1\nc4 c5 1-0")
    splits = game_positions(tmp_path / "x.san", history=1, most=0, seed=0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [2, 2, 2]
