"""Gymnasium environments as worlds: ``gym/<id>`` is any installed environment, unchanged."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import gymnasium

from sim.catalog import MissingPackageError, install_hint
from sim.gym_names import installed_ids
from sim.records import Array
from sim.vector import EnvWorlds, Info

#: What the discrete actions of gymnasium's own environments mean, from their documentation.
ACTION_NAMES = {
    "CartPole": ("LEFT", "RIGHT"),
    "MountainCar": ("LEFT", "NOOP", "RIGHT"),
    "Acrobot": ("LEFT", "NOOP", "RIGHT"),
    "LunarLander": ("NOOP", "LEFT", "UP", "RIGHT"),
    "FrozenLake": ("LEFT", "DOWN", "RIGHT", "UP"),
    "CliffWalking": ("UP", "RIGHT", "DOWN", "LEFT"),
    "Blackjack": ("STICK", "HIT"),
    "Taxi": ("DOWN", "UP", "RIGHT", "LEFT", "PICKUP", "DROPOFF"),
}


@dataclass(frozen=True)
class GymWorld:
    """Configuration of the worlds ``gym/<id>``; its fields are the scene's keys."""

    id: str
    kwargs: dict[str, Any] = field(default_factory=dict)  # for the environment's own constructor

    @staticmethod
    def variants() -> list[str]:
        """Every registered environment but Playfield's own."""
        return installed_ids()

    @property
    def name(self) -> str:
        """Such as ``gym/CartPole-v1``."""
        return f"gym/{self.id}"

    def make(self, seed: int) -> gymnasium.Env[Any, Any]:
        """Make one environment, with ``render_mode="rgb_array"`` if it can be rendered."""
        try:
            env = self._made(render_mode="rgb_array")
        except TypeError:  # an environment without pictures takes no render_mode
            env = self._made()
        if hasattr(env.unwrapped, "mujoco_renderer"):
            env = MujocoRendering(env, self.name)
        return SeedFirstReset(env, seed)

    def make_batch(self, num_envs: int, seed: int) -> EnvWorlds:
        """`num_envs` environments stepped in turn."""
        worlds = EnvWorlds([lambda: self._bare() for _ in range(num_envs)], seed)
        return worlds

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score."""
        values = {f"kwargs.{key}": str(value) for key, value in self.kwargs.items()}
        return {"world": self.name, **values, "gymnasium": version("gymnasium")}

    def _bare(self) -> gymnasium.Env[Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self._made()

    def _made(self, **more: Any) -> gymnasium.Env[Any, Any]:
        try:
            return gymnasium.make(self.id, **more, **self.kwargs)
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            raise MissingPackageError(f"{self.name}: {missing_package(error)}") from error
        except (RuntimeError, AttributeError, OSError):
            if importlib.util.find_spec("mujoco") is not None:
                importlib.import_module("sim.walker.engine")  # which refuses a MUJOCO_GL that cannot be had
            raise


def missing_package(error: Exception) -> str:
    """Missing package of an environment with its pip line, from the module named in the chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            return f"it needs {install_hint(cause.name)}"
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())  # of environments that have moved to other packages


class MujocoRendering(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Draws one of gymnasium's MuJoCo environments without a window, and beside others of its kind."""

    def __init__(self, env: gymnasium.Env[Any, Any], name: str) -> None:
        super().__init__(env)
        self._name = name

    def render(self) -> Any:
        """The picture (H, W, 3) uint8.

        Raises:
            NoOpenGLError: if there is no OpenGL, with the reason and the line that mends it.
        """
        from sim.walker.engine import NoOpenGLError, offscreen_platform
        from sim.walker.rendering.opengl import refusal

        if refusal():
            raise NoOpenGLError.of(f"pictures of {self._name}", refusal())
        unwrapped: Any = self.env.unwrapped
        viewer = unwrapped.mujoco_renderer.viewer
        if viewer is not None:  # another environment's context may be current, and would be drawn into
            viewer.make_context_current()
        with offscreen_platform():
            return self.env.render()


class SeedFirstReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gymnasium wrapper that uses a given seed for the first reset without one, and names the actions."""

    def __init__(self, env: gymnasium.Env[Any, Any], seed: int) -> None:
        super().__init__(env)
        self._first_seed: int | None = seed
        names = ACTION_NAMES.get(env.spec.name if env.spec else "")
        discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
        self.action_names: tuple[str, ...] = names or (
            tuple(f"ACTION {i}" for i in range(int(env.action_space.n)))  # type: ignore[attr-defined]
            if discrete
            else ()
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start an episode."""
        if seed is None:
            seed = self._first_seed
        self._first_seed = None
        return self.env.reset(seed=seed, options=options)

    def render(self) -> Any:
        """The picture; environments look for what draws it only now.

        Raises:
            MissingPackageError: if that is not installed, with the line that mends it.
        """
        try:
            return self.env.render()
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            name = self.env.spec.id if self.env.spec else "the environment"
            raise MissingPackageError(f"pictures of gym/{name}: {missing_package(error)}") from error
