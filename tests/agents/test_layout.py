"""Channels last: strides change, values never."""

import torch

from agents.layout import channels_last, stack, take


def test_stacks_and_takes_keep_values_and_strides():
    steps = [torch.randint(0, 256, (5, 4, 6, 6), dtype=torch.uint8) for _ in range(3)]
    rollout = stack([channels_last(step) for step in steps])
    assert torch.equal(rollout, torch.stack(steps))
    flat = rollout.flatten(0, 1)
    assert flat.data_ptr() == rollout.data_ptr(), "flattening must not copy"
    rows = torch.tensor([14, 0, 7])
    taken = take(flat, rows)
    assert torch.equal(taken, torch.stack(steps).flatten(0, 1)[rows])
    assert taken.is_contiguous(memory_format=torch.channels_last)


def test_vectors_pass_as_they_are():
    steps = [torch.randn(5, 3) for _ in range(2)]
    assert torch.equal(take(stack(steps).flatten(0, 1), torch.tensor([9, 1])), torch.cat(steps)[[9, 1]])
    assert channels_last(steps[0]) is steps[0]
