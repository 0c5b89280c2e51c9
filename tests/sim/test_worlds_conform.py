"""Conformance of every kind of world, and of the checks: they notice when a rule is broken."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest

from agents.random import RandomPolicy
from sim.catalog import make_worlds
from sim.conformance import ConformanceError, check_policy, check_world
from sim.gym_worlds import GymWorld
from sim.records import Decision
from sim.vector import EnvWorlds

SHORT = {"max_frames": 120}  # 30 agent steps
WORLDS = {
    "gym/CartPole-v1": {"steps": 150},
    "gym/Pendulum-v1": {"steps": 230},  # continuous actions; cut after 200 steps
    "gym/FrozenLake-v1": {"steps": 150, "kwargs": {"is_slippery": True}},  # observations are numbers
    "gym/tests/Masked-v0": {"steps": 150},
    "atari/pong": SHORT | {"steps": 40},
    "atari/mr_do": {"max_frames": 90, "frame_skip": 3, "full_action_space": True, "steps": 40},  # 250 lines
}
#: Each of its resets loads a cartridge; what it has that Pong has not, `test_atari` compares by default.
SLOW = ["atari/mr_do"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in WORLDS]
)
def test_every_kind_of_world_keeps_every_promise(name):
    check_world(name, **WORLDS[name])


@pytest.mark.slow
@pytest.mark.parametrize("game", ["breakout", "freeway", "ms_pacman", "montezuma_revenge", "tetris"])
def test_more_games_keep_every_promise_over_whole_episodes(game):
    check_world(f"atari/{game}", steps=1500, max_frames=4000)


class Forgetful(EnvWorlds):
    """Worlds with one flaw, by name."""

    flaw = ""

    def reset(self, *, seed=None, options=None):
        if self.flaw == "resets all" and options:
            options = None
        return super().reset(seed=seed, options=options)

    def step(self, actions):
        length, score = self.length + 1, self.score
        obs, reward, terminated, truncated, info = super().step(actions)
        ended = terminated | truncated
        if self.flaw == "merged flags":
            terminated, truncated = ended, np.zeros_like(ended)
        if self.flaw == "clipped reward":
            reward = np.clip(reward, -0.5, 0.5)
        if self.flaw == "float32 reward":
            reward = reward.astype(np.float32)
        if self.flaw == "late reset" and ended.any():
            obs = info["final_obs"]
        if self.flaw == "clipped episode" and ended.any():
            info["episode"]["r"] = np.clip(score, 0, 1)
        if self.flaw == "no final_obs" and ended.any():
            info["final_obs"] = obs
        if self.flaw == "no final mask" and ended.any():
            del info["final_info"]["action_mask"]
        if self.flaw == "no mask":
            info.pop("action_mask")
        if self.flaw == "stale mask" and ended.any():
            info["action_mask"] = info["final_info"]["action_mask"]
        if self.flaw == "marks all" and ended.any():
            info["_episode"] = np.ones_like(ended)
        if self.flaw == "wrong length" and ended.any():
            info["episode"]["l"] = length - 1
        return obs, reward, terminated, truncated, info

    def restore(self, state):
        if self.flaw == "forgets the seed":
            state = state | {"seed": self._seed}
        if self.flaw == "forgets an action":
            state = state | {"played": state["played"][:-1]}
        return super().restore(state)

    def _checked(self, actions):
        if self.flaw == "takes all":
            return np.resize(np.nan_to_num(actions.real.astype(float)) % 2, self.num_envs).astype(np.int64)
        return super()._checked(actions)

    def _next_seeds(self, mask):
        if self.flaw == "one seed":
            return np.full(int(mask.sum()), 5)
        return super()._next_seeds(mask)


class Painted(gymnasium.Wrapper):
    """A single world whose picture is no picture."""

    def render(self):
        return super().render() / 255.0


@dataclass(frozen=True)
class Flawed(GymWorld):
    flaw: str = ""

    def make(self, seed):
        world = super().make(seed)
        return Painted(world) if self.flaw == "painted" else world

    def make_batch(self, num_envs, seed):
        worlds = Forgetful([self._bare] * num_envs, seed)
        worlds.flaw = self.flaw
        return worlds

    def protocol(self):
        return {"world": "another"} if self.flaw == "other protocol" else super().protocol()


FLAWS = {
    "no mask": "action_mask is in every info",
    "merged flags": "stay apart",
    "clipped reward": "gives the single world's reward",
    "float32 reward": "rewards are float64",
    "late reset": "resets included",
    "clipped episode": "sums the unclipped rewards",
    "no final_obs": "final_obs is dense",
    "no final mask": "action_mask is in every info",
    "stale mask": "refuses a legal action",
    "marks all": "_episode marks exactly",
    "wrong length": "sums the unclipped rewards",
    "forgets the seed": "restored at step",
    "forgets an action": "restore gives the observations",
    "one seed": "starts as the single world",
    "resets all": "leaves the other observations alone",
    "painted": "uint8 \\(H, W, 3\\)",
    "other protocol": "names the world",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_broken_promise_is_named_with_the_world(flaw):
    with pytest.raises(ConformanceError, match=f"gym/tests/Masked-v0 .*{FLAWS[flaw]}"):
        check_world(Flawed("tests/Masked-v0", flaw=flaw), steps=80)


def test_a_world_without_a_flaw_passes_where_the_flawed_ones_fail():
    check_world(Flawed("tests/Masked-v0"), steps=80)


def test_taking_any_action_is_noticed():
    with pytest.raises(ConformanceError, match="are refused"):
        check_world(Flawed("CartPole-v1", flaw="takes all"), steps=80)


def test_a_check_that_never_sees_an_ending_fails():
    with pytest.raises(ConformanceError, match="an episode ends within 5 steps"):
        check_world("gym/Pendulum-v1", steps=5)


@pytest.mark.parametrize("name", ["gym/tests/Masked-v0", "gym/CartPole-v1", "gym/Pendulum-v1"])
def test_the_random_policy_keeps_every_promise(name):
    worlds = make_worlds(name, num_envs=3, seed=0)
    check_policy(RandomPolicy(worlds.single_action_space, 0), worlds, steps=40)


class BadPolicy(RandomPolicy):
    """A random policy with one flaw, by name."""

    def __init__(self, space, flaw):
        super().__init__(space, 0)
        self.flaw = flaw
        self.calls = 0

    def act(self, obs, info, memory=None, *, greedy=False):
        self.calls += 1
        decision, memory = super().act(obs, info, memory, greedy=greedy)
        actions, likely, value = decision.actions, decision.probabilities, np.zeros(len(obs))
        mask = info["action_mask"]
        if self.flaw == "illegal":
            actions = np.where(mask.all(axis=1), actions, (~mask).argmax(axis=1))
        if self.flaw == "likely":
            likely = np.full_like(likely, 1 / likely.shape[1])
        if self.flaw == "sum":
            likely = likely * 0.9
        if self.flaw == "narrow":
            likely = likely[:, :-1]
        if self.flaw == "int32":
            actions = actions.astype(np.int32)
        if self.flaw == "drifts" and self.calls > 45:
            actions = mask.argmax(axis=1)
        if self.flaw == "value":
            value = value[:, None]
        if self.flaw == "nan":
            value = value * np.nan
        if self.flaw == "writes":
            obs += 1
        if self.flaw == "forgets":
            return Decision(actions, likely, value=value)
        if self.flaw == "one row":
            return Decision(actions, likely, value=value), np.zeros((1, 4))
        if self.flaw == "counter":
            return Decision(actions, likely, value=value), self.calls
        if self.flaw == "loses":
            return Decision(actions, likely, value=value), np.zeros((3, 4)) if memory is None else None
        if self.flaw == "grows":
            return Decision(actions, likely, value=value), np.zeros((3, self.calls))
        if self.flaw == "in place":
            return Decision(actions, likely, value=value), np.zeros((3, 4)) if memory is None else memory
        if self.flaw == "counts down":  # what a zero means to it is an episode's end
            left = np.full(3, 10.0) if memory is None else memory - 1
            return Decision(actions, likely, value=left), left
        return Decision(actions, likely, value=value), memory


BAD_POLICIES = {
    "illegal": "no masked action is chosen",
    "likely": "a masked action has probability 0",
    "sum": "sum to 1",
    "narrow": r"probabilities has shape \(3, 5\)",
    "int32": "actions are int64",
    "drifts": "the same seed gives the same actions",
    "value": r"value has shape \(3,\)",
    "nan": "value is finite",
    "writes": "read, not written",
    "forgets": "the memory for the next call",
    "one row": "None or an array",
    "counter": "None or an array",
    "loses": "a memory is not lost",
    "grows": "keeps its shape",
    "in place": "read, not written",
    "counts down": "a memory of zeros is none",
}


@pytest.mark.parametrize("flaw", BAD_POLICIES)
def test_a_policy_that_breaks_a_promise_is_named(flaw):
    worlds = make_worlds("gym/tests/Masked-v0", num_envs=3, seed=0)
    with pytest.raises(ConformanceError, match=f"BadPolicy breaks a promise: .*{BAD_POLICIES[flaw]}"):
        check_policy(BadPolicy(worlds.single_action_space, flaw), worlds, steps=30)


def test_memory_reaches_the_next_call():
    seen = []

    class Counting(RandomPolicy):
        def act(self, obs, info, memory=None, *, greedy=False):
            seen.append(memory)
            return super().act(obs, info, greedy=greedy)[0], np.ones(2) if memory is None else memory + 1

    worlds = make_worlds("gym/CartPole-v1", num_envs=2, seed=0)
    check_policy(Counting(worlds.single_action_space, 0), worlds, steps=3)
    told = [None if memory is None else memory.tolist() for memory in seen]
    assert told == [None, [1, 1], [2, 2], None, [0, 0]] * 4
