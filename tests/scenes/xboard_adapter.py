"""Adapter from xboard's protocol (CECP 2) to a UCI engine, as Polyglot is one: what xboard needs for `uci`.

Run as ``python xboard_adapter.py COMMAND ARGUMENT …``, the UCI engine's command line.
"""

from __future__ import annotations

import subprocess
import sys

import chess

FEATURES = 'feature ping=1 setboard=1 usermove=1 colors=0 sigint=0 sigterm=0 myname="Playfield" done=1'


class UCIEngine:
    """A UCI engine as a process."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.say("uci")
        self.until("uciok")
        self.ready()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def until(self, word: str) -> list[str]:
        assert self._process.stdout is not None
        while words := self._process.stdout.readline().split():
            if words[0] == word:
                return words
        raise EOFError(f"the engine ended before {word}")

    def ready(self) -> None:
        self.say("isready")
        self.until("readyok")

    def best_move(self, board: chess.Board, limits: str) -> chess.Move:
        moves = " ".join(move.uci() for move in board.move_stack)
        self.say(
            f"position fen {board.root().fen()} moves {moves}" if moves else f"position fen {board.fen()}"
        )
        self.say(f"go {limits}")
        return chess.Move.from_uci(self.until("bestmove")[1])

    def quit(self) -> None:
        self.say("quit")
        self._process.wait(30)


class Adapter:
    """One game after another, as xboard's commands have it."""

    def __init__(self, engine: UCIEngine) -> None:
        self._engine, self._board = engine, chess.Board()
        self._plays: chess.Color | None = None  # None: force mode
        self._mine = self._theirs = 500  # centiseconds
        self._increment = 0  # milliseconds

    def obey(self, line: str) -> bool:
        """Obey one command; False for quit."""
        command, _, rest = line.strip().partition(" ")
        if command == "protover":
            print(FEATURES, flush=True)
        elif command == "ping":
            print(f"pong {rest}", flush=True)
        elif command == "new":
            self._board, self._plays = chess.Board(), chess.BLACK
        elif command == "setboard":
            self._board = chess.Board(rest)
        elif command in ("force", "result"):
            self._plays = None
        elif command == "level":
            self._increment = round(1000 * float(rest.split()[2]))
        elif command == "time":
            self._mine = int(rest)
        elif command == "otim":
            self._theirs = int(rest)
        elif command == "usermove":
            self._board.push_uci(rest)
            self._answer()
        elif command == "go":
            self._plays = self._board.turn
            self._answer()
        return command != "quit"

    def _answer(self) -> None:
        if self._plays != self._board.turn or self._board.is_game_over():
            return
        white, black = (self._mine, self._theirs) if self._plays else (self._theirs, self._mine)
        clocks = f"wtime {10 * white} btime {10 * black} winc {self._increment} binc {self._increment}"
        move = self._engine.best_move(self._board, clocks)
        self._board.push(move)
        print(f"move {move.uci()}", flush=True)


def main() -> None:
    """Serve xboard on stdin and stdout."""
    print("feature done=0", flush=True)  # or xboard begins the game before the engine is loaded
    engine = UCIEngine(sys.argv[1:])
    adapter = Adapter(engine)
    for line in sys.stdin:
        if not adapter.obey(line):
            break
    engine.quit()


if __name__ == "__main__":
    main()
