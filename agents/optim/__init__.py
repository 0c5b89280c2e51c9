"""Optimiser steps of agents: gradient, clipping, Adam, precision and schedules, as torch or as CUDA graphs.

In: a loss of minibatches, or its gradient. Out: weights changed in place, and metrics. Does not know: worlds,
rollouts, agents.

Reading order: `train_step` (one step, optionally compiled), `schedules` (rates over a budget); `flat_adam`
and `ppo_gradient` (networks smaller than the overhead of a graph), `mixed_precision` (bfloat16 gradients),
`cuda_graphs` (a whole step launched at once).
"""
