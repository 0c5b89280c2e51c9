"""Interactive board of a `Table`: a person moves one side, or enters a premove while the other thinks."""

from __future__ import annotations

from dataclasses import replace

import chess

from sim.chess.board.interactive_renderer import ChessRenderer, Move
from sim.chess.board.table import Table
from sim.records import Decision
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.gesture import Ability, Answer


class TableRenderer(ChessRenderer):
    """Interactive renderer of the games that are played at one table, one after the other."""

    abilities = ChessRenderer.abilities | {Ability.TABLE}

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.table = table
        self.premove: Move | None = None

    def seat(self, table: Table) -> None:
        """Draw another game from now on."""
        self._world = self.table = table
        self.has_clocks = table.clock is not None
        self.premove = None

    @property
    def asks(self) -> tuple[str, ...]:
        """See `ChessRenderer`; Esc cancels a premove."""
        asked = super().asks
        return asked if self.premove is None or "escape" in asked else (*asked, "escape")

    def state(
        self, decision: Decision | None, moment: int, *, agent: str = "", outcome_values: bool = True
    ) -> BoardState:
        """See `ChessRenderer`; with the premove."""
        found = super().state(decision, moment, agent=agent, outcome_values=outcome_values)
        return replace(found, premove=self.premove)

    def take_premove(self) -> int | None:
        """The action of the premove, a pawn becoming a queen, if it is legal now; it is gone then."""
        premove, self.premove = self.premove, None
        if premove is None or self._game is None:
            return None
        fitting = [
            (action, move)
            for action, move in self._world.game.moves.items()
            if (move.from_square, move.to_square) == premove and move.promotion in (None, chess.QUEEN)
        ]
        if not fitting:
            return None
        self._dragged = True  # it stands there already for whoever entered it
        return fitting[0][0]

    @property
    def _early(self) -> bool:
        """Whether the other side is to move."""
        return self._game is not None and self._game.turn != self._colour and not self._ending

    def _go(self, start: chess.Square, end: chess.Square) -> Answer:
        if not self._early:
            return super()._go(start, end)
        self._let_go()
        self.premove = (start, end) if start != end else None
        return Answer(redraw=True)

    def _press(self, square: chess.Square | None, at: tuple[float, float] | None) -> Answer:
        cancels = self.premove is not None and self._picked is None
        self.premove = None
        answer = super()._press(square, at)
        return replace(answer, redraw=True) if cancels else answer

    def _key(self, name: str) -> Answer:
        if name == "escape" and self.premove is not None:
            self.premove = None
            self._let_go()
            return Answer(redraw=True)
        return super()._key(name)
