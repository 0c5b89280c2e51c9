"""Perceptions in the window: percepts of the displayed frame, with ground truth and live metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scenes.build.perceptions import build_perception, perception_config, predicted_kind, scene_label_source
from scenes.schema import Scene, SceneError
from scenes.watching.labels import readable
from sim.percept_kind import Kind, Placement
from sim.percept_kinds import only, transform_percept
from sim.protocols import PerceptionModel
from sim.records import Array, Origin, Percept
from sim.viewer.contract.gesture import Ability
from sim.viewer.contract.moment import Perceive, PerceptView
from supervised.captions.caption_grammars import differing_spans, parse
from supervised.data.capture import LabelSource
from supervised.metrics.grading import live_metrics
from supervised.observation.percept_env import PerceptObservationEnv
from supervised.observation.percept_noise import NOISE, noisy

ORIGINS: tuple[Origin, ...] = ("truth", "model", "noisy truth")
PENDING = "looking …"  # what is said until a model has looked
Frame = tuple[float, float, float, float]


@dataclass
class LivePerception:
    """A perception with ``feed = "overlay"``: its model, label source, origin and noise."""

    name: str
    model: PerceptionModel
    sight: LabelSource
    kind: Kind
    classes: tuple[str, ...]
    origin: Origin
    pixels: float  # of noise, as `misses`: see `supervised.observation.percept_noise.noisy`
    misses: float

    @property
    def asked(self) -> Origin:
        """Origin in effect: `origin`, but the truth where noise does not apply to this kind."""
        return self.origin if self.origin != "noisy truth" or self.kind in NOISE else "truth"


@dataclass
class Feed:
    """A perception with ``feed = "agent"``: the percepts that are the agent's observation."""

    name: str
    world: PerceptObservationEnv
    sight: LabelSource
    kind: Kind

    def seen(self, shape: tuple[int, ...]) -> PerceptView:
        """The newest percept that the agent observed, in pixels of the displayed picture of `shape`."""
        percept = only(self.world.percept, self.kind)
        more: dict[str, Any] = {"classes": self.sight.vocabulary(self.kind), "edges": self.sight.bones()}
        if percept.origin == "truth":
            return PerceptView(self.name, self._moved(percept, shape), **more)
        truth = only(self.world.current_percept(), self.kind)
        scores = live_metrics(self.kind, percept, truth, parse)
        return PerceptView(self.name, self._moved(percept, shape), self._moved(truth, shape), scores, **more)

    def _moved(self, percept: Percept, shape: tuple[int, ...]) -> Percept:
        """Map keypoints from the agent's camera to the displayed picture.

        The two may differ in size; without keypoints once the displayed camera has been turned.
        """
        eye, camera = self.world.eye, getattr(self.world.unwrapped, "camera", None)
        if eye is None or camera is None:
            return percept
        if camera_pose(camera) != camera_pose(eye):
            return replace(percept, keypoints={})
        scale = shape[0] / eye.height
        return transform_percept(percept, Placement(scale, left=(shape[1] - scale * eye.width) / 2))


def camera_pose(camera: Any) -> tuple[Any, ...]:
    """Pose of a walker's camera, without its picture size."""
    still = getattr(camera, "anchor", None) is not None
    return camera.azimuth, camera.elevation, camera.distance, camera.look_height, still


class BoardRenderer(Protocol):
    """An interactive renderer with a board; see `sim.chess.board.interactive_renderer.ChessRenderer`."""

    @property
    def board(self) -> Frame:
        """The board's box in the picture: x0, y0, x1, y1."""

    def truth(self) -> Percept:
        """Ground truth of the board, in the board's own pixels."""


