"""AlphaZero agent: acting by tree search, learning policy and value from self-play.

Every update plays some plies of all games in progress, the same player on both sides, and then takes
gradient steps on positions of the newest finished games (Silver et al. 2018, Methods):

    loss = −π′ · log p  +  vf_coef · (z − v)²

with the search's policy π′, the network's p over the legal moves, v = tanh of its value, and the value target
z. Differences from the paper: Gumbel search by default, which also learns from few simulations (Danihelka et
al. 2022); outcomes are discounted by `gamma` a ply, so that faster mates are worth more; no weight decay.

The worlds give starting positions and the length limit; their opponent is not used: the agent plays both
sides. `agents.evaluation.evaluate` scores it against an opponent.

With `resign_below` a side resigns where its search's value is below it (Silver et al. 2017, Methods). A share
of games is played on all the same, and the metric ``false_resignations`` is how many of those it would not
have lost; the paper keeps that under 5 % by its choice of the threshold.

With `gate_games` the best network so far plays, and is the checkpoint's; see `agents.alphazero.gated_play`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.actors.feed import ShardFeed
from agents.alphazero.gated_play import GatedPlay
from agents.alphazero.search_agent import SearchAgent, SearchConfig, SearchError
from agents.alphazero.selfplay import BoardWorlds, Move, PositionBuffer, Positions, ReplayChunk, SelfPlay
from agents.alphazero.tree_arrays import Evaluation
from agents.memory_limits import check_batch, check_search, observation_bytes
from agents.optim.schedules import linear_schedule
from agents.optim.train_step import GradientStep
from sim.fields import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range, UnitInterval
from sim.machine import check_memory
from sim.protocols import Game
from sim.records import Array, Budget, Episode, Progress, State
from sim.vector import Worlds
from supervised.tensors import NonFiniteError

TEACHING = ("gumbel", "puct")  # searches whose policy is a target
AUDITED = 200  # of the newest games played through that `false_resignations` is the share of
#: Metrics of every gradient step: nats, squared error, nats, the gradient's norm.
FIGURES = ("policy_loss", "value_loss", "entropy", "grad_norm")


@dataclass(frozen=True)
class AlphaZero(SearchConfig):
    """Configuration of the ``alphazero`` agent; its fields are scene keys."""

    cut_after: PositiveInt = 512  # plies of a game of self-play, or sooner if the world cuts it
    sampled_plies: NonNegativeInt = 30  # of a game of self-play; of later plies the best is played
    resign_below: Annotated[float, Range(ge=-1, le=0)] = 0.0  # a search's value at which to resign; 0: never
    resign_playthrough: UnitInterval = 0.1  # of games played on, which tell how often resigning was false
    learning_rate_end: NonNegativeFloat = 1e-4  # linear decay to it over the budget
    num_steps: PositiveInt = 16  # plies per game and update
    num_epochs: PositiveFloat = 2.0  # how often a position is trained on, on average
    minibatch_size: PositiveInt = 256
    buffer_size: PositiveInt = 50_000  # positions of the newest finished games
    td_lambda: UnitInterval = 1.0  # of value targets; 1: the outcome, below 1 values of searches are mixed in
    vf_coef: NonNegativeFloat = 1.0
    max_grad_norm: PositiveFloat = 1.0
    gate_games: NonNegativeInt = 0  # of a match for the place of the network that plays; 0: the newest one
    gate_every: PositiveInt = 20  # updates
    gate_threshold: UnitInterval = 0.55  # score with which the newest network passes (Silver et al. 2017)
    compile: bool = False  # loss and gradient by torch.compile; see agents.optim.train_step

    def probe(self) -> AlphaZero:
        """Configuration with the same work a ply in shorter updates, to estimate the training time."""
        return replace(self, num_steps=min(self.num_steps, 4))

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> AlphaZeroLearner:
        """An untrained learner for one world's spaces; errors as of `SearchAgent`."""
        return AlphaZeroLearner(self, observation_space, action_space, seed, device)


