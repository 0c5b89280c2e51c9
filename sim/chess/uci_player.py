"""UCI engines as chess players: Stockfish at full strength, by Skill Level or by Elo, or any other program.

| name | plays |
|---|---|
| ``stockfish`` | Stockfish at full strength |
| ``stockfish:3`` | Stockfish at Skill Level 3, of 0…20 |
| ``stockfish:elo=1350`` | Stockfish limited to an Elo (UCI_LimitStrength, UCI_Elo) |
| ``uci:/path/to/engine args`` | any program that speaks UCI |

``@nodes=2000`` or ``@movetime=100`` (milliseconds) at the end limits the search of a move. The default are
`NODES` nodes: what an engine plays by nodes does not depend on the machine. Each move is searched afresh,
with one thread and a hash table that ``ucinewgame`` has cleared, so that games do not depend on each other;
Stockfish below full strength chooses by chance all the same, from a seed that it draws itself.

An engine that dies, is silent, or answers no legal move loses nothing but the game in which that happens: the
next one gets a new process. Does not know: matches, scores, networks.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chess
import chess.engine
import numpy as np

from sim.chess.opponents import Forfeit
from sim.chess.rules import encoding
from sim.chess.rules.game import ChessGame
from sim.chess.uci_process import EngineProcess
from sim.errors import RequestError, WorkError
from sim.plurals import number_of
from sim.records import Array, Decision

NODES = 5_000  # a move: Skill Level 5 thinks 6 plies deep with them
SKILLS = range(21)  # of Stockfish's option "Skill Level"
HASH = 16  # MiB
TIMEOUT = 20.0  # seconds for a start, and for a move beyond the time that its limit takes
SLOWEST = 20_000  # nodes a second: an engine that needs longer hangs
FAILURES = 3  # in a row, after which an engine is given up
REMEMBERED = 4_096  # games whose moves are kept for the engine
INSTALL = (
    "install it, by apt install stockfish or brew install stockfish, or set STOCKFISH=/path/to/stockfish"
)

LIMIT = re.compile(r"@(?P<kind>[a-z]+)=(?P<amount>[^@/\s]*)$")


class EngineNameError(RequestError, ValueError):
    """A name that is no engine, or a strength that the engine does not have."""


class MissingEngineError(RequestError):
    """An engine that is not installed; the message says how to mend that."""


class EngineFaultError(WorkError, RuntimeError):
    """An engine that does not start, died, was silent, or answered no legal move; `why` says which."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.why = why


@dataclass(frozen=True)
class EngineSpec:
    """What a name of the module's table asks for.

    Attributes:
        name: as it was written.
        command: program and arguments; None: Stockfish, wherever it is.
        options: of UCI, by name.
        nodes: a move; None: no limit.
        movetime: seconds a move; None: no limit.
    """

    name: str
    command: tuple[str, ...] | None = None
    options: tuple[tuple[str, str | int | bool], ...] = ()
    nodes: int | None = NODES
    movetime: float | None = None

    @property
    def limit(self) -> str:
        """The limit of a move, in words."""
        return number_of(self.nodes, "node") if self.nodes else f"{1000 * (self.movetime or 0):g} ms"


def is_engine_name(name: str) -> bool:
    """Whether a name means a UCI engine.

    >>> [is_engine_name(name) for name in ("stockfish:0", "uci:/usr/games/gnuchess --uci", "random")]
    [True, True, False]
    """
    return re.match(r"(stockfish([:@]|$)|uci:)", name) is not None


def engine_spec(name: str) -> EngineSpec:
    """Parse a name of the module's table.

    Raises:
        EngineNameError: naming what is wrong with it.

    >>> engine_spec("stockfish:3").options, engine_spec("stockfish@nodes=500").nodes
    ((('Skill Level', 3),), 500)
    >>> engine_spec("uci:gnuchess --uci@movetime=100").command
    ('gnuchess', '--uci')
    """
    found = LIMIT.search(name)
    nodes, movetime = (NODES, None) if found is None else _limit(name, found["kind"], found["amount"])
    rest = name if found is None else name[: found.start()]
    if rest.startswith("uci:"):
        try:
            command = tuple(shlex.split(rest.removeprefix("uci:")))
        except ValueError as error:
            raise EngineNameError(f'opponent "{name}": {str(error).lower()}') from error
        if not command:
            raise EngineNameError(f'opponent "{name}" names no program: write uci:/path/to/engine')
        return EngineSpec(name, command, (), nodes, movetime)
    _, _, strength = rest.partition(":")
    return EngineSpec(name, None, _strength(name, strength) if ":" in rest else (), nodes, movetime)


