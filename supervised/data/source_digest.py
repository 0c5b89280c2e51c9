"""Source digest: hash of the code that makes a data set, so that caches are renewed when it changes.

Two things are hashed: the source of the modules that make the data, with all that they import of this
project, and the versions of the packages that worlds and pictures come from.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ("sim", "supervised", "generative")  # folders whose modules make data
PACKAGES = ("ale-py", "chess", "mujoco", "numpy", "pillow", "torch")
FACTORY = re.compile(r"([a-z_]+(?:\.\w+)+):\w+")  # such as "sim.atari.games.sports:PONG"


@cache
def digest(modules: tuple[str, ...]) -> str:
    """Hash of these modules' source, of all that they import of `OWN`, and of `PACKAGES`' versions."""
    told = hashlib.sha256(json.dumps(versions(PACKAGES), sort_keys=True).encode())
    for name in sorted(sources(modules)):
        path = _path(name)
        assert path is not None
        told.update(name.encode() + path.read_bytes())
    return told.hexdigest()


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of those of these packages that are installed."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def sources(modules: Sequence[str]) -> set[str]:
    """Names of these modules and of all that they import of `OWN`, directly or by ``"module:factory"``.

    Catalogues are not followed, as they name far more than is used: the caller names their entries. Nor is
    the viewer, which data do not depend on.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and not name.endswith(".catalog") and not name.startswith("sim.viewer"):
            found.add(name)
            waiting += _imported(name)
    return found


@cache
def _imported(name: str) -> tuple[str, ...]:
    """The modules of `OWN` that a module's source names."""
    path = _path(name)
    if path is None:
        raise ValueError(f"there is no module {name}")
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            factory = FACTORY.fullmatch(node.value)
            named |= {factory[1]} if factory else set()
    return tuple(sorted(other for other in named if _path(other) is not None))


def _path(name: str) -> Path | None:
    """The file of a module or package of `OWN`; None if there is none."""
    if name.partition(".")[0] not in OWN:
        return None
    place = ROOT.joinpath(*name.split("."))
    candidates = place.with_suffix(".py"), place / "__init__.py"
    return next((path for path in candidates if path.is_file()), None)
