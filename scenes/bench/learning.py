"""Training benchmarks: environment steps per second of PPO, DQN, PQN, SAC, beside Stable-Baselines3.

The peer's code follows its documentation and rl-baselines3-zoo's tuned settings for Atari. Where its
wrappers would use another protocol than ours (random no-ops, lives as episodes, no sticky actions), they are
set to ours.
"""

from __future__ import annotations

from typing import Any

from agents.dqn import DQN
from agents.networks.continuous import SIZES
from agents.ppo import PPO
from agents.pqn import PQN
from agents.sac import SAC
from scenes.bench.worker import Settings, Work
from sim.protocols import Learner
from sim.records import Budget
from sim.vector import Worlds

BUDGET = Budget(env_steps=10_000_000)  # budget of the zoo; never reached here
REPLAY = 10_000  # transitions; the peer stores each frame eight times, and must fit into memory
LEARNING_STARTS = 1_000
CONTINUOUS_REPLAY = 100_000  # transitions of SAC
SAC_STEPS = 64  # env steps between two reports of SAC
WORLDS = 32  # worlds of our DQN: env steps between two of its gradient steps


def count_learning_steps(learner: Learner, worlds: Worlds, sign: str) -> Work:
    """Run a learner; yields the env steps between two reports that contain the metric `sign`."""
    before = 0
    for progress in learner.learn(worlds, BUDGET):
        if sign in progress.metrics:
            yield progress.env_steps - before
        before = progress.env_steps


def our_ppo(settings: Settings) -> Work:
    """Our PPO on Pong."""
    worlds = pong_worlds(8, settings)
    config = PPO(network="nature", num_steps=128, num_epochs=4, minibatch_size=256)  # defaults: the zoo's
    return count_learning_steps(build_learner(config, worlds, settings), worlds, "policy_loss")


def our_dqn(settings: Settings) -> Work:
    """Our DQN on Pong: the same samples for each env step, in fewer and larger gradient steps."""
    worlds = pong_worlds(WORLDS, settings)
    config = DQN(
        network="nature",
        learning_rate=1e-4,
        buffer_size=REPLAY,
        batch_size=8 * WORLDS,
        learning_starts=LEARNING_STARTS,
        train_frequency=WORLDS,
        target_frequency=1_000,
    )
    return count_learning_steps(build_learner(config, worlds, settings), worlds, "loss")


def our_pqn(settings: Settings) -> Work:
    """Our PQN on Pong."""
    worlds = pong_worlds(64, settings)
    config = PQN(network="nature", num_steps=32, num_epochs=2, minibatch_size=256)
    return count_learning_steps(build_learner(config, worlds, settings), worlds, "loss")


def our_ppo_walker(settings: Settings) -> Work:
    """Our PPO on Walker2d."""
    from sim.walker.world import Walker

    worlds = Walker("walker2d").make_batch(16, settings.seed, settings.threads)
    config = PPO(
        network="mlp",
        num_steps=128,
        num_epochs=10,
        minibatch_size=256,
        clip_reward=False,
        normalize_observations=True,
        normalize_returns=True,
        learning_rate=3e-4,
        clip_coef=0.2,
        ent_coef=0.0,
    )
    return count_learning_steps(build_learner(config, worlds, settings), worlds, "policy_loss")


def our_sac(settings: Settings, network: str) -> Work:
    """Our SAC on HalfCheetah, a gradient step an env step."""
    from sim.walker.world import Walker

    worlds = Walker("halfcheetah").make_batch(16, settings.seed, settings.threads)
    config = SAC(
        network=network,
        buffer_size=CONTINUOUS_REPLAY,
        batch_size=256,
        learning_starts=LEARNING_STARTS,
        train_frequency=1,
        policy_delay=1,
        bins=1,
    )
    learner = config.build(
        worlds.single_observation_space,
        worlds.single_action_space,
        seed=settings.seed,
        device=settings.device,
    )
    learner.yield_every = SAC_STEPS
    return count_learning_steps(learner, worlds, "actor_loss")


def pong_worlds(num_envs: int, settings: Settings) -> Worlds:
    """Make a batch of Pong worlds, as `playfield train` does."""
    from sim.atari.world import Atari

    worlds = Atari("pong").make_batch(num_envs, settings.seed, settings.threads)
    worlds.seed_rarely()
    return worlds


