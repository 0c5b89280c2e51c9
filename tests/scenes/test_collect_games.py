"""`playfield collect chess --from FILE …`: its answer, what it refuses, and what an interruption leaves."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from scenes.build.agents import scene_agent
from scenes.cli.main import main
from scenes.collecting import recorded_games
from scenes.schema import load_scene
from sim.errors import RequestError
from supervised.data.sources.chess_games import stockfish_labels
from supervised.data.sources.chess_games.conversion import ConversionStopped
from supervised.data.sources.chess_games.game_positions import game_positions
from supervised.data.sources.chess_games.shards import ShardWriter

TAGS = '[Event "x"]\n[Result "1-0"]\n\n'
GAMES = [TAGS + f"1. {a} {b} 2. Nc3 1-0\n\n" for a in ("e4", "d4", "g3") for b in ("e5", "d5", "g6")]
BAD = TAGS + "1. e5 1-0\n\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.pgn").write_text("".join([*GAMES, BAD, GAMES[0]]))
    Path("b.san").write_text("c4 c5 0-1\nb3 b6 1/2-1/2\n")


def collect(capsys, *arguments, code=0):
    assert main(["collect", *arguments, "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out.splitlines()[-1]), captured.out + captured.err


def test_files_become_positions_to_learn_from(capsys):
    found, said = collect(capsys, "chess", "--from", "a.pgn", "b.san", "--from", "b.san", "--out", "d")
    assert (found["episodes"], found["steps"], found["path"]) == (11, 31, "d")
    assert (found["duplicates"], found["errors"]) == (1, 1)
    assert found["left_out"] == {"with an illegal move": 1}
    assert found["results"] == {"1-0": 9, "0-1": 1, "1/2-1/2": 1}
    assert "11 games, 31 positions in d" in said and "the first: a.pgn, line 46: a game with an illeg" in said
    splits = game_positions(Path("d"), history=1, most=0, seed=0)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 31
    assert splits.source.name == "a.pgn, b.san" and len(splits.source.sha256) == 64
    assert splits.skipped == ("1 game with the moves of another", "1 game with an illegal move")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pong", "--from", "a.pgn", "--out", "d"), "the scene pong has the world atari/pong: take chess"),
        (("translate", "--from", "a.pgn", "--out", "d"), "the scene translate has no world: take chess"),
        (("chess", "--from", "--out", "d"), "--from names no file"),
        (("chess", "--from", "none.pgn", "--out", "d"), "none.pgn cannot be read: no such file"),
        (("chess", "--from", "a.pgn", ".", "--out", "d"), "is a folder: a file of games is wanted"),
        (("chess", "--from", "a.pgn", "--out", "d", "--episodes", "3"), "--episodes is for recording"),
        (("chess", "--from", "a.pgn", "--out", "d", "--play"), "--play is for recording"),
        (("chess", "--from", "bad.pgn", "--out", "d"), "no game in bad.pgn can be used: bad.pgn, line 1: "),
        (("chess", "--from", "a.pgn", "--out", "full"), "full exists: choose another --out, or add --overw"),
        (("chess", "--from", "a.pgn", "--out", "full", "--overwrite"), "holds mine.txt, which is no part of"),
        (("chess", "--from", "a.pgn", "--out", "a.pgn"), "a.pgn exists and is no folder"),
    ],
)
def test_wrong_requests_are_refused_and_change_nothing(capsys, arguments, message):
    Path("bad.pgn").write_text(BAD)
    Path("full").mkdir()
    Path("full/mine.txt").touch()
    before = sorted(map(str, Path().rglob("*")))
    found, said = collect(capsys, *arguments, code=2)
    assert message in found["error"] and "Traceback" not in said
    assert sorted(map(str, Path().rglob("*"))) == before


def test_overwrite_replaces_a_folder_of_positions(capsys):
    collect(capsys, "chess", "--from", "a.pgn", "--out", "d")
    found, _ = collect(capsys, "chess", "--from", "b.san", "--out", "d", "--overwrite")
    assert found["episodes"] == 2 and len(game_positions_of("d")) == 2


def game_positions_of(folder):
    from supervised.data.sources.chess_games.shards import open_shards

    return open_shards(Path(folder)).games


def test_an_interruption_leaves_nothing(capsys, monkeypatch):
    def stopped(files, writer, **options):
        (writer.folder / "positions-0000.npy").touch()
        raise ConversionStopped

    monkeypatch.setattr(recorded_games, "convert", stopped)
    found, said = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", code=130)
    assert found["path"] is None and found["episodes"] == 0 and "interrupted; nothing was kept" in said
    assert {path.name for path in Path().iterdir()} == {"a.pgn", "b.san"}


def test_a_full_disk_leaves_what_was_there(capsys, monkeypatch):
    collect(capsys, "chess", "--from", "b.san", "--out", "d")

    def full(writer):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "_flush", full)
    found, _ = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", "--overwrite", code=1)
    assert "could not write d: the disk is full" in found["error"]
    assert len(game_positions_of("d")) == 2
    assert {path.name for path in Path().iterdir()} == {"a.pgn", "b.san", "d"}


def test_leftovers_of_a_killed_conversion_are_told(capsys):
    Path(".d.new-1").mkdir()
    _, said = collect(capsys, "chess", "--from", "b.san", "--out", "d")
    assert ".d.new-1 was left by a collect that was killed" in said and Path(".d.new-1").exists()


ENGINE = """#!/bin/sh
while read command rest; do
    case "$command" in
        uci) echo "id name Fake"; echo "option name MultiPV type spin"; echo uciok ;;
        isready) echo readyok ;;
        position) case "$rest" in *" w "*) move=a2a3 ;; *) move=a7a6 ;; esac ;;
        go) echo "info score cp 9 wdl 500 400 100 pv $move"; echo "bestmove $move" ;;
    esac
