"""Options of ``list``, ``lecture``, ``doctor`` and ``uci``: what is here, and the engine protocol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional

from scenes.cli.options.common import Common, SceneName, WithoutScene, arg
from scenes.cli.outcome import DONE


@dataclass(frozen=True, kw_only=True)
class List(WithoutScene):
    """List worlds, agents, perceptions, samplers and scenes, and which scenes ship with weights."""

    what: Annotated[
        Positional[str | None],
        arg(metavar="[KIND]", help="worlds, agents, perceptions, samplers or scenes; none: all"),
    ] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """The names, by kind."""
        from scenes.cli import listing

        answer = listing.list_all(self.what)
        listing.show_list(answer)
        return answer, DONE


@dataclass(frozen=True, kw_only=True)
class Uci(Common):
    """Serve the scene's chess agent as a UCI engine, on stdin and stdout."""

    quick = True  # stdout and stderr are the chess program's

    scene: SceneName
    checkpoint: Annotated[Path | None, arg(help="instead of the scene's own", metavar="DIR")] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """Nothing: all was said by the protocol."""
        from scenes.schema import load_scene
        from scenes.uci.command import serve  # not by `verbs`: a chess program waits for the first answer

        scene = load_scene(self.scene, self.set, self.seed)
        serve(scene, device=self.device, checkpoint=self.checkpoint, seed=self.seed)
        return {}, DONE


@dataclass(frozen=True, kw_only=True)
class Doctor(WithoutScene):
    """Check this installation: what is missing, and the command that installs it."""

    def execute(self) -> tuple[dict[str, Any], int]:
        """All checks."""
        from scenes.cli import listing

        answer = listing.doctor()
        listing.show_checks(answer)
        return answer, DONE


@dataclass(frozen=True, kw_only=True)
class Lecture(WithoutScene):
    """List the systems of an introductory lecture in its order, and walk through them in the window."""

    window: Annotated[
        bool, arg(help="open the walk in the window where there is a display, after the list")
    ] = True

    def execute(self) -> tuple[dict[str, Any], int]:
        """One row a system."""
        from scenes.cli import listing

        return listing.lecture(window=self.window and not self.json), DONE