def build_learner(config: PPO | DQN | PQN, worlds: Worlds, settings: Settings) -> Learner:
    """Build the learner of `config` for `worlds`."""
    spaces = worlds.single_observation_space, worlds.single_action_space
    return config.build(*spaces, seed=settings.seed, device=settings.device)


def stable_baselines3_ppo(settings: Settings) -> Work:
    """Stable-Baselines3's PPO on Pong, rl-baselines3-zoo's settings for Atari."""
    from stable_baselines3 import PPO as TheirPPO

    model = TheirPPO(
        "CnnPolicy",
        stable_baselines3_pong_worlds(8, settings.seed),
        learning_rate=2.5e-4,
        n_steps=128,
        batch_size=256,
        n_epochs=4,
        clip_range=0.1,
        ent_coef=0.01,
        vf_coef=0.5,
        seed=settings.seed,
        device=settings.device,
    )
    return count_stable_baselines3_steps(model, 128 * 8)


def stable_baselines3_dqn(settings: Settings) -> Work:
    """Stable-Baselines3's DQN on Pong, the zoo's settings but a smaller buffer and an early start."""
    from stable_baselines3 import DQN as TheirDQN

    model = TheirDQN(
        "CnnPolicy",
        stable_baselines3_pong_worlds(1, settings.seed),
        learning_rate=1e-4,
        buffer_size=REPLAY,
        batch_size=32,
        learning_starts=LEARNING_STARTS,
        train_freq=4,
        gradient_steps=1,
        target_update_interval=1_000,
        exploration_final_eps=0.01,
        seed=settings.seed,
        device=settings.device,
    )
    return count_stable_baselines3_steps(model, 200, LEARNING_STARTS)


def stable_baselines3_ppo_walker(settings: Settings) -> Work:
    """Stable-Baselines3's PPO on gymnasium's Walker2d, with `VecNormalize`."""
    from stable_baselines3 import PPO as TheirPPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    model = TheirPPO(
        "MlpPolicy",
        VecNormalize(make_vec_env("Walker2d-v5", 16, settings.seed), gamma=0.99),
        learning_rate=3e-4,
        n_steps=128,
        batch_size=256,
        n_epochs=10,
        clip_range=0.2,
        ent_coef=0.0,
        vf_coef=0.5,
        seed=settings.seed,
        device=settings.device,
    )
    return count_stable_baselines3_steps(model, 128 * 16)


def stable_baselines3_sac(settings: Settings, network: str) -> Work:
    """Stable-Baselines3's SAC on gymnasium's HalfCheetah, the same network."""
    import gymnasium
    from stable_baselines3 import SAC as TheirSAC

    size = SIZES[network]
    model = TheirSAC(
        "MlpPolicy",
        gymnasium.make("HalfCheetah-v5"),
        learning_rate=3e-4,
        buffer_size=CONTINUOUS_REPLAY,
        batch_size=256,
        learning_starts=LEARNING_STARTS,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": {"pi": list(size.actor), "qf": list(size.critic)}},
        seed=settings.seed,
        device=settings.device,
    )
    return count_stable_baselines3_steps(model, SAC_STEPS, LEARNING_STARTS)


def stable_baselines3_pong_worlds(num_envs: int, seed: int) -> Any:
    """Make Stable-Baselines3's vector environment of Pong, with our protocol."""
    import ale_py
    import gymnasium
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    games = make_atari_env(
        "ALE/Pong-v5",
        num_envs,
        seed,
        env_kwargs={"frameskip": 1, "repeat_action_probability": 0.25},
        wrapper_kwargs={"noop_max": 0, "terminal_on_life_loss": False},
    )
    return VecFrameStack(games, 4)


def count_stable_baselines3_steps(model: Any, steps: int, warm: int = 0) -> Work:
    """Run Stable-Baselines3's ``learn``, `steps` at a time; `warm` steps at first are not yielded."""
    from stable_baselines3.common.logger import Logger

    model.set_logger(Logger(folder=None, output_formats=[]))  # their logger would make a folder each time
    while True:
        before = model.num_timesteps
        model.learn(steps, reset_num_timesteps=False)
        if model.num_timesteps > warm:
            yield model.num_timesteps - before