def _limit(name: str, kind: str, amount: str) -> tuple[int | None, float | None]:
    if kind not in ("nodes", "movetime") or not (amount.isascii() and amount.isdecimal()) or not int(amount):
        raise EngineNameError(
            f'opponent "{name}": a limit is @nodes=N or @movetime=MILLISECONDS, a whole number from 1 on'
        )
    return (int(amount), None) if kind == "nodes" else (None, int(amount) / 1000)


def _strength(name: str, text: str) -> tuple[tuple[str, str | int | bool], ...]:
    elo = text.removeprefix("elo=")
    if elo != text and elo.isascii() and elo.isdecimal():
        return ("UCI_LimitStrength", True), ("UCI_Elo", int(elo))
    if text.isascii() and text.isdecimal() and int(text) in SKILLS:
        return (("Skill Level", int(text)),)
    raise EngineNameError(
        f'opponent "{name}": Stockfish has skill levels 0…{SKILLS[-1]}, as stockfish:3, or an Elo, as '
        "stockfish:elo=1350"
    )


def find_stockfish() -> str:
    """Path of Stockfish: ``$STOCKFISH``, or on the PATH, or where Debian puts games.

    Raises:
        MissingEngineError: if it is nowhere.
    """
    told = os.environ.get("STOCKFISH")
    if told:
        if found := shutil.which(os.path.expanduser(told)):
            return found
        raise MissingEngineError(f"STOCKFISH={told} is no program that can be run: {INSTALL}")
    path = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")
    if path is None:
        raise MissingEngineError(f"stockfish is not installed: {INSTALL}")
    return path


