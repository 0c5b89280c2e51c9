"""Analysis of positions by a UCI engine in a process of its own, over its bare pipes.

python-chess's client hands every line between two threads; at 200 nodes a position that takes longer than the
search. Here one thread writes and reads.
"""

from __future__ import annotations

import math
import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from chess import Move
from chess.engine import Cp, Mate

from sim.chess.rules.encoding import action_of
from sim.records import Array
from supervised.data.sources.chess_games.labels import NO_ACTION, PERMILLE, label_dtype
from supervised.data.sources.chess_games.replay import board_of

TIMEOUT = 10.0  # seconds for one answer
MOST_LINES = 100_000  # of one answer, and characters of one line
HASH = 16  # megabytes of the engine's transposition table
TEMPERATURE = 50.0  # centipawns: a move that is so much worse has 1/e of the better one's probability
MATE = 10_000  # centipawns of a mate at once


class EngineCrash(RuntimeError):
    """The engine ended, hung, or said something that is no answer."""


@dataclass(frozen=True)
class AnalysisLimits:
    """How long an engine thinks of a position, and how many moves it ranks."""

    nodes: int = 200
    multipv: int = 1


@dataclass(frozen=True)
class RankedMove:
    """First move of a ranked variation, its score in centipawns for the mover, and permille of results."""

    move: str
    score: float
    wdl: tuple[int, int, int]


class AnalysisEngine:
    """A UCI engine that analyses one position after the other.

    Attributes:
        name: what the engine calls itself.
    """

    def __init__(self, command: Sequence[str], limits: AnalysisLimits) -> None:
        """Start it.

        Raises:
            EngineCrash: if it does not answer as a UCI engine does.
        """
        self.name, self._limits = command[0], limits
        self._unread = b""
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us: we end it
            )
        except OSError as error:
            raise EngineCrash(f"{command[0]} does not start: {error.strerror}") from error
        try:
            self._handshake()
        except EngineCrash:
            self.close()
            raise

    def _handshake(self) -> None:
        self._send("uci")
        options = []
        for line in self._until("uciok"):
            if line.startswith("id name "):
                self.name = line.removeprefix("id name ").strip()
            elif line.startswith("option name "):
                options.append(line.removeprefix("option name ").partition(" type ")[0].lower())
        wanted = {"Threads": 1, "Hash": HASH, "UCI_ShowWDL": "true", "MultiPV": self._limits.multipv}
        known = [(name, value) for name, value in wanted.items() if name.lower() in options]
        if self._limits.multipv > 1 and "multipv" not in options:
            raise EngineCrash(f"{self.name} cannot rank several moves: leave --multipv out")
        self._send(*(f"setoption name {name} value {value}" for name, value in known), "isready")
        for _ in self._until("readyok"):
            pass

    def label(self, position: np.void, index: int) -> Array:
        """(1,) of `labels.label_dtype` of one row of `replay.POSITION`.

        Raises:
            EngineCrash: if the engine gives no answer.
        """
        board = board_of(position)
        self._send(f"position fen {board.fen()}", f"go nodes {self._limits.nodes}")
        best, ranked = self._answer(board.ply())
        if self._limits.multipv == 1:
            ranked = [RankedMove(best, ranked[0].score, ranked[0].wdl)]
        label = np.zeros(1, label_dtype(self._limits.multipv))
        label["index"], label["wdl"], label["actions"] = index, ranked[0].wdl, NO_ACTION
        scores = np.array([variation.score for variation in ranked])
        shares = np.exp((scores - scores.max()) / TEMPERATURE)
        for place, (variation, share) in enumerate(zip(ranked, shares / shares.sum(), strict=True)):
            try:
                move = Move.from_uci(variation.move)
                label["actions"][0, place] = action_of(move, board.turn)
            except ValueError as error:
                raise EngineCrash(f"{self.name} answered {variation.move!r}") from error
            if not board.is_legal(move):
                raise EngineCrash(f"{self.name} answered an illegal move")
            label["shares"][0, place] = share
        return label

    def _answer(self, ply: int) -> tuple[str, list[RankedMove]]:
        """The best move and the newest variation of each rank."""
        ranked: dict[int, RankedMove] = {}
        for line in self._until("bestmove"):
            words = line.split()
            if line.startswith("bestmove") and len(words) > 1 and ranked:
                return words[1], [ranked[rank] for rank in sorted(ranked)][: self._limits.multipv]
            variation = _variation(words, ply)
            if variation is not None:
                rank = int(words[words.index("multipv") + 1]) if "multipv" in words else 1
                ranked[rank] = variation
        raise EngineCrash(f"{self.name} gave no score")

    def _send(self, *lines: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self._process.stdin.flush()
        except OSError as error:
            raise EngineCrash(f"{self.name} ended") from error

    def _until(self, last: str) -> list[str]:
        """Lines of the engine up to one that begins with the word `last`."""
        assert self._process.stdout is not None
        handle, until = self._process.stdout.fileno(), time.monotonic() + TIMEOUT
        lines: list[str] = []
        while True:
            *whole, self._unread = self._unread.split(b"\n")
            for place, line in enumerate(whole):
                lines.append(line.decode("utf-8", "replace").strip())
                if lines[-1].split(" ", 1)[0] == last:
                    self._unread = b"\n".join([*whole[place + 1 :], self._unread])
                    return lines
            left = until - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise EngineCrash(f"{self.name} did not answer for {TIMEOUT:g} s")
            read = os.read(handle, 1 << 16)
            if not read:
                raise EngineCrash(f"{self.name} ended")
            if len(lines) > MOST_LINES or len(self._unread) > MOST_LINES:
                raise EngineCrash(f"{self.name} writes without end")
            self._unread += read

    def close(self) -> None:
        """End the engine's process."""
        self._process.kill()
        self._process.communicate()


def _variation(words: list[str], ply: int) -> RankedMove | None:
    """What an ``info`` line says of a variation; None for other lines, and for bounds of a score."""
    if (
        words[:1] != ["info"]
        or "pv" not in words
        or "score" not in words
        or {"lowerbound", "upperbound"} & {*words}
    ):
        return None
    at = words.index("score")
    try:
        kind, amount = words[at + 1], int(words[at + 2])
        score: Any = Mate(amount) if kind == "mate" else Cp(amount)
        if "wdl" in words:
            place = words.index("wdl")
            win, draw, loss = (int(word) for word in words[place + 1 : place + 4])
        else:
            win, draw, loss = score.wdl(model="sf", ply=ply)
        move = words[words.index("pv") + 1]
    except (IndexError, ValueError):
        return None
    if win + draw + loss != PERMILLE or min(win, draw, loss) < 0:
        return None
    centipawns = float(amount) if kind != "mate" else math.copysign(MATE - abs(amount), amount or -1)
    return RankedMove(move, centipawns, (win, draw, loss))
