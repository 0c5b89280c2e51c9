"""Atari 2600 games on ale-py, single or batched, with ground-truth objects read from memory.

In: actions (N,). Out: observations (N, 4, 84, 84) uint8, rewards, pictures (210, 160, 3) uint8 for most
games; for those in `truth.GAMES` a `sim.records.Percept` of each picture. Does not know: other worlds,
agents, torch.

Reading order: `world` (both backends), `resize` (their observations); then `objects` (the format of an
object table), `games` (the tables) and `truth` (which reads them).

To add a game's truth: see `games`.
"""
