"""Diagnosis of the installation: what is missing on this machine, and the command that installs it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenes.build.trained import is_trained
from scenes.cli.display import has_display
from scenes.schema import load_scene, shipped_scenes
from sim.catalog import install_hint

NEEDED_FOR = {
    "ale_py": "atari worlds",
    "chess": "chess worlds",
    "mujoco": "walkers",
    "torch": "agents and models",
    "scipy": "scores",
    "pygame": "the window",
    "av": "video",
    "PIL": "pictures",
    "tensorboard": "training logs",
    "matplotlib": "learning curves",
    "optuna": "sweeps",
}
SPACE_FOR_A_RUN = 2 * 2**30  # bytes


@dataclass(frozen=True)
class Check:
    """Result of one check: subject, success, what was found, and the command that mends it."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def checks() -> Iterator[Check]:
    """Run all checks."""
    version = platform.python_version()
    supported = (3, 11) <= sys.version_info[:2] <= (3, 14)
    yield Check("Python 3.11 to 3.14", supported, version, "" if supported else "use Python 3.11 to 3.14")
    inside = sys.prefix != sys.base_prefix
    yield Check(
        "a virtual environment of its own",
        inside,
        sys.prefix,
        "" if inside else "python -m venv .venv && . .venv/bin/activate, then install again",
    )
    for module, purpose in NEEDED_FOR.items():
        there = importlib.util.find_spec(module) is not None
        line = "" if there else install_hint(module).partition(": ")[2]
        yield Check(f"{module} for {purpose}", there, "installed" if there else "missing", line)
    yield from _rules_core()
    yield from _stockfish()
    yield _one_pygame()
    yield Check(
        "a display for the window",
        has_display(),
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or "none",
        "" if has_display() else "without one, watch records an mp4 instead",
    )
    free = shutil.disk_usage(Path.cwd()).free
    yield Check(
        "2 GiB free for a run",
        free >= SPACE_FOR_A_RUN,
        f"{free / 2**30:.1f} GiB",
        "" if free >= SPACE_FOR_A_RUN else "free some disk space",
    )
    yield from _devices()
    yield from _real_pictures()
    for name in shipped_scenes():
        scene = load_scene(name)
        if scene.agent and scene.agent.checkpoint:
            there = is_trained(scene)
            yield Check(
                f"checkpoint of {name}",
                there,
                scene.agent.checkpoint if there else "missing",
                "" if there else f"playfield train {name}",
            )


def _rules_core() -> Iterator[Check]:
    """The faster chess rules that tree search uses where they are installed."""
    if importlib.util.find_spec("chess") is None:
        return
    from sim.chess.rules import fast_core_missing

    why = fast_core_missing()
    found = f"{why}: {install_hint('rust_chess').partition(': ')[2]}" if why else "installed"
    yield Check("rust_chess for faster chess search (optional)", True, found)


def _stockfish() -> Iterator[Check]:
    """The engine that chess agents are measured against, and that labels positions."""
    if importlib.util.find_spec("chess") is None:
        return
    from sim.chess.uci_player import MissingEngineError, find_stockfish

    try:
        found = find_stockfish()
    except MissingEngineError as error:
        found = str(error)
    yield Check("stockfish to measure chess agents against (optional)", True, found)


def _one_pygame() -> Check:
    """Pygame and pygame-ce install into the same folder and break each other."""
    from importlib import metadata

    names = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    both = {"pygame", "pygame-ce"} <= names
    return Check(
        "pygame-ce alone, without pygame",
        not both,
        "both are installed" if both else "no conflict",
        "python -m pip uninstall -y pygame pygame-ce && python -m pip install pygame-ce" if both else "",
    )


def _real_pictures() -> Iterator[Check]:
    """Data sets that a machine may or may not have: nothing is downloaded."""
    if importlib.util.find_spec("PIL") is None:
        return
    from generative.data import emoji, stamps

    for name, there, line in (
        ("emoji", any(Path(place).is_file() for place in emoji.PLACES), emoji.MEND),
        ("stamps", stamps.PLACE.is_dir(), stamps.MEND),
    ):
        yield Check(f"data set {name} (optional)", True, "installed" if there else f"not installed: {line}")


def _devices() -> Iterator[Check]:
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    cuda = torch.cuda.is_available()
    found = torch.cuda.get_device_name() if cuda else "none; everything runs on the CPU"
    yield Check("GPU (optional)", True, found)
