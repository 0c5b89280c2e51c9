"""Labels by a UCI engine: what they become in a batch, resumed work, and engines that fail."""

from __future__ import annotations

import shutil
import sys

import chess
import numpy as np
import pytest
from filelock import FileLock

from sim.chess.rules.encoding import action_of
from supervised.data.sources.chess_games import stockfish_labels, uci_analysis
from supervised.data.sources.chess_games.game_positions import GamePositions
from supervised.data.sources.chess_games.game_records import GameRecord
from supervised.data.sources.chess_games.labels import label_dtype, label_file, read_labels
from supervised.data.sources.chess_games.replay import replay
from supervised.data.sources.chess_games.shards import LOCK, ShardWriter, open_shards, stray_file
from supervised.data.sources.chess_games.stockfish_labels import (
    LabellingFailed,
    LabelOptions,
    LabelRequestError,
    label,
)
from supervised.data.sources.splits import DataError

#: An engine that says of any position that the mover wins 6 times in 10, ranks moves by their names, and
#: keeps a log; it obeys its second argument in positions with a black pawn on e5.
ENGINE = """
import sys, time, chess
log, fault = sys.argv[1:]
ranked, board = 1, None
for line in sys.stdin:
    words = line.split()
    if words[0] == "uci":
        print("id name Fake 1\\noption name MultiPV type spin default 1\\nuciok")
    elif words[:3] == ["setoption", "name", "MultiPV"]:
        ranked = int(words[-1])
    elif words[0] == "isready":
        print("readyok")
    elif words[0] == "position":
        board = chess.Board(" ".join(words[2:]))
    elif words[0] == "go":
        assert words == ["go", "nodes", "7"]
        open(log, "a").write(board.fen() + "\\n")
        trouble = fault == "always" or board.piece_at(chess.E5) == chess.Piece.from_symbol("p")
        if trouble and fault in ("crash", "always"):
            sys.exit(1)
        if trouble and fault == "hang":
            time.sleep(60)
        moves = sorted(move.uci() for move in board.legal_moves)
        if trouble and fault == "illegal":
            moves[0] = "a1a1"
        print("info string NNUE")
        for rank, move in enumerate(moves[:ranked], 1):
            score = f"depth 1 multipv {rank} score cp {100 - 50 * rank}"
            print(f"info {score} upperbound wdl 0 0 1000 nodes 7 pv h8h7")
            if trouble and fault == "silent":
                continue
            print(f"info {score} wdl 600 300 100 nodes 7 pv {move} h8h7")
        print("bestmove", moves[0], "ponder a1a1")
    sys.stdout.flush()
"""


@pytest.fixture
def engine(tmp_path):
    """A function that gives options with the fake engine."""
    (tmp_path / "engine.py").write_text(ENGINE)

    def options(fault="none", **fields):
        command = (sys.executable, "-S", "-c", START, str(tmp_path / "log"), fault)
        return LabelOptions(command, nodes=7, **fields)

    site = next(path for path in sys.path if path.endswith("site-packages"))
    START = f"import sys; sys.path.append({site!r}); exec(open({str(tmp_path / 'engine.py')!r}).read())"
    return options


@pytest.fixture
def folder(tmp_path):
    """Two games of four and three plies, in two shards; the second and third position have a pawn on e5."""
    (tmp_path / "d").mkdir()
    writer = ShardWriter(tmp_path / "d", most=4)
    writer.add(replay(GameRecord(("d4", "e5", "dxe5", "d6"), "0-1")))
    writer.add(replay(GameRecord(("c4", "c5", "b3"), "*")))
    writer.close({"sources": []})
    return tmp_path / "d"


def batch_of(folder):
    return GamePositions(open_shards(folder), np.arange(2), history=1).batch(
        np.arange(7), np.random.default_rng(0)
    )


def test_labels_become_the_targets(folder, engine):
    before = batch_of(folder)
    counts = label(open_shards(folder), engine(positions=4))
    assert (counts.labelled, counts.wanted, counts.skipped, counts.stopped) == (4, 4, 0, False)
    after, shards = batch_of(folder), open_shards(folder)
    labelled = np.zeros(7, bool)
    for start, part in zip((0, 4), shards.labels, strict=True):
        labelled[start + part.rows["index"]] = True
    assert labelled.sum() == 4
    for name in ("obs", "legal", "mask", "played"):
        assert np.array_equal(before[name], after[name])
    for name in ("policy", "wdl"):
        assert np.array_equal(before[name][~labelled], after[name][~labelled])
    assert np.allclose(after["wdl"][labelled], [0.6, 0.3, 0.1]) and (after["weight"][labelled] == 1).all()
    assert np.allclose(after["policy"].sum(1), 1)
    best = after["legal"][np.arange(7), after["policy"].argmax(1)]
    board = chess.Board()
    if labelled[0]:
        assert best[0] == action_of(chess.Move.from_uci("a2a3"), chess.WHITE)
    board.push_san("d4")
    if labelled[1]:
        assert best[1] == action_of(chess.Move.from_uci("a7a5"), chess.BLACK)
    assert labelled[0] or labelled[1]


def test_several_moves_are_ranked_by_a_softmax_of_their_scores(folder, engine):
    label(open_shards(folder), engine(multipv=2))
    batch = batch_of(folder)
    shares = np.sort(batch["policy"], 1)[:, :-3:-1]
    assert np.allclose(shares, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]] * 7)  # 50 centipawns apart
    assert open_shards(folder).card["labels"] == {
        "engine": "Fake 1",
        "nodes": 7,
        "multipv": 2,
        "temperature": 50.0,
        "seed": 0,
    }


