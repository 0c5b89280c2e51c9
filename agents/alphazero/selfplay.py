"""Games in progress, in which one player has both sides, and what is remembered of those that ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from sim.protocols import Game
from sim.records import Array, Episode, Segment, State

WIDTH = 32  # minibatches have room for a multiple of so many legal actions


class Boards(Protocol):
    """Worlds that tell where games begin; only their first positions are used."""

    @property
    def starts(self) -> Sequence[Game]:
        """The N positions that games begin from."""

    @property
    def max_plies(self) -> int:
        """Moves of both sides after which a game is cut."""

    @property
    def symmetries(self) -> Symmetries:
        """What may be done to a position and its moves without changing what they are worth."""


#: For each of S ways to turn a board: (S, H·W) which square each square takes its contents from, and (S, A)
#: what each action becomes.
Symmetries: TypeAlias = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Move:
    """One ply of self-play.

    Attributes:
        obs: (C, H, W) uint8 from the mover's side.
        legal: (K,) int64 legal actions.
        policy: (K,) float32 what the search would play.
        value: what the search expects for the mover.
        action: what was played.
    """

    obs: Array
    legal: Array
    policy: Array
    value: float
    action: int


class SelfPlay:
    """One game in progress."""

    def __init__(self, start: Game, max_plies: int) -> None:
        self.start, self.game, self._max_plies = start, start, max_plies
        self.moves: list[Move] = []

    def play(self, move: Move) -> None:
        """Make a move for whose turn it is."""
        self.moves.append(move)
        self.game = self.game.play(move.action)

    @property
    def over(self) -> bool:
        """Whether the rules ended the game, or it is cut."""
        return self.game.outcome() is not None or len(self.moves) >= self._max_plies

    def episode(self) -> Episode:
        """The game as it went for player 0, in chess White; without an outcome where it was cut."""
        outcome = self.game.outcome()
        score = (outcome or 0.0) * (1 if self.game.to_play() == 0 else -1) + 0.0  # no −0
        word = "" if outcome is None else {1.0: "win", 0.0: "draw", -1.0: "loss"}[score]
        return Episode(score, len(self.moves), word, score > 0)

    def targets(self, gamma: float, td_lambda: float) -> Array:
        """(T,) float32 what each ply's mover came to: its λ-return (Sutton & Barto 2018, eq. 12.3) for two.

        With `td_lambda` 1 that is the game's outcome, `gamma` times less a ply earlier; below 1 what the
        search expected of later plies counts too. A game that was cut bootstraps from its last search.
        """
        outcome = self.game.outcome()
        values = np.array([move.value for move in self.moves])
        targets = values.copy()
        if outcome is not None:
            targets[-1] = -gamma * outcome
        for t in range(len(values) - 2, -1, -1):
            targets[t] = -gamma * ((1 - td_lambda) * values[t + 1] + td_lambda * targets[t + 1])
        return targets.astype(np.float32)

    def state(self) -> State:
        """The plies so far; the position follows from them and from where the game began."""
        moves = self.moves
        empty = np.zeros(0, np.float32)
        return {
            "actions": np.array([move.action for move in moves], np.int64),
            "values": np.array([move.value for move in moves], np.float64),
            "policies": np.concatenate([empty, *(move.policy for move in moves)]),
        }

    def restore(self, state: State) -> None:
        """Play again what `state` holds, from the start."""
        policies = np.asarray(state["policies"])
        for action, value in zip(state["actions"].tolist(), state["values"].tolist(), strict=True):
            legal = self.game.legal_actions()
            policy, policies = np.split(policies, [len(legal)])
            self.play(Move(observed(self.game), legal, policy, value, action))


def observed(game: Game) -> Array:
    """(C, H, W) uint8 of one position."""
    obs: Array = game.observe([game])[0]
    return obs


@dataclass(frozen=True)
class Positions:
    """B positions to learn from.

    Attributes:
        obs: (B, C, H, W) uint8.
        legal: (B, K) int64 legal actions, and any action where `mask` is False.
        mask: (B, K) bool, which of them are real.
        policy: (B, K) float32, 0 where there is none.
        value: (B,) float32.
    """

    obs: Tensor
    legal: Tensor
    mask: Tensor
    policy: Tensor
    value: Tensor


class Chapter:
    """The positions of the games that ended in one update; it never changes."""

    def __init__(self, name: str, arrays: dict[str, Array]) -> None:
        self.name, self._arrays = name, arrays
        self._ends = np.cumsum(arrays["widths"])

    @classmethod
    def of(cls, name: str, games: Sequence[SelfPlay], gamma: float, td_lambda: float) -> Chapter:
        """All plies of `games`, which are over; see `SelfPlay.targets`."""
        moves = [move for game in games for move in game.moves]
        arrays = {
            "obs": np.stack([move.obs for move in moves]),
            "widths": np.array([len(move.legal) for move in moves], np.int64),
            "legal": np.concatenate([move.legal for move in moves]).astype(np.int32),
            "policy": np.concatenate([move.policy for move in moves]),
            "value": np.concatenate([game.targets(gamma, td_lambda) for game in games]),
        }
        return cls(name, arrays)

    def __len__(self) -> int:
        """How many positions it has."""
        return len(self._ends)

    def row(self, index: int) -> tuple[Array, Array, Array, float]:
        """Observation, legal actions (K,), policy (K,) and value of one position."""
        arrays, end = self._arrays, int(self._ends[index])
        begin = end - int(arrays["widths"][index])
        policy: Array = arrays["policy"][begin:end]
        return arrays["obs"][index], arrays["legal"][begin:end], policy, float(arrays["value"][index])

    def segment(self) -> Segment:
        """What a run keeps on disk, once."""
        return Segment(self.name, partial(dict, self._arrays))


class Memory:
    """The newest positions of finished games, at least `size` of them once there have been so many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._chapters: deque[Chapter] = deque()
        self._length = 0

    def __len__(self) -> int:
        """How many positions there are."""
        return self._length

    def add(self, chapter: Chapter) -> None:
        """Take a chapter, and forget the oldest that are no longer needed."""
        self._chapters.append(chapter)
        self._length += len(chapter)
        while self._length - len(self._chapters[0]) >= self._size:
            self._length -= len(self._chapters.popleft())

    def sample(
        self,
        batch_size: int,
        symmetries: Symmetries,
        generator: np.random.Generator,
        device: torch.device,
    ) -> Positions:
        """Positions drawn with equal chances, each turned at random by one of `symmetries`."""
        ends = np.cumsum([len(chapter) for chapter in self._chapters])
        drawn = generator.integers(self._length, size=batch_size)
        which = np.searchsorted(ends, drawn, side="right")
        rows = [
            self._chapters[int(k)].row(int(i - ends[k] + len(self._chapters[int(k)])))
            for k, i in zip(which, drawn, strict=True)
        ]
        # Whole multiples: a loss that is compiled for each width must not meet a new one every time.
        width = -(-max(len(legal) for _, legal, _, _ in rows) // WIDTH) * WIDTH
        legal, policy = np.zeros((batch_size, width), np.int64), np.zeros((batch_size, width), np.float32)
        mask = np.zeros((batch_size, width), bool)
        for i, (_, actions, shares, _) in enumerate(rows):
            legal[i, : len(actions)], policy[i, : len(actions)] = actions, shares
            mask[i, : len(actions)] = True
        obs = np.stack([row[0] for row in rows])
        value = np.array([row[3] for row in rows], np.float32)
        squares, becomes = symmetries
        turn = generator.integers(len(squares), size=batch_size)
        flat = obs.reshape(*obs.shape[:2], -1)
        obs = np.take_along_axis(flat, squares[turn][:, None], 2).reshape(obs.shape)
        legal = becomes[turn[:, None], legal]
        return Positions(*(torch.from_numpy(a).to(device) for a in (obs, legal, mask, policy, value)))

    def state(self) -> State:
        """The chapters, oldest first."""
        return {"chapters": [chapter.segment() for chapter in self._chapters]}

    def restore(self, state: State) -> None:
        """Take up what `state` holds."""
        self._chapters.clear()
        self._length = 0
        for segment in state["chapters"]:
            self.add(Chapter(segment.name, segment.read()))
