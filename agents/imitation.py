"""Imitation agent: policy and value network learned from recorded games, acting by tree search.

Behavioural cloning of strong players is the supervised stage of AlphaGo (Silver et al. 2016), and all of Maia
(McIlroy-Young et al. 2020). The network predicts the move that was played and the game's result:

    loss = −π · log p  +  vf_coef · (−w · log q)

with π the move played, smoothed over the legal ones, p the network's policy over the legal moves, w the
result as win, draw and loss for the mover, and q the network's probabilities of these. Where positions carry
an engine's labels, π and w are those. Training is `supervised.fit.Fit`: AdamW, averaged weights, exact
resume; its budget is in updates. The worlds are not stepped: they only say what is observed.

The weights are those of `agents.alphazero.train`, which goes on from them by self-play (``train --from``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium
import torch
from torch import Tensor, nn

from agents.alphazero.search_agent import SearchAgent, SearchConfig, SearchError
from agents.evaluation.move_match import MoveMatch, move_match
from agents.memory_limits import check_batch
from agents.networks.architectures import NetworkName
from sim.chess.rules.encoding import ACTIONS, CONSTANT_PLANES, PLANES_PER_POSITION
from sim.fields import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, UnitInterval
from sim.records import Array, Budget, Progress, State
from sim.vector import Worlds
from supervised.data.sources.chess_games.game_positions import GameSplits, game_positions
from supervised.fit import Batch, Fit, FitOptions, fits_exactly
from supervised.tensors import from_arrays

SHIPPED = "master-games"  # the sample of 5,000 games
GRADED = 20_000  # positions of a grading: as many as the shipped sample has, in a few seconds
SPLIT_SEED = 0  # whatever the run's seed: the games that test no training has seen


@dataclass(frozen=True)
class Imitation(SearchConfig):
    """Configuration of the ``imitation`` agent; its fields are scene keys."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = (*SearchConfig.fixed_at_resume, "data", "games", "every")

    network: NetworkName = "se64"
    value_head: Literal["scalar", "wdl"] = "wdl"
    data: str = SHIPPED  # games: the shipped sample, or a path: .pgn, .san, or a folder of `collect --from`
    games: PositiveInt = 1_000_000  # at most
    every: PositiveInt = 1  # take one position of so many in a row: neighbours teach much the same
    batch_size: PositiveInt = 1024
    learning_rate: PositiveFloat = 2e-3  # after the warm-up; a half-cosine to 0 follows
    warmup_updates: NonNegativeInt = 200
    weight_decay: NonNegativeFloat = 1e-4
    max_grad_norm: PositiveFloat = 1.0
    label_smoothing: UnitInterval = 0.05  # of the move played, over the legal ones (Szegedy et al. 2016)
    vf_coef: NonNegativeFloat = 0.25
    ema: UnitInterval = 0.998  # decay of the averaged weights, which are the agent's
    validate_every: PositiveInt = 250  # updates
    validate_on: PositiveInt = 8192  # held-out positions

    def __post_init__(self) -> None:
        """Refuse values out of range, and a value head that cannot tell draws.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.value_head != "wdl":
            raise ValueError('value_head must be "wdl": the network learns the results of games')

    def probe(self) -> Imitation:
        """See `sim.protocols.LearnerConfig`."""
        return self

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> ImitationLearner:
        """An untrained learner for one world's spaces; errors as of `SearchAgent`.

        Raises:
            SearchError: for other worlds than chess.
        """
        return ImitationLearner(self, observation_space, action_space, seed, device)

    def options(self) -> FitOptions:
        """The hyperparameters of the fit."""
        return FitOptions(
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            warmup_updates=self.warmup_updates,
            max_grad_norm=self.max_grad_norm,
            ema=self.ema,
            validate_every=self.validate_every,
            validate_on=self.validate_on,
            precision=self.precision,
        )


class ImitationLearner(SearchAgent):
    """Learner of policy and value from recorded games. Satisfies `sim.protocols.Learner`.

    What it acts by are the averaged weights; the fit learns in a network of its own.
    """

    agent = "imitation"
    config: Imitation

    def __init__(
        self,
        config: Imitation,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        super().__init__(config, observation_space, action_space, seed, device)
        planes = (observation_space.shape or (0,))[0] - CONSTANT_PLANES
        if self._actions != ACTIONS or planes % PLANES_PER_POSITION:
            raise SearchError(f"imitation learns from chess games; this world has {observation_space}")
        check_batch("agent.batch_size", config.batch_size, observation_space, self.device)
        self._history, self._seed = planes // PLANES_PER_POSITION, seed
        self.resumes_exactly = fits_exactly(device)

    @cached_property
    def splits(self) -> GameSplits:
        """Positions for training, validation and test.

        Raises:
            DataError, MissingPackageError: see `supervised.data.sources.chess_games.game_positions`.
        """
        config = self.config
        path = None if config.data == SHIPPED else Path(config.data)
        return game_positions(
            path, history=self._history, most=config.games, every=config.every, seed=SPLIT_SEED
        )

    @cached_property
    def _fit(self) -> Fit:
        return Fit(
            copy.deepcopy(self.network),
            self.loss,
            self.splits.train,
            self.splits.validation,
            self.config.options(),
            seed=self._seed,
            device=str(self.device),
        )

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Fit until the budget of updates is spent; yields after each validation.

        Raises:
            ValueError: if the budget is in env steps.
            DataError: if there are no games to learn from.
            NonFiniteError: if a loss or gradient is not finite.
        """
        for progress in self._fit.learn(budget):
            self._take_up()
            yield progress

    def state(self) -> State:
        """The fit's state: the examples are not part of it, as the same request gives the same ones."""
        return self._fit.state()

    def restore(self, state: State) -> None:
        """Restore a state; `learn` continues from there."""
        self._fit.restore(state)
        self._take_up()

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint; learning starts from them."""
        super().load_weights(weights)
        self.__dict__.pop("_fit", None)

    def move_match(self) -> MoveMatch:
        """Grades of the policy alone on the games that test, of which training has seen none."""

        def logits(obs: Array) -> Array:
            return self.infer(self.observe(obs))[0].cpu().numpy()

        return move_match(logits, self.splits.test, most=GRADED)

    def trained_on(self) -> dict[str, Any]:
        """Where the games come from, how many positions they have, and what was left out; for a card."""
        splits = self.splits
        counts = {"positions": len(splits.train), "games": len(splits.train.games)}
        return splits.source.protocol() | counts | {"left_out": ", ".join(splits.skipped)}

    def _take_up(self) -> None:
        """Act by the fit's weights from now on."""
        from_arrays(self.network, self._fit.weights())

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss () of B positions, and policy loss, value loss and the share of moves predicted.

        Args:
            network: the agent's, as it learns.
            batch: see `supervised.data.sources.chess_games.game_positions.GamePositions.batch`.
        """
        inner: nn.Module = network["actor_critic"]  # type: ignore[index]
        logits, out = inner(self.actor_critic.trunk.arrange(batch["obs"]))
        mask, policy = batch["mask"], batch["policy"]
        legal = logits.gather(1, batch["legal"]).masked_fill(~mask, -torch.inf)
        log_policy = legal.log_softmax(1).masked_fill(~mask, 0.0)
        smoothing = self.config.label_smoothing if network.training else 0.0
        target = (1 - smoothing) * policy + smoothing * mask / mask.sum(1, keepdim=True)
        policy_loss = -(target * log_policy).sum(1).mean()
        each = -(batch["wdl"] * out.log_softmax(1)).sum(1) * batch["weight"]
        value_loss = each.sum() / batch["weight"].sum().clamp(min=1)
        top1 = (legal.argmax(1) == policy.argmax(1)).float().mean()
        figures = {"policy_loss": policy_loss, "value_loss": value_loss, "top1": top1}
        return policy_loss + self.config.vf_coef * value_loss, figures
