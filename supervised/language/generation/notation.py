"""Notations of texts as tokens: chess moves by number, or characters; and transcripts of sampled tokens.

A notation turns a text into token numbers and back. Each token accounts for some characters of the text, so
that a model's nats a token become bits a character, whatever the notation. A move may bear a mark, what its
algebraic notation says beside its squares: the piece, whether it captures, whether it gives check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from sim.records import Array
from supervised.data.sources.chess_games.master_games import (
    BOARD_BYTES,
    RESULTS,
    board_bits,
    replayed,
    uci_moves,
)

PIECES = "PNBRQK"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # of a character that the vocabulary lacks


@dataclass(frozen=True)
class Encoded:
    """A text of T tokens, without the one that begins it.

    Attributes:
        tokens: (T,) int64.
        marks: (T,) int64; 0 is none.
        characters: (T,) int64, how many of the text each token stands for.
        words: T names of the tokens, as the window shows them.
        states: (T + 1, F / 8) uint8, the state before the first token and after each; None of texts.
    """

    tokens: Array
    marks: Array
    characters: Array
    words: tuple[str, ...]
    states: Array | None = None


class Transcript(Protocol):
    """A text that grows token by token.

    Attributes:
        words: of its tokens, so far.
        over: whether it has ended: by its last token, or because that is against the rules.
        legal: whether all of it keeps the rules; always so where there are none.
    """

    words: list[str]
    over: bool
    legal: bool

    def push(self, token: int) -> int:
        """Append a token; returns its mark."""

    def state(self) -> Array | None:
        """(F / 8,) uint8: the state after the last token; None of texts."""

    def name(self, token: int) -> str:
        """The name of a token if it came next."""

    def text(self) -> str:
        """All of it."""


class Notation(Protocol):
    """Tokens of one kind of text.

    Attributes:
        size: of the vocabulary.
        marks: how many there are, with 0 for none.
        features: bits of a state; 0 of texts.
        parts: (V, P) int64, what each token consists of; None where it is a whole.
        start: the token that begins every text, and of characters also ends it.
    """

    @property
    def size(self) -> int:
        """See the class."""

    @property
    def marks(self) -> int:
        """See the class."""

    @property
    def features(self) -> int:
        """See the class."""

    @property
    def parts(self) -> Array | None:
        """See the class."""

    @property
    def start(self) -> int:
        """See the class."""

    def encode(self, text: str) -> Encoded:
        """The tokens of a text.

        Raises:
            ValueError: naming what is no text of this notation.
        """

    def transcript(self, text: str) -> Transcript:
        """A transcript that begins with a text."""


class MoveNotation:
    """Chess games as moves: the numbers of `uci_moves`, three results, and the start. Satisfies `Notation`.

    >>> notation = MoveNotation()
    >>> notation.encode("1. e4 e5").words, notation.size
    (('e4', 'e5'), 1972)
    """

    def __init__(self) -> None:
        self.moves = uci_moves()
        self.size, self.start, self.marks = len(self.moves) + 4, len(self.moves) + 3, 25

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Of the moves."""
        return {move: i for i, move in enumerate(self.moves)}

    features = 8 * BOARD_BYTES

    @cached_property
    def parts(self) -> Array:
        """See `Notation`: the square left and the direction, the square reached, and what a pawn becomes."""
        told = [(f"{move[:2]} {direction(move)}", f"to {move[2:4]}", move[4:]) for move in self.moves]
        numbers = {
            name: i for i, name in enumerate(sorted({"", *(name for three in told for name in three)}))
        }
        whole = [[numbers[name] for name in three] for three in told] + [[0, 0, 0]] * 4
        return np.array(whole, np.int64)

    def encode(self, text: str) -> Encoded:
        """See `Notation`; a result at the end of the text is left out."""
        game = replayed(text, self.numbers)
        return self.encoded(game.san, game.moves, game.boards)

    def encoded(self, san: tuple[str, ...], moves: Array, boards: Array) -> Encoded:
        """The tokens of a game that is replayed, a `MasterGame`."""
        lengths = np.array([len(word) + 1 for word in san], np.int64)
        return Encoded(moves.astype(np.int64), marks(san), lengths, san, boards)

    def end(self, result: str) -> int:
        """The token of a result; that of an unknown one is the start."""
        return len(self.moves) + RESULTS.index(result) if result in RESULTS else self.start

    def transcript(self, text: str) -> GameTranscript:
        """See `Notation`."""
        return GameTranscript(self, replayed(text, self.numbers).san)


def direction(move: str) -> str:
    """How a move in UCI notation goes: a knight's, or along which line and whether by more than a step.

    >>> direction("e2e4"), direction("g1f3"), direction("a1b2")
    ('upright far', 'knight', 'diagonal')
    """
    dx, dy = (abs(ord(move[i]) - ord(move[i + 2])) for i in (0, 1))
    if dx and dy and dx != dy:
        return "knight"
    return ("diagonal" if dx == dy else "upright" if dx == 0 else "level") + " far" * (max(dx, dy) > 1)


