"""Catalogue of benchmarks, name → row; both sides of a row are imported only when it runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.catalog import CatalogError
from sim.fields import nearest

ENV_STEPS = "env steps/s"
HERE = "scenes.bench."


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark: our side, the peer's side and how to compare them.

    Attributes:
        ours: ``"module:function"`` of our side, see `scenes.bench.worker.Work`.
        peer: the same of the peer; None where there is no peer.
        peer_name: name of the peer.
        package: distribution of the peer, for its version.
        unit: of both sides' counts.
        needs: modules that our side imports.
        peer_needs: modules that the peer imports.
        fields: keyword arguments of both functions.
        seconds: of each side in each round, at least.
        networks: whether it runs networks, so that the device matters.
        torch_threads: threads for networks; None: all that this process may use.
        quick: whether it runs by default.
        note: settings that are equal, and those that differ.
    """

    ours: str
    peer: str | None
    peer_name: str = ""
    package: str = ""
    unit: str = ENV_STEPS
    needs: tuple[str, ...] = ()
    peer_needs: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    seconds: float = 2.0
    networks: bool = False
    torch_threads: int | None = None
    quick: bool = True
    note: str = ""


def _walker(body: str) -> Benchmark:
    return Benchmark(
        ours=HERE + "worlds:our_walkers",
        peer=HERE + "worlds:gymnasium_walkers",
        peer_name="gymnasium SyncVectorEnv",
        package="gymnasium",
        needs=("mujoco",),
        peer_needs=("mujoco", "imageio"),
        fields={"body": body},
        note="16 worlds, the same random actions, resets in the same step on both sides; ours steps them on "
        "all threads",
    )


def _chess_rules(core: str, needs: str) -> Benchmark:
    return Benchmark(
        ours=HERE + "worlds:our_chess_rules",
        peer=HERE + "worlds:open_spiel_chess_rules",
        peer_name="OpenSpiel chess",
        package="open_spiel",
        unit="plies/s",
        needs=("chess", needs),
        peer_needs=("pyspiel",),
        fields={"core": core},
        quick=False,
        note="random games as tree search asks for them: legal actions, a new position, its end, its planes; "
        "ours shows 8 positions of history, the peer one",
    )


def _chess_search(games: int, core: str, needs: str, words: str) -> Benchmark:
    return Benchmark(
        ours=HERE + "chess_search:ours",
        peer=HERE + "chess_search:open_spiel",
        peer_name="OpenSpiel Python AlphaZero",
        package="open_spiel",
        unit="simulations/s",
        needs=("torch", "chess", needs),
        peer_needs=("torch", "pyspiel", "scipy", "absl"),
        fields={"games": str(games), "core": core},
        seconds=5.0,
        networks=True,
        quick=False,
        note=f"PUCT of 64 simulations a move, untrained se32 over one position; ours {words}; the peer "
        "searches one game, a position a network call with a cache, as its AlphaZero does, on C++ rules",
    )


def _sac(network: str, words: str) -> Benchmark:
    return Benchmark(
        ours=HERE + "learning:our_sac",
        peer=HERE + "learning:stable_baselines3_sac",
        peer_name="Stable-Baselines3 SAC",
        package="stable-baselines3",
        unit="gradient steps/s",
        needs=("torch", "mujoco"),
        peer_needs=("torch", "stable_baselines3", "mujoco", "imageio"),
        fields={"network": network},
        seconds=10.0,
        networks=True,
        torch_threads=1,
        quick=False,
        note=f"HalfCheetah, {words}, squared error, batch 256, replay of 100,000, a step of critics, actor "
        "and temperature an env step, one torch thread on both sides; the peer steps 1 world, ours 16 "
        "and computes in bfloat16 where the hardware does",
    )


def _dream(steps: int, words: str) -> Benchmark:
    return Benchmark(
        ours=HERE + "dreaming:ours",
        peer=None,
        unit="frames/s",
        needs=("torch", "diffusers"),
        fields={"steps": str(steps)},
        networks=True,
        quick=False,
        torch_threads=1,
        note=f"one dreamed Pong, {words} a frame, the shipped weights, one torch thread; the game "
        "plays 15 such frames a second",
    )


