"""The data of a scene: what its agent observes, what its perceptions and samplers learn from."""
