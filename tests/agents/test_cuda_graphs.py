"""CUDA graphs' buffers, on the CPU: graphed learners equal plain ones, and forgotten inputs are noticed."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agents.dqn import DQN
from agents.optim.cuda_graphs import REHEARSALS, GraphedFunction, _uncached_autocast, uses_graphs
from agents.optim.train_step import adam
from agents.ppo import PPO
from agents.pqn import PQN
from sim.catalog import make_worlds
from sim.fields import FieldError, construct
from sim.records import Budget
from sim.vector import EnvWorlds

CPU = torch.device("cpu")
CONFIGS = {
    "ppo": PPO(network="mlp", num_steps=17, num_epochs=2, minibatch_size=16, clip_coef_end=0.0),
    "pqn": PQN(network="mlp", num_steps=17, minibatch_size=16),
    "dqn": DQN(
        network="mlp", buffer_size=500, batch_size=16, learning_starts=20, train_frequency=8,
        target_frequency=40, double=True, n_step=3, prioritized=True, quantiles=3,
    ),
}  # fmt: skip


def built(name, seed=0, **changes):
    worlds = make_worlds("gym/tests/Masked-v0", 2, seed=1 + seed)
    config = type(CONFIGS[name])(**vars(CONFIGS[name]) | changes)
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    agent.yield_every = 40  # of DQN
    return agent, worlds


@pytest.mark.parametrize("name", CONFIGS)
def test_a_graphed_learner_equals_a_plain_one_and_resumes_as_it(name):
    plain, worlds = built(name)
    wanted = [progress.metrics for progress in plain.learn(worlds, Budget(updates=4))]
    graphed, worlds = built(name, cuda_graphs=True)
    learning = graphed.learn(worlds, Budget(updates=4))
    found = [next(learning).metrics, next(learning).metrics]
    resumed, worlds = built(name, seed=9, cuda_graphs=True)
    resumed.restore(graphed.state())
    found += [progress.metrics for progress in resumed.learn(worlds, Budget(updates=4))]
    assert found == wanted
    weights = plain.weights()
    assert all(np.array_equal(weights[key], array) for key, array in resumed.weights().items())


class Tape(TorchDispatchMode):
    """Records operations with their memory and does them again: a CUDA graph's blindness, on the CPU.

    As there, a Python number is what it was at the capture, and a tensor is the memory that it was.
    """

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    def replay(self):
        with torch.no_grad():
            for func, args, kwargs, out in self.calls:
                pairs = zip(tree_leaves(func(*args, **kwargs)), tree_leaves(out), strict=True)
                for new, old in pairs:
                    if isinstance(old, Tensor) and new.data_ptr() != old.data_ptr():
                        old.copy_(new)


class TapedFunction(GraphedFunction):
    """Replays a `Tape` from the second call on."""

    replays = 0

    def _run(self, capture):
        if capture.graph is None:
            with Tape() as tape, _uncached_autocast():
                capture.outputs = self._function(*capture.arguments)
            capture.graph = tape
        else:
            capture.graph.replay()
            TapedFunction.replays += 1


class Pictures(gymnasium.Env):
    """Pictures of noise, rewarded for the action that is the first pixel's last bit."""

    observation_space, action_space = Box(0, 255, (2, 36, 36), np.uint8), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.seen = 9, self.np_random.integers(256, size=(2, 36, 36), dtype=np.uint8)
        return self.seen, {}

    def step(self, action):
        reward, left = float(action == self.seen[0, 0, 0] % 2), self.left - 1
        self.seen = self.np_random.integers(256, size=(2, 36, 36), dtype=np.uint8)
        self.left = left
        return self.seen, reward, left == 0, False, {}


