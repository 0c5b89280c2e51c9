"""Worlds (environments) and what needs no learning: batching, recording, the viewer, runs and checkpoints.

In: actions (N,) or (N, D). Out: observations (N, …), rewards (N,) unclipped, pictures (H, W, 3) uint8.
Does not know: torch, agents, models or scenes; it never imports a folder above it.

Reading order: `records` and `protocols` (records and interfaces between the folders), `vector` (batches
that seed, reset and resume alike), `catalog` (worlds by name), `atari.world`, `installed`; then
`checkpoints` and `runs` (files on disk), and `viewer` (the window).

To add a world: copy `installed.py` (a config dataclass with `make` and `make_batch`), add its line to
`catalog.WORLDS`, and `tests/sim/test_worlds_conform.py` checks it from then on.
"""
