"""Inference copies: the same numbers as the network bit by bit, and renewed whenever its weights change."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.dqn import DQN
from agents.networks.architectures import ActorCritic, QNetwork
from agents.networks.inference import InferenceCopy
from agents.networks.packed import can_pack
from agents.networks.recurrent import RecurrentActorCritic
from agents.optim.train_step import adam, radam
from agents.ppo import PPO
from agents.pqn import PQN

PIXELS = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
PLANES = gymnasium.spaces.Box(0, 255, (5, 8, 8), np.uint8)
ACTIONS = gymnasium.spaces.Discrete(6)


def generator():
    return torch.Generator().manual_seed(3)


def actor_critic(name, space=PIXELS):
    return ActorCritic(name, space, 64 if space is PLANES else 6, generator())


NETWORKS = {
    "nature": lambda: actor_critic("nature"),
    "small": lambda: actor_critic("small"),
    "board": lambda: actor_critic("board32", PLANES),
    "excited": lambda: actor_critic("se32", PLANES),
    "normalised": lambda: QNetwork("small", PIXELS, 6, 3, True, True, generator()),
    "recurrent": lambda: RecurrentActorCritic(PIXELS, 6, generator()),
    "vectors": lambda: actor_critic("mlp", gymnasium.spaces.Box(-1, 1, (3,))),
}


def observations(name, network, n=3):
    if name == "vectors":
        return torch.randn(n, 3, generator=generator())
    shape = PLANES.shape if name in ("board", "excited") else PIXELS.shape
    return network.trunk.arrange(torch.randint(256, (n, *shape), dtype=torch.uint8, generator=generator()))


def outputs(network, obs, half):
    given = (obs, torch.full((3, network.memory_size), 0.5)) if hasattr(network, "memory_size") else (obs,)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = network(*given)
    return [found] if isinstance(found, torch.Tensor) else list(found)


def same(network, copied, obs, half):
    pairs = zip(outputs(network, obs, half), outputs(copied, obs, half), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_computes_the_same_bits(name, half):
    network = NETWORKS[name]()
    inference = InferenceCopy(network, half=half)
    obs = observations(name, network)
    assert same(network, inference.current(), obs, half)
    assert inference.current() is inference.current()
    assert network.state_dict().keys() == inference.current().state_dict().keys()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("n", [1, 8, 17])
def test_a_trunk_of_packed_weights_computes_the_same_bits_for_any_number(n, packed, monkeypatch):
    if packed and not can_pack():
        pytest.skip("this processor computes no bfloat16")
    monkeypatch.setattr("agents.networks.inference.can_pack", lambda: packed)
    network = NETWORKS["nature"]()
    copied = InferenceCopy(network, half=True).current()
    assert (copied.trunk.packed is not None) == packed
    assert same(network, copied, observations("nature", network, n), True)


def test_layers_that_autocast_rounds_are_rounded_beforehand():
    copied = InferenceCopy(NETWORKS["normalised"](), half=True).current()
    kinds = {name: parameter.dtype for name, parameter in copied.named_parameters()}
    assert {kind for name, kind in kinds.items() if "norm" in name} == {torch.float32}
    assert kinds["trunk.hidden.weight"] == copied.trunk.kernel.dtype == torch.bfloat16
    gru = InferenceCopy(NETWORKS["recurrent"](), half=True).current().gru
    assert gru.weight_ih.dtype == torch.float32, "a state that is carried on is not rounded"


def adam_step(network):
    optimizer = adam(network.parameters(), 0.1, 1e-8)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def radam_step(network):
    optimizer = radam(network.parameters(), 0.1)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def averaged(network):
    with torch.no_grad():
        torch._foreach_lerp_(list(network.parameters()), zeros(network), 0.5)


def zeros(network):
    return [torch.zeros_like(parameter) for parameter in network.parameters()]


def loaded(network):
    network.load_state_dict({name: tensor + 1 for name, tensor in network.state_dict().items()})


def replaced(network):
    network.trunk.hidden.weight.data = network.trunk.hidden.weight.data + 1


@pytest.mark.parametrize("change", [adam_step, radam_step, averaged, loaded, replaced])
def test_a_copy_follows_every_change_of_the_weights(change):
    network = NETWORKS["small"]()
    inference, obs = InferenceCopy(network, half=True), observations("small", network)
    before = outputs(inference.current(), obs, True)
    change(network)
    assert not torch.equal(before[1], outputs(network, obs, True)[1])
    assert same(network, inference.current(), obs, True)


@pytest.mark.parametrize("config", [PPO, DQN, PQN])
def test_a_learner_acts_by_its_present_weights(config):
    agent = config(network="small", precision="bfloat16").build(PIXELS, ACTIONS, seed=0)
    obs = np.random.default_rng(0).integers(256, size=(2, *PIXELS.shape), dtype=np.uint8)
    before, _ = agent.act(obs, {}, greedy=True)
    agent.load_weights({name: array * 1.5 for name, array in agent.weights().items()})
    after, _ = agent.act(obs, {}, greedy=True)
    seen = agent.observe(obs)
    with torch.no_grad():
        if config is PPO:
            value = agent.unroll(seen, None)[1]
        else:
            value = agent.quantiles(agent.network, seen).mean(2).amax(1)
    assert (after.value == value.numpy()).all() and (after.value != before.value).all()
