"""Rules of chess: moves and positions as numbers, legal moves, how a game ends, immutable positions.

Reading order: `encoding` (AlphaZero's actions and planes), `fen`, `termination`, `bitboards`,
`move_generator` and `batched_moves` (legal moves of one position, and of many at once), `game` (an immutable
position with the history that the rules need), `fast_rules` (the same for search, on a faster core where that
is installed).
"""