class UciPlayer:
    """A UCI engine as an opponent of worlds and matches; a `sim.protocols.Policy`.

    >>> with UciPlayer(engine_spec("stockfish:0@nodes=200")) as player:  # doctest: +SKIP
    ...     world = make_world("chess").config.make(seed=0, opponent=player)
    """

    def __init__(
        self,
        spec: EngineSpec,
        *,
        timeout: float = TIMEOUT,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Nothing is started yet.

        Args:
            spec: see `engine_spec`.
            timeout: seconds for a start, and for a move beyond the time that its limit takes.
            say: takes a line for a person about each failure.
        """
        self.spec, self._timeout, self._say = spec, timeout, say
        self._engine: EngineProcess | None = None
        self._title = spec.name
        self._failures = 0
        self._told: set[str] = set()
        #: Boards with all their moves, by FEN after the engine's own move: engines know repetitions by them.
        self._boards: OrderedDict[str, chess.Board] = OrderedDict()

    def __enter__(self) -> UciPlayer:
        """The player itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self.close()

    @property
    def title(self) -> str:
        """Program, strength and limit in words, such as ``Stockfish 15.1, Skill Level 0, 5,000 nodes``."""
        strength = [f"{key} {value}" for key, value in self.spec.options if value is not True]
        return ", ".join([self._title, *strength, self.spec.limit])

    def start(self) -> None:
        """Start the engine, if it does not run.

        Raises:
            MissingEngineError: if there is no such program.
            EngineNameError: if it has not the strength that its name asks for.
            EngineFaultError: if it does not answer as UCI demands.
        """
        if self._engine is not None:
            return
        command = self._command()
        try:
            self._engine = EngineProcess(command, self._timeout)
            protocol = self._engine.protocol
            self._title = " ".join(protocol.id.get("name", command[0]).split())
            self._engine.wait(protocol.configure(self._options(protocol.options)), self._timeout)
        except TimeoutError:
            self.close()
            raise EngineFaultError(self.spec.name, "did not start: silent, or no UCI engine") from None
        except (OSError, chess.engine.EngineError) as error:
            self.close()
            raise EngineFaultError(self.spec.name, f"did not start: {_words(error)}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, and those that it started."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def reply(
        self, games: Sequence[ChessGame], generators: Sequence[np.random.Generator]
    ) -> list[int | Forfeit | None]:
        """One action a game; a `Forfeit` where the engine failed. See `sim.chess.opponents.Opponent`."""
        return [self._answer(game) for game in games]

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """The engine's moves in N positions, ``info["games"]``; see `sim.protocols.Policy`.

        Raises:
            EngineFaultError: if it failed in one of them.
        """
        actions = self.reply(info["games"], ())
        if fault := next((action for action in actions if isinstance(action, Forfeit)), None):
            raise EngineFaultError(self.spec.name, fault.reason)
        return Decision(np.array(actions, np.int64)), memory

    def seed(self, seed: int) -> None:
        """Nothing to seed: UCI has no seeds."""

    def _answer(self, game: ChessGame) -> int | Forfeit:
        """The move in one position; the process of an engine that failed is ended."""
        if self._failures >= FAILURES:
            return Forfeit(f"given up after {FAILURES} failures in a row")
        try:
            self.start()
            action = self._search(game)
        except (MissingEngineError, EngineFaultError) as error:
            self.close()
            self._failures += 1
            self._tell(error)
            return Forfeit(error.why if isinstance(error, EngineFaultError) else str(error))
        self._failures = 0
        return action

    def _tell(self, error: Exception) -> None:
        """Say what failed, the same thing once."""
        given_up = self._failures >= FAILURES
        after = "given up" if given_up else "started again for the next game"
        if (line := f"{error}; {after}") not in self._told:
            self._told.add(line)
            self._say(line)

    def _search(self, game: ChessGame) -> int:
        engine, name = self._engine, self.spec.name
        assert engine is not None
        board = self._with_moves(game)
        limit = chess.engine.Limit(nodes=self.spec.nodes, time=self.spec.movetime)
        seconds = self._timeout + (self.spec.movetime or 0) + (self.spec.nodes or 0) / SLOWEST
        # Another `game` each time makes python-chess send ucinewgame, which clears the hash table.
        try:
            move = engine.wait(engine.protocol.play(board, limit, game=object()), seconds).move
        except TimeoutError:
            raise EngineFaultError(name, f"no move within {seconds:.3g} s") from None
        except chess.engine.EngineTerminatedError:
            raise EngineFaultError(name, "died in mid-game") from None
        except (chess.engine.EngineError, RuntimeError) as error:
            raise EngineFaultError(name, f"broke the protocol: {_words(error)}") from error
        if move is None:
            raise EngineFaultError(name, f"answered no move in {game.fen}")
        board.push(move)
        self._boards[board.fen()] = board
        while len(self._boards) > REMEMBERED:
            self._boards.popitem(last=False)
        return encoding.action_of(move, game.turn)

    def _with_moves(self, game: ChessGame) -> chess.Board:
        """The position with the moves that led to it since the engine's first one."""
        board = game.board
        if not board.move_stack:
            return board
        before = board.copy()
        move = before.pop()
        known = self._boards.pop(before.fen(), None)
        if known is None:
            return board
        known.push(move)
        return known

    def _command(self) -> list[str]:
        if self.spec.command is None:
            return [find_stockfish()]
        program, *arguments = self.spec.command
        found = shutil.which(os.path.expanduser(program))
        if found is None:
            raise MissingEngineError(f"{self.spec.name}: there is no program {program} that can be run")
        return [found, *arguments]

    def _options(self, known: Mapping[str, chess.engine.Option]) -> dict[str, str | int | bool | None]:
        """The options to set: those of every engine that has them, and those of the name."""
        options: dict[str, str | int | bool | None] = {}
        for key, value in (("Threads", 1), ("Hash", HASH)):
            if key in known and known[key].type == "spin":
                options[key] = min(max(value, known[key].min or value), known[key].max or value)
        for key, wanted in self.spec.options:
            if key not in known:
                raise EngineNameError(f'opponent "{self.spec.name}": {self._title} has no option {key}')
            low, high = known[key].min, known[key].max
            if low is not None and high is not None and not low <= int(wanted) <= high:
                raise EngineNameError(
                    f'opponent "{self.spec.name}": {key} of {self._title} is in {low}…{high}'
                )
            options[key] = wanted
        return options


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
