"""Construction of a scene's worlds, agents, perceptions and samplers, with the weights of checkpoints.

The only place where the folders' catalogues meet. Does not fetch data and trains nothing.
"""
