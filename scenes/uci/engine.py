"""UCI engine: a scene's chess agent for any chess program, on stdin and stdout (`playfield uci`).

The protocol is UCI (Stefan Meyer-Kahlen, April 2006): lines on stdin and stdout. A search runs in a thread
of its own, so that `stop` works at once; an agent without search answers with its policy's move. What cannot
be parsed is reported in an ``info string`` line and skipped, as the protocol demands. Each `go` gets its
`bestmove`, or a program would wait for ever: the null move ``0000`` where there is no legal move.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path

import numpy as np

from agents.alphazero.search_agent import SearchAgent
from agents.alphazero.tree import Tree, likeliest_line
from scenes.build.agents import build_policy, scene_agent, scene_world
from scenes.build.devices import chosen_device
from scenes.schema import Scene, SceneError
from sim.chess.opponents import action_masks
from sim.chess.rules import FIFTY, THREEFOLD, ChessGame
from sim.chess.world import Chess
from sim.protocols import Policy

MOST_SIMULATIONS = 1_000_000  # nodes at most; a full tree waits for `stop`
TELL_EVERY = 0.5  # seconds between two info lines
SAFETY = 0.05  # seconds of the clock kept in reserve
MOVES_LEFT = 30  # moves to share the clock among, where the program does not say
NULL_MOVE = "0000"  # the null move of UCI
#: What a `go` command may hold, and those that numbers follow.
NUMBERS = ("wtime", "btime", "winc", "binc", "movestogo", "depth", "nodes", "mate", "movetime")
GO = (*NUMBERS, "searchmoves", "ponder", "infinite")


@dataclass(frozen=True)
class Limits:
    """Limits of a search, whichever comes first; without any, the agent's own number of simulations.

    Attributes:
        nodes: number of simulations.
        seconds: wall-clock time.
        depth: plies of the principal variation.
        only: actions to choose from; none for all.
    """

    nodes: int | None = None
    seconds: float | None = None
    depth: int | None = None
    only: tuple[int, ...] = ()

    def spent(self, tree: Tree, nodes: int, time_used: float, own_nodes: int) -> bool:
        """Whether a search has reached a limit; `own_nodes` counts where there is none."""
        if self.nodes is None and self.seconds is None and self.depth is None:
            return nodes >= own_nodes
        return (
            (self.nodes is not None and nodes >= self.nodes)
            or (self.seconds is not None and time_used >= self.seconds)
            or (self.depth is not None and len(chosen_line(tree)) >= self.depth)
        )


@dataclass
class Search:
    """A search in progress.

    Attributes:
        stop: event that ends it.
        patient: whether it answers only once it is stopped: `go infinite`, and `go ponder` until `ponderhit`.
        forced: the move to answer with, without search.
        began: start of its limits, in seconds of `time.monotonic`.
    """

    limits: Limits
    patient: bool
    forced: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None


def serve(scene: Scene, *, device: str, checkpoint: Path | None, lines: Iterable[str] | None = None) -> None:
    """Run the engine on stdin and stdout until `quit` or the end of input.

    Raises:
        SceneError: if the scene's world is not chess.
        CheckpointError: if its weights do not fit.
    """
    config = scene_world(scene)
    if not isinstance(config, Chess):
        raise SceneError(f"{scene.source.name}: a UCI engine plays chess, and this scene plays {config.name}")
    worlds = config.make_batch(1, scene.seed)
    agent = scene_agent(scene)
    policy, card = build_policy(scene, worlds, config, chosen_device(device, agent), checkpoint)
    assert scene.agent is not None
    trained = "" if card or scene.agent.use in ("random", "greedy") else ", untrained"
    score = pawns if config.reward == "capture" and not isinstance(policy, SearchAgent) else centipawns
    name = f"{scene.title} ({scene.agent.use}{trained})"
    engine = Engine(policy, name, history=config.history, score=score)
    engine.run(stdin_lines() if lines is None else lines)


def stdin_lines() -> Iterable[str]:
    """Lines of stdin: none where it is closed; bytes that are not UTF-8 are replaced."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    return sys.stdin or ()


