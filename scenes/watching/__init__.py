"""Shows of a scene in the window: `scene_show` (world and agent), `sampler_gallery` (sampler).

`perception_overlay` and `live_metrics` (percepts beside the truth), `run_follower` (a training run's newest
checkpoint), `sample_panel`, `playlist`, `labels`.
"""
