"""From a checked scene to the things themselves: worlds, agents, perceptions, samplers, with weights.

The only place where the folders' catalogues meet. Does not fetch data and trains nothing.
"""
