"""Twin play: an emulator and the dream of its game side by side, one action to both; their divergence.

In: an action. Out: what the emulator gives; a picture of both and their difference; read-outs of how far they
are apart. `world` is the environment, `divergence` the measure, `renderer` what the window shows. Does not
know: agents, scenes, windows; how the dream works (`generative.dream`).
"""