@pytest.mark.parametrize("name", [*CONFIGS, "pictures"])
def test_replayed_kernels_learn_the_same_as_the_function_itself(name, monkeypatch):
    """Nothing that changes between two calls is a Python number or a tensor that moves."""
    monkeypatch.setattr(TapedFunction, "replays", 0)
    found = []
    for graphed in (False, True):
        if graphed:
            for module in ("optim.train_step", "actor_critic_learner", "q_policy"):
                monkeypatch.setattr(f"agents.{module}.GraphedFunction", TapedFunction)
        if name == "pictures":
            worlds = EnvWorlds([Pictures] * 2, seed=1)
            config = PPO(
                network="small", precision="bfloat16", num_steps=12, minibatch_size=8, cuda_graphs=graphed
            )
            agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
        else:
            agent, worlds = built(name, cuda_graphs=graphed)
        if name == "pqn":  # on the CPU its own optimiser reads its counter
            agent._optimizer = agent.gradient_step.optimizer = adam(agent.newest.parameters(), 1e-3, 1e-8)
        metrics = [progress.metrics for progress in agent.learn(worlds, Budget(updates=3))]
        found.append((metrics, agent.weights()))
    (wanted, weights), (metrics, taped) = found
    assert TapedFunction.replays > 20 and metrics == wanted
    assert all(np.array_equal(weights[key], array) for key, array in taped.items())


def test_the_tape_above_is_as_blind_as_a_graph():
    number, state = [1.0], torch.zeros(1)

    def snapshot():
        before = state.clone()
        return lambda: state.copy_(before)

    taped = TapedFunction(lambda x: (x * number[0] + state.add_(1),), CPU, snapshot)
    results = [taped(torch.full((1,), float(i)))[0].item() for i in range(3)]
    number[0] = 100.0
    assert results == [1, 3, 5], "rehearsals leave nothing behind"
    assert taped(torch.ones(1))[0].item() == 1.0 + 4.0, "the number is the old one, the state the new one"


@dataclass
class Pair:
    one: Tensor
    other: Tensor | None = None


def test_inputs_are_copied_and_outputs_are_not_overwritten():
    seen = []

    def function(pair, scale):
        seen.append(pair.one.data_ptr())
        return pair.one * scale, pair.other, None

    graphed = GraphedFunction(function, CPU)
    first = graphed(Pair(torch.ones(2)), torch.tensor(2.0))
    second = graphed(Pair(torch.zeros(2)), torch.tensor(3.0))
    assert first[0].tolist() == [2, 2] and second[0].tolist() == [0, 0] and first[1] is None
    assert len(seen) == REHEARSALS + 2 and len(set(seen)) == 1, "each call reads the same memory"
    with_other = graphed(Pair(torch.ones(2), torch.ones(3)), torch.tensor(5.0))
    assert [tensor.tolist() for tensor in with_other[:2]] == [[5, 5], [1, 1, 1]]
    assert len(graphed._captures) == 2 and graphed.captured == 0


def test_each_shape_and_memory_format_has_buffers_of_its_own():
    graphed = GraphedFunction(lambda x: (x.sum(), x), CPU)
    pictures = torch.arange(48.0).view(1, 3, 4, 4)
    last = pictures.contiguous(memory_format=torch.channels_last)
    for given in (pictures, last, pictures[:, :1]):
        total, same = graphed(given)
        assert total == given.sum() and torch.equal(same, given) and same.stride() == given.stride()
    assert len(graphed._captures) == 3


def test_what_is_no_tensor_is_no_input():
    with pytest.raises(AssertionError, match="not 3"):
        GraphedFunction(lambda x: (x,), CPU)(3)


def test_weights_are_rounded_inside_a_graph_and_not_by_an_outer_autocast():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    graphed = GraphedFunction(lambda x: (torch.nn.functional.linear(x, weight),), CPU)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.is_autocast_cache_enabled()
        graphed(torch.ones(1, 2))
        weight.fill_(3.0)
        assert graphed(torch.ones(1, 2))[0].tolist() == [[6, 6]], "the new weights count"
        assert torch.is_autocast_cache_enabled()


def test_auto_is_on_cuda_alone():
    assert [uses_graphs("auto", torch.device(name)) for name in ("cpu", "cuda")] == [False, True]
    assert uses_graphs(True, CPU) and not uses_graphs(False, torch.device("cuda"))


def test_other_choices_are_refused_with_those_there_are():
    with pytest.raises(FieldError, match='cuda_graphs must be one of True, False, auto, not "maybe"'):
        construct(PPO, {"cuda_graphs": "maybe"}, "agent")
    assert construct(PPO, {"cuda_graphs": "auto"}, "agent").cuda_graphs == "auto"


def test_a_recurrent_network_has_no_graphs():
    with pytest.raises(ValueError, match='cuda_graphs must be false with network = "gru"'):
        PPO(network="gru", cuda_graphs=True)
