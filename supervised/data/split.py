"""Held-out splits by episode: which of a data set's episodes validate and are graded against.

Examples of one episode resemble each other, so that an episode is learned from or held out as a whole. A
checkpoint's card names its rule, and evaluation follows it: by another one, episodes that the model has
learned from would count as unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from sim.records import Array

#: One of each 1 / share consecutive episode numbers, drawn by a hash: no other example has a say in it.
HASHED = "hashed episodes"
#: Episodes in shuffled order, until their examples are enough: one episode more shuffles all of them. It
#: stays because checkpoints whose cards name it, or no rule at all, learned by it.
SHUFFLED = "shuffled episodes"


def held_out_episodes(episodes: Array, labels: Array, share: float, *, seed: int, rule: str) -> set[int]:
    """The episodes to hold out, about `share` of them.

    Every class is learned from, and each that has two episodes of its own is held out too.

    Args:
        episodes: (N,) of the examples.
        labels: (N,) their classes.
        share: at most 0.5.
        seed: of the draw.
        rule: `HASHED` or `SHUFFLED`.

    Raises:
        ValueError: for a rule that there is not.
    """
    if rule not in RULES:
        raise ValueError(f'there is no split rule "{rule}"; there are {", ".join(RULES)}')
    return RULES[rule](episodes, labels, share, seed)


def _hashed(episodes: Array, labels: Array, share: float, seed: int) -> set[int]:
    run = max(2, round(1 / share))
    held = {
        int(episode)
        for episode in np.unique(episodes)
        if _drawn(seed, int(episode) // run, run) == episode % run
    }
    of_each = [np.unique(episodes[labels == label]).tolist() for label in np.unique(labels)]
    for own in of_each:  # which no run may have met
        if len(own) > 1 and not held & set(own):
            held.add(min(own, key=lambda episode: _rank(seed, episode)))
    for own in of_each:
        if held >= set(own):
            held.remove(max(own, key=lambda episode: _rank(seed, episode)))
    return held


def _drawn(seed: int, number: int, run: int) -> int:
    """The place of the held-out episode in a run of that number."""
    return _rank(seed, number) * run >> 64


def _rank(seed: int, number: int) -> int:
    """64 bits that are the same on every machine."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8).digest())


def _shuffled(episodes: Array, labels: Array, share: float, seed: int) -> set[int]:
    generator = np.random.default_rng(seed)
    held: set[int] = set()
    for label in np.unique(labels):
        names, counts = np.unique(episodes[labels == label], return_counts=True)
        have = int(counts[np.isin(names, sorted(held))].sum())
        for at in generator.permutation(len(names))[: len(names) - 1]:
            if have >= max(1, share * counts.sum()):
                break
            if int(names[at]) not in held:
                held.add(int(names[at]))
                have += int(counts[at])
    return held


RULES: dict[str, Callable[[Array, Array, float, int], set[int]]] = {HASHED: _hashed, SHUFFLED: _shuffled}
