"""Recorded chess games as positions: PGN reader, replay, shards on disk, batches, Stockfish labels.

In: PGN or lines of SAN, also compressed (`game_file` reads lines, `game_records` cuts them into games). Each
game is replayed by the rules (`replay`) into 64 bytes a position, written in shards (`shards`, `conversion`)
and read back memory-mapped: a batch has AlphaZero's planes, legal actions and targets (`position_batch`).
An installed engine labels positions with values and policies (`stockfish_labels`, through the pipes of
`uci_analysis`); they lie beside the positions (`labels`).

What learns from them asks `supervised.data.sources.chess_games.game_positions`. Nothing here knows torch.
"""
