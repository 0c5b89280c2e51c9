"""Stretches of rollouts, from a rollout actor to the replay buffer of a learner.

A stretch is T steps of N worlds, with final observations of the episodes that ended, and of all that are cut
off at its end:

    frames      (T, N, …)       the newest frame before each step
    context     (N, S − 1, …)   frames before the first one, where observations stack S
    age         (N,)            how many of them are of the same episode
    action, reward, terminated, truncated   (T, N)
    final       (E, …)          newest frames of the E final observations, in order of step and world
    mask, final_mask            (T, N, A) and (E, A), where worlds have masks
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from torch import Tensor

from agents.replay import Replay
from sim.records import Array
from supervised.tensors import on_device

EPSILON = "epsilon"  # name of the exploration rate among the weights that actors are sent


def add_stretch(
    replay: Replay, arrays: Mapping[str, Array], *, observe: Callable[[Array], Tensor], clip_reward: bool
) -> Iterator[int]:
    """Add a stretch to a replay buffer; yields the env steps added: 0 for the context, N for each step.

    Args:
        replay: of as many worlds.
        arrays: of the stretch.
        observe: arranges observations (N, …) on the replay's device.
        clip_reward: add the sign of rewards.
    """
    stack = replay.frame_stack
    if stack > 1:
        context = [observe(_stacked(frames, stack)) for frames in arrays["context"].swapaxes(0, 1)]
        replay.begin_stretch(context, arrays["age"])
        yield 0
    reward = np.sign(arrays["reward"]) if clip_reward else arrays["reward"]
    masks, finals = arrays.get("mask"), 0
    for t, frames in enumerate(arrays["frames"]):
        terminated, truncated = arrays["terminated"][t], arrays["truncated"][t]
        over = terminated | truncated
        final = final_mask = None
        if over.any():
            rows = slice(finals, finals + int(over.sum()))
            finals = rows.stop
            final = observe(_stacked(_spread(over, arrays["final"][rows]), stack))
            final_mask = (
                None if masks is None else on_device(_spread(over, arrays["final_mask"][rows]), replay.device)
            )
        replay.add(
            observe(_stacked(frames, stack)),
            on_device(arrays["action"][t].astype(np.int64), replay.device),
            on_device(reward[t], replay.device),
            terminated,
            truncated,
            final,
            None if masks is None else on_device(masks[t], replay.device),
            final_mask,
        )
        yield len(terminated)


def _stacked(frames: Array, stack: int) -> Array:
    """Observations (N, S, …) of which only the newest frame counts; for S = 1 the frames (N, …)."""
    if stack == 1:
        return frames
    obs = np.zeros((len(frames), stack, *frames.shape[1:]), frames.dtype)
    obs[:, -1] = frames
    return obs


def _spread(over: Array, rows: Array) -> Array:
    """Rows (E, …) at the places (N,) where `over` is true; zeros elsewhere."""
    full = np.zeros((len(over), *rows.shape[1:]), rows.dtype)
    full[over] = rows
    return full