done
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine that wants to move the pawn on the a-file, in one process."""
    file = tmp_path / "engine"
    file.write_text(ENGINE)
    file.chmod(0o755)
    monkeypatch.setenv("STOCKFISH", str(file))
    monkeypatch.setattr(recorded_games, "processors", lambda: 1)
    return file


LABEL = ("--label", "stockfish")


def test_positions_are_labelled_with_the_games_or_later(capsys, engine):
    found, said = collect(
        capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, "--label-positions", "5", "--nodes", "3"
    )
    assert (found["episodes"], found["labels"], found["labels_skipped"]) == (9, 5, 0)
    assert "5 of 5 positions labelled in d" in said
    found, said = collect(capsys, "chess", "--out", "d", *LABEL, "--nodes", "3")
    assert (found["steps"], found["labels"]) == (27, 27)
    found, said = collect(
        capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, "--nodes", "3", "--resume"
    )
    assert (found["steps"], found["labels"]) == (27, 27)
    train = game_positions(Path("d"), history=1, most=0, seed=0).train
    assert np.allclose(train.batch(np.arange(2), np.random.default_rng(0))["wdl"], [[0.5, 0.4, 0.1]])


def test_an_interrupted_labelling_is_kept_and_goes_on(capsys, engine, monkeypatch):
    real = recorded_games.label
    with monkeypatch.context() as patch:
        patch.setattr(stockfish_labels, "CHUNK", 2)
        patch.setattr(recorded_games, "label", lambda *a, **k: real(*a, **k | {"stopped": lambda: True}))
        found, said = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, code=130)
    assert (found["path"], found["labels"]) == ("d", 2)
    assert "the labels so far are kept in d: go on with --resume" in said
    found, _ = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, "--resume")
    assert found["labels"] == 27


def test_an_engine_that_dies_says_what_is_kept(capsys, engine):
    engine.write_text(ENGINE.replace('*" w "*)', "*r*) exit ;; *)"))
    found, _ = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, code=1)
    assert "crashed 3 times in a row: Fake ended; the labels so far are kept in d" in found["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "a.pgn", "--nodes", "3"), "--nodes is for labels: add --label stockfish"),
        (("--from", "a.pgn", "--label-positions", "3"), "--label-positions is for labels"),
        (("--resume",), "--resume is for labels"),
        (("--from", "a.pgn", "--label", "maia"), '--label knows no engine "maia": take stockfish'),
        (("--from", "a.pgn", *LABEL, "--multipv", "0"), "--multipv must be 1 to 218, not 0"),
        (("--from", "a.pgn", *LABEL, "--steps", "9"), "--steps is for recording"),
        ((*LABEL,), "d is no folder of chess positions (data.toml is missing); make one: playfield collect"),
    ],
)
def test_wrong_label_options_are_refused(capsys, engine, arguments, message):
    found, said = collect(capsys, "chess", "--out", "d", *arguments, code=2)
    assert message in found["error"] and "Traceback" not in said and not Path("d").exists()


def test_labels_do_not_go_on_with_other_files_or_options(capsys, engine):
    collect(capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL)
    found, _ = collect(capsys, "chess", "--from", "b.san", "--out", "d", *LABEL, "--resume", code=2)
    assert "d was not made of these files" in found["error"]
    found, _ = collect(capsys, "chess", "--out", "d", *LABEL, "--multipv", "2", code=2)
    assert "d has labels with multipv = 1, not 2" in found["error"]


def test_a_missing_stockfish_is_said_with_the_line_that_installs_it(capsys, monkeypatch):
    monkeypatch.setenv("STOCKFISH", "/no/such")
    found, _ = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, code=2)
    assert "STOCKFISH=/no/such is no program that can be run: install it, by apt install" in found["error"]
    monkeypatch.delenv("STOCKFISH")
    monkeypatch.setattr("shutil.which", lambda name: None)
    found, _ = collect(capsys, "chess", "--from", "a.pgn", "--out", "d", *LABEL, code=2)
    assert "stockfish is not installed: install it, by apt install stockfish" in found["error"]
    assert not Path("d").exists()


def test_an_agents_data_are_found_beside_its_scene_or_refused(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "Mine"\n[world]\nuse = "chess"\n[agent]\nuse = "imitation"\ndata = "games.san"\n'
        "[train]\nupdates = 1\n"
    )
    with pytest.raises(RequestError, match="there is no file or folder games.san"):
        scene_agent(load_scene(str(file)))
    (tmp_path / "games.san").write_text("e4 e5 1-0\n")
    assert scene_agent(load_scene(str(file))).data == str(tmp_path / "games.san")
    assert scene_agent(load_scene(str(file), ["agent.data=master-games"])).data == "master-games"
