"""AlphaZero (Silver et al. 2018): a network learns by search what to play, and from its games who wins.

In: worlds that show their positions (``info["games"]``, each a `sim.protocols.Game`); of ours those are
chess. Out: a `Decision` with the search's policy, visits and value. Does not know: chess, opponents,
engines.

Reading order: `tree` (trees of positions, grown side by side), `gumbel` and `puct` (which move a simulation
tries next, and what the search found), `selfplay` (games in progress, and what is remembered of finished
ones), `train` (the scene's keys, the player and how it learns).

To add a search: a class with the methods of `tree.Tree`, and its name in `train.AlphaZero.search` and
`train.AlphaZero.tree`.
"""
