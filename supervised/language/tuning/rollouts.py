"""Rollouts of a chess policy: it plays the side to move of each prompt, its base answers with legal moves.

Only the policy's own moves are its text: reward, log-probabilities and losses are of these; the answers are
its environment, as a user's turns are for an assistant. Log-probabilities are of the distribution that moves
are drawn from, softmax(logits / temperature) over all 1,968 moves, so that their differences estimate the
Kullback–Leibler divergence without bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sim.records import Array
from supervised.language.generation.gpt import Gpt, KeyValueCache
from supervised.language.generation.notation import Encoded, GameTranscript, MoveNotation
from supervised.language.generation.packing import IGNORED
from supervised.language.tuning.game_reward import continuation_reward, material_balance
from supervised.language.tuning.low_rank import AdaptedGpt

if TYPE_CHECKING:
    import chess

TOGETHER = 256  # continuations


@dataclass(frozen=True)
class Rollouts:
    """N continuations with their prompts, as rows of T tokens, padded at the end.

    Attributes:
        tokens: (N, T) int64, the start, the prompt and the continuation; what follows its end is nothing.
        marks: (N, T) int64.
        features: (N, T, F / 8) uint8, the position after each token.
        targets: (N, T) int64, the next token where the policy chose it, else `packing.IGNORED`.
        begins, ends: (N,) int64, the places of the last token of the prompt and of the continuation.
        log_policy: (N,) float64, Σ log of the policy's probability of its own moves.
        log_base: (N,) float64, the same of the base.
        rewards: (N,) float64.
        texts: N continuations, as their words.
        legal: (N,) bool, whether all moves of the policy are.
    """

    tokens: Array
    marks: Array
    features: Array
    targets: Array
    begins: Array
    ends: Array
    log_policy: Array
    log_base: Array
    rewards: Array
    texts: tuple[tuple[str, ...], ...]
    legal: Array


def inverse_transform(odds: Tensor, uniforms: Tensor) -> Tensor:
    """Draw from distributions (N, V) by uniform numbers (N,) in [0, 1); gives (N,) int64.

    >>> inverse_transform(torch.tensor([[0.2, 0.5, 0.3]] * 3), torch.tensor([0.1, 0.3, 0.9])).tolist()
    [0, 1, 2]
    """
    sums = odds.double().cumsum(-1)
    drawn = torch.searchsorted(sums, uniforms.double()[:, None] * sums[:, -1:], right=True)[:, 0]
    return drawn.clamp_max(odds.shape[-1] - 1)


class Roller:
    """Draws continuations.

    Args:
        network: the policy with its base.
        notation: of its tokens.
        plies: of a continuation, the base's answers too.
        temperature: of the moves of both.
    """

    def __init__(self, network: AdaptedGpt, notation: MoveNotation, plies: int, temperature: float) -> None:
        self.network, self.notation = network, notation
        self.plies, self.temperature = plies, temperature

    def log_odds(self, logits: Tensor) -> Tensor:
        """Log-probabilities (..., 1968) of the moves, from logits (..., V)."""
        return (logits[..., : len(self.notation.moves)].float() / self.temperature).log_softmax(-1)

    @torch.no_grad()
    def roll_out(self, prompts: Sequence[Encoded], uniforms: Array, *, tuned: bool = True) -> Rollouts:
        """One continuation of each of N prompts.

        Args:
            prompts: of any lengths.
            uniforms: (N, plies) numbers in [0, 1), which the draws follow from.
            tuned: by the adapted network; else by its base.
        """
        length = max(len(prompt.tokens) for prompt in prompts) + self.plies + 1
        found = _empty(len(prompts), length)
        lengths = np.array([len(prompt.tokens) for prompt in prompts])
        for own in np.unique(lengths):
            rows = np.flatnonzero(lengths == own)
            for at in range(0, len(rows), TOGETHER):
                part = rows[at : at + TOGETHER]
                self._roll([prompts[i] for i in part], uniforms[part], part, tuned, found)
        texts = tuple(found.pop("texts").tolist())
        return Rollouts(**found, texts=texts)

    def _roll(
        self, prompts: Sequence[Encoded], uniforms: Array, rows: Array, tuned: bool, found: dict[str, Array]
    ) -> None:
        """Continue prompts of one length; writes into the rows of `found`."""
        different = {prompt.words: prompt for prompt in prompts}
        boards = {words: GameTranscript(self.notation, words).board for words in different}
        games = [_Game(self.notation, prompt, boards[prompt.words]) for prompt in prompts]
        numbers = {words: number for number, words in enumerate(different)}
        of_prompt = np.array([numbers[prompt.words] for prompt in prompts])
        tokens, marks, features = self._begun(list(different.values()))
        begun = tokens.shape[1]
        for name, part in (("tokens", tokens), ("marks", marks), ("features", features)):
            found[name][rows, :begun] = part[of_prompt]
        draws = torch.from_numpy(uniforms)
        step = _Step(self, tuned, of_prompt)
        for ply in range(self.plies):
            base, policy = step.log_odds(tokens, marks, features)
            if ply % 2:
                chosen = inverse_transform(self._lawful(base, games).exp().cpu(), draws[:, ply])
            else:
                chosen = inverse_transform(policy.exp().cpu(), draws[:, ply])
                going = np.array([not game.over for game in games])
                for name, odds in (("log_policy", policy), ("log_base", base)):
                    picked = odds.cpu().gather(-1, chosen[:, None])[:, 0].double().numpy()
                    found[name][rows] += picked * going
                found["targets"][rows, begun + ply - 1] = np.where(going, chosen, IGNORED)
            pushed = [game.push(token) for game, token in zip(games, chosen.tolist(), strict=True)]
            tokens, marks = chosen.numpy()[:, None], np.array(pushed)[:, None]
            features = np.stack([game.state() for game in games])[:, None]
            for name, part in (("tokens", tokens), ("marks", marks), ("features", features)):
                found[name][rows, begun + ply] = part[:, 0]
        _conclude(games, rows, begun - 1, found)

    def _begun(self, prompts: Sequence[Encoded]) -> tuple[Array, Array, Array]:
        """Tokens and marks (P, T) and features (P, T, F / 8) of prompts of one length, with the start."""
        start = np.full((len(prompts), 1), self.notation.start)
        tokens = np.concatenate([start, [prompt.tokens for prompt in prompts]], 1)
        marks = np.concatenate([start * 0, [prompt.marks for prompt in prompts]], 1)
        features = np.stack([prompt.states for prompt in prompts if prompt.states is not None])
        return tokens, marks, features

    def _lawful(self, log_odds: Tensor, games: Sequence[_Game]) -> Tensor:
        """The log-probabilities with those of illegal moves at −∞, where a game goes on."""
        barred = torch.ones(log_odds.shape, dtype=torch.bool)
        for row, game in enumerate(games):
            barred[row, game.allowed()] = False
        return log_odds.masked_fill(barred.to(log_odds.device), -torch.inf)


class _Step:
    """Passes of policy and base over what is new, with a cache each.

    Args:
        roller: whose networks.
        tuned: whether the policy is the adapted network; else it is the base.
        rows: (N,) which of the prompts each row of the passes to come goes on from.
    """

    def __init__(self, roller: Roller, tuned: bool, rows: Array) -> None:
        base = roller.network.base
        self._roller, self._rows = roller, torch.from_numpy(rows).to(base.bias.device)
        self._passes = [_Pass(base), *([_Pass(_fixed(roller.network))] if tuned else [])]

    def log_odds(self, tokens: Array, marks: Array, features: Array) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N, 1968) of the base and of the policy, at first after each prompt."""
        device, stateless = self._rows.device, self._roller.network.base.state is None
        read = [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in (tokens, marks, features)]
        if stateless:
            read.pop()
        found = [one.logits(read, self._rows) for one in self._passes]
        base, policy = self._roller.log_odds(found[0]), self._roller.log_odds(found[-1])
        return base, policy


