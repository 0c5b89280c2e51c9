"""From a checked scene to the things themselves: worlds, agents, perceptions, samplers."""