@dataclass(frozen=True)
class SelfPlayBatch:
    """Self-play of one update: plies, chunks for the replay buffer, finished games, metrics."""

    plies: int
    chunks: list[ReplayChunk]
    episodes: tuple[Episode, ...]
    metrics: dict[str, float]


class AlphaZeroLearner(SearchAgent):
    """AlphaZero learner: acts by tree search, learns by self-play. Satisfies `sim.protocols.Learner`.

    Attributes:
        feed: of actors that play for it, each update until there are as many plies of finished games as it
            would play itself; None: it plays. Set before `learn`.
        version: of the weights, for `agents.alphazero.selfplay.SelfPlay.version`.
    """

    agent = "alphazero"
    config: AlphaZero

    def __init__(
        self,
        config: AlphaZero,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        super().__init__(config, observation_space, action_space, seed, device)
        self._gate: GatedPlay | None = None
        if config.gate_games:
            players = [SearchAgent(config, observation_space, action_space, seed, device) for _ in range(2)]
            self._gate = GatedPlay(
                *players,
                games=config.gate_games,
                threshold=config.gate_threshold,
                num_actions=self._actions,
            )
            self._gate.load(super().weights())
        self._memory = PositionBuffer(config.buffer_size)
        self._playing: list[SelfPlay] = []
        self._audited: deque[bool] = deque(maxlen=AUDITED)  # whether resigning would have been false
        self._resumed: State | None = None
        self._ledger: State | None = None  # of the actors that played before this session
        self.feed: ShardFeed | None = None
        self.version = 0

    @cached_property
    def gradient_step(self) -> GradientStep:
        """Optimiser step of `loss`, from when learning begins."""
        config = self.config
        return GradientStep(self.loss, self._optimizer, config.max_grad_norm, compile=config.compile)

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Play and learn in turn until the budget is spent; yields after each update. A ply is an env step.

        Raises:
            SearchError: if the worlds do not show their positions.
            MemoryRefused: if searches, games or batches do not fit into memory.
            CompileError: if there is nothing to compile with.
            NonFiniteError: if a loss or gradient is not finite.
        """
        self.gradient_step.prepare()
        config = self.config
        plies = config.num_steps * worlds.num_envs
        boards = self.begin(worlds)
        while not budget.spent(self._env_steps, self._updates):
            share = budget.share(self._env_steps, self._updates)
            played = self._play(worlds, boards) if self.feed is None else self._receive(self.feed, plies)
            self._updates += 1
            self._env_steps += played.plies
            for chunk in played.chunks:
                self._memory.add(chunk)
            metrics = {"positions": float(len(self._memory))} | played.metrics
            if len(self._memory) >= config.minibatch_size:
                rate = linear_schedule(config.learning_rate, config.learning_rate_end, share)
                metrics |= self._update(
                    boards, rate, round(played.plies * config.num_epochs / config.minibatch_size)
                )
            if self._gate is not None and self._updates % config.gate_every == 0:
                metrics |= self._challenge(self._gate, boards)
            total = budget.total_updates(self._env_steps, self._updates, plies)
            yield Progress(self._env_steps, self._updates, total, metrics, played.episodes)

    def evaluate(self, games: Sequence[Game]) -> Evaluation:
        """Evaluation of N positions by the network that plays: the incumbent's, where there is a gate."""
        return super().evaluate(games) if self._gate is None else self._gate.incumbent.evaluate(games)

    def weights(self) -> dict[str, Array]:
        """The weights of the network that plays: the content of a checkpoint."""
        return super().weights() if self._gate is None else self._gate.incumbent.weights()

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint, to play and to learn from."""
        super().load_weights(weights)
        if self._gate is not None:
            self._gate.load(weights)

    def _challenge(self, gate: GatedPlay, boards: BoardWorlds) -> dict[str, float]:
        """Let the newest network play the incumbent for its place."""
        generator = self._numbers(self._generator)
        plies = min(boards.max_plies, self.config.cut_after)
        result = gate.challenge(super().weights(), boards.starts, plies, generator)
        return {"gate_score": result.score, "gate_passed": float(result.passes)}

    def state(self) -> State:
        """State of `ActorCriticLearner`, the games in progress, the replay buffer and the actors' ledger.

        Games in progress are the actors', where there are any, and in no state.
        """
        ledger = self._ledger if self.feed is None else self.feed.state()
        return super().state() | {
            "playing": [] if self.feed is not None else [game.state() for game in self._playing],
            "memory": self._memory.state(),
            "audited": [bool(false) for false in self._audited],
            "network": super().weights(),
            **({} if self._gate is None else {"incumbent": self._gate.state()}),
            **({} if ledger is None else {"shards": ledger}),
        }

    def restore(self, state: State) -> None:
        """Restore a state; `learn` continues from there."""
        super().restore(state)
        if self._gate is not None and "incumbent" in state:
            self._gate.restore(state["incumbent"])
        self._memory.restore(state["memory"])
        self._audited = deque(state.get("audited", []), maxlen=AUDITED)
        self._resumed = state
        self._ledger = state.get("shards")
        if self.feed is not None:
            self.feed.restore(self._ledger)

    @property
    def resumes_exactly(self) -> bool:
        """Whether a resumed run ends in the same weights: not where actors play, or have played."""
        return self.feed is None and self._ledger is None

    def begin(self, worlds: Worlds) -> BoardWorlds:
        """Start games in all worlds, or resume those of a restored state; errors as of `learn`."""
        if not hasattr(type(worlds), "starts"):
            raise SearchError(f"alphazero searches positions, which {worlds} does not show; chess does")
        if self.config.search not in TEACHING:
            raise SearchError(
                f"alphazero learns from the visits of a tree: search must be {' or '.join(TEACHING)}, "
                f'not "{self.config.search}"'
            )
        config, space = self.config, worlds.single_observation_space
        check_search(config.num_simulations, worlds.num_envs)
        check_memory(
            config.buffer_size * observation_bytes(space),
            f"a memory of {config.buffer_size:,} positions",
            "set a smaller agent.buffer_size",
        )
        check_batch("agent.minibatch_size", config.minibatch_size, space, self.device)
        self._worlds = worlds
        boards: BoardWorlds = worlds  # type: ignore[assignment]
        if self._resumed is None:
            worlds.reset()
        else:
            worlds.restore(self._resumed["worlds"])
        resumed, self._resumed = self._resumed, None  # it holds the whole memory
        if resumed is None or self.feed is not None or not resumed["playing"]:  # or actors played
            self._playing = [self._new_game(boards, i) for i in range(worlds.num_envs)]
            return boards
        self._playing = [self._game(boards, i) for i in range(worlds.num_envs)]
        for game, moves in zip(self._playing, resumed["playing"], strict=True):
            game.restore(moves)
        return boards

    def _play(self, worlds: Worlds, boards: BoardWorlds) -> SelfPlayBatch:
        """Play an update's plies in all games."""
        config = self.config
        ended = [game for _ in range(config.num_steps) for game in self.ply(worlds, boards)]
        self._audited.extend(game.falsely_resigned for game in ended if game.falsely_resigned is not None)
        name = f"games-{self._updates + 1}"
        return SelfPlayBatch(
            config.num_steps * worlds.num_envs,
            [ReplayChunk.of(name, ended, config.gamma, config.td_lambda)] if ended else [],
            tuple(game.episode() for game in ended),
            {"false_resignations": float(np.mean(self._audited))} if self._audited else {},
        )

    def _receive(self, feed: ShardFeed, plies: int) -> SelfPlayBatch:
        """Take finished games with at least so many plies from actors."""
        shards = feed.take(plies, self._updates, self.weights)
        return SelfPlayBatch(
            sum(shard.stretch.positions for shard in shards),
            [ReplayChunk(f"shard-{shard.name}", shard.stretch.arrays) for shard in shards],
            tuple(episode for shard in shards for episode in shard.stretch.episodes),
            feed.metrics(),
        )

    def _new_game(self, boards: BoardWorlds, world: int) -> SelfPlay:
        game, config = self._game(boards, world), self.config
        if config.resign_below < 0:
            game.played_through = self._numbers(self._generator).random() < config.resign_playthrough
        return game

    def _game(self, boards: BoardWorlds, world: int) -> SelfPlay:
        config = self.config
        plies = min(boards.max_plies, config.cut_after)
        return SelfPlay(boards.starts[world], plies, self.version, resign_below=config.resign_below)

    def ply(self, worlds: Worlds, boards: BoardWorlds) -> list[SelfPlay]:
        """Play one ply in every game; returns those that ended, which are replaced by new ones."""
        sampled = [len(game.moves) < self.config.sampled_plies for game in self._playing]
        positions = [game.game for game in self._playing]
        obs = positions[0].observe(positions)
        trees = self.searched(positions, self._numbers(self._generator), sampled)
        for game, seen, tree in zip(self._playing, obs, trees, strict=True):
            root, policy = tree.root, tree.policy().astype(np.float32)
            action = int(root.actions[tree.choice()])
            game.play(Move(seen, root.actions, policy, tree.value(), action))
        over = np.array([game.over for game in self._playing])
        ended = [game for game in self._playing if game.over]
        if ended:
            worlds.reset(options={"reset_mask": over})
            for i in np.flatnonzero(over):
                self._playing[i] = self._new_game(boards, int(i))
        return ended

    def _update(self, boards: BoardWorlds, learning_rate: float, steps: int) -> dict[str, float]:
        """Gradient steps, each on a new sample of positions."""
        self.gradient_step.set_learning_rate(learning_rate)
        generator = self._numbers(self._generator)
        figures = []
        for _ in range(max(1, steps)):
            positions = self._memory.sample(
                self.config.minibatch_size, boards.symmetries, generator, self.device
            )
            figures.append(self.gradient_step(positions)[0])
        means = torch.stack(figures).mean(0).tolist()
        metrics = dict(zip(FIGURES, means, strict=True)) | {"learning_rate": learning_rate}
        NonFiniteError.check(metrics, self._updates)
        return metrics

    def loss(self, positions: Positions) -> tuple[Tensor, Tensor]:
        """AlphaZero loss () of B positions, and all of `FIGURES` but the last (3,)."""
        logits, out = self.forward(self.actor_critic.trunk.arrange(positions.obs))
        legal = logits.gather(1, positions.legal).masked_fill(~positions.mask, -torch.inf)
        log_policy = legal.log_softmax(1).masked_fill(~positions.mask, 0.0)
        policy_loss = -(positions.policy * log_policy).sum(1).mean()
        value_loss = self._value_loss(out, positions.value)
        entropy = -(log_policy.exp() * log_policy).sum(1).mean()
        loss = policy_loss + self.config.vf_coef * value_loss
        return loss, torch.stack([policy_loss, value_loss, entropy])

    def _value_loss(self, out: Tensor, target: Tensor) -> Tensor:
        """Squared error (), or for the head ``wdl`` cross-entropy () with the split outcome.

        A target z in [−1, 1] is z⁺ of a win, z⁻ of a loss and the rest of a draw: exact for outcomes, and of
        mixed or discounted ones the split with the most draws.
        """
        if self.config.value_head == "scalar":
            return (torch.tanh(out) - target).square().mean()
        split = torch.stack([target.clamp(min=0), 1 - target.abs(), (-target).clamp(min=0)], 1)
        return -(split * out.log_softmax(1)).sum(1).mean()
