"""Choice of the device (CPU or CUDA) that models run on, and of the number of torch's threads."""

from __future__ import annotations

import os

from scenes.schema import SceneError
from sim.machine import processors
from sim.protocols import AgentConfig

DEVICES = ("auto", "cpu", "cuda")


def chosen_device(device: str, agent: AgentConfig | None = None) -> str:
    """Resolve ``auto`` to ``cuda`` where there is one, else ``cpu``; sets torch's threads, see `use_threads`.

    Raises:
        SceneError: for any but ``auto``, ``cpu`` and ``cuda``, or if a GPU is asked for and there is none.
    """
    import torch

    if device not in DEVICES:
        raise SceneError(f"there is no device {device!r}: it is one of {', '.join(DEVICES)}")
    use_threads(agent)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise SceneError("--device cuda: torch sees no GPU here; use --device cpu")
    return device


def use_threads(agent: AgentConfig | None = None, *, taken: int = 0) -> None:
    """Let torch use every core, or one thread for an agent whose network is an ``mlp``.

    Handing such small products to a second thread costs more than it saves. OMP_NUM_THREADS, where it is
    set, is obeyed.

    Args:
        agent: whose network it is.
        taken: cores that other processes of the same work keep busy.
    """
    import torch

    if not os.environ.get("OMP_NUM_THREADS"):
        small = (getattr(agent, "network", None) or "").startswith("mlp")
        torch.set_num_threads(1 if small else max(1, processors() - taken))
