"""State of one game between the agent and an opponent: position, side to move, captures, result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import chess
import numpy as np

from sim.chess.diagrams.draw import draw_board
from sim.chess.diagrams.truth import Place, truth_of
from sim.chess.opponents import Forfeit, Opponent, OpponentError
from sim.chess.rules.game import CHECKMATE, ChessGame
from sim.records import Array, Percept
from sim.vector import ActionError

#: Makes the first position from the game's generator and the agent's colour.
Setup = Callable[[np.random.Generator, chess.Color], ChessGame]

PICTURE = 480  # pixels on a side
OUTCOMES = {1.0: "win", 0.0: "draw", -1.0: "loss"}
MASKS = (
    'only what info["action_mask"] marks can be played: learn with masks, as by sb3-contrib\'s MaskablePPO'
)
MAX_PLIES, RESIGNED = "max_plies", "opponent resigned"


class Match:
    """One game between the agent and an opponent; `start` begins the next, from its own seed.

    Attributes:
        game: the position on the board.
        first: the position that the game began from.
        colour: the agent's side.
        actions: every action so far, both sides'.
        generator: draws the colour, the placement and the opponent's choices.
        captured: pawns' worth that the agent took, less what it lost, in the step so far.
    """

    def __init__(self, setup: Setup, colour: str, max_plies: int) -> None:
        self._setup = setup
        self._wanted = colour
        self._max_plies = max_plies
        self._cut = "not started"
        self.captured = 0

    def start(self, seed: int) -> None:
        """Set up a new game; the opponent has not moved yet."""
        self.generator = np.random.default_rng(seed)
        draw = bool(self.generator.integers(2)) if self._wanted == "random" else False
        self.colour = {"white": chess.WHITE, "black": chess.BLACK}.get(self._wanted, draw)
        self.game = self.first = self._setup(self.generator, self.colour)
        self.actions: list[int] = []
        self._cut = ""
        self.captured = 0

    def advance(self, action: int) -> None:
        """Play a legal action of the side to move.

        Raises:
            sim.chess.rules.game.IllegalMoveError: if it is not legal; nothing has changed then.
        """
        after = self.game.play(action)
        taken = self.game.taken(action)
        self.captured += taken if self.agent_to_move else -taken
        self.game = after
        self.actions.append(action)

    def check(self, action: int, where: str = "") -> None:
        """Refuse an action of the agent that the position does not allow.

        Raises:
            ActionError: naming the move.
        """
        if self._cut:
            raise ActionError(f"{where}action {action} in a game that is off ({self._cut}): reset first")
        if action not in self.game.moves:
            raise ActionError(f"{where}{self.game.refusal(action)}; {MASKS}")

    def cut(self, reason: str) -> None:
        """Truncate the game for `reason`."""
        self._cut = reason

    def cut_if_long(self) -> None:
        """Truncate at the ply limit; called when the agent would move, so that the value is for its turn."""
        if self.agent_to_move and not self.over and len(self.actions) >= self._max_plies:
            self.cut(MAX_PLIES)

    @property
    def agent_to_move(self) -> bool:
        """Whether the agent's side moves next."""
        return self.game.turn == self.colour

    @property
    def over(self) -> bool:
        """Whether the game has ended, by the rules or cut."""
        return bool(self._cut) or self.terminated

    @property
    def terminated(self) -> bool:
        """Whether the rules ended it."""
        return self.game.reason is not None

    @property
    def truncated(self) -> bool:
        """Whether it was truncated before the rules ended it."""
        return bool(self._cut) and not self.terminated

    @property
    def result(self) -> float:
        """For the agent: +1 win, −1 loss; 0 for a draw, while the game goes on, and if it was truncated."""
        value = self.game.outcome() or 0.0
        return value if self.agent_to_move or not value else -value

    @property
    def outcome(self) -> str:
        """For the agent: ``"win"``, ``"draw"``, ``"loss"``; "" while it goes on and if it was truncated."""
        return OUTCOMES[self.result] if self.terminated else ""

    @property
    def shown(self) -> ChessGame:
        """The position that the agent sees: always as the side to move, unless the rules ended the game."""
        return self.game if self.agent_to_move or self.terminated else self.game.passed()

    def picture(self, size: int = PICTURE) -> Array:
        """The board from the agent's side with the last move marked, (size, size, 3) uint8."""
        flipped = self.colour == chess.BLACK
        return draw_board(self.game.board, size, flipped=flipped, last_move=self.game.last_move)

    def truth(self, size: int = PICTURE) -> Percept:
        """Ground truth of `picture`."""
        flipped = self.colour == chess.BLACK
        return truth_of(self.game.board, Place.flat(size), size, flipped=flipped)

    def facts(self) -> dict[str, Any]:
        """The game's info without the action mask; `sim.chess.world` has the table."""
        return {
            "fen": self.game.fen,
            "ply": len(self.actions),
            "outcome": self.outcome,
            "mate": self.game.reason == CHECKMATE,
            "reason": self.game.reason or self._cut,
        }


def step_games(matches: Sequence[Match], actions: Sequence[int], opponent: Opponent) -> None:
    """Play one legal action of the agent in every match, and let `opponent` reply where the game goes on."""
    for match, action in zip(matches, actions, strict=True):
        match.captured = 0
        match.advance(action)
    reply(matches, opponent)
    for match in matches:
        match.cut_if_long()


def reply(matches: Iterable[Match], opponent: Opponent) -> None:
    """Let `opponent` move where it is its turn; resigning, raising or an illegal move truncates the game.

    Any exception counts: an error of a foreign player must end its game, never the run.
    """
    waiting = [match for match in matches if not match.over and not match.agent_to_move]
    if not waiting:
        return
    try:
        replies = opponent.reply([match.game for match in waiting], [match.generator for match in waiting])
    except Exception as error:
        for match in waiting:
            match.cut(f"opponent crashed: {type(error).__name__}: {error}")
        return
    for match, reply in zip(waiting, replies, strict=True):
        if reply is None:
            match.cut(RESIGNED)
        elif isinstance(reply, Forfeit):
            match.cut(f"opponent failed: {reply.reason}")
        elif reply not in match.game.moves:
            match.cut(f"opponent broke the rules: {match.game.refusal(reply)}")
        else:
            match.advance(reply)


def open_games(matches: Sequence[Match], seeds: Sequence[int], opponent: Opponent) -> None:
    """Start matches and let `opponent` open where it has the first move.

    Raises:
        OpponentError: if it resigns or fails there.
    """
    for match, seed in zip(matches, seeds, strict=True):
        match.start(seed)
    reply(matches, opponent)
    for match, seed in zip(matches, seeds, strict=True):
        if match.over:
            why = match.facts()["reason"]
            raise OpponentError(f"chess: no game with seed {seed}, {why} at its first move")
