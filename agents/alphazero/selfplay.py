"""Self-play games and the replay buffer of their positions, with value targets and board symmetries."""

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

WIDTH = 32  # minibatches are padded to a multiple of so many legal actions


class BoardWorlds(Protocol):
    """Worlds of board games as self-play uses them: starting positions, length limit, symmetries."""

    @property
    def starts(self) -> Sequence[Game]:
        """The N positions that games begin from."""

    @property
    def max_plies(self) -> int:
        """Plies after which a game is truncated."""

    @property
    def symmetries(self) -> Symmetries:
        """Symmetries of the game: transformations of a position and its moves that preserve values."""


#: S board symmetries: (S, H·W) the source square of each square, and (S, A) the image of each action.
Symmetries: TypeAlias = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Move:
    """One ply of self-play: observation and search results.

    Attributes:
        obs: (C, H, W) uint8 from the mover's side.
        legal: (K,) int64 legal actions.
        policy: (K,) float32 policy of the search.
        value: value of the search for the mover.
        action: that was played.
    """

    obs: Array
    legal: Array
    policy: Array
    value: float
    action: int


class SelfPlay:
    """Self-play game in progress.

    Attributes:
        version: of the weights that chose its first move, where a learner numbers them for its actors.
        played_through: whether it goes on where a side would resign, to audit the threshold.
        gave_up: the side that resigned, or first would have: 0 or 1; None so far.
    """

    def __init__(
        self,
        start: Game,
        max_plies: int,
        version: int = 0,
        *,
        resign_below: float = 0.0,
    ) -> None:
        """Begin at `start`.

        Args:
            start: the position.
            max_plies: after which it is truncated.
            version: see the class.
            resign_below: value of the search below which its side resigns; 0: never.
        """
        self.start, self.game, self._max_plies, self.version = start, start, max_plies, version
        self._resign_below, self.played_through = resign_below, False
        self.gave_up: int | None = None
        self.moves: list[Move] = []

    def play(self, move: Move) -> None:
        """Make a move for the side to move, or resign: then the move is kept to learn from, but not made."""
        self.moves.append(move)
        if self._resign_below < 0 and move.value < self._resign_below and self.gave_up is None:
            self.gave_up = self.game.to_play()
        if not self.resigned:
            self.game = self.game.play(move.action)

    @property
    def resigned(self) -> bool:
        """Whether a side has resigned."""
        return self.gave_up is not None and not self.played_through

    @property
    def over(self) -> bool:
        """Whether the game has ended, by the rules or by resigning, or is truncated."""
        return self.resigned or self.game.outcome() is not None or len(self.moves) >= self._max_plies

    @property
    def falsely_resigned(self) -> bool | None:
        """Whether the side that would have resigned did not lose; None where nothing was audited."""
        outcome = self.game.outcome()
        if self.gave_up is None or not self.played_through or outcome is None:
            return None
        return (outcome if self.game.to_play() == self.gave_up else -outcome) >= 0

    def episode(self) -> Episode:
        """The game's score for player 0, in chess White; without an outcome if it was truncated."""
        outcome = -1.0 if self.resigned else self.game.outcome()
        score = (outcome or 0.0) * (1 if self.game.to_play() == 0 else -1) + 0.0  # no −0
        word = "" if outcome is None else {1.0: "win", 0.0: "draw", -1.0: "loss"}[score]
        return Episode(score, len(self.moves), word, score > 0 and not self.resigned)

    def targets(self, gamma: float, td_lambda: float) -> Array:
        """Value targets (T,) float32: two-player λ-returns for the mover (Sutton & Barto 2018, eq. 12.3).

        With `td_lambda` 1 that is the game's outcome, discounted by `gamma` a ply; below 1 values of later
        searches are mixed in. A truncated game bootstraps from its last search; a resigned one counts as
        lost at the next ply.
        """
        outcome = 1.0 if self.resigned else self.game.outcome()
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
            "played_through": self.played_through,
        }

    def restore(self, state: State) -> None:
        """Replay the moves of `state` from the start."""
        self.played_through = bool(state.get("played_through", False))
        policies = np.asarray(state["policies"])
        for action, value in zip(state["actions"].tolist(), state["values"].tolist(), strict=True):
            legal = self.game.legal_actions()
            policy, policies = np.split(policies, [len(legal)])
            self.play(Move(observe(self.game), legal, policy, value, action))


def observe(game: Game) -> Array:
    """Observation (C, H, W) uint8 of one position."""
    obs: Array = game.observe([game])[0]
    return obs


@dataclass(frozen=True)
class Positions:
    """Minibatch of B positions with policy and value targets.

    Attributes:
        obs: (B, C, H, W) uint8.
        legal: (B, K) int64 legal actions, and any action where `mask` is False.
        mask: (B, K) bool, False for padding.
        policy: (B, K) float32, 0 for padding.
        value: (B,) float32.
    """

    obs: Tensor
    legal: Tensor
    mask: Tensor
    policy: Tensor
    value: Tensor


class ReplayChunk:
    """Immutable chunk of the replay buffer: the positions of all games that ended in one update.

    Attributes:
        name: unique in the run.
        arrays: of `of`, by name.
    """

    def __init__(self, name: str, arrays: dict[str, Array]) -> None:
        self.name, self.arrays = name, arrays
        self._ends = np.cumsum(arrays["widths"])

    @classmethod
    def of(cls, name: str, games: Sequence[SelfPlay], gamma: float, td_lambda: float) -> ReplayChunk:
        """Make a chunk of all plies of finished `games`; see `SelfPlay.targets`."""
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
        """The number of positions."""
        return len(self._ends)

    def row(self, index: int) -> tuple[Array, Array, Array, float]:
        """Observation, legal actions (K,), policy (K,) and value of one position."""
        arrays, end = self.arrays, int(self._ends[index])
        begin = end - int(arrays["widths"][index])
        policy: Array = arrays["policy"][begin:end]
        return arrays["obs"][index], arrays["legal"][begin:end], policy, float(arrays["value"][index])

    def segment(self) -> Segment:
        """The chunk as a segment that a run writes to disk once."""
        return Segment(self.name, partial(dict, self.arrays))


class PositionBuffer:
    """Replay buffer of positions from finished games: the newest chunks with at least `size` in all."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._chapters: deque[ReplayChunk] = deque()
        self._length = 0

    def __len__(self) -> int:
        """The number of positions."""
        return self._length

    def add(self, chapter: ReplayChunk) -> None:
        """Add a chunk, and drop the oldest that are no longer needed."""
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
        """Sample positions uniformly, each augmented by a random one of `symmetries`."""
        ends = np.cumsum([len(chapter) for chapter in self._chapters])
        drawn = generator.integers(self._length, size=batch_size)
        which = np.searchsorted(ends, drawn, side="right")
        rows = [
            self._chapters[int(k)].row(int(i - ends[k] + len(self._chapters[int(k)])))
            for k, i in zip(which, drawn, strict=True)
        ]
        # Whole multiples, because a loss is compiled for each width anew.
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
        """The chunks, oldest first."""
        return {"chapters": [chapter.segment() for chapter in self._chapters]}

    def restore(self, state: State) -> None:
        """Restore the chunks of `state`."""
        self._chapters.clear()
        self._length = 0
        for segment in state["chapters"]:
            self.add(ReplayChunk(segment.name, segment.read()))
