"""A search in a thread of its own: it tells what it finds, keeps its limits and ends with `bestmove`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import numpy as np

from scenes.uci.client import Client, ClientGone
from scenes.uci.info import follow, info_lines
from scenes.uci.limits import Allotment, LagMeter, Limits, TimeManager, allot
from scenes.uci.options import MOST_SIMULATIONS, OptionValues
from scenes.uci.player import Player
from scenes.uci.positions import choices
from scenes.uci.protocol import NULL_MOVE, Complain, GoCommand
from scenes.uci.strength import drawn
from scenes.uci.variations import Findings
from sim.chess.rules.game import ChessGame

FIRST_INFO, NEXT_INFO = 0.05, 0.5  # seconds from the start, and from one to the next


@dataclass(frozen=True)
class Task:
    """What to search, and how far.

    Attributes:
        game: the position, not terminal.
        only: actions to choose from; none for all.
        limits: of nodes, depth and mate.
        allotment: of time; None for none.
        options: of the engine, as they stood when the search began.
    """

    game: ChessGame
    only: tuple[int, ...]
    limits: Limits
    allotment: Allotment | None
    options: OptionValues

    def planned(self) -> int:
        """Simulations to plan for."""
        nodes = self.limits.nodes or self.options.simulations
        return min(nodes, self.options.strength().simulations or nodes)

    def most(self, *, patient: bool) -> int:
        """Simulations at which the search ends in any case."""
        most = self.options.strength().simulations or MOST_SIMULATIONS
        if patient:
            return most
        untimed = self.allotment is None and self.limits.depth is None
        return min(most, self.limits.nodes or (self.options.simulations if untimed else most))


class Search:
    """A search in progress, or, without a task, the wait for the time to answer a move that is forced."""

    def __init__(
        self,
        player: Player,
        client: Client,
        task: Task | None,
        generator: np.random.Generator,
        *,
        forced: str = NULL_MOVE,
        patient: bool = False,
        spent: float = 0.0,
    ) -> None:
        """Start it.

        Args:
            player: that searches.
            client: that is told.
            task: what to search; None answers with `forced`.
            generator: of the moves that a temperature draws.
            forced: the move to answer with, without a task.
            patient: whether it answers only once it is stopped: `go infinite`, and `go ponder` until
                `ponderhit`.
            spent: seconds of its time that are gone already.
        """
        self._player, self._client, self._task, self._forced = player, client, task, forced
        self._patient, self._generator = patient, generator
        self._started = time.monotonic()
        self._began = self._started - spent
        self._manager = None if task is None or task.allotment is None else TimeManager(task.allotment)
        self.used = self.first_look = 0.0  # seconds of its time until its answer, and until it found anything
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._answer, name="search", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the search; its answer is written before this returns."""
        self._stop.set()
        self._thread.join()

    def ponder_hit(self) -> None:
        """The move that it ponders on was played: its limits count from now on."""
        self._began = time.monotonic()
        if self._manager is not None:
            self._manager.restart()
        self._patient = False  # last: until then the thread does not look at the time

    def wait(self, seconds: float) -> bool:
        """Wait for the end; whether it came within these seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _answer(self) -> None:
        """Search and write `bestmove`; runs in the thread."""
        try:
            moves = (self._forced,) if self._task is None else self._moves(self._task)
            while self._patient and not self._client.gone and not self._stop.wait(0.01):
                pass
            ponder = f" ponder {moves[1]}" if len(moves) > 1 else ""
            self.used = time.monotonic() - self._began
            self._client.say(f"bestmove {moves[0]}{ponder}")
        except ClientGone:
            pass

    def _moves(self, task: Task) -> tuple[str, ...]:
        """Best move and expected reply; a search that breaks down answers with any legal move."""
        try:
            findings = self._searched(task)
            temperature = task.options.strength().temperature
            chance = drawn(findings.weights(), temperature, self._generator) if temperature else None
            index = findings.best() if chance is None else chance
            variation = findings.variation(index)
            return follow(task.game, replace(variation, actions=variation.actions[:2])).moves
        except ClientGone:
            raise
        except Exception as error:
            self._client.complain(f"the search failed: {type(error).__name__}: {error}")
            action = next(iter(task.only or task.game.moves))
            return (task.game.moves[action].uci(),)

    def _searched(self, task: Task) -> Findings:
        """Search until a limit is reached or it is stopped, and tell what is found on the way."""
        next_info, findings = FIRST_INFO, None
        planned, most = task.planned(), task.most(patient=self._patient)
        for findings in self._player.findings(task.game, task.only, planned, most):
            over = self._over(task, findings)
            elapsed = time.monotonic() - self._started
            self.first_look = self.first_look or elapsed
            if over or elapsed >= next_info:
                self._tell(task, findings)
                next_info = elapsed + NEXT_INFO
            if over:
                break
        else:  # a policy alone says all at once
            if findings is not None:
                self._tell(task, findings)
        if findings is None:
            raise RuntimeError("nothing was found")
        return findings

    def _over(self, task: Task, findings: Findings) -> bool:
        """Whether the search is over."""
        nodes, most = findings.nodes, task.options.strength().simulations or MOST_SIMULATIONS
        if self._stop.is_set() or self._client.gone or nodes >= most:
            return True
        if self._patient:
            return False
        now = time.monotonic()
        if self._manager is not None:
            pace = nodes / max(now - self._started, 1e-6)
            used, best = now - self._began, int(findings.actions[findings.best()])
            if self._manager.spent(used, best, findings.lead(), pace):
                return True
        elif task.limits.nodes is None and task.limits.depth is None and nodes >= task.options.simulations:
            return True
        if task.limits == Limits():
            return False
        line = follow(task.game, findings.variation(findings.best())) if task.limits.looks_ahead else None
        return task.limits.reached(nodes, findings.depth(), line)

    def _tell(self, task: Task, findings: Findings) -> None:
        elapsed = max(time.monotonic() - self._started, 1e-3)
        ranking = findings.ranking(task.options.multi_pv)
        lines = info_lines(
            [follow(task.game, findings.variation(index)) for index in ranking],
            depth=findings.depth(),
            deepest=findings.deepest(),
            nodes=findings.nodes,
            seconds=elapsed,
            score=self._player.score,
            wdl=task.options.show_wdl,
        )
        for line in lines:
            self._client.say(line)


def start_search(
    player: Player,
    client: Client,
    game: ChessGame | None,
    go: GoCommand,
    options: OptionValues,
    *,
    generator: np.random.Generator,
    spent: float,
    lag: LagMeter,
    complain: Complain,
) -> Search:
    """Start the search that a `go` asks for.

    Args:
        player: that searches.
        client: that is told.
        game: the position, None where it is not known.
        go: the command.
        options: as they stand now.
        generator: of the moves that a temperature draws.
        spent: seconds of the move's time that are gone already.
        lag: what the moves before this one cost.
        complain: takes what is wrong with the command.
    """
    patient = go.infinite or go.ponder
    only, forced = choices(game, go.searchmoves, complain)
    if game is None or forced:
        return Search(player, client, None, generator, forced=forced, patient=patient)
    number, to_play = game.board.fullmove_number, game.to_play()
    overhead = lag.overhead(go, to_play, options.move_overhead / 1000)
    allotment = allot(go, to_play, number, overhead, lag.first_look)
    task = Task(game, only, Limits(go.nodes, go.depth, go.mate), allotment, options)
    return Search(player, client, task, generator, patient=patient, spent=spent)
