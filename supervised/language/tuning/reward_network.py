"""Reward network: an adapted GPT that reads a game and gives a number for its last plies.

The number is a linear read-out of the residual stream at the last token, plus a learned value of each piece
that was won or lost in between.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sim.records import Array
from supervised.language.generation.gpt import Gpt
from supervised.language.tuning.low_rank import AdaptedGpt
from supervised.language.tuning.rollouts import Rollouts
from supervised.tensors import from_arrays

VALUED = ("pawn", "knight", "bishop", "rook", "queen")  # kings are never won
PLANES = 12  # of 64 squares in a state: six kinds of pieces of the side to move, then of the other
PIECE_SCALE = 100.0  # of the parameters of piece values: a step of Adam is as large for all parameters
MARGINS, WIDEST = 40, 10.0  # bins of the histogram of margins, and its ends, in nats
TOGETHER = 256  # texts


class RewardNetwork(AdaptedGpt):
    """Games with where their last plies begin → reward of these for the side that begins, (N,) in nats.

    Only differences of rewards are learned; `centred` sets the mean of what the base writes to 0.

    Args:
        base: frozen, no part of the parameters.
        rank: of the adaptation of the matrices of its blocks.

    Attributes:
        margins: (`MARGINS`,) counts of r(preferred) − r(other), of the held-out pairs of the last validation.
        seen: (2,) sum of their rewards, and how many.
    """

    margins: Tensor
    seen: Tensor

    def __init__(self, base: Gpt, rank: int) -> None:
        super().__init__(base, rank, only="blocks.")
        self.readout = nn.Parameter(torch.zeros(base.shape.width))
        self.pieces = nn.Parameter(torch.zeros(len(VALUED)))
        self.register_buffer("margins", torch.zeros(MARGINS))
        self.register_buffer("seen", torch.zeros(2))

    @classmethod
    def from_weights(cls, base: Gpt, weights: Mapping[str, Array]) -> RewardNetwork:
        """The trained network of a checkpoint on its base.

        Raises:
            ValueError: if they are no weights of such a network.
        """
        ranks = {array.shape[1] for name, array in weights.items() if name.startswith("left.")}
        network = cls(base, ranks.pop() if len(ranks) == 1 else 1).to(base.bias.device)
        from_arrays(network, weights)
        return network.eval().requires_grad_(False)

    @property
    def piece_values(self) -> Tensor:
        """(5,) in nats, of `VALUED`."""
        return self.pieces * PIECE_SCALE

    def forward(
        self, tokens: Tensor, marks: Tensor, features: Tensor, begins: Tensor, ends: Tensor
    ) -> Tensor:
        """See the class; arguments as the columns of `supervised.language.tuning.rollouts.Rollouts`."""
        last = self.stream(tokens, marks, features)[
            torch.arange(len(ends), device=ends.device), ends
        ]  # (N, C)
        return last.float() @ self.readout + pieces_won(features, begins, ends) @ self.piece_values

    def centred(self, rewards: Tensor) -> Tensor:
        """Rewards less the mean of the base's texts."""
        return rewards - self.seen[0] / self.seen[1].clamp_min(1)

    @torch.no_grad()
    def note(self, rewards: Tensor) -> None:
        """Count held-out pairs of rewards (B, 2), the preferred one first; while it learns, forget them."""
        if self.training:
            self.margins.zero_()
            self.seen.zero_()
            return
        margin = (rewards[:, 0] - rewards[:, 1]).float().clamp(-WIDEST, WIDEST)
        self.margins += torch.histc(margin, MARGINS, -WIDEST, WIDEST)
        self.seen += torch.stack([rewards.float().sum(), rewards.new_tensor(rewards.numel()).float()])


def pieces_won(features: Tensor, begins: Tensor, ends: Tensor) -> Tensor:
    """(N, 5) how far each count of `VALUED` has risen, own less the other side's, for the side that begins.

    Args:
        features: (N, T, F / 8) uint8, see `supervised.data.sources.chess_games.master_games.board_bits`.
        begins: (N,) the place from which on pieces are counted.
        ends: (N,) the place up to which.
    """
    rows = torch.arange(len(ends), device=ends.device)
    (before, first), (after, last) = (_balance(features[rows, at]) for at in (begins, ends))
    return torch.where((first == last)[:, None], after, -after) - before


def _balance(states: Tensor) -> tuple[Tensor, Tensor]:
    """Own pieces less the other's (N, 5) of states (N, F / 8), and which side is to move (N,)."""
    shifts = torch.arange(8, dtype=torch.uint8, device=states.device)
    bits = (states[:, : PLANES * 8, None] >> shifts) & 1
    counts = bits.view(len(states), 2, PLANES // 2, 64).float().sum(-1)[..., : len(VALUED)]
    return counts[:, 0] - counts[:, 1], states[:, PLANES * 8] & 1


class LearnedReward:
    """Rewards (N,) float64 of rollouts by a trained network."""

    def __init__(self, network: RewardNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, drawn: Rollouts) -> Array:
        """See the class."""
        device, found = self.network.readout.device, []
        columns = (drawn.tokens, drawn.marks, drawn.features, drawn.begins, drawn.ends)
        for at in range(0, len(drawn.ends), TOGETHER):
            part = [torch.from_numpy(column[at : at + TOGETHER]).to(device) for column in columns]
            found.append(self.network.centred(self.network(*part)))
        array: Array = torch.cat(found).double().cpu().numpy()
        return array
