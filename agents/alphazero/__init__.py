"""AlphaZero (Silver et al. 2018): self-play reinforcement learning with Gumbel or PUCT tree search.

In: worlds whose info has their positions (``info["games"]``, each a `sim.protocols.Game`); of ours those are
chess. Out: a `Decision` with the search's policy, visits and value. Does not know: chess, opponents,
engines.

Reading order: `tree_arrays` (nodes and edges), `tree` (batched tree search), `gumbel` and `puct` (its rules),
`alphabeta` (the other search), `tree_reuse` (from one move to the next), `search_agent` (configuration and
acting), `selfplay` (games in progress, and the replay buffer of finished ones), `train` (learning from them),
`actor` (self-play in a process of its own).

To add a search: a class with the methods of `tree.SimulatedTree`, and its name in
`search_agent.SearchConfig.search` and `search_agent.SearchConfig.tree`.
"""
