"""Walkers on MuJoCo Warp: states, rewards and resets on a GPU, or on Warp's CPU device.

In: actions (N, motors) as tensors of the device. Out: what `sim.walker` gives, on the device. Does not know:
the C engine's threads, pictures, windows.

Reading order: `walkers` (N worlds), its `kernels` (one world a thread), `worlds` (a vector environment as all
others are).
"""
