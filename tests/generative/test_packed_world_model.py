"""Packed world model: the network's frames in bfloat16, the same in any batch, with the present weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from generative.dream.packed import OneHotMaps, PackedNorm, PackedWorldModel, can_pack
from generative.dream.real_contexts import real_contexts
from generative.dream.world_model import DiffusionWorldModel, DiffusionWorldModelConfig

SHIPPED = Path(__file__).parents[2] / "scenes/checkpoints/dream-pong"
packs = pytest.mark.skipif(
    not can_pack(torch.device("cpu")), reason="this processor multiplies no bfloat16, or PyTorch packs none"
)


@pytest.fixture(scope="module")
def shipped():
    return DiffusionWorldModel.load(SHIPPED)


def inputs(model, n, seed=0):
    """Noise, past frames and actions of `n` worlds, all different."""
    bank, generator = real_contexts("pong", 4), torch.Generator().manual_seed(seed)
    noise = torch.randn((n, *model.map_shape), generator=generator)
    last = torch.randint(6, (n, 1), generator=generator)
    return noise, torch.from_numpy(bank.frames[:n]), torch.cat([torch.from_numpy(bank.actions[:n]), last], 1)


@packs
@pytest.mark.parametrize("steps", [1, 3])
def test_frames_are_those_of_the_float32_network_but_for_near_ties(shipped, steps):
    given = inputs(shipped, 24)
    frames, signs, end = PackedWorldModel(shipped.network).dream(*given, steps)
    wanted = shipped.network.dream(*given, steps)
    objects = (wanted[0] > 0) | (frames > 0)
    assert objects.sum() > 300 and (frames != wanted[0]).sum() < 0.01 * objects.sum()
    assert torch.allclose(signs, wanted[1], atol=0.2) and torch.allclose(end, wanted[2], atol=0.3)


@packs
def test_a_row_is_the_same_in_any_batch(shipped):
    packed, given = PackedWorldModel(shipped.network), inputs(shipped, 19)
    whole = packed.dream(*given, 2)
    for n in (1, 2, 5, 16):
        parts = [packed.dream(*rows, 2) for rows in zip(*(x.split(n) for x in given), strict=True)]
        for of, found in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.equal(torch.cat(found), of)


@packs
def test_it_follows_the_weights_and_says_where_they_are_broken():
    model = DiffusionWorldModel(DiffusionWorldModelConfig(channels=(8, 16), layers=2, fold=8), seed=1)
    bank = real_contexts("pong", 4)
    context, actions = bank.frames[:2], np.zeros((2, 4), np.int64)

    def dreamed():
        return model.next_frames(context, actions, steps=1, generator=torch.Generator().manual_seed(0))

    before = dreamed()[0]
    with torch.no_grad():
        model.network.unet.conv_out.weight.mul_(-1)
    after = dreamed()[0]
    assert (before != after).mean() > 0.1
    with torch.no_grad():
        model.network.unet.conv_in.bias.fill_(torch.nan)
    frames, reward, ended = dreamed()
    assert np.array_equal(frames, context[:, -1]) and np.isnan(reward).all() and not ended.any()


@pytest.mark.parametrize(("classes", "fold"), [(4, 4), (4, 8), (3, 4), (7, 6), (2, 10)])
def test_the_table_gives_the_networks_maps(classes, fold):
    frames = torch.randint(classes, (2, 3, 2 * fold, 3 * fold), dtype=torch.uint8)
    maps = OneHotMaps(classes, fold)(frames).unflatten(-1, (3, fold, fold, classes))  # (N, h, w, L, p, p, K)
    cells = frames.unflatten(2, (2, fold)).unflatten(4, (3, fold)).permute(0, 2, 4, 1, 3, 5)
    wanted = classes**0.5 * (torch.nn.functional.one_hot(cells.long(), classes) - 1 / classes)
    assert torch.equal(maps, wanted.bfloat16())


def test_the_norm_is_group_normalisation_then_scale_shift_and_silu():
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.GroupNorm(4, 16, eps=1e-5)
    maps = (3 + 2 * torch.randn((3, 5, 6, 16), generator=generator)).bfloat16()
    scale, shift = torch.randn((2, 3, 1, 16), generator=generator)
    wanted = layer(maps.float().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    wanted = torch.nn.functional.silu(wanted * scale[:, None] + shift[:, None])
    made = PackedNorm(layer, 30)(maps, scale, shift)
    assert torch.allclose(made.float(), wanted, rtol=2**-7, atol=1e-3)
