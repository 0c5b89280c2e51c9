"""World models: neural networks that dream an Atari game frame by frame, and the worlds made of them.

In: the last frames (N, L, H, W) uint8 as classes of a game's palette, actions (N, L) int64. Out: the next
frames (N, H, W) uint8, rewards (N,) float32, ends (N,) bool. Does not know: agents, scenes.

Reading order: `denoiser` (the network, its noise levels and losses), `windows` (training examples),
`world_model` (configuration, training, dreaming, checkpoints), `grading` (against the emulator). The data set
is `generative.data.gameplay`; frames are those of `generative.data.palette`.
"""
