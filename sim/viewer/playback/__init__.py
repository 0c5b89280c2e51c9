"""Playback: a show stepped in its own thread, its remembered moments, attribution beside it.

Read `view` (what a picture of the window is made of), `simulation` (the thread that steps), `history` and
`frame_compression` (the remembered past), `attribution` (saliency in a thread), `session` (one show from its
loading to its end), `playlist` (scenes and checkpoints to go to).
"""
