"""Data set of world states as vectors with named axes: joint positions of walkers, facts of Atari games.

``states/<body>`` holds MuJoCo's positions (m, rad; free joints as unit quaternions) without those along the
ground, which only give the distance walked. ``states/<game>`` holds the numbers of `sim.atari.truth.facts`
(pixels, points, lives) of frames that have all of them: frames without a ball in play are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from generative.data.data_request import DataError, DataRequest, Player
from generative.data.frames import of_game
from sim.atari.truth import GAMES
from sim.catalog import world_config
from sim.plurals import number_of
from sim.progress import advance, waiting
from sim.records import Array
from sim.vector import reset_memory
from sim.walker.reward import BODIES
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset

WORLDS = 32  # walkers at once
EVERY = 5  # steps between two states of one walker
HOLD = 0.9  # probability that random play repeats its torques
SPARE = 1.5  # frames played for each that is needed, since some lack facts


def collect(request: DataRequest) -> Dataset:
    """Make the data set: vectors (N, D) float32; one label, body or game; for games captions and truths."""
    request.one_of("states", (*BODIES, *GAMES))
    players = request.players
    if request.variant in GAMES:
        return _counted(request, players.get(f"atari/{request.variant}", ()))
    chosen = players.get(f"walker/{request.variant}", ())
    return _walked(request, chosen[0] if chosen else None)


def axes_of(body: str, model: Any) -> tuple[str, ...]:
    """Names of a body's generalised positions, in MuJoCo's order, without the hidden ones.

    >>> from sim.walker.simulation import load
    >>> axes_of("hopper", load(BODIES["hopper"]))
    ('rootz', 'rooty', 'thigh_joint', 'leg_joint', 'foot_joint')
    """
    names: list[str] = []
    for number in range(model.njnt):
        name = model.joint(number).name
        free = int(model.jnt_type[number]) == 0  # mjJNT_FREE
        names += [f"{name} {part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")] if free else [name]
    return tuple(names[BODIES[body].hidden :])


def _walked(request: DataRequest, player: Player | None) -> Dataset:
    worlds: Any = world_config(f"walker/{request.variant}", {}).make_batch(WORLDS, request.seed)
    try:
        axes = axes_of(request.variant, worlds.walkers.simulation.model)
        rows, episodes = zip(*_states(worlds, request, player, len(axes)), strict=True)
    finally:
        worlds.close()
    return Dataset(
        values=ArrayColumn(np.concatenate(rows)[: request.count].astype(np.float32), axes),
        labels=LabelColumn.one(request.variant, request.count),
        episodes=np.concatenate(episodes)[: request.count].astype(np.int64),
    )


def _states(
    worlds: Any, request: DataRequest, player: Player | None, width: int
) -> Iterator[tuple[Array, Array]]:
    """Positions (32, `width`) and episodes (32,) every few steps; the policy plays every other world."""
    generator = np.random.default_rng(request.seed)
    policy = None if player is None else player.policy(worlds)
    if policy is not None:
        policy.seed(request.seed)
    obs, info = worlds.reset()
    space, memory = worlds.single_action_space, None
    episode, held = np.arange(WORLDS), np.zeros((WORLDS, *space.shape), np.float32)
    for _ in range(-(-request.count // WORLDS)):
        for _ in range(EVERY):
            anew = generator.random((WORLDS, 1)) > HOLD
            held = np.where(anew, generator.uniform(space.low, space.high, held.shape), held).astype(
                np.float32
            )
            actions = held
            if policy is not None:
                decision, memory = policy.act(obs, info, memory)
                actions = np.where(np.arange(WORLDS)[:, None] % 2 == 0, decision.actions, held)
            obs, _, terminated, truncated, info = worlds.step(actions)
            memory = reset_memory(memory, terminated | truncated)
            episode = episode + WORLDS * (terminated | truncated)
        advance(WORLDS)
        yield obs[:, :width].copy(), episode.copy()  # an observation begins with the positions


def _counted(request: DataRequest, players: Any) -> Dataset:
    asked = round(SPARE * request.count)
    with waiting(f"playing {number_of(asked, 'frame')} of {request.variant}", asked):
        frames = of_game(request.variant, asked, request.seed, players)
    full = max((len(truth.facts) for truth in frames.truths), default=0)
    told = [i for i, truth in enumerate(frames.truths) if len(truth.facts) == full][: request.count]
    if not full or not told:
        raise DataError(f"{request.variant} has no facts to make vectors of")
    chosen = frames.take(np.array(told))
    axes = tuple(chosen.truths[0].facts)
    facts = [[truth.facts[axis] for axis in axes] for truth in chosen.truths]
    return chosen.assign(values=ArrayColumn(np.array(facts, np.float32), axes))
