"""Data of a scene: what its agent observes, what its perceptions and samplers learn from.

`agent_env` (the world as the agent meets it), `generated_starts` (episodes that begin from samples),
`perception_data`, `sampler_data` (recipes, splits), `images` (a user's pictures), `thumbnails`.
"""
