"""Shows of a scene in the window: `scene_show` (world and agent), `sampler_gallery` (sampler).

`perception_overlay` and `live_metrics` (percepts beside the truth), `run_follower` (a training run's newest
checkpoint), `sample_panel`, `playlist`, `labels`. Of a recorded chess game: `game_analysis` (opinions of
its moves), `game_analysis_board` and `game_analysis_show` (in the window), `game_analysis_command` (as a
table, or JSON).
"""