class LivePerceptions:
    """All perceptions of a scene on one world: the overlays, and the one that feeds the agent."""

    def __init__(
        self,
        scene: Scene,
        world: Any,
        device: str,
        checkpoint: Path | None = None,
        renderer: Any = None,
        *,
        attended: bool = False,
    ) -> None:
        """Build the models.

        Args:
            scene: with ``[[perception]]`` tables.
            world: gives ``truth()`` of its newest picture; a `PerceptObservationEnv` also its percepts.
            device: for the models.
            checkpoint: of the first perception, instead of the scene's own.
            renderer: the world's interactive renderer; one with a ``board`` draws more than the board, and
                gives the board's ground truth.
            attended: whether a person watches, whom a model must not keep waiting: see `look`.

        Raises:
            SceneError: if a perception has noise of a kind that noise does not apply to.
            NoLabelsError: if the world has no ground truth for a perception.
            CheckpointError: if a checkpoint does not fit.
        """
        self._board: BoardRenderer | None = renderer if hasattr(renderer, "board") else None
        self._attended = attended
        self._stage = self._board or world.unwrapped
        self._generator = np.random.default_rng(scene.seed)
        self._feeds = [
            Feed(readable(table.use), world, scene_label_source(scene, config), predicted_kind(config))
            for number, table in enumerate(scene.perception)
            if table.feed == "agent" and (config := perception_config(scene, number))
        ]
        self._eyes = [
            self._eye(scene, number, device, None if number else checkpoint)
            for number, table in enumerate(scene.perception)
            if table.feed == "overlay"
        ]

    @staticmethod
    def _eye(scene: Scene, number: int, device: str, checkpoint: Path | None) -> LivePerception:
        config, table = perception_config(scene, number), scene.perception[number]
        kind = predicted_kind(config)
        if table.origin == "noisy truth" and kind not in NOISE:
            raise SceneError(
                f'{scene.source.name}, [[perception]] number {number}: "{table.use}" tells {kind}, and noise '
                f'moves {" and ".join(NOISE)} only: origin can be "model" or "truth"'
            )
        sight = scene_label_source(scene, config)
        classes = sight.vocabulary(kind)
        model, _ = build_perception(scene, number, classes, device, checkpoint)
        noise = table.noise_pixels, table.noise_misses
        return LivePerception(readable(table.use), model, sight, kind, classes, table.origin, *noise)

    def __len__(self) -> int:
        """Number of perceptions."""
        return len(self._feeds) + len(self._eyes)

    @property
    def feeds(self) -> bool:
        """Whether the agent observes percepts, which are those of its last decision."""
        return bool(self._feeds)

    @property
    def abilities(self) -> frozenset[Ability]:
        """Percepts if any look, and of which kinds; origins, unless only the agent lives on percepts."""
        kinds = {eye.kind for eye in self._eyes}
        found = {
            Ability.PERCEPTS: len(self) > 0,
            Ability.DENSE: bool(kinds & {"mask", "depth"}),
            Ability.FEN: "fen" in kinds,
            Ability.ORIGIN: bool(self._eyes),
        }
        return frozenset(ability for ability, there in found.items() if there)

    def next_origin(self) -> None:
        """Switch all overlays to the next origin: truth, model, and noisy truth where that applies to any.

        Kinds that noise does not apply to show the truth meanwhile.
        """
        noise = any(eye.kind in NOISE for eye in self._eyes)
        stops = ORIGINS if noise else tuple(origin for origin in ORIGINS if origin != "noisy truth")
        for eye in self._eyes:
            eye.origin = stops[(stops.index(eye.origin) + 1) % len(stops)]

    def look(self, picture: Array) -> tuple[PerceptView, ...]:
        """Percepts of the world's newest picture (H, W, 3) uint8; those of models are pending.

        Unless a person watches, nothing is: then every picture has its own percepts.
        """
        lived_on = (feed.seen(picture.shape) for feed in self._feeds)
        seen = (*lived_on, *(self._seen(eye) for eye in self._eyes))
        return seen if self._attended else self._complete(picture, seen)

    def completion(self, seen: tuple[PerceptView, ...]) -> Perceive | None:
        """What completes `seen`; None if nothing of it is pending."""
        return self._complete if any(one.pending for one in seen) else None

    def _complete(self, picture: Array, seen: tuple[PerceptView, ...]) -> tuple[PerceptView, ...]:
        """Let the models look at a picture (H, W, 3) uint8, to which `seen` belongs."""
        eyes: list[LivePerception | None] = [*(None for _ in self._feeds), *self._eyes]
        return tuple(
            self._perceived(eye, picture, one) if eye is not None and one.pending else one
            for eye, one in zip(eyes, seen, strict=True)
        )

    @staticmethod
    def _perceived(eye: LivePerception, picture: Array, pending: PerceptView) -> PerceptView:
        board = pending.board
        percept = to_picture_pixels(eye.model.perceive([crop_to_board(picture, board)])[0], board)
        assert pending.truth is not None
        scores = live_metrics(eye.kind, percept, pending.truth, parse)
        wrong, corrected = differing_spans(percept.caption or "", pending.truth.caption or "")
        return replace(pending, percept=percept, scores=scores, pending="", wrong=wrong, corrected=corrected)

    def _seen(self, eye: LivePerception) -> PerceptView:
        truth = eye.sight.live(self._stage, eye.kind)
        board = None if self._board is None else self._board.board
        more: dict[str, Any] = {"classes": eye.classes, "edges": eye.sight.bones(), "board": board}
        if eye.asked == "truth":
            return PerceptView(eye.name, to_picture_pixels(truth, board), **more)
        if eye.asked == "model":
            return PerceptView(
                eye.name, Percept("model"), to_picture_pixels(truth, board), **more, pending=PENDING
            )
        percept = noisy(truth, self._generator, pixels=eye.pixels, misses=eye.misses)
        scores = live_metrics(eye.kind, percept, truth, parse)
        return PerceptView(
            eye.name, to_picture_pixels(percept, board), to_picture_pixels(truth, board), scores, **more
        )


def crop_to_board(picture: Array, board: Frame | None) -> Array:
    """Crop a picture (H, W, 3) to its board; the whole picture where there is none."""
    if board is None:
        return picture
    left, top, right, bottom = map(int, board)
    return picture[top:bottom, left:right]


def to_picture_pixels(percept: Percept, board: Frame | None) -> Percept:
    """Translate a percept from pixels of the board to pixels of the picture."""
    return percept if board is None else transform_percept(percept, Placement(1.0, *board[:2]))
