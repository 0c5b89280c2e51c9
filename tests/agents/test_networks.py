"""Networks: sizes of the papers, orthogonal starts, errors that name the world's space."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.networks.architectures import ActorCritic, NetworkError, network_for

PIXELS = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)


def network(name: str, space: gymnasium.Space = PIXELS, outputs: int = 6) -> ActorCritic:
    return ActorCritic(name, space, outputs, torch.Generator().manual_seed(0))


def test_nature_has_the_parameters_of_the_paper():
    convolutions = (4 * 64 + 1) * 32 + (32 * 16 + 1) * 64 + (64 * 9 + 1) * 64
    hidden = (64 * 7 * 7 + 1) * 512
    heads = (512 + 1) * (6 + 1)
    assert sum(p.numel() for p in network("nature").parameters()) == convolutions + hidden + heads


def test_weights_start_orthogonal_with_the_papers_gains():
    net = network("small")
    weight = net.trunk.hidden.weight
    assert torch.allclose(weight @ weight.T, 2 * torch.eye(len(weight)), atol=1e-4)
    assert net.policy.weight.norm(dim=1).tolist() == pytest.approx([0.01] * 6, rel=1e-4)
    assert all(not p.any() for name, p in net.named_parameters() if name.endswith("bias"))


def test_the_same_seed_gives_the_same_network():
    first, second = network("small").state_dict(), network("small").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pixels_are_scaled_to_one():
    net = network("small")
    white = torch.full((1, 4, 84, 84), 255, dtype=torch.uint8)
    direct = net.trunk.convolutions(torch.ones(1, 4, 84, 84)).flatten(1)  # floats, already scaled
    assert torch.allclose(
        net.trunk(net.trunk.arrange(white)), torch.relu(net.trunk.hidden(direct)), atol=1e-5
    )


def test_discrete_observations_become_one_hot():
    net = network("mlp", gymnasium.spaces.Discrete(3))
    expected = net.policy(net.trunk.layers(torch.eye(3)))
    assert torch.equal(net(torch.arange(3))[0], expected)


@pytest.mark.parametrize(
    ("name", "space", "words"),
    [
        ("nature", gymnasium.spaces.Box(-1, 1, (4,)), 'use network = "mlp"'),
        ("natur", PIXELS, "there are nature, small, mlp, mlp256, board, board32, se64, se32"),
        ("mlp", gymnasium.spaces.Tuple([]), "cannot read observations of Tuple"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, space: gymnasium.Space, words: str):
    with pytest.raises(NetworkError, match=words):
        network(name, space)


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (PIXELS, "nature"),
        (gymnasium.spaces.Box(0, 255, (3, 35, 200), np.uint8), "mlp"),  # too small for the convolutions
        (gymnasium.spaces.Box(0, 255, (19, 8, 8), np.uint8), "board"),
        (gymnasium.spaces.Box(-1, 1, (4, 84, 84)), "mlp"),  # not pixels
        (gymnasium.spaces.Discrete(3), "mlp"),
        (gymnasium.spaces.MultiBinary(5), "mlp"),
    ],
)
def test_the_network_that_suits_an_observation_can_read_it(space, name):
    assert network_for(space) == name
    network(name, space)
