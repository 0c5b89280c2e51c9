"""Systems of an introductory deep-learning lecture in its order, each with its scene, figure and baseline.

The figures are those of the cards of the checkpoints that ship; nothing is measured here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scenes.schema import Scene, load_scene, shipped_scenes
from sim.storage.checkpoints import load_card


@dataclass(frozen=True)
class System:
    """One system of the lecture.

    Attributes:
        part: of the lecture.
        name: of the system, in the lecture's words.
        scene: that shows it.
    """

    part: str
    name: str
    scene: str


HISTORY, SUPERVISED = "Foundations", "Supervised learning"
UNSUPERVISED, REINFORCEMENT = "Unsupervised learning", "Reinforcement learning"

SYSTEMS = (
    System(HISTORY, "1958: perceptron", "perceptron"),
    System(HISTORY, "1986: backpropagation", "backprop"),
    System(HISTORY, "1989: convolutional network", "lenet"),
    System(HISTORY, "2012: AlexNet", "alexnet"),
    System(SUPERVISED, "univariate regression: age to height", "growth"),
    System(SUPERVISED, "graph regression: molecules", "molecules"),
    System(SUPERVISED, "text classification: reviews", "reviews"),
    System(SUPERVISED, "music classification: dance tunes", "tunes"),
    System(SUPERVISED, "image classification", "game-classifier"),
    System(SUPERVISED, "image segmentation", "walker-segmenter"),
    System(SUPERVISED, "depth from one image", "walker-depth"),
    System(SUPERVISED, "pose estimation", "walker-pose"),
    System(SUPERVISED, "object detection", "pong-detector"),
    System(SUPERVISED, "structured prediction: a board from a photograph", "board-reader"),
    System(SUPERVISED, "machine translation", "translate"),
    System(SUPERVISED, "image captioning", "narrator"),
    System(SUPERVISED, "image to text in two languages", "commentary"),
    System(SUPERVISED, "measuring and improving performance", "generalise"),
    System(UNSUPERVISED, "clustering: DeepCluster", "frames-clusters"),
    System(UNSUPERVISED, "generative adversarial network", "frames-gan"),
    System(UNSUPERVISED, "latent space: variational autoencoder", "frames-vae"),
    System(UNSUPERVISED, "normalizing flow", "frames-flow"),
    System(UNSUPERVISED, "diffusion model", "frames-diffusion"),
    System(UNSUPERVISED, "one-step sampling: consistency model", "frames-one-step"),
    System(UNSUPERVISED, "generating random cats", "cats"),
    System(UNSUPERVISED, "conditional synthesis, filling in", "boards-diffusion"),
    System(UNSUPERVISED, "text to image", "frames-from-text"),
    System(UNSUPERVISED, "language model", "babble"),
    System(UNSUPERVISED, "assistant: reward model", "reward-model"),
    System(UNSUPERVISED, "assistant: tuned by preferences", "tuned"),
    System(REINFORCEMENT, "policy gradient: REINFORCE", "cartpole-reinforce"),
    System(REINFORCEMENT, "Atari from pixels", "pong"),
    System(REINFORCEMENT, "AlphaZero: chess endgame", "chess-kqk"),
    System(REINFORCEMENT, "a robot that walks", "walker"),
)


def lecture_scenes() -> list[str]:
    """Names of the lecture's scenes, in its order, then those of the other shipped scenes."""
    shipped = shipped_scenes()
    own = [system.scene for system in SYSTEMS if system.scene in shipped]
    return own + [name for name in shipped if name not in own]


def lecture_rows() -> list[dict[str, Any]]:
    """One row a system: part, system, scene, title, figure (its name), value, baseline, n; None: unknown."""
    shipped = set(shipped_scenes())
    return [_row(system) for system in SYSTEMS if system.scene in shipped]


def lecture_table() -> str:
    """The rows as a Markdown table, as it stands in ``docs/lecture.md``."""
    lines = ["| system | scene | metric | trained | baseline |", "|---|---|---|---|---|"]
    for row in lecture_rows():
        figures = ["–" if row[key] is None else f"{row[key]:,.4g}" for key in ("value", "baseline")]
        name, metric = f"`{row['scene']}`", row["figure"] or "–"
        lines.append(f"| {row['system']} | {name} | {metric} | {figures[0]} | {figures[1]} |")
    return "\n".join(lines)


def _row(system: System) -> dict[str, Any]:
    scene = load_scene(system.scene)
    scores = _scores(scene)
    figures = {name: value for name, value in scores.items() if isinstance(value, float)}
    baseline = scores.get("baseline", {})
    figure = next((name for name in figures if name in baseline), next(iter(figures), None))
    return {
        "part": system.part,
        "system": system.name,
        "scene": system.scene,
        "title": scene.title,
        "figure": figure,
        "value": figures.get(figure or ""),
        "baseline": baseline.get(figure),
        "n": scores.get("n"),
    }


def _scores(scene: Scene) -> dict[str, Any]:
    """Scores on the card of what the scene is about; empty without a checkpoint."""
    tables = [table for table in scene.perception if table.feed == "overlay"]
    tables += [scene.agent] if scene.agent is not None else []  # type: ignore[list-item]
    tables += list(scene.sampler)  # type: ignore[arg-type]
    for table in tables:
        if table.checkpoint:
            scores: dict[str, Any] = load_card(scene.resolve(table.checkpoint)).get("scores", {})
            return scores
    return {}
