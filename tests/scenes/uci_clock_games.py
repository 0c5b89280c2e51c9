"""Games of `playfield uci` against itself on real clocks: does it ever lose on time?

python tests/scenes/uci_clock_games.py --games 100 --seconds 5 --increment 0.05 --scene chess-kqk
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import chess
import chess.engine

PLAYFIELD = [sys.executable, "-c", "from scenes.cli.main import entry; entry()"]


@dataclass(frozen=True)
class ClockGame:
    """A game on the clock.

    Attributes:
        plies: that were played.
        least: seconds on either clock when it was lowest, after a move and before its increment.
    """

    plies: int
    least: float


def engine(scene: str) -> chess.engine.SimpleEngine:
    """The engine of a scene, which draws its moves, so that no two games are the same."""
    opened = chess.engine.SimpleEngine.popen_uci([*PLAYFIELD, "uci", scene, "--device", "cpu"], timeout=300)
    opened.configure({"Temperature": "1"})
    opened.ping()
    return opened


def clock_game(
    players: tuple[chess.engine.SimpleEngine, chess.engine.SimpleEngine],
    seconds: float,
    increment: float,
    plies: int = 300,
) -> ClockGame:
    """Play a game to its end, a flag's fall or so many plies; Black first in `players`."""
    board, clocks = chess.Board(), [seconds, seconds]
    least, identity = seconds, object()
    while len(board.move_stack) < plies and not board.is_game_over(claim_draw=False):
        limit = chess.engine.Limit(
            white_clock=clocks[chess.WHITE],
            black_clock=clocks[chess.BLACK],
            white_inc=increment,
            black_inc=increment,
        )
        began = time.monotonic()
        result = players[board.turn].play(board, limit, game=identity)
        clocks[board.turn] -= time.monotonic() - began
        least = min(least, clocks[board.turn])
        if least <= 0:
            break
        clocks[board.turn] += increment
        assert result.move is not None
        board.push(result.move)
    return ClockGame(len(board.move_stack), least)


def main() -> int:
    """Play the games; 1 if one was lost on time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--increment", type=float, default=0.05)
    parser.add_argument("--scene", default="chess-kqk")
    options = parser.parse_args()
    lost, least, plies = 0, options.seconds, 0
    with engine(options.scene) as black, engine(options.scene) as white:
        for number in range(1, options.games + 1):
            game = clock_game((black, white), options.seconds, options.increment)
            lost, least, plies = lost + (game.least <= 0), min(least, game.least), plies + game.plies
            print(f"game {number}: {game.plies} plies, lowest clock {game.least:.2f} s", flush=True)
    print(f"{options.games} games, {plies} plies: {lost} lost on time, lowest clock {least:.2f} s")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
