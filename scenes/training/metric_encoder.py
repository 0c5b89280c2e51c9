"""Training of the image encoder of the sample metrics, on simulator images with ground truth.

    python -m scenes.training.metric_encoder DIR    # minutes of play, then five of training on one core

writes a checkpoint like the shipped one in `generative/checkpoints/encoder`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from generative.data.catalog import load_dataset
from generative.data.frames import MIXED
from generative.metrics.encoder import Encoder, ProbeTargets, encoder_card
from scenes.data.sampler_data import players
from sim.atari.truth import GAMES
from sim.records import Budget
from sim.storage.checkpoints import save_checkpoint
from supervised.data.dataset import Dataset, concatenate

SEED = 101  # far from the seeds of scenes: no model is scored by an encoder trained on its episodes
UPDATES = 1_800
MANY, SOME, A_FEW, BOARDS = (
    800,
    300,
    250,
    900,
)  # images of the six games together, of Skiing, of each other game; of boards
HELD_OUT_SHARE = 0.1


def encoder_examples() -> Dataset:
    """Training set: images of every Atari game that has ground truth, and of chess boards."""
    counts = {game: MANY if game in MIXED else A_FEW for game in GAMES} | {"skiing": SOME}
    cast = players()
    parts = [load_dataset(f"frames/{game}", count, seed=SEED, players=cast) for game, count in counts.items()]
    parts.append(load_dataset("boards", BOARDS, seed=SEED))
    return concatenate([part.drop("captions") for part in parts])


def train_encoder(
    folder: Path, *, device: str = "cpu", updates: int = UPDATES, say: Callable[[str], None]
) -> None:
    """Train an image encoder and write its checkpoint.

    Raises:
        SaveError: if it cannot be written.
    """
    begun = time.monotonic()
    train, held_out = encoder_examples().parted(HELD_OUT_SHARE)
    say(f"{len(train):,} pictures to learn from, {len(held_out):,} held out")
    model = Encoder().build(ProbeTargets.about(train), seed=0, device=device)
    fit = model.fit(train, held_out, seed=0)
    scores: dict[str, float] = {}
    for progress in fit.learn(Budget(updates=updates)):
        scores = {name: value for name, value in progress.metrics.items() if name.startswith("validation_")}
        say(f"{progress.updates:,} of {updates:,}: " + ", ".join(f"{k} {v:.3f}" for k, v in scores.items()))
    model.load_weights(fit.weights())
    trained = {"updates": updates, "seconds": round(time.monotonic() - begun), "pictures": len(train)}
    card = encoder_card(model, trained, scores | {"n": len(held_out)}, seed=0)
    save_checkpoint(folder, card, model.weights(), storage="float16")


if __name__ == "__main__":
    train_encoder(Path(sys.argv[1]), say=lambda line: print(line, flush=True))
