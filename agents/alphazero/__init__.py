"""AlphaZero (Silver et al. 2018): self-play reinforcement learning with Gumbel or PUCT tree search.

In: worlds whose info has their positions (``info["games"]``, each a `sim.protocols.Game`); of ours those are
chess. Out: a `Decision` with the search's policy, visits and value. Does not know: chess, opponents,
engines.

Reading order: `tree` (batched tree search), `gumbel` and `puct` (the search rules), `selfplay` (games in
progress, and the replay buffer of finished ones), `train` (configuration, acting and learning), `actor`
(self-play in a process of its own).

To add a search: a class with the methods of `tree.Tree`, and its name in `train.AlphaZero.search` and
`train.AlphaZero.tree`.
"""
