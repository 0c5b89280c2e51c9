"""Atari 2600 games: played, drawn, and known object by object.

In: actions (N,). Out: observations (N, 4, 84, 84) uint8, rewards, pictures (210, 160, 3) uint8 for most
games; for those in `truth.GAMES` a `sim.records.Percept` of each picture. Does not know: other worlds,
agents, torch.

Reading order: `world` (both backends), `resize` (their pictures); then `objects` (what a table of
objects is), `games` (the tables) and `truth` (which reads them).

To add a game's truth: see `games`.
"""
