"""A game in xboard, on a display of its own, between two engines of `playfield uci`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import chess.pgn
import pytest

XBOARD = shutil.which("xboard") or shutil.which("xboard", path="/usr/games")
ADAPTER = Path(__file__).with_name("xboard_adapter.py")
ENGINE = [
    sys.executable,
    "-c",
    "from scenes.cli.main import entry; entry()",
    "uci",
    "chess-kqk",
    "--device",
    "cpu",
]
START = "8/8/8/4k3/8/8/8/KQ6 w - - 0 1"


@pytest.fixture
def display():
    """The name of a display that nobody sees."""
    if XBOARD is None or shutil.which("Xvfb") is None:
        pytest.skip("xboard and Xvfb are not installed")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x768x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        name = f":{told.readline().strip()}"
    yield name
    server.terminate()
    server.wait(30)


@pytest.mark.slow
def test_xboard_plays_a_game_to_mate_on_the_clock(display, tmp_path):
    position, pgn = tmp_path / "start.fen", tmp_path / "game.pgn"
    position.write_text(f"{START}\n")
    engine = shlex.join([sys.executable, str(ADAPTER), *ENGINE])
    done = subprocess.run(
        [
            *(XBOARD, "-fcp", engine, "-scp", engine, "-mg", "1", "-tc", "0:20", "-inc", "0.1"),
            *("-lpf", str(position), "-sgf", str(pgn), "-autoCallFlag", "true"),
            *("-popupExitMessage", "false", "-popupMoveErrors", "false"),
        ],
        env=os.environ | {"DISPLAY": display},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=400,
    )
    assert done.returncode == 0
    with pgn.open() as file:
        game = chess.pgn.read_game(file)
    assert game is not None and not game.errors
    assert game.headers["Result"] == "1-0" and game.headers["FEN"] == START
    assert game.end().board().is_checkmate()
