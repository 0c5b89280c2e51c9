"""Chess search benchmarks: simulations per second of tree search, beside OpenSpiel's Python AlphaZero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from agents.alphazero.search_agent import SearchAgent
from agents.alphazero.train import AlphaZero
from scenes.bench.worker import Settings, Work
from sim.chess.rules.encoding import ACTIONS, plane_count
from sim.chess.rules.game import ChessGame
from sim.protocols import Game
from sim.records import Array

NETWORK = "se32"  # 4 residual blocks of 32 channels with squeeze and excitation
SIMULATIONS = 64  # a move
IN_FLIGHT = 16  # simulations in flight of a single game
PLANES = 20  # of OpenSpiel's chess, which shows one position
C_PUCT = 1.25


class PythonRules(ChessGame):
    """Chess positions that search plays on python-chess even where a faster rules core is installed."""

    __slots__ = ()

    def for_search(self) -> PythonRules:
        """The position itself."""
        return self


def agent(settings: Settings, planes: int) -> SearchAgent:
    """An untrained agent for observations of so many planes, searching by PUCT as the peer does."""
    config = AlphaZero(
        network=NETWORK,
        search="puct",
        c_puct_init=C_PUCT,
        num_simulations=SIMULATIONS,
        search_batch=IN_FLIGHT,
    )
    space = Box(0, 255, (planes, 8, 8), np.uint8)
    return config.build(space, Discrete(ACTIONS), seed=settings.seed, device=settings.device)


def ours(settings: Settings, games: str, core: str) -> Work:
    """Search of games that go on by the moves it chooses; yields simulations.

    Args:
        settings: of both sides.
        games: searched at once.
        core: ``fast`` or ``python-chess``.
    """
    searcher, count = agent(settings, plane_count(1)), int(games)
    start = ChessGame(history=1) if core == "fast" else PythonRules(history=1)
    generator = np.random.default_rng(settings.seed)
    positions: list[Game] = [opened(start, generator) for _ in range(count)]
    while True:
        obs = start.observe([start] * count)  # acting by search reads the positions
        decision, _ = searcher.act(obs, {"games": positions}, greedy=True)
        positions = [
            next_position(game, int(action), start, generator)
            for game, action in zip(positions, decision.actions, strict=True)
        ]
        yield count * SIMULATIONS


def opened(start: Game, generator: np.random.Generator) -> Game:
    """A position after eight random plies, in the class of `start`."""
    game = start
    for _ in range(8):
        after = game.play(int(generator.choice(game.legal_actions())))
        game = game if after.outcome() is not None else after
    return as_root(game, start)


def next_position(game: Game, action: int, start: Game, generator: np.random.Generator) -> Game:
    """The position after an action, or of a new game where that ends it."""
    after = game.play(action)
    return opened(start, generator) if after.outcome() is not None else as_root(after, start)


def as_root(game: Game, start: Game) -> Game:
    """The position in the class of `start`."""
    assert isinstance(game, ChessGame)
    return PythonRules(game.fen, 1) if isinstance(start, PythonRules) else game


def open_spiel(settings: Settings, games: str, core: str) -> Work:
    """OpenSpiel's MCTS with its AlphaZero's evaluator, one position a network call; yields simulations.

    `games` and `core` are for ours: OpenSpiel's searches one game, on rules of its own in C++.
    """
    import pyspiel
    from open_spiel.python.algorithms import mcts

    chess = pyspiel.load_game("chess")
    evaluator = evaluator_of(mcts.Evaluator)(agent(settings, PLANES))
    bot = mcts.MCTSBot(
        chess,
        C_PUCT,
        SIMULATIONS,
        evaluator,
        solve=False,
        random_state=np.random.RandomState(settings.seed),
        child_selection_fn=mcts.SearchNode.puct_value,
    )
    generator = np.random.default_rng(settings.seed)
    for state in openings(chess, generator):
        while not state.is_terminal():
            state.apply_action(bot.mcts_search(state).best_child().action)
            yield SIMULATIONS


def openings(chess: Any, generator: np.random.Generator) -> Iterator[Any]:
    """States after eight random plies."""
    while True:
        state = chess.new_initial_state()
        for _ in range(8):
            state.apply_action(int(generator.choice(state.legal_actions())))
        yield state


def evaluator_of(base: type) -> type:
    """OpenSpiel's AlphaZeroEvaluator over a network of ours.

    Its own module needs JAX for its networks; the calls, the cache and the priors are as there.
    """
    from open_spiel.python.utils import lru_cache

    class Evaluator(base):  # type: ignore[misc]
        def __init__(self, searcher: SearchAgent) -> None:
            self._searcher, self._cache = searcher, lru_cache.LRUCache(2**16)

        def evaluate(self, state: Any) -> Array:
            value, _ = self._inference(state)
            return np.array([value, -value])

        def prior(self, state: Any) -> Sequence[tuple[int, float]]:
            _, policy = self._inference(state)
            return [(action, policy[action]) for action in state.legal_actions()]

        def _inference(self, state: Any) -> tuple[float, Array]:
            obs = np.asarray(state.observation_tensor())
            mask = np.asarray(state.legal_actions_mask())
            key = obs.tobytes() + mask.tobytes()
            return self._cache.make(key, lambda: self._network(obs, mask))  # type: ignore[no-any-return]

        def _network(self, obs: Array, mask: Array) -> tuple[float, Array]:
            planes = (255 * obs.reshape(1, PLANES, 8, 8)).astype(np.uint8)
            logits, out, _ = self._searcher.infer(self._searcher.observe(planes))
            legal = mask[:ACTIONS].astype(bool)
            weights = np.where(legal, np.exp(logits[0].numpy() - float(logits.max())), 0.0)
            policy = np.append(weights / weights.sum(), [0.0] * (len(mask) - ACTIONS))
            return float(self._searcher.expected(out)[0]), policy

    return Evaluator
