"""Simulation: worlds (environments), vector batching, storage of episodes and checkpoints, the viewer.

In: actions (N,) or (N, D). Out: observations (N, …), rewards (N,) unclipped, pictures (H, W, 3) uint8.
Does not know: torch, agents, models or scenes; it never imports a folder above it.

Reading order: `records` and `protocols` (records and interfaces between the folders), `vector` (batches that
seed, reset and resume alike), `catalog` (worlds by name), `atari.world`, `chess.world`, `walker.world`,
`gym_worlds`; then `storage` (checkpoints, runs, episodes on disk) and `viewer` (the window).

To add a world: copy `gym_worlds.py` (a config dataclass with `make` and `make_batch`), add its line to
`catalog.WORLDS`, and `tests/sim/test_worlds_conform.py` checks it from then on.
"""
