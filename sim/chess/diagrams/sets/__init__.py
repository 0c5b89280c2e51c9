"""Piece sets as vector shapes: a table of six silhouettes each.

In: nothing. Out: `PIECE_SETS`, name → `figure.PieceSet`; `sim.chess.diagrams.pieces` rasterises them.
Does not know: colours, sizes, boards.

Reading order: `figure` (the types of a set), `staunton` (turned wood), `diagram` (line art as in print),
`tokens` (letters on discs), `moves` (abstract: the shape is how the piece moves).
To add a set: copy `tokens.py`, add its line here; `tests/sim/test_chess_pictures.py` checks from then on
that its twelve pieces can be told apart in every theme.
"""

from collections.abc import Mapping

from sim.chess.diagrams.sets.diagram import DIAGRAM
from sim.chess.diagrams.sets.figure import PieceSet
from sim.chess.diagrams.sets.moves import MOVES
from sim.chess.diagrams.sets.staunton import STAUNTON
from sim.chess.diagrams.sets.tokens import TOKENS

PIECE_SETS: Mapping[str, PieceSet] = {
    "staunton": STAUNTON,
    "diagram": DIAGRAM,
    "tokens": TOKENS,
    "moves": MOVES,
}
