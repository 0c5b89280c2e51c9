"""Analysis of recorded chess games: what a scene's network and its search say of every move.

In: a game from PGN. Out: opinions of its moves, as a show in the window, a table, a video or JSON. Does not
know: how games are played or learned from.

Reading order: `analysis` (opinions), `board` and `show` (in the window), `command` (the command line).
"""