class Engine:
    """UCI engine: reads commands, keeps the position and runs at most one search at a time."""

    def __init__(
        self,
        policy: Policy,
        name: str,
        *,
        history: int,
        score: Callable[[float], int] | None = None,
        say: Callable[[str], None] = lambda line: print(line, flush=True),
    ) -> None:
        self._policy, self._name, self._history, self._print = policy, name, history, say
        self._deserted = False  # whether stdout is closed
        self._searcher = policy if isinstance(policy, SearchAgent) else None
        self._score = score or centipawns
        self._game: ChessGame | None = ChessGame(history=history)  # None: unknown
        self._search: Search | None = None
        self._commands: dict[str, Callable[[Sequence[str]], None]] = {
            "uci": self._introduce,
            "isready": lambda words: self._say("readyok"),
            "setoption": self._set_option,
            "ucinewgame": lambda words: self._stop(),
            "position": self._set_position,
            "go": self._go,
            "stop": lambda words: self._stop(),
            "ponderhit": self._ponder_hit,
            "debug": lambda words: None,
            "register": lambda words: None,
        }

    def run(self, lines: Iterable[str]) -> None:
        """Process commands until `quit`, the end of `lines`, or a closed stdout."""
        try:
            self._obey(lines)
        finally:  # a thread that still prints while Python exits would crash it
            self._stop()

    def _obey(self, lines: Iterable[str]) -> None:
        for line in lines:
            if self._deserted:
                break
            # As the protocol has it, unknown words before a command are skipped.
            words = line.split()
            while words and words[0] not in (*self._commands, "quit"):
                del words[0]
            if not words:
                if line.strip():
                    self._complain(f"unknown command: {line.strip()}")
                continue
            if words[0] == "quit":
                break
            try:
                self._commands[words[0]](words[1:])
            except ValueError as error:
                self._complain(f"{words[0]}: {error}")

    def _say(self, line: str) -> None:
        """Write a line to the chess program; does nothing once that has closed the pipe."""
        if self._deserted:
            return
        try:
            self._print(line)
        except (OSError, ValueError):  # a broken pipe, a full disk, a closed file
            self._deserted = True

    def _introduce(self, words: Sequence[str]) -> None:
        self._say(f"id name Playfield {version('playfield')}: {self._name}")
        self._say("id author the Playfield authors")
        self._say("option name Ponder type check default false")
        if self._searcher is not None:
            default = self._searcher.config.num_simulations
            self._say(f"option name Simulations type spin default {default} min 1 max {MOST_SIMULATIONS}")
        self._say("uciok")

    def _set_option(self, words: Sequence[str]) -> None:
        name, _, value = " ".join(words).removeprefix("name ").partition(" value ")
        if name.lower() == "simulations" and self._searcher is not None:
            self._stop()
            amount = parse_whole(value, name)
            if not 1 <= amount <= MOST_SIMULATIONS:
                raise ValueError(f"Simulations must be in 1…{MOST_SIMULATIONS}, not {amount}")
            self._searcher.config = replace(self._searcher.config, num_simulations=amount)
        elif name.lower() != "ponder":
            known = "Ponder" if self._searcher is None else "Simulations and Ponder"
            raise ValueError(f'there is no option "{name}"; there is {known}')

    def _set_position(self, words: Sequence[str]) -> None:
        """Set the position from ``startpos`` or ``fen …``, then ``moves …``.

        After an invalid one there is no position: the program's is another one than the last valid one, from
        which a move would most likely be illegal.
        """
        self._stop()
        self._game = None
        at = words.index("moves") if "moves" in words else len(words)
        kind, fen = (words[0] if words else ""), " ".join(words[1:at])
        if kind not in ("startpos", "fen"):
            raise ValueError("startpos or fen is missing")
        game = ChessGame(fen, self._history) if kind == "fen" else ChessGame(history=self._history)
        for text in words[at + 1 :]:
            game = without_draws(game, self._history)
            action = game.action(text)
            if action not in game.moves:
                raise ValueError(f"{text} is not legal in {game.fen}")
            game = game.play(action)
        self._game = without_draws(game, self._history)

    def _go(self, words: Sequence[str]) -> None:
        self._stop()
        game = self._game
        told = parse_numbers(words, self._complain)
        to_play = game.to_play() if game is not None else 0
        only, forced = self._chosen_from(game, words_after(words, "searchmoves"))
        limits = Limits(told.get("nodes"), move_seconds(told, to_play), told.get("depth"), only)
        search = Search(limits, patient="infinite" in words or "ponder" in words, forced=forced)
        search.thread = threading.Thread(target=self._answer, args=(search, game), daemon=True)
        self._search = search
        search.thread.start()

    def _chosen_from(self, game: ChessGame | None, asked: Sequence[str]) -> tuple[tuple[int, ...], str]:
        """Actions to choose from (none for all), and the forced move, or ""."""
        if game is None:
            self._complain("go: the position is not known: the last one was refused")
            return (), NULL_MOVE
        if not game.moves:  # mate and stalemate; in dead positions a program may play on
            return (), next((move.uci() for move in game.board.legal_moves), NULL_MOVE)
        only = []
        for text in asked:
            try:
                action = game.action(text)
                if action not in game.moves:
                    raise ValueError(game.refusal(action))
                only.append(action)
            except ValueError as error:
                self._complain(f"go: {error}")
        return tuple(only), NULL_MOVE if asked and not only else ""

    def _ponder_hit(self, words: Sequence[str]) -> None:
        if self._search is not None:
            self._search.began = time.monotonic()
            self._search.patient = False

    def _stop(self) -> None:
        """End the search, if there is one; its answer is written before this returns."""
        if self._search is not None and self._search.thread is not None:
            self._search.stop.set()
            self._search.thread.join()
        self._search = None

    def wait(self, seconds: float) -> bool:
        """Wait for the search in progress; whether it ended, if there was one, within these seconds."""
        if self._search is None or self._search.thread is None:
            return True
        self._search.thread.join(seconds)
        return not self._search.thread.is_alive()

    def _answer(self, search: Search, game: ChessGame | None) -> None:
        """Search and write `bestmove`; runs in a thread."""
        moves = [search.forced] if game is None or search.forced else self._moves(search, game)
        while search.patient and not self._deserted and not search.stop.wait(0.01):
            pass
        self._say(f"bestmove {moves[0]}" + (f" ponder {moves[1]}" if len(moves) > 1 else ""))

    def _moves(self, search: Search, game: ChessGame) -> list[str]:
        """The best move, and the expected reply where there is one."""
        try:
            line = self._look(search, game)
        except Exception as error:  # after any error the program must still get a move
            self._complain(f"the search failed: {type(error).__name__}: {error}")
            line = [int(game.legal_actions()[0])]
        return uci_moves(game, line[:2])

    def _look(self, search: Search, game: ChessGame) -> list[int]:
        """Principal variation as actions, found by search or by the policy alone."""
        if self._searcher is None:
            return self._first_look(search, game)
        config, told, limits = self._searcher.config, time.monotonic(), search.limits
        own = config.num_simulations if (limits.seconds, limits.depth) == (None, None) else None
        most = MOST_SIMULATIONS if search.patient else limits.nodes or own or MOST_SIMULATIONS
        for tree in self._searcher.think(game, limits.only, most):
            nodes = tree.simulations
            now = time.monotonic()
            over = search.stop.is_set() or nodes >= MOST_SIMULATIONS or self._deserted
            if not search.patient:
                over |= search.limits.spent(tree, nodes, now - search.began, config.num_simulations)
            if over or now - told > TELL_EVERY:
                told = now
                self._tell(game, chosen_line(tree), tree.value(), nodes, search)
            if over:
                break
        return chosen_line(tree)

    def _first_look(self, search: Search, game: ChessGame) -> list[int]:
        """Greedy action of an agent without search."""
        mask, only = action_masks([game]), search.limits.only
        if only:
            mask &= np.isin(np.arange(mask.shape[1]), only)
        info = {"action_mask": mask, "games": (game,)}
        decision, _ = self._policy.act(ChessGame.observe([game]), info, greedy=True)
        action = int(decision.actions[0])
        if decision.value is not None:
            self._tell(game, [action], float(decision.value[0]), 1, search)
        return [action]

    def _tell(self, game: ChessGame, line: Sequence[int], value: float, nodes: int, search: Search) -> None:
        used = max(time.monotonic() - search.began, 1e-3)
        moves = " ".join(uci_moves(game, line))
        self._say(
            f"info depth {len(line)} nodes {nodes} nps {nodes / used:.0f} time {1000 * used:.0f} "
            f"score cp {self._score(value)} pv {moves}"
        )

    def _complain(self, words: str) -> None:
        self._say(f"info string {words}")


