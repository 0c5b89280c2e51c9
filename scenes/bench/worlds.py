"""World benchmarks: env steps per second under random actions, beside gymnasium, PettingZoo and OpenSpiel."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from scenes.bench.worker import Settings, Work
from sim.protocols import Game
from sim.records import Array

GAMES, WALKERS, BOARDS = 8, 16, 16
BLOCK = 256  # steps of actions drawn beforehand, used over and over
CHUNK = 8  # steps between two readings of the clock


def count_env_steps(env: VectorEnv[Any, Any, Any], seed: int) -> Work:
    """Step a vector environment under fixed random actions; yields env steps."""
    env.reset(seed=seed)
    actions = random_actions(env.single_action_space, env.num_envs, seed)
    step = 0
    while True:
        for _ in range(CHUNK):
            env.step(actions[step % BLOCK])
            step += 1
        yield CHUNK * env.num_envs


def random_actions(space: gymnasium.Space[Any], num_envs: int, seed: int) -> Array:
    """Draw random actions (BLOCK, num_envs, …), uniform in `space`."""
    generator = np.random.default_rng(seed)
    if isinstance(space, gymnasium.spaces.Discrete):
        return generator.integers(int(space.n), size=(BLOCK, num_envs))
    assert isinstance(space, gymnasium.spaces.Box)
    shape = (BLOCK, num_envs, *space.shape)
    return generator.uniform(space.low, space.high, shape).astype(space.dtype)


def our_atari(settings: Settings) -> Work:
    """Our batch of Pong as in training, where not each episode is seeded, like the peer's."""
    from sim.atari.world import Atari

    worlds = Atari("pong").make_batch(GAMES, settings.seed, settings.threads)
    worlds.seed_rarely()
    return count_env_steps(worlds, settings.seed)


def gymnasium_atari(settings: Settings) -> Work:
    """Gymnasium's own wrappers around ale-py's environment, by the same protocol."""
    import ale_py
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)

    def make() -> gymnasium.Env[Any, Any]:
        game = gymnasium.make("ALE/Pong-v5", frameskip=1, repeat_action_probability=0.25)
        return FrameStackObservation(AtariPreprocessing(game, noop_max=0, frame_skip=4), 4)

    return count_env_steps(
        SyncVectorEnv([make] * GAMES, autoreset_mode=AutoresetMode.SAME_STEP), settings.seed
    )


def our_walkers(settings: Settings, body: str) -> Work:
    """Our batch of one body."""
    from sim.walker.world import Walker

    return count_env_steps(Walker(body).make_batch(WALKERS, settings.seed, settings.threads), settings.seed)


def gymnasium_walkers(settings: Settings, body: str) -> Work:
    """Gymnasium's v5 environments of the same body."""
    from sim.walker.reward import BODIES

    makers = [lambda: gymnasium.make(BODIES[body].id)] * WALKERS
    return count_env_steps(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP), settings.seed)


def our_chess(settings: Settings) -> Work:
    """Our batch of games, random legal moves against a random opponent; yields plies."""
    from sim.chess.world import Chess

    generator = np.random.default_rng(settings.seed)
    worlds = Chess().make_batch(BOARDS, settings.seed)
    _, info = worlds.reset()
    while True:
        plies = 0
        for _ in range(CHUNK):
            actions = np.array([random_legal(mask, generator) for mask in info["action_mask"]])
            _, _, terminated, truncated, info = worlds.step(actions)
            plies += 2 * BOARDS - int((terminated | truncated).sum())  # a last move may have had no reply
        yield plies


def pettingzoo_chess(settings: Settings) -> Work:
    """PettingZoo's chess, random legal moves for both sides; yields plies."""
    from pettingzoo.classic import chess_v6  # type: ignore[import-not-found]

    generator = np.random.default_rng(settings.seed)
    game = chess_v6.env()
    game.reset(seed=settings.seed)
    while True:
        plies = 0
        while plies < 2 * CHUNK:
            obs, _, terminated, truncated, _ = game.last()
            if terminated or truncated:
                game.reset()
                continue
            game.step(random_legal(obs["action_mask"], generator))
            plies += 1
        yield plies


def our_chess_rules(settings: Settings, core: str) -> Work:
    """Positions of random games as search needs them, on one rules core; yields plies."""
    from sim.chess.rules.game import ChessGame

    start: Game = ChessGame().for_search() if core == "fast" else ChessGame()
    generator = np.random.default_rng(settings.seed)
    games = [start] * BOARDS
    while True:
        start.observe(games)
        for i, game in enumerate(games):
            actions = game.legal_actions()
            after = game.play(int(actions[int(generator.random() * len(actions))]))
            games[i] = start if after.outcome() is not None else after
        yield BOARDS


def open_spiel_chess_rules(settings: Settings, core: str) -> Work:
    """OpenSpiel's chess in random games, a new state each ply and its tensor; `core` is for ours."""
    import pyspiel

    start = pyspiel.load_game("chess").new_initial_state()
    generator = np.random.default_rng(settings.seed)
    state = start
    while True:
        for _ in range(BOARDS):
            np.asarray(state.observation_tensor(), np.float32)
            actions = state.legal_actions()
            after = state.child(actions[int(generator.random() * len(actions))])
            state = start if after.is_terminal() else after
        yield BOARDS


def random_legal(mask: Array, generator: np.random.Generator) -> int:
    """One of the actions that `mask` (A,) allows."""
    legal = np.flatnonzero(mask)
    return int(legal[int(generator.random() * len(legal))])
