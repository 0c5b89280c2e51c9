"""What a scene's perceptions say about the picture on show, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scenes.closeness import closeness
from scenes.perceiving import build_perception, told_by
from scenes.schema import Scene
from scenes.viewing import perception_config, scene_sight
from sim.protocols import PerceptionModel
from sim.records import Array, Origin, Percept
from sim.viewer.show import Seen
from supervised.metrics.grading import Kind
from supervised.noise import noisy
from supervised.views import Sight

ORIGINS: tuple[Origin, ...] = ("truth", "model", "noisy truth")
Frame = tuple[int, int, int, int]


@dataclass
class Eye:
    """One perception of the scene."""

    name: str
    model: PerceptionModel
    sight: Sight
    kind: Kind
    classes: tuple[str, ...]
    origin: Origin


class Boarded(Protocol):
    """An easel on which a board lies; see `sim.chess.easel.ChessEasel`."""

    @property
    def board(self) -> Frame:
        """x0, y0, x1, y1 of the board in the picture."""

    def truth(self) -> Percept:
        """What is on the board, in the board's own pixels."""


class Eyes:
    """All perceptions of a scene that are for the audience, looking at one world."""

    def __init__(
        self, scene: Scene, world: Any, device: str, checkpoint: Path | None = None, easel: Any = None
    ) -> None:
        """Build the models.

        Args:
            scene: whose ``[[perception]]`` tables with ``feed = "overlay"`` look on.
            world: gives ``truth()`` of its newest picture.
            device: for the models.
            checkpoint: of the first perception, instead of the scene's own.
            easel: what draws the world; one with a ``board`` shows more than the world does, and knows the
                truth about that board.

        Raises:
            NoSightError: if a perception looks on a world that does not know the truth.
            CheckpointError: if a checkpoint does not fit.
        """
        self._board: Boarded | None = easel if hasattr(easel, "board") else None
        self._stage = self._board or world.unwrapped
        self._generator = np.random.default_rng(scene.seed)
        self._eyes = [
            self._eye(scene, number, device, None if number else checkpoint)
            for number, table in enumerate(scene.perception)
            if table.feed == "overlay"
        ]

    @staticmethod
    def _eye(scene: Scene, number: int, device: str, checkpoint: Path | None) -> Eye:
        config, table = perception_config(scene, number), scene.perception[number]
        sight, kind = scene_sight(scene, config), told_by(config)
        classes = sight.vocabulary(kind)
        model, _ = build_perception(scene, number, classes, device, checkpoint)
        return Eye(table.use, model, sight, kind, classes, table.origin)

    def __len__(self) -> int:
        """How many look on."""
        return len(self._eyes)

    def next_origin(self) -> None:
        """Go on from the truth to what the model says, to the truth with noise, for all."""
        for eye in self._eyes:
            eye.origin = ORIGINS[(ORIGINS.index(eye.origin) + 1) % len(ORIGINS)]

    def look(self, picture: Array) -> tuple[Seen, ...]:
        """What each says about the world's newest picture (H, W, 3) uint8."""
        return tuple(self._seen(eye, picture) for eye in self._eyes)

    def _seen(self, eye: Eye, picture: Array) -> Seen:
        truth = eye.sight.live(self._stage, eye.kind)
        board = None if self._board is None else self._board.board
        more: dict[str, Any] = {"classes": eye.classes, "edges": eye.sight.bones(), "board": board}
        if eye.origin == "truth":
            return Seen(eye.name, laid(truth, board), **more)
        if eye.origin == "noisy truth":
            percept = noisy(truth, self._generator)
        else:
            percept = eye.model.perceive([cut(picture, board)])[0]
        scores = closeness(eye.kind, percept, truth)
        return Seen(eye.name, laid(percept, board), laid(truth, board), scores, **more)


def cut(picture: Array, board: Frame | None) -> Array:
    """The part of a picture (H, W, 3) where a board lies, or all of it."""
    if board is None:
        return picture
    left, top, right, bottom = board
    return picture[top:bottom, left:right]


def laid(percept: Percept, board: Frame | None) -> Percept:
    """A percept in the pixels of the whole picture, whose boxes count from the board's corner."""
    if board is None or percept.boxes is None:
        return percept
    return replace(percept, boxes=percept.boxes + np.array(board[:2] * 2, percept.boxes.dtype))