BENCHMARKS = {
    "atari": Benchmark(
        ours=HERE + "worlds:our_atari",
        peer=HERE + "worlds:gymnasium_atari",
        peer_name="gymnasium SyncVectorEnv",
        package="gymnasium",
        needs=("ale_py",),
        peer_needs=("ale_py", "cv2"),
        note="8 Pongs, sticky actions 0.25, the same random actions; the peer is ale-py's environment in "
        "AtariPreprocessing and FrameStackObservation; ours steps them on all threads",
    ),
    "walker/walker2d": _walker("walker2d"),
    "walker/hopper": _walker("hopper"),
    "walker/halfcheetah": _walker("halfcheetah"),
    "walker/ant": _walker("ant"),
    "walker/humanoid": _walker("humanoid"),
    "chess": Benchmark(
        ours=HERE + "worlds:our_chess",
        peer=HERE + "worlds:pettingzoo_chess",
        peer_name="PettingZoo chess_v6",
        package="pettingzoo",
        unit="plies/s",
        needs=("chess",),
        peer_needs=("pettingzoo", "chess", "pygame"),
        note="random legal moves, planes and mask each time; ours shows them to one side, the peer to both",
    ),
    "chess-rules/fast": _chess_rules("fast", "rust_chess"),
    "chess-rules/python-chess": _chess_rules("python-chess", "chess"),
    "chess-search/games": _chess_search(64, "fast", "rust_chess", "searches 64 games as one batch"),
    "chess-search/one-game": _chess_search(1, "fast", "rust_chess", "has 16 simulations in flight"),
    "chess-search/python-chess": _chess_search(
        64, "python-chess", "chess", "searches 64 games as one batch, without the fast rules core"
    ),
    "act": Benchmark(
        ours=HERE + "acting:ours",
        peer=HERE + "acting:stable_baselines3",
        peer_name="Stable-Baselines3 policy.predict",
        package="stable-baselines3",
        unit="observations/s",
        needs=("torch",),
        peer_needs=("torch", "stable_baselines3"),
        networks=True,
        note="Nature network, 8 observations a call; ours also hands out probabilities and values",
    ),
    "ppo": Benchmark(
        ours=HERE + "learning:our_ppo",
        peer=HERE + "learning:stable_baselines3_ppo",
        peer_name="Stable-Baselines3 PPO",
        package="stable-baselines3",
        needs=("torch", "ale_py"),
        peer_needs=("torch", "stable_baselines3", "ale_py", "cv2"),
        seconds=10.0,
        networks=True,
        quick=False,
        note="Pong, sticky actions 0.25, Nature network, 8 worlds × 128 steps × 4 epochs × minibatch 256 on "
        "both sides; the peer presses FIRE after a reset, as its wrapper does; ours computes in "
        "bfloat16 where the hardware does",
    ),
    "dqn": Benchmark(
        ours=HERE + "learning:our_dqn",
        peer=HERE + "learning:stable_baselines3_dqn",
        peer_name="Stable-Baselines3 DQN",
        package="stable-baselines3",
        needs=("torch", "ale_py"),
        peer_needs=("torch", "stable_baselines3", "ale_py", "cv2"),
        seconds=10.0,
        networks=True,
        quick=False,
        note="Pong, sticky actions 0.25, Nature network, replay of 10,000, 8 gradient samples an env step "
        "on both sides: the peer as in its zoo, 1 world and batch 32 every 4 steps; ours 32 worlds and "
        "batch 256 every 32 steps, in bfloat16 where the hardware computes in it; each replay's memory is "
        "that of the part filled so far",
    ),
    "pqn": Benchmark(
        ours=HERE + "learning:our_pqn",
        peer=None,
        needs=("torch", "ale_py"),
        seconds=10.0,
        networks=True,
        quick=False,
        note="Pong, sticky actions 0.25, Nature network with layer normalisation, 64 worlds × 32 steps × 2 "
        "epochs × minibatch 256; no package that pip installs has PQN for PyTorch, so there is no peer",
    ),
    "ppo-walker": Benchmark(
        ours=HERE + "learning:our_ppo_walker",
        peer=HERE + "learning:stable_baselines3_ppo_walker",
        peer_name="Stable-Baselines3 PPO",
        package="stable-baselines3",
        needs=("torch", "mujoco"),
        peer_needs=("torch", "stable_baselines3", "mujoco", "imageio"),
        seconds=10.0,
        networks=True,
        torch_threads=1,
        quick=False,
        note="Walker2d, 16 worlds × 128 steps × 10 epochs × minibatch 256, 64-64 tanh twice, observations "
        "and returns normalised, one torch thread (the fastest for such small networks) on both sides; "
        "our worlds use all threads",
    ),
    "dream/one-step": _dream(1, "one denoising step"),
    "dream/three-steps": _dream(3, "three denoising steps"),
    "sac/mlp256": _sac("mlp256", "actor and critics of 256-256"),
    "sac/mlp512": _sac("mlp512", "critics of four layers of 512, actor of four of 256"),
}


def select_benchmarks(names: Sequence[str]) -> dict[str, Benchmark]:
    """Select rows by name, ``walker`` for all of its family; without names the quick ones.

    Raises:
        CatalogError: for an unknown name, with the nearest ones.
    """
    if not names:
        return {name: row for name, row in BENCHMARKS.items() if row.quick}
    families = {name.partition("/")[0] for name in BENCHMARKS}
    rows: dict[str, Benchmark] = {}
    for name in names:
        if name not in BENCHMARKS and name not in families:
            raise CatalogError(
                f'there is nothing to bench called "{name}"; {nearest(name, {*BENCHMARKS, *families})}'
            )
        rows |= {key: row for key, row in BENCHMARKS.items() if name in (key, key.partition("/")[0])}
    return rows


def missing(modules: Sequence[str]) -> str | None:
    """The first of `modules` that is not installed."""
    return next((name for name in modules if importlib.util.find_spec(name) is None), None)
