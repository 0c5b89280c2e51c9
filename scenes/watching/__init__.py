"""What the window shows of a scene: `scene_show` (its world and agent), `sampler_gallery` (its sampler).

`perception_overlay` and `live_metrics` (percepts beside the truth), `run_follower` (a training run's newest
checkpoint), `sample_panel`, `playlist`, `labels`.
"""