def test_action_0_is_not_taken_for_the_padding(tmp_path, engine):
    (tmp_path / "a").mkdir()
    writer = ShardWriter(tmp_path / "a")
    writer.add(replay(GameRecord(("a4", "a5", "h3"), "1-0")))
    writer.close({"sources": []})
    label(open_shards(tmp_path / "a"), engine())
    batch = GamePositions(open_shards(tmp_path / "a"), np.arange(1), history=1).batch(
        np.array([2]), np.random.default_rng(0)
    )
    assert action_of(chess.Move.from_uci("a1a2"), chess.WHITE) == 0
    assert batch["policy"][0].tolist() == [1.0] + [0.0] * 31


def test_labelling_goes_on_where_it_was_killed(folder, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(stockfish_labels, "CHUNK", 2)
    counts = label(open_shards(folder), engine(), stopped=lambda: True)
    assert counts.stopped and counts.labelled == 2
    with label_file(folder, 0).open("ab") as file:
        file.write(b"torn")
    assert len(read_labels(label_file(folder, 0), 1)) == 2
    counts = label(open_shards(folder), engine())
    assert counts.labelled == counts.wanted == 7 and not counts.stopped
    assert [read_labels(label_file(folder, i), 1)["index"].tolist() for i in range(2)] == [
        [0, 1, 2, 3],
        [0, 1, 2],
    ]
    asked = (tmp_path / "log").read_text().splitlines()
    assert len(asked) == 7 and asked.count(chess.STARTING_FEN) == 2, "none but the first position"
    assert label_file(folder, 0).stat().st_size == 4 * label_dtype(1).itemsize
    label(open_shards(folder), engine())
    assert len((tmp_path / "log").read_text().splitlines()) == 7


@pytest.mark.parametrize("fault", ["crash", "illegal", "silent", "hang"])
def test_positions_at_which_the_engine_fails_are_skipped(folder, engine, fault, monkeypatch):
    monkeypatch.setattr(uci_analysis, "TIMEOUT", 1.0 if fault == "hang" else 10.0)
    counts = label(open_shards(folder), engine(fault, positions=7))
    assert (counts.labelled, counts.skipped) == (6, 1)
    assert read_labels(label_file(folder, 0), 1)["index"].tolist() == [0, 1, 3]


def test_an_engine_that_always_crashes_is_given_up(folder, engine):
    with pytest.raises(LabellingFailed, match="crashed 3 times in a row: Fake 1 ended"):
        label(open_shards(folder), engine("always"))


def test_other_labels_than_those_there_are_refused(folder, engine):
    label(open_shards(folder), engine(positions=1))
    with pytest.raises(LabelRequestError, match="has labels with multipv = 1, not 3"):
        label(open_shards(folder), engine(multipv=3))
    assert label(open_shards(folder), engine(positions=2)).wanted == 2, "more of the same can be had"


def test_what_is_no_engine_is_refused(folder):
    for command, message in (
        (("true",), "true ended: true is no UCI engine"),
        (("yes",), "yes writes without end"),
        (("cat", "/dev/zero"), "cat writes without end"),
        (("/no/such",), "/no/such does not start: No such file"),
    ):
        with pytest.raises(LabelRequestError, match=message):
            label(open_shards(folder), LabelOptions(command))
        assert "labels" not in open_shards(folder).card
    with pytest.raises(LabelRequestError, match="--nodes must be 1 to 1,000,000,000, not 0"):
        LabelOptions(("true",), nodes=0)
    with pytest.raises(LabelRequestError, match="--label-positions must be at least 1, not 0"):
        LabelOptions(("true",), positions=0)


def test_one_process_labels_a_folder_at_a_time(folder, engine):
    with FileLock(folder / LOCK), pytest.raises(LabelRequestError, match="is being labelled by another"):
        label(open_shards(folder), engine())
    assert label(open_shards(folder), engine()).labelled == 7 and not stray_file(folder)


def test_a_card_that_lost_its_labels_settings_is_refused(folder):
    (folder / "data.toml").write_text((folder / "data.toml").read_text() + "[labels]\nnodes = 3\n")
    with pytest.raises(DataError, match="does not say what its labels are"):
        open_shards(folder)


def test_the_choice_of_positions_is_even_and_grows():
    class Two:
        positions = (np.zeros(1000), np.zeros(500))

    def chosen(count):
        options = LabelOptions(("x",), positions=count)
        return [stockfish_labels.chosen_positions(Two, shard, options) for shard in range(2)]

    some, more = chosen(30), chosen(600)
    assert list(map(len, some)) == [20, 10] and list(map(len, more)) == [400, 200]
    assert all(set(a.tolist()) < set(b.tolist()) for a, b in zip(some, more, strict=True))
    assert sum(map(len, chosen(None))) == sum(map(len, chosen(10**9))) == 1500


STOCKFISH = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")


@pytest.mark.skipif(STOCKFISH is None, reason="stockfish is not installed")
def test_stockfish_finds_a_mate_and_knows_who_wins(tmp_path):
    (tmp_path / "d").mkdir()
    writer = ShardWriter(tmp_path / "d")
    writer.add(replay(GameRecord(("f3", "e5", "g4", "d5"), "1/2-1/2")))
    writer.close({"sources": []})
    label(open_shards(tmp_path / "d"), LabelOptions((STOCKFISH,), nodes=500, multipv=3))
    batch = GamePositions(open_shards(tmp_path / "d"), np.arange(1), history=1).batch(
        np.array([3]), np.random.default_rng(0)
    )
    assert batch["wdl"].tolist() == [[1, 0, 0]]
    best = batch["legal"][0, batch["policy"][0].argmax()]
    assert best == action_of(chess.Move.from_uci("d8h4"), chess.BLACK) and batch["policy"].max() > 0.99
