"""The picture of the world, or the gallery's mosaic, and what is drawn over it.

Percepts (`percept_overlay`: `boxes`, `skeleton`, `depth`, `board_overlay`) and saliency maps
(`saliency_overlay`) over `world_picture`, forces on a robot (`robot_overlay`); samples side by side in
`gallery_mosaic`.
"""
