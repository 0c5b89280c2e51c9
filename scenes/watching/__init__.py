"""Shows of a scene in the window: `scene_show` (world and agent), `sampler_gallery` (sampler).

`perception_overlay` (percepts beside the truth), `run_follower` (a training run's newest
checkpoint), `pair_show` (two checkpoints side by side), `replay_show` (an action replay), `sample_panel`,
`playlist`, `posters`, `poster_figures`, `labels`; `board/` (a chess board) and `game_analysis/` (a recorded
chess game).
"""
