"""Label source of chess boards, drawn in many styles: boxes of pieces, or FEN with the board's corners."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from sim.chess.diagrams.labelled_boards import render_games
from sim.chess.diagrams.themes import HELD_OUT, TRAINING, styles
from sim.chess.diagrams.truth import LABELS
from sim.percept_kind import Kind
from sim.percept_kinds import only
from sim.progress import advance
from sim.protocols import Policy
from sim.records import Array, Percept
from supervised.data.capture import CaptureSpec
from supervised.data.dataset import Dataset
from supervised.data.label_sources import NoLabelsError


class ChessLabels:
    """Labelled images of chess positions from seeded games; see `supervised.data.capture.LabelSource`."""

    def __init__(self, config: Any) -> None:
        self.name: str = config.name

    def vocabulary(self, kind: Kind) -> tuple[str, ...]:
        """The pieces by name, or nothing for whole boards."""
        NoLabelsError.check(self.name, kind, ("boxes", "fen"))
        return LABELS if kind == "boxes" else ()

    def bones(self) -> tuple[tuple[str, str], ...]:
        """None."""
        return ()

    def labelled_images(self, spec: CaptureSpec, policy: Policy | None = None) -> Dataset:
        """Positions of seeded games between the built-in players, whatever `policy` is.

        Held out are the three themes whose colours training never sees.
        """
        self.vocabulary(spec.kind)
        looks = styles(HELD_OUT if spec.held_out else TRAINING)
        pictures, truths, games = list[Array](), list[Percept](), list[int]()
        for game, (rgb, percepts) in enumerate(render_games(count(spec.seed), looks)):
            pictures.append(rgb)
            truths += [only(percept, spec.kind) for percept in percepts]
            games += [game] * len(percepts)
            advance(len(percepts))
            if len(truths) >= spec.count:
                break
        n = spec.count
        return Dataset(values=np.concatenate(pictures)[:n], truths=truths[:n], episodes=np.array(games[:n]))

    def live(self, stage: Any, kind: Kind) -> Percept:
        """The truth about a live board."""
        return only(stage.truth(), kind)
