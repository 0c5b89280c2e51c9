"""Conformance tests of the interfaces of worlds, policies and games; of models: `sim.model_conformance`.

`check_world` takes a catalogue name, `check_policy` a policy and a batch of worlds, `check_game` a position;
all play real steps. All raise `ConformanceError` with the culprit and the rule that it breaks. Tests call
them for every catalogue entry; call them first when you write a new one. Knows no torch and no pytest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode

from sim.catalog import world_config
from sim.protocols import (
    Game,
    Policy,
    WorldConfig,
)
from sim.records import Array, Decision, State
from sim.vector import ActionError, Info, Worlds, episode_seed, reset_memory

NUM_ENVS = 2
SEED = 11
MOMENTS = 3  # how many states are restored
Step = tuple[Array, Array, Array, Array, Array, Info]  # actions, then what `step` returned


class ConformanceError(AssertionError):
    """A world, policy, perception or sampler breaks a rule of its interface; the message names both."""


@dataclass
class Recording:
    """Recorded random legal play: what `reset` gave, every step, and some states by the steps before them."""

    obs: Array
    info: Info
    steps: list[Step] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)


def check_world(world: str | WorldConfig, *, steps: int = 200, **fields: Any) -> None:
    """Play a world and check it against every rule of `sim.vector` and `sim.protocols`.

    Args:
        world: a catalogue name, or a configuration.
        steps: agent steps; at least one episode must end within them.
        **fields: the world's own keys, such as a limit that makes its episodes short.

    Raises:
        ConformanceError: naming the world and the first rule that it breaks.

    >>> check_world("gym/CartPole-v1", steps=60)
    """
    config = world_config(world, fields) if isinstance(world, str) else world
    worlds, other = config.make_batch(NUM_ENVS, SEED), config.make_batch(NUM_ENVS, SEED + 99)
    singles = [config.make(SEED + i) for i in range(NUM_ENVS)]
    try:
        check_spaces(config, worlds, singles[0])
        recording = record(config, worlds, steps)
        check_singles(config, recording, singles)
        check_resume(config, recording, other, worlds.state())
        check_reproducible(config, recording, other)
        check_bad_actions(config, other)
        check_partial_reset(config, recording, other, singles[0])
        check_picture(config, singles[1])
    finally:
        worlds.close()
        other.close()
        for single in singles:
            single.close()


def check_spaces(config: WorldConfig, worlds: Worlds, single: gymnasium.Env[Any, Any]) -> None:
    """Check that single and batch have equal spaces, actions have names, and `protocol` is plain data."""
    space = single.action_space
    require(single.observation_space == worlds.single_observation_space, config, "one observation space")
    require(space == worlds.single_action_space, config, "one action space")
    same_step = worlds.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
    require(same_step, config, "a batch resets ended episodes in the same step")
    if isinstance(space, Discrete) and hasattr(single, "action_names"):
        require(len(single.action_names) == space.n, config, "every action has a name")
    rules = config.protocol()
    plain = all(isinstance(value, str | int | float | bool) for value in rules.values())
    require(plain and rules.get("world") == config.name, config, "the protocol is plain and names the world")


def record(config: WorldConfig, worlds: Worlds, steps: int) -> Recording:
    """Play random legal actions and record them, checking types and ranges on the way."""
    obs, info = worlds.reset()
    recording = Recording(obs, info, states={0: worlds.state()})
    generator = np.random.default_rng(SEED)
    for step in range(1, steps + 1):
        require(worlds.observation_space.contains(obs), config, "observations lie in their space")
        constant = ("action_mask" in info) == ("action_mask" in recording.info)
        require(constant, config, "action_mask is in every info, or in none")
        if "action_mask" in info:
            mask, space = info["action_mask"], worlds.single_action_space
            fits = mask.dtype == bool and mask.shape == (NUM_ENVS, getattr(space, "n", None))
            require(fits and bool(mask.any(axis=1).all()), config, "action_mask is bool (N, A), never empty")
        actions = _legal(worlds, info, generator)
        try:
            obs, reward, terminated, truncated, info = worlds.step(actions)
        except ActionError as error:
            raise ConformanceError(f"{config.name} refuses a legal action: {error}") from error
        typed = reward.dtype == np.float64 and terminated.dtype == bool and truncated.dtype == bool
        require(typed, config, "rewards are float64, terminated and truncated bool")
        recording.steps.append((actions, obs, reward, terminated, truncated, info))
        ended = (terminated | truncated).any()
        if step == steps // 5 or (ended and len(recording.states) < MOMENTS):
            recording.states[step] = worlds.state()
    endless = not any(step[3].any() or step[4].any() for step in recording.steps)
    require(not endless, config, f"an episode ends within {steps} steps (else endings go untested)")
    return recording


def check_singles(config: WorldConfig, recording: Recording, singles: list[gymnasium.Env[Any, Any]]) -> None:
    """Check that world i of a batch equals the single world with the same seeds, step for step."""
    for i, single in enumerate(singles):
        start, start_info = single.reset()
        same(config, recording.obs[i], start, f"world {i} starts as the single world with seed + {i}")
        _same_info(config, recording.info, start_info, i)
        episode, score, length = 0, 0.0, 0
        for actions, obs, reward, terminated, truncated, info in recording.steps:
            final, gained, over, cut, last = single.step(actions[i])
            score, length = score + float(gained), length + 1
            same(config, reward[i], float(gained), f"world {i} gives the single world's reward")
            same(config, (terminated[i], truncated[i]), (over, cut), "terminated and truncated stay apart")
            _check_end(config, info, i, over or cut, (score, length))
            if over or cut:
                _same_info(config, info["final_info"], last, i)
                episode, score, length = episode + 1, 0.0, 0
                start, last = single.reset(seed=episode_seed(SEED, i, episode))
            same(config, info.get("final_obs", obs)[i], final, f"final_obs is dense, world {i} ended there")
            now = start if over or cut else final
            same(config, obs[i], now, f"world {i} shows what the single world does, resets included")
            _same_info(config, info, last, i)


def _check_end(config: WorldConfig, info: Info, i: int, ended: bool, played: tuple[float, int]) -> None:
    """`_final_obs`, `_final_info` and `_episode` mark the ended worlds; `episode` sums what was gained."""
    for key in ("_final_obs", "_final_info", "_episode"):
        marked = bool(info[key][i]) if key in info else False
        require(marked == ended, config, f"{key} marks exactly the ended episodes")
    if ended:
        for episode in (info["episode"], info["final_info"]["episode"]):
            same(config, (episode["r"][i], episode["l"][i]), played, "episode sums the unclipped rewards")


def _same_info(config: WorldConfig, info: Info, single: Info, i: int) -> None:
    """Whatever batch and single world both report is equal; a mask is never left out."""
    left_out = "action_mask" in single and "action_mask" not in info
    require(not left_out, config, "action_mask is in every info, and in final_info")
    for key in set(single) & set(info):
        if isinstance(single[key], int | float | np.generic | np.ndarray):
            same(config, info[key][i], single[key], f'info["{key}"] is the single world\'s')


def check_resume(config: WorldConfig, recording: Recording, other: Worlds, end: State) -> None:
    """Check that `restore` resumes exactly in a batch with another seed, also right after an episode ends."""
    for moment, state in recording.states.items():
        before = recording.steps[moment - 1] if moment else None
        obs, info = (before[1], before[5]) if before else (recording.obs, recording.info)
        restored, found = other.restore(state)
        same(config, restored, obs, f"restore gives the observations of step {moment}")
        if "action_mask" in info:
            same(config, found["action_mask"], info["action_mask"], "restore gives the action_mask")
        _replay(config, other, recording.steps[moment:], f"restored at step {moment}, it has the same")
        reached = other.state()
        for key, value in end.items():
            same(config, reached[key], value, f"restored at step {moment}, it ends with the same {key}")


def check_reproducible(config: WorldConfig, recording: Recording, other: Worlds) -> None:
    """Check that ``reset(seed=...)`` starts a batch over: the same seed and actions repeat the same steps."""
    obs, _ = other.reset(seed=SEED)
    same(config, obs, recording.obs, "reset(seed=...) starts the batch over")
    _replay(config, other, recording.steps, "the same seed gives the same")


def check_bad_actions(config: WorldConfig, worlds: Worlds) -> None:
    """Check that actions of wrong value, shape or type raise `ActionError` and change nothing."""
    obs, info = worlds.reset()
    good = _legal(worlds, info, np.random.default_rng(0))
    space = worlds.single_action_space
    bad: list[Any] = [good[:-1], np.concatenate([good, good]), good[None], good.astype(str), good + 1j]
    values: list[Any] = []
    if isinstance(space, Discrete):
        bad += [good + 0.5, good > 0]
        values = [space.start - 1, space.start + space.n, np.iinfo(np.int64).max]
    elif isinstance(space, Box):
        top = float(space.high.flat[0])
        values = [np.nan, np.inf, -np.inf, *([2 * abs(top) + 1] if np.isfinite(top) else [])]
    for value in values:
        bad.append(good.copy())
        bad[-1][1, ...] = value
        require("world 1" in (_refusal(worlds, bad[-1]) or "world 1"), config, "a refusal names the world")
    for actions in bad:
        require(_refusal(worlds, actions) is not None, config, f"actions {actions!r} are refused")
    require(not worlds.length.any(), config, "a refused action moves nothing")
    require(_refusal(worlds, good) is None, config, "after a refusal it can go on")


def _refusal(worlds: Worlds, actions: Array) -> str | None:
    try:
        worlds.step(actions)
    except ActionError as error:
        return str(error)
    return None


def check_partial_reset(
    config: WorldConfig, recording: Recording, worlds: Worlds, single: gymnasium.Env[Any, Any]
) -> None:
    """Check that `reset_mask` starts the next episode of the masked worlds and leaves the others alone."""
    worlds.reset(seed=SEED)
    first, later = recording.steps[:3], recording.steps[3:10]
    _replay(config, worlds, first, "the same seed gives the same")
    length, episode = worlds.length, int(worlds.state()["episode"][0])
    obs, info = worlds.reset(options={"reset_mask": np.arange(NUM_ENVS) == 0})
    start, start_info = single.reset(seed=episode_seed(SEED, 0, episode + 1))
    same(config, obs[0], start, "a partial reset starts the next episode")
    _same_info(config, info, start_info, 0)
    same(config, obs[1:], first[-1][1][1:], "a partial reset leaves the other observations alone")
    same(config, worlds.length, [0, *length[1:]], "a partial reset leaves the other lengths alone")
    generator = np.random.default_rng(SEED)
    for actions, *expected, _ in later:
        mixed = _legal(worlds, info, generator)
        mixed[1:] = actions[1:]
        *found, info = worlds.step(mixed)
        for a, b in zip(found, expected, strict=True):
            same(config, a[1:], b[1:], "a partial reset leaves the other worlds alone")


def check_picture(config: WorldConfig, single: gymnasium.Env[Any, Any]) -> None:
    """Check that ``render()`` of a single world gives (H, W, 3) uint8."""
    picture: Any = single.render()
    fits = isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3
    require(fits and picture.shape[2] == 3, config, "render() gives uint8 (H, W, 3)")
    require(len(np.unique(picture)) > 1, config, "render() shows something")


def check_policy(policy: Policy, worlds: Worlds, *, seed: int = SEED, steps: int = 20) -> None:
    """Let a policy act, sampling and greedily, and check its decisions.

    Args:
        policy: anything with `sim.protocols.Policy`'s methods.
        worlds: a batch that it fits; it is reset.
        seed: of worlds and sampling.
        steps: how many times it acts in each mode.

    Raises:
        ConformanceError: naming the policy and the first rule that it breaks.
    """
    for greedy in (False, True):
        chosen = _act(policy, worlds, seed, steps, greedy)
        again = _act(policy, worlds, seed, steps, greedy)
        same(policy, again, chosen, f"the same seed gives the same actions (greedy={greedy})")


def _act(policy: Policy, worlds: Worlds, seed: int, steps: int, greedy: bool) -> list[Array]:
    obs, info = worlds.reset(seed=seed)
    policy.seed(seed)
    memory, chosen = None, []
    for _ in range(steps):
        seen = obs.copy()
        answer: Any = policy.act(obs, info, memory, greedy=greedy)
        pair = isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], Decision)
        require(pair, policy, "act returns a Decision and the memory for the next call")
        decision, after = answer
        check_memory(policy, memory, after, worlds.num_envs)
        same(policy, obs, seen, "observations are read, not written")
        check_decision(policy, decision, worlds, info)
        chosen.append(decision.actions.copy())
        obs, _, terminated, truncated, info = worlds.step(decision.actions)
        memory = reset_memory(after, terminated | truncated)
    if memory is not None:
        begun = []
        for held in (None, np.zeros_like(memory)):
            policy.seed(seed)
            begun.append(policy.act(obs, info, held, greedy=greedy)[0])
        for name in ("actions", "value"):
            wanted, found = (getattr(decision, name) for decision in begun)
            same(policy, found, wanted, "a memory of zeros is none: an episode begins")
    return chosen


def check_memory(policy: Policy, before: Any, after: Any, num_envs: int) -> None:
    """Check that a memory is an array with a row a world, in every call or in none, and never written to."""
    if after is None:
        require(before is None, policy, "a memory is not lost")
        return
    rows = isinstance(after, np.ndarray) and after.shape[:1] == (num_envs,)
    require(rows, policy, "its memory is None or an array (N, …), which is reset by row")
    require(before is None or after.shape == before.shape, policy, "its memory keeps its shape")
    require(before is None or not np.shares_memory(before, after), policy, "memory is read, not written")


def check_decision(policy: Policy, decision: Decision, worlds: Worlds, info: Info) -> None:
    """Check shapes, types and ranges of one decision; masked actions are neither chosen nor likely."""
    space, n, actions = worlds.single_action_space, worlds.num_envs, decision.actions
    whole = isinstance(space, Discrete)
    kind = np.dtype(np.int64 if whole else np.float32)
    require(actions.dtype == kind, policy, f"actions are {kind}, not {actions.dtype}")
    require(worlds.action_space.contains(actions), policy, "actions lie in the action space")
    wide = (n, int(space.n)) if isinstance(space, Discrete) else None
    for name, shape in {"probabilities": wide, "q_values": wide, "visits": wide, "value": (n,)}.items():
        array = getattr(decision, name)
        if array is not None:
            require(array.shape == shape, policy, f"{name} has shape {shape}, not {array.shape}")
            require(bool(np.isfinite(array).all()), policy, f"{name} is finite")
    likely = decision.probabilities
    if likely is not None:
        require(bool((likely >= 0).all()), policy, "probabilities are not negative")
        require(np.allclose(likely.sum(axis=1), 1, atol=1e-5), policy, "probabilities sum to 1")
    if "action_mask" in info and isinstance(space, Discrete):
        mask = info["action_mask"]
        require(bool(mask[np.arange(n), actions - space.start].all()), policy, "no masked action is chosen")
        require(likely is None or not likely[~mask].any(), policy, "a masked action has probability 0")


def _legal(worlds: Worlds, info: Info, generator: np.random.Generator) -> Array:
    """(N,) or (N, D) random actions, legal where there is a mask."""
    space = worlds.single_action_space
    if isinstance(space, Discrete):
        mask = info.get("action_mask", np.ones((worlds.num_envs, int(space.n)), bool))
        return np.array([space.start + generator.choice(np.flatnonzero(row)) for row in mask], np.int64)
    worlds.action_space.seed(int(generator.integers(2**31)))
    return np.asarray(worlds.action_space.sample())


def _replay(config: WorldConfig, worlds: Worlds, steps: list[Step], promise: str) -> None:
    for actions, *expected, expected_info in steps:
        *results, info = worlds.step(actions)
        names = ("observations", "rewards", "terminated", "truncated")
        for name, found, wanted in zip(names, results, expected, strict=True):
            same(config, found, wanted, f"{promise} {name}")
        require(info.keys() == expected_info.keys(), config, f"{promise} info")
        for key in {"final_obs", "action_mask", "_episode"} & set(info):
            same(config, info[key], expected_info[key], f"{promise} {key}")


def same(culprit: object, found: Any, wanted: Any, promise: str) -> None:
    """Raise `ConformanceError` unless two nested values are equal to the last bit."""
    require(np.array_equal(found, wanted), culprit, promise)


def require(kept: bool, culprit: object, promise: str) -> None:
    """Raise `ConformanceError` unless a promise is kept."""
    if not kept:
        name = getattr(culprit, "name", type(culprit).__name__)
        raise ConformanceError(f"{name} breaks a promise: {promise}")


def check_game(game: Game, *, plies: int = 100, seed: int = SEED) -> None:
    """Play random legal actions from a position and check it against `sim.protocols.Game`.

    Args:
        game: any position.
        plies: how many to play at most; the game may end before.
        seed: of the actions.

    Raises:
        ConformanceError: naming the game's type and the first rule that it breaks.
    """
    generator = np.random.default_rng(seed)
    searched = game.for_search()
    seen: list[Game] = []
    for _ in range(plies + 1):
        actions = _check_position(game)
        _check_position(searched)
        for name in ("legal_actions", "outcome", "to_play"):
            found, wanted = (getattr(position, name)() for position in (searched, game))
            same(game, found, wanted, f"for_search keeps {name}")
        obs = game.observe([game])
        same(game, searched.observe([searched]), obs, "for_search keeps observe")
        seen.append(game)
        if not len(actions):
            break
        action = int(generator.choice(actions))
        game, searched = game.play(action), searched.play(action)
        same(seen[-1], seen[-1].observe([seen[-1]]), obs, "playing leaves the position alone")
        same(seen[-1], seen[-1].legal_actions(), actions, "playing leaves the position alone")
    alone = np.concatenate([one.observe([one]) for one in seen])
    same(game, game.observe(seen), alone, "positions are observed alike alone and among others")


def _check_position(game: Game) -> Array:
    """Check types and ranges of one position; returns its legal actions."""
    actions, outcome, obs = game.legal_actions(), game.outcome(), game.observe([game])
    typed = actions.ndim == 1 and actions.dtype == np.int64
    require(typed and bool((np.diff(actions) > 0).all()), game, "actions are int64 (K,), ascending")
    require(outcome in (None, -1.0, 0.0, 1.0), game, "the outcome is −1, 0, 1 or None")
    require((outcome is None) == (len(actions) > 0), game, "there are actions until the game is over")
    require(game.to_play() in (0, 1), game, "to_play is 0 or 1")
    require(obs.dtype == np.uint8 and len(obs) == 1, game, "observe gives uint8, a row a position")
    return actions