def without_draws(game: ChessGame, history: int) -> ChessGame:
    """The game without draws by repetition or fifty moves: under UCI a program may play on."""
    if game.reason not in (THREEFOLD, FIFTY):
        return game
    board = game.board
    board.halfmove_clock = 0
    return ChessGame(board.fen(), history)


def chosen_line(tree: Tree) -> list[int]:
    """Principal variation: the action to play, and the most visited replies."""
    index = tree.choice()
    child = tree.root.children[index]
    return [int(tree.root.actions[index]), *(likeliest_line(child) if child is not None else [])]


def uci_moves(game: ChessGame, line: Sequence[int]) -> list[str]:
    """Actions of a line as UCI moves."""
    moves = []
    for action in line:
        moves.append(game.moves[action].uci())
        game = game.play(action)
    return moves


def centipawns(value: float) -> int:
    """Convert a value in [−1, 1] to centipawns, on Lc0's scale.

    >>> centipawns(0.0), centipawns(0.5), centipawns(-0.5)
    (0, 89, -89)
    """
    return round(90 * math.tan(1.5637541897 * max(-0.9999, min(0.9999, value))))


def pawns(value: float) -> int:
    """Convert the value of an agent whose reward is captures, in pawns, to centipawns.

    >>> pawns(1.5)
    150
    """
    return round(100 * value)


