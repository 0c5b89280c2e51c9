"""Games at a chess board, one after the other: who sits where, whose turn it is, what a move leads to.

Whoever is to move, unless it is the person, thinks in the `Thinker`'s thread; everything here is called from
one other thread, and never waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import chess
import numpy as np

from scenes.watching.board.players import Roster
from scenes.watching.board.thinker import Thinker
from scenes.watching.labels import RANDOM
from sim.chess.board.clock import CONTROLS, NO_CLOCK, time_control
from sim.chess.board.notation import ReadGame
from sim.chess.board.table import NORMAL, UNTERMINATED, Ending, Table
from sim.chess.rules.game import ChessGame, IllegalMoveError
from sim.chess.world import Chess
from sim.errors import RequestError
from sim.starts import Starts
from sim.viewer.contract.board import GameOffer

YOU = "You"
RESULT_SECONDS = 4.0  # that a result stays before the next game begins, when nobody plays
COLOURS = ("white", "black", "random")
RULES_INFRACTION = "rules infraction"  # PGN's tag Termination


class BoardGame:
    """The game at the board now, and what the next one will be.

    Args:
        config: of the world: start, colour, opponent, plies.
        roster: the players there are.
        opponent: who plays against the agent, a name in `roster`.
        rival: who plays against a person, unless another is chosen.
        starts: offers first positions, see `Chess.make`.
        now: seconds that only grow.

    Attributes:
        table: the game.
        number: of the game, from 0.
        captured: pawns' worth that the bottom side took in the last step, less what it lost.
        thinker: thinks for whoever is to move.
    """

    def __init__(
        self,
        config: Chess,
        roster: Roster,
        *,
        opponent: str,
        rival: str,
        starts: Starts[str] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._roster, self._starts, self._now = config, roster, starts, now
        self._usual = {False: opponent, True: rival}  # by whether a person plays
        self._opponent: str | None = None  # as it was chosen
        self._colour: str = config.colour
        self._control = NO_CLOCK
        self._person = False
        self._held = False
        self._replay: deque[int] = deque()
        self._until = 0.0
        self._alarm: threading.Timer | None = None
        self._tell: Callable[[], None] = lambda: None
        self.thinker = Thinker()
        self.number = -1
        self.captured = 0
        self.premove: Callable[[], int | None] = lambda: None  # the action of a premove that is legal now
        self._premoved: int | None = None
        self._generator = np.random.default_rng()
        self._next_seed: int | None = None
        self._match_generator = self._generator
        self.table = self._opened(None)

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell`, from any thread, when there is news: a thought, a flag that falls."""
        self._tell = self.thinker.tell = tell

    def reseed(self, seed: int | None) -> None:
        """Draw the games from a seed on; None: go on."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._next_seed = seed

    def close(self) -> None:
        """Stop thinking, and end engines."""
        self._set_alarm(None)
        self.thinker.close()
        self._roster.close()

    # A game begins

    def begin(self, read: ReadGame | None = None) -> None:
        """Begin a game: the next one, or one that was read.

        Raises:
            ValueError: if there is no game from the configured start with this colour.
        """
        self.table = self._opened(read)
        self.number += 1
        self.captured = 0
        self._replay.clear()
        if read is not None and read.actions:
            self._replay.extend(read.actions)
            white, black = (name or "?" for name in read.names)
            self.table.names = {chess.WHITE: white, chess.BLACK: black}
        self._turn()

    def _opened(self, read: ReadGame | None) -> Table:
        """A table at which nobody has moved; drawn from the games' generator."""
        seed, self._next_seed = self._next_seed, None
        colour: Any = self._colour
        match = replace(self._config, colour=colour).new_match(self._starts)
        match.start(int(self._generator.integers(2**31)) if seed is None else seed)
        self._match_generator = match.generator
        first, side = match.game, match.colour
        if read is not None:
            first = ChessGame(read.fen, self._config.history)
            side = self.table.colour if colour == "random" else side
        names = {side: self._bottom, not side: self.opponent}
        return Table(first, side, names, control=time_control(self._control), now=self._now)

    @property
    def opponent(self) -> str:
        """Who sits opposite."""
        return self._opponent or self._usual[self._person]

    @property
    def _bottom(self) -> str:
        return YOU if self._person else self._roster.agent or RANDOM

    def offer(self) -> GameOffer:
        """What the dialog "New game" offers."""
        names = self._roster.names
        present = names.index(self.opponent) if self.opponent in names else 0
        control = CONTROLS.index(self._control) if self._control in CONTROLS else 0
        side = "You play" if self._person else f"{self._bottom} plays"
        return GameOffer(side, names, present, self._colour, CONTROLS, control)

    def choose(self, colour: str, opponent: str, control: str) -> None:
        """Choose what the next game is like, and begin it.

        Raises:
            RequestError, ValueError: if there is no such game; the present one goes on.
        """
        if colour not in COLOURS:
            raise RequestError(f'there is no colour "{colour}": {", ".join(COLOURS)}')
        if opponent not in self._roster.names:
            raise RequestError(f'there is no opponent "{opponent}": {", ".join(self._roster.names)}')
        time_control(control)
        before = self._colour, self._opponent, self._control
        self._colour, self._opponent, self._control = colour, opponent, control
        try:
            self.begin()
        except ValueError:
            self._colour, self._opponent, self._control = before
            raise

    def set_person(self, on: bool) -> None:
        """Let a person sit at the bottom, or the agent."""
        if on == self._person:
            return
        self._person = on
        side = self.table.colour
        if not self._replay:
            self.table.names[side] = self._bottom
            if not self.table.moves:
                self.table.names[not side] = self.opponent
        self._turn()

    # Turns

    @property
    def person(self) -> bool:
        """Whether a person sits at the bottom."""
        return self._person

    @property
    def person_to_move(self) -> bool:
        """Whether it is a person's turn."""
        table = self.table
        return self._person and not table.over and not self._replay and table.game.turn == table.colour

    @property
    def thinking(self) -> bool:
        """Whether a player thinks now."""
        return not self.thinker.done

    @property
    def waits(self) -> bool:
        """Whether no step makes sense now: somebody thinks, or a result is read."""
        if self.hurries:
            return False
        if self.table.over:
            return self._person or self._now() < self._until
        return self.person_to_move or self.thinking

    @property
    def hurries(self) -> bool:
        """Whether a step is due at once: a game that was read is gone through, or a premove is played."""
        return bool(self._replay) or self._premoved is not None

    def advance(self, action: int | None) -> None:
        """Take one step: the move of whoever is to move, `action` if it is a person; or the next game."""
        self.captured = 0
        if self._replay:
            self._play(self._replay.popleft())
            if not self._replay:
                self._seat()
                if self.table.clock is not None and not self.table.over:
                    self.table.clock.reset(self.table.game.turn)
            self._turn()
        elif self.table.over:
            self.begin()
        elif self.person_to_move:
            action = self._premoved if self._premoved is not None else action
            if action is not None:
                self._play(action)
                self._turn()
        elif not self.thinking:
            self._play_thought()
            self._turn()

    def _seat(self) -> None:
        side = self.table.colour
        self.table.names = {side: self._bottom, not side: self.opponent}

    def _play(self, action: int) -> None:
        game, table = self.table.game, self.table
        taken = game.taken(action) if action in game.moves else 0
        table.play(action)
        self.captured = taken if game.turn == table.colour else -taken
        if not table.over and not self._person and len(table.moves) >= self._config.max_plies:
            table.end(Ending("*", f"cut off after {self._config.max_plies} plies", UNTERMINATED))

    def _play_thought(self) -> None:
        """Play what the player to move has thought of; one that fails ends the game, which is kept."""
        table, error, thought = self.table, self.thinker.error, self.thinker.thought
        mover = table.game.turn
        name = table.names[mover]
        if error is not None or thought is None:
            why = "had no answer" if error is None else str(error) or type(error).__name__
            table.end(Ending("*", f"{name} failed: {why}", UNTERMINATED))
        elif thought.action is None:
            table.end(Ending("0-1" if mover else "1-0", f"{name} resigned", NORMAL))
        else:
            try:
                self._play(thought.action)
            except IllegalMoveError as illegal:
                table.end(Ending("*", f"{name} broke the rules: {illegal}", RULES_INFRACTION))

    def _turn(self) -> None:
        """Let whoever is to move think, or look whether a premove can be played; wind the alarm."""
        table = self.table
        self.thinker.cancel()
        self._premoved = None
        if table.over:
            self._until = self._now() + RESULT_SECONDS
            self._set_alarm(None if self._person else RESULT_SECONDS)
            return
        if self.person_to_move:
            self._premoved = self.premove()
        elif not self._replay:
            name = table.names[table.game.turn]
            self.thinker.begin(partial(self._think, name, table.game))
        self._set_alarm(None if table.clock is None else table.clock.seconds_to_flag)

    def _think(self, name: str, game: ChessGame) -> Any:
        """Thoughts of a player; made in the thinking thread, since an engine takes a while to start."""
        return self._roster.think(name)(game, self._match_generator)

    def take_back(self) -> bool:
        """Undo the last moves of both sides, so that the person, or else the same side, is to move again."""
        table = self.table
        if self._replay:
            return False
        count = 2
        if self._person and table.game.turn != table.colour:
            count = 1
        if not table.take_back(count):
            return False
        self.captured = 0
        self._turn()
        return True

    def flag(self) -> bool:
        """End the game if somebody's time is up."""
        if not self.table.flag():
            return False
        self._turn()
        return True

    def hold(self, held: bool) -> None:
        """Let the clocks stand while the game is paused."""
        self._held = held
        clock = self.table.clock
        if clock is not None:
            clock.pause(held)
            if not self.table.over:
                self._set_alarm(clock.seconds_to_flag)

    def _set_alarm(self, seconds: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if seconds is not None:
            self._alarm = threading.Timer(seconds + 0.01, lambda: self._tell())
            self._alarm.daemon = True
            self._alarm.start()
