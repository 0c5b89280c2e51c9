"""Playfield's front door: the command ``playfield``, ``python -m playfield``, and the Python library.

    import playfield

    scene = playfield.open("pong", {"world.num_envs": 4})
    agent, worlds = scene.agent(), scene.worlds()
    obs, info = worlds.reset()
    decision = agent.act(obs, info)
    obs, reward, terminated, truncated, info = worlds.step(decision.actions)

Nothing is imported before it is needed: importing this takes no time, and Ctrl-C ends even the start of the
command without a traceback. ``docs/library.md`` shows everything, ten lines each.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` itself takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import gymnasium
    from stable_baselines3.common.vec_env import VecEnv

    from scenes.api.opened_scene import OpenedScene as OpenedScene
    from sim.errors import RequestError as RequestError
    from sim.errors import WorkError as WorkError
    from sim.progress import Reporter as Reporter
    from sim.progress import TaskProgress as TaskProgress
    from sim.progress import reporting as reporting
    from sim.vector import Worlds

__all__ = [
    "OpenedScene",
    "Reporter",
    "RequestError",
    "TaskProgress",
    "WorkError",
    "compare",
    "make_world",
    "make_worlds",
    "open",
    "reporting",
    "scenes",
    "to_sb3",
]

INTERRUPTED = 130
#: Imported when first asked for: name → module.
LAZY = {
    "OpenedScene": "scenes.api.opened_scene",
    "Reporter": "sim.progress",
    "RequestError": "sim.errors",
    "TaskProgress": "sim.progress",
    "WorkError": "sim.errors",
    "reporting": "sim.progress",
}


def open(
    scene: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    device: str = "auto",
    extra_worlds: Mapping[str, str] | None = None,
) -> OpenedScene:
    """Open a scene: its worlds, its models with weights, its evaluation and its training.

    Args:
        scene: the name of a shipped scene (`scenes` lists them), or the path of a scene file.
        changes: key of the scene → value, as ``--set`` of the command line changes them.
        seed: instead of the scene's own.
        device: where models run: ``auto``, ``cpu`` or ``cuda``.
        extra_worlds: families of worlds of your own that the scene may name: name → ``"module:class"`` of a
            `sim.protocols.WorldConfig`.

    Raises:
        RequestError: naming file, key and the nearest valid name.

    >>> scene = open("pong", {"world.num_envs": 4})
    >>> scene.title, scene.scene.world.num_envs
    ('Pong', 4)
    """
    from scenes.api.opened_scene import OpenedScene

    return OpenedScene(scene, changes, seed=seed, device=device, extra_worlds=extra_worlds)


def scenes() -> list[str]:
    """The names of the scenes that ship.

    >>> "pong" in scenes()
    True
    """
    from scenes.schema import shipped_scenes

    return shipped_scenes()


def make_worlds(name: str, num_envs: int = 1, seed: int = 0, **fields: Any) -> Worlds:
    """A batch of worlds, a `gymnasium.vector.VectorEnv`; world i equals ``make_world(name, seed=seed + i)``.

    Args:
        name: of the catalogue (``playfield list worlds``), such as ``atari/pong`` or ``gym/CartPole-v1``.
        num_envs: how many step together.
        seed: of their first episodes.
        fields: keys of the world, as in a scene's ``[world]``.

    Raises:
        RequestError: naming the world or the key, and the nearest valid name.

    >>> worlds = make_worlds("gym/CartPole-v1", num_envs=2, seed=7)
    >>> worlds.reset()[0].shape
    (2, 4)
    """
    from scenes.build.worlds import make_worlds as make

    return make(name, num_envs, seed, **fields)


def make_world(name: str, seed: int = 0, **fields: Any) -> gymnasium.Env[Any, Any]:
    """One world with ``render()``, a `gymnasium.Env`; see `make_worlds`.

    >>> world = make_world("gym/CartPole-v1", seed=7)
    >>> world.reset()[0].shape
    (4,)
    """
    from scenes.build.worlds import make_world as make

    return make(name, seed, **fields)


def compare(
    runs: Sequence[str | Path],
    changes: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    episodes: int = 20,
    across_protocols: bool = False,
    extra_worlds: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Evaluate agents on the same seeds and compare every pair: the rows of ``playfield compare``.

    Args:
        runs: folders of two or more runs or checkpoints; a run stands for its newest checkpoint, a training
            of several seeds for all of them.
        changes: key of the scene → value, the same for every run.
        seed: of worlds and sampling, the same for all.
        device: where models run: ``auto``, ``cpu`` or ``cuda``.
        episodes: whole games of each, at least 2.
        across_protocols: compare scores under different rules, too; ``differs`` tells them.
        extra_worlds: see `open`.

    Returns:
        A row a pair: ``a`` and ``b`` with the scores of each, ``metrics`` (probability that a is better,
        difference of the interquartile means) with ``ci95``, and ``differs``.

    Raises:
        RequestError: for runs that cannot be compared, naming them.
        WorkError: if a world or an agent broke down.

    >>> compare([open("cartpole").checkpoint()])
    Traceback (most recent call last):
    scenes.evaluation.compare.CompareError: compare needs two runs or more: playfield compare runs/a runs/b
    """
    from pathlib import Path

    from scenes.api.arguments import change_lines
    from scenes.evaluation.compare import compare as work

    report = work(
        [Path(run) for run in ([runs] if isinstance(runs, str | Path) else runs)],
        change_lines(changes),
        seed,
        device=device,
        episodes=episodes,
        across_protocols=across_protocols,
        extra_worlds=extra_worlds,
    )
    rows: list[dict[str, Any]] = report.answer["rows"]
    return rows


def to_sb3(worlds: Worlds, *, clip_reward: bool = False) -> VecEnv:
    """Worlds as a Stable-Baselines3 `VecEnv`, for that library's own algorithms.

    Observations are handed over as they are, truncated episodes as ``TimeLimit.truncated``, ended ones as its
    `Monitor` tells them, action masks to MaskablePPO. Closing it closes the worlds.

    Args:
        worlds: of `make_worlds`, or of an opened scene.
        clip_reward: learn from the reward's sign, as Mnih et al. 2015 do; ``episode`` tells the whole return.

    Raises:
        RequestError: if stable-baselines3 is not installed, or `worlds` is no batch of worlds.

    >>> envs = to_sb3(make_worlds("gym/CartPole-v1", num_envs=2))
    >>> envs.num_envs, envs.reset().shape
    (2, (2, 4))
    """
    try:
        from scenes.api.sb3_vec_env import to_sb3 as wrapped
    except ModuleNotFoundError as error:
        from sim.catalog import MissingPackageError, install_hint

        raise MissingPackageError(
            f"to_sb3 needs {install_hint(error.name or 'stable_baselines3')}"
        ) from error
    return wrapped(worlds, clip_reward=clip_reward)


def entry() -> None:
    """The console script."""
    try:
        from scenes.cli.main import entry as command

        command()
    except KeyboardInterrupt:
        print("stopped at once", file=sys.stderr)
        sys.exit(INTERRUPTED)


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'playfield' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(LAZY[name]), name)


if __name__ == "__main__":
    entry()