def parse_numbers(words: Sequence[str], complain: Callable[[str], None]) -> dict[str, int]:
    """Parse the numbers of a `go` command by name; invalid ones are reported and left out.

    >>> parse_numbers("wtime 1000 btime 900 nodes 5 depth deep infinite".split(), print)
    go: depth wants a whole number, not "deep"
    {'wtime': 1000, 'btime': 900, 'nodes': 5}
    """
    told = {}
    for name in NUMBERS:
        if name in words:
            found = words_after(words, name)
            try:
                told[name] = parse_whole(found[0] if found else "", name)
            except ValueError as error:
                complain(f"go: {error}")
    return told


def words_after(words: Sequence[str], name: str) -> list[str]:
    """Words after `name` up to the next keyword."""
    if name not in words:
        return []
    rest = list(words[list(words).index(name) + 1 :])
    end = next((i for i, word in enumerate(rest) if word in GO), len(rest))
    return rest[:end]


def parse_whole(text: str, name: str) -> int:
    """Parse a whole number.

    Raises:
        ValueError: naming the keyword.
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'{name} wants a whole number, not "{text}"') from None


def move_seconds(told: dict[str, int], to_play: int) -> float | None:
    """Time for a move in seconds, from a `go` command's milliseconds; None where it sets no time.

    >>> [move_seconds(go, 0) for go in ({"movetime": 500}, {"wtime": 60_000, "winc": 1000}, {"nodes": 3})]
    [0.45, 2.75, None]
    """
    if "movetime" in told:
        return max(0.01, told["movetime"] / 1000 - SAFETY)
    clock, increment = ("wtime", "winc") if to_play == 0 else ("btime", "binc")
    if clock not in told:
        return None
    left, more = told[clock] / 1000, told.get(increment, 0) / 1000
    share = left / max(1, told.get("movestogo", MOVES_LEFT)) + 0.8 * more
    return max(0.01, min(share, left) - SAFETY)
