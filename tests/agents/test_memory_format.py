"""Memory format: strides and shapes change, values never."""

import pytest
import torch

from agents.networks.memory_format import channels_last, fold, fold_kernel, join, split, stack, take


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


@pytest.mark.parametrize("size", [(84, 84), (210, 160), (85, 91)])
def test_a_convolution_of_folded_pictures_is_the_same_convolution(size):
    pictures = torch.randint(0, 256, (3, 4, *size), dtype=torch.uint8)
    kernel = torch.randn(5, 4, 8, 8, dtype=torch.float64)
    folded = fold(pictures, 4)
    assert folded.shape == (3, 64, size[0] // 4, size[1] // 4) and folded.dtype == torch.uint8
    assert folded.is_contiguous(memory_format=torch.channels_last)
    plain = torch.nn.functional.conv2d(pictures.double(), kernel, stride=4)
    assert torch.allclose(torch.nn.functional.conv2d(folded.double(), fold_kernel(kernel, 4)), plain)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_frames_are_taken_apart_and_put_together_again(stride):
    pictures = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.uint8)
    folded = fold(pictures, stride)
    frames = split(folded, 3)
    for i in range(3):
        alone = fold(pictures[:, i : i + 1], stride).permute(0, 2, 3, 1)
        assert torch.equal(frames[:, i], alone)
    assert torch.equal(join(frames.contiguous()), folded)
    assert join(frames.contiguous()).is_contiguous(memory_format=torch.channels_last)