class _Pass:
    """A network with the keys and values of what it has read."""

    def __init__(self, network: Gpt) -> None:
        self._network, self._tables = network, network.tables()
        self._cache: KeyValueCache = []

    def logits(self, read: Sequence[Tensor], rows: Tensor) -> Tensor:
        """(N, V) of the next token; the first pass reads each prompt once, whatever goes on from it."""
        first = not self._cache
        since = read[0].shape[1] - 1
        found: Tensor = self._network(*read, cache=self._cache, since=since, tables=self._tables)[:, -1]
        if not first:
            return found
        self._cache[:] = [(keys[rows], values[rows]) for keys, values in self._cache]
        return found[rows]


def _fixed(network: AdaptedGpt) -> Gpt:
    """A copy of the adapted network, its changes added once and for all."""
    copy = Gpt(network.base.shape, network.base.parts).to(network.base.bias.device).eval()
    copy.load_state_dict(network.base.state_dict() | network.adapted())
    return copy


class _Game:
    """One game that goes on, with whose it is."""

    def __init__(self, notation: MoveNotation, prompt: Encoded, board: chess.Board) -> None:
        self._notation = notation
        self._transcript = GameTranscript(notation, ())
        self._board = self._transcript.board = board.copy(stack=False)  # replaying the prompt is dear
        self._transcript.words += prompt.words
        self._begun = len(prompt.words)
        self._side = self._board.turn
        self._before = material_balance(self._board, self._side)
        self.over, self.legal = False, True

    @property
    def written(self) -> tuple[str, ...]:
        """The words of the continuation."""
        return tuple(self._transcript.words[self._begun :])

    def push(self, token: int) -> int:
        """Play a move unless the game is over; returns its mark."""
        if self.over:
            return 0
        mark = self._transcript.push(token)
        self.legal = self._transcript.legal
        self.over = not self.legal or not any(self._board.generate_legal_moves())
        return mark

    def allowed(self) -> list[int]:
        """Numbers of the legal moves; one of any of a game that is over."""
        numbers = self._notation.numbers
        return [0] if self.over else [numbers[move.uci()] for move in self._board.legal_moves]

    def state(self) -> Array:
        """See `supervised.language.generation.notation.Transcript`."""
        return self._transcript.state()

    def reward(self) -> float:
        """See `supervised.language.tuning.game_reward`."""
        return continuation_reward(self._board, self._side, self._before, legal=self.legal)


def _conclude(games: Sequence[_Game], rows: Array, begin: int, found: dict[str, Array]) -> None:
    """Write how games ended, whose prompts end at place `begin`, into the rows of `found`."""
    found["rewards"][rows] = [game.reward() for game in games]
    found["legal"][rows] = [game.legal for game in games]
    found["begins"][rows] = begin
    found["ends"][rows] = [begin + len(game.written) for game in games]
    for row, game in zip(rows, games, strict=True):
        found["texts"][row] = game.written


def _empty(n: int, length: int) -> dict[str, Array]:
    """Arrays of `Rollouts` to be written into."""
    return {
        "tokens": np.zeros((n, length), np.int64),
        "marks": np.zeros((n, length), np.int64),
        "features": np.zeros((n, length, MoveNotation.features // 8), np.uint8),
        "targets": np.full((n, length), IGNORED, np.int64),
        "begins": np.zeros(n, np.int64),
        "ends": np.zeros(n, np.int64),
        "log_policy": np.zeros(n),
        "log_base": np.zeros(n),
        "rewards": np.zeros(n),
        "legal": np.zeros(n, bool),
        "texts": np.empty(n, object),
    }
