"""UCI engine: a scene's chess agent for any chess program, on stdin and stdout (`playfield uci`).

The protocol is UCI (Stefan Meyer-Kahlen, April 2006): lines on stdin and stdout. `uci` is answered at once;
torch and the weights are loaded when they are first needed, at `isready` as a rule. A search runs in a thread
of its own, so that `stop` works at once; an agent without search answers with its policy's move. What cannot
be parsed is reported in an ``info string`` line and skipped, as the protocol demands. Each `go` gets its
`bestmove`, or a program would wait for ever: the null move ``0000`` where there is no legal move.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from scenes.uci.client import Client, ClientGone, write_line
from scenes.uci.limits import LagMeter
from scenes.uci.options import Options
from scenes.uci.protocol import COMMANDS, EXCERPT, NULL_MOVE, parse_go, parse_position, parse_setoption
from sim.errors import RequestError
from sim.fields import excerpt

if TYPE_CHECKING:
    import numpy as np

    from scenes.uci.player import Player
    from scenes.uci.positions import PositionTracker
    from scenes.uci.searching import Search


@dataclass
class _Loaded:
    """What is there once the engine is ready: player, position, and the generator of moves by temperature."""

    player: Player
    positions: PositionTracker
    generator: np.random.Generator


class Engine:
    """UCI engine: reads commands, keeps the position and runs at most one search at a time."""

    def __init__(
        self,
        load: Callable[[], Player],
        name: str,
        options: Options,
        *,
        write: Callable[[str], None] = write_line,
        seed: int | None = None,
    ) -> None:
        """Be ready for commands; nothing is loaded yet.

        Args:
            load: builds the player; called once, when it is first needed.
            name: of scene and agent.
            options: that the client may set.
            write: writes a line to the client.
            seed: of the moves that a temperature draws; None for other ones each time.
        """
        self._load, self._name, self._options, self._seed = load, name, options, seed
        self._client = Client(write)
        self._loaded: _Loaded | None = None
        self._search: Search | None = None
        self._lag = LagMeter()
        self._answered: Callable[[float, float], None] = lambda used, first_look: None
        self._spent = 0.0  # seconds that setting up the position took: they are the next move's
        self._commands: dict[str, Callable[[Sequence[str]], None]] = {
            "uci": self._introduce,
            "isready": self._is_ready,
            "setoption": self._set_option,
            "ucinewgame": self._new_game,
            "position": self._set_position,
            "go": self._go,
            "stop": lambda words: self._stop(),
            "ponderhit": self._ponder_hit,
            "debug": lambda words: None,
            "register": lambda words: None,
        }

    def run(self, lines: Iterable[str]) -> None:
        """Process commands until `quit`, the end of `lines`, or a closed stdout.

        Raises:
            Exception: what `load` raises; the client is told of it, too.
        """
        try:
            for line in lines:
                if self._client.gone or not self._obey(line):
                    break
        except ClientGone:
            pass
        finally:  # a thread that still prints while Python exits would crash it
            self._stop()

    def _obey(self, line: str) -> bool:
        """Obey one line; False for `quit`."""
        words = line.split()
        known = next((i for i, word in enumerate(words) if word in COMMANDS), None)
        if known is None:
            if words:
                self._client.complain(f"unknown command: {excerpt(line, EXCERPT)}")
            return True
        command, rest = words[known], words[known + 1 :]  # unknown words before a command are skipped
        if command == "quit":
            return False
        try:
            self._commands[command](rest)
        except ValueError as error:
            if isinstance(error, RequestError) and self._loaded is None:
                raise  # the scene's agent cannot be loaded
            self._client.complain(f"{command}: {error}")
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for the search in progress; whether it ended, if there was one, within these seconds."""
        return self._search is None or self._search.wait(seconds)

    def _introduce(self, words: Sequence[str]) -> None:
        for line in (
            f"id name {self._name}",
            "id author the Playfield authors",
            *self._options.lines(),
            "uciok",
        ):
            self._client.say(line)

    def _is_ready(self, words: Sequence[str]) -> None:
        self._ready()
        self._client.say("readyok")

    def _ready(self) -> _Loaded:
        """The player and its position; loads it the first time."""
        if self._loaded is None:
            import numpy as np

            from scenes.uci.positions import PositionTracker

            try:
                player = self._load()
            except Exception as error:
                self._client.complain(str(error))
                raise
            self._loaded = _Loaded(player, PositionTracker(player.history), np.random.default_rng(self._seed))
        return self._loaded

    def _set_option(self, words: Sequence[str]) -> None:
        if self._options.set(*parse_setoption(words)).kind == "button":  # Clear Hash
            self._forget()

    def _new_game(self, words: Sequence[str]) -> None:
        self._forget()
        self._lag.forget_game()

    def _forget(self) -> None:
        """Forget the searches of the game."""
        self._stop()
        if self._loaded is not None:
            self._loaded.player.forget()

    def _set_position(self, words: Sequence[str]) -> None:
        self._stop()
        positions = self._ready().positions
        began = time.monotonic()
        try:
            positions.set(*parse_position(words))
        except ValueError:
            positions.game = None
            raise
        finally:
            self._spent = time.monotonic() - began

    def _go(self, words: Sequence[str]) -> None:
        self._stop()
        try:
            loaded = self._ready()
        except Exception:
            self._client.say(f"bestmove {NULL_MOVE}")
            raise
        from scenes.uci.searching import start_search

        def complain(problem: str) -> None:
            self._client.complain(f"go: {problem}")

        go, game = parse_go(words, complain), loaded.positions.game
        spent, self._spent = self._spent, 0.0
        self._search = start_search(
            loaded.player,
            self._client,
            game,
            go,
            self._options.values,
            generator=loaded.generator,
            spent=spent,
            lag=self._lag,
            complain=complain,
        )
        if game is not None:
            self._answered = partial(self._lag.moved, go, game.to_play())

    def _ponder_hit(self, words: Sequence[str]) -> None:
        if self._search is not None:
            self._search.ponder_hit()

    def _stop(self) -> None:
        """End the search, if there is one; its answer is written before this returns."""
        if self._search is not None:
            self._search.stop()
            self._answered(self._search.used, self._search.first_look)
        self._search = None
