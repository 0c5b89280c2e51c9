"""World models: neural networks that dream an Atari game frame by frame, and the worlds made of them.

In: the last frames (N, L, H, W) uint8 as classes of a game's palette, actions (N, L) int64. Out: the next
frames (N, H, W) uint8, rewards (N,) float32, ends (N,) bool. Does not know: agents, scenes.

Reading order: `palette` (a game's playing field as classes of pixels, and back to the screen), `denoiser` (the
network, its noise levels and losses), `windows` (training examples), `world_model` (configuration, training,
dreaming, checkpoints). The data set is `generative.data.gameplay`.
"""