def marks(san: Sequence[str]) -> Array:
    """Marks (P,) int64 of moves: 1 + 4 × piece + 2 × captures + gives check.

    >>> marks(["e4", "Nxd5+", "O-O"]).tolist()
    [1, 8, 21]
    """
    kinds = ["K" if word[0] == "O" else word[0] if word[0] in PIECES else "P" for word in san]
    found = [
        1 + 4 * PIECES.index(kind) + 2 * ("x" in word) + (word[-1] in "+#")
        for kind, word in zip(kinds, san, strict=True)
    ]
    return np.array(found, np.int64)


class GameTranscript:
    """A chess game that grows by tokens of `MoveNotation`, with its board. Satisfies `Transcript`."""

    def __init__(self, notation: MoveNotation, san: Sequence[str]) -> None:
        import chess

        self._notation, self.board = notation, chess.Board()
        self.words: list[str] = []
        self.over, self.legal = False, True
        for word in san:
            self.board.push_san(word)
            self.words.append(word)

    def _move(self, token: int) -> Any:
        """The legal move of a token; None for one that is not legal, or no move."""
        import chess

        if token >= len(self._notation.moves):
            return None
        move = chess.Move.from_uci(self._notation.moves[token])
        return move if self.board.is_legal(move) else None

    def push(self, token: int) -> int:
        """See `Transcript`."""
        move = self._move(token)
        if move is None:
            self.words.append(self.name(token))
            self.over, self.legal = True, len(self._notation.moves) <= token < self._notation.start
            return 0
        self.words.append(self.board.san_and_push(move))
        return int(marks(self.words[-1:])[0])

    def name(self, token: int) -> str:
        """See `Transcript`: SAN, a result, or the squares of an illegal move with a dagger."""
        moves = self._notation.moves
        if token >= len(moves):
            return (*RESULTS, "start")[token - len(moves)]
        move = self._move(token)
        return self.board.san(move) if move is not None else f"{moves[token]}†"

    def state(self) -> Array:
        """See `Transcript`."""
        return board_bits(self.board)

    def picture(self) -> Array:
        """(H, W, 3) uint8: the board, with the last move tinted."""
        from sim.chess.diagrams.draw import draw_board

        last = self.board.peek() if self.board.move_stack else None
        return draw_board(self.board, 480, last_move=last)

    def text(self) -> str:
        """See `Transcript`: moves with their numbers."""
        return numbered(self.words)


def numbered(words: Sequence[str], first: int = 0) -> str:
    """Moves in SAN with their numbers, results without.

    Args:
        words: moves, and a result at the end.
        first: plies before them.

    >>> numbered(["Nf3", "Nc6", "1-0"], 2)
    '2. Nf3 Nc6 1-0'
    >>> numbered(["e5"], 1)
    '1... e5'
    """
    parts = []
    for ply, word in enumerate(words, first):
        if word not in RESULTS and ply % 2 == 0:
            parts.append(f"{ply // 2 + 1}.")
        elif word not in RESULTS and ply == first:
            parts.append(f"{ply // 2 + 1}...")
        parts.append(word)
    return " ".join(parts)


class CharacterNotation:
    """Texts as characters of a vocabulary; others become `UNKNOWN`. Satisfies `Notation`.

    >>> notation = CharacterNotation("abc")
    >>> notation.encode("cab!").tokens.tolist(), notation.transcript("ca").text()
    ([2, 0, 1, 3], 'ca')
    """

    marks, features = 1, 0
    parts = None

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = tuple(dict.fromkeys((*characters, UNKNOWN)))
        self.size, self.start = len(self.characters) + 1, len(self.characters)
        self._numbers = {character: i for i, character in enumerate(self.characters)}

    def encode(self, text: str) -> Encoded:
        """See `Notation`."""
        unknown = self._numbers[UNKNOWN]
        tokens = np.array([self._numbers.get(character, unknown) for character in text], np.int64)
        return Encoded(tokens, np.zeros_like(tokens), np.ones_like(tokens), tuple(text))

    def transcript(self, text: str) -> TextTranscript:
        """See `Notation`."""
        return TextTranscript(self, text)


class TextTranscript:
    """A text that grows by characters. Satisfies `Transcript`."""

    legal = True

    def __init__(self, notation: CharacterNotation, text: str) -> None:
        self._notation, self.words, self.over = notation, list(text), False

    def push(self, token: int) -> int:
        """See `Transcript`."""
        if token == self._notation.start:
            self.over = True
        else:
            self.words.append(self._notation.characters[token])
        return 0

    def state(self) -> None:
        """See `Transcript`."""

    def name(self, token: int) -> str:
        """See `Transcript`: white space by its symbols."""
        if token == self._notation.start:
            return "end"
        return {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(
            self._notation.characters[token], self._notation.characters[token]
        )

    def text(self) -> str:
        """See `Transcript`."""
        return "".join(self.words)
