"""The replay gives back exactly what was played, and never across the end of an episode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch

from agents.replay import Priorities, Replay, ReplaySamples
from sim.machine import MemoryRefused
from sim.records import Segment

ACTIONS = 5
WORLDS = 3
SLOTS = 48  # a world, so that 200 steps wrap the ring four times
GAMMA = 0.9


@dataclass
class Step:
    """One transition as it was really played; `following` is the observation that came of it."""

    obs: np.ndarray
    action: int
    reward: float
    terminated: bool
    truncated: bool
    following: np.ndarray
    following_mask: np.ndarray


class Player:
    """Plays random episodes of random lengths, the same for the replay and for a plain list a world."""

    def __init__(self, replay: Replay, stack: int, masked: bool, seed: int) -> None:
        self.replay, self.stack, self.masked = replay, stack, masked
        self.generator = np.random.default_rng(seed)
        self.played: list[list[Step]] = [[] for _ in range(WORLDS)]
        self.where: dict[int, tuple[int, int]] = {}  # frame → (world, index in played)
        self.frames = 0
        self.obs = np.stack([self.first() for _ in range(WORLDS)])
        self.mask = self.some_masks()

    def frame(self) -> np.ndarray:
        self.frames += 1
        return np.array([self.frames, -self.frames], np.int32)

    def first(self) -> np.ndarray:
        if self.stack == 1:
            return self.frame()
        return np.stack([np.zeros(2, np.int32)] * (self.stack - 1) + [self.frame()])

    def after(self, obs: np.ndarray) -> np.ndarray:
        return self.frame() if self.stack == 1 else np.concatenate([obs[1:], self.frame()[None]])

    def newest(self, obs: np.ndarray) -> int:
        return int(obs.reshape(-1, 2)[-1, 0])

    def some_masks(self) -> np.ndarray:
        return self.generator.random((WORLDS, ACTIONS)) < 0.6

    def step(self, cut: bool = False) -> None:
        """One step of all worlds; `cut` ends all their episodes."""
        generator = self.generator
        action = generator.integers(ACTIONS, size=WORLDS)
        reward = generator.normal(size=WORLDS)
        ending = generator.random(WORLDS)
        terminated, truncated = ending < 0.1, (ending >= 0.1) & ((ending < 0.2) | cut)
        ended = terminated | truncated
        final = np.stack([self.after(obs) for obs in self.obs])
        final_mask = self.some_masks()
        self.replay.add(
            torch.from_numpy(self.obs),
            torch.from_numpy(action),
            torch.from_numpy(reward),
            terminated,
            truncated,
            torch.from_numpy(final) if ended.any() else None,
            torch.from_numpy(self.mask) if self.masked else None,
            torch.from_numpy(final_mask) if self.masked and ended.any() else None,
        )
        for i in range(WORLDS):
            self.where[self.newest(self.obs[i])] = (i, len(self.played[i]))
            flags = (bool(terminated[i]), bool(truncated[i]))
            step = Step(self.obs[i], int(action[i]), float(reward[i]), *flags, final[i], final_mask[i])
            self.played[i].append(step)
        fresh = np.stack([self.first() if ended[i] else final[i] for i in range(WORLDS)])
        fresh_mask = self.some_masks()
        self.mask = np.where(ended[:, None], fresh_mask, final_mask)
        self.obs = fresh

    def jump(self) -> None:
        """After a cut: other episodes, some of which are in progress."""
        age = self.generator.integers(self.stack, size=WORLDS)
        for world in range(WORLDS):
            for _ in range(age[world]):
                self.obs[world] = self.after(self.obs[world])
        context = [torch.from_numpy(np.roll(self.obs, -back - 1, 1)) for back in range(self.stack - 1)]
        self.replay.begin_stretch(context, age)

    def check(self, batch: ReplaySamples, n_step: int) -> set[int]:
        """Compare a batch with what was played; returns the newest frames that it starts from."""
        found = set()
        for row in range(len(batch.action)):
            obs = batch.obs[row].numpy()
            frame = self.newest(obs)
            found.add(frame)
            world, index = self.where[frame]
            assert int(batch.index[row]) // self.replay.slots == world
            steps = self.played[world][index : index + n_step]
            ends = [k for k, s in enumerate(steps) if s.terminated or s.truncated]
            steps = steps[: ends[0] + 1] if ends else steps
            assert len(steps) == n_step or ends
            first, last = steps[0], steps[-1]
            assert np.array_equal(obs, first.obs)
            assert int(batch.action[row]) == first.action
            expected = sum(GAMMA**k * s.reward for k, s in enumerate(steps))
            assert float(batch.n_step_return[row]) == pytest.approx(expected, abs=1e-5)
            discount = 0.0 if last.terminated else GAMMA ** len(steps)
            assert float(batch.discount[row]) == pytest.approx(discount)
            assert np.array_equal(batch.next_obs[row].numpy(), last.following)
            if self.masked:
                assert np.array_equal(batch.next_mask[row].numpy(), last.following_mask)
        return found


def playing(stack: int = 1, n_step: int = 1, masked: bool = False, seed: int = 0) -> tuple[Replay, Player]:
    shape = (2,) if stack == 1 else (stack, 2)
    space = gymnasium.spaces.Box(-(2**30), 2**30, shape, np.int32)
    replay = Replay(
        SLOTS * WORLDS, WORLDS, space, frame_stack=stack, actions=ACTIONS, masked=masked, n_step=n_step,
        gamma=GAMMA, segment=16,
    )  # fmt: skip
    assert replay.slots == SLOTS
    return replay, Player(replay, stack, masked, seed)


def all_rows(replay: Replay) -> torch.Tensor:
    return torch.from_numpy(replay.drawable())


@pytest.mark.parametrize(
    ("n_step", "stack", "masked"),
    [(1, 1, False), (1, 4, True), (2, 4, False), (3, 1, True), (3, 4, False), (5, 1, False), (5, 4, True)],
)
def test_everything_that_can_be_drawn_is_what_was_played(stack, n_step, masked):
    replay, player = playing(stack, n_step, masked, seed=n_step)
    generator = np.random.default_rng(0)
    for step in range(1, 201):
        player.step()
        if step < 12 or step % 13:
            continue
        rows = all_rows(replay)
        player.check(replay.gather(rows, torch.ones(len(rows))), n_step)
        drawn = replay.sample(32, generator)
        assert set(drawn.index.tolist()) <= set(rows.tolist())
        player.check(drawn, n_step)
    for world in range(WORLDS):  # and nothing that could be drawn is left out
        ring = player.played[world][-SLOTS:]
        finals = sum(s.terminated or s.truncated for s in ring)
        within = (rows // replay.slots == world).sum()
        assert within >= SLOTS - finals - (n_step + 1) - (stack - 1) - 1


def test_what_does_not_fit_is_refused_with_its_size_before_it_is_reserved(monkeypatch):
    monkeypatch.setattr("sim.machine.free_memory", lambda: 2**30)
    space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    with pytest.raises(
        MemoryRefused, match=r"1,000,000 transitions needs 6.6 GiB of memory, 1.0 GiB are free"
    ):
        Replay(1_000_000, 1, space, frame_stack=4, segment=16)


def test_draws_are_uniform_over_what_can_be_drawn():
    replay, player = playing(n_step=3)
    for _ in range(200):
        player.step()
    rows = all_rows(replay)
    index = replay.sample(40_000, np.random.default_rng(1)).index
    counts = torch.bincount(index, minlength=WORLDS * SLOTS)[rows].double()
    mean = 40_000 / len(rows)
    assert counts.sum() == 40_000
    assert (counts - mean).abs().max() < 5 * mean**0.5


def test_a_million_atari_transitions_fit_in_7_3_gib():
    space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    replay = Replay(64, 1, space, frame_stack=4, segment=16)
    bytes_a_row = sum(c[0].numel() * c.element_size() for c in replay._columns.values())
    assert bytes_a_row < 84 * 84 + 16
    assert 1_000_000 * bytes_a_row <= 7.3 * 2**30


@pytest.mark.parametrize("steps", [5, 37, 48, 64, 333])
def test_a_restored_replay_draws_the_same(steps):
    replay, player = playing(4, 2, True)
    for _ in range(steps):
        player.step()
    other, _ = playing(4, 2, True)
    state = replay.state()
    assert all(isinstance(part, Segment) for part in state["segments"].values())
    other.restore(state)
    same_draws(replay, other)
    obs, generator = torch.from_numpy(player.obs), np.random.default_rng(5)
    for r in (replay, other):  # and both go on alike
        for _ in range(60):
            ended = generator.random(WORLDS) < 0.2
            action = torch.from_numpy(generator.integers(ACTIONS, size=WORLDS))
            masks = torch.from_numpy(player.mask)
            r.add(obs, action, action.double(), ended, np.zeros_like(ended), obs, masks, masks)
        generator = np.random.default_rng(5)
    same_draws(replay, other)


def same_draws(replay: Replay, other: Replay) -> None:
    draws = [r.sample(64, np.random.default_rng(3)) for r in (replay, other)]
    for name in ("index", "obs", "action", "n_step_return", "discount", "next_obs", "next_mask"):
        assert torch.equal(getattr(draws[0], name), getattr(draws[1], name)), name


def test_a_segment_of_one_name_never_changes_where_it_is_still_read():
    """The first version of a segment that is written to disk stands for all later states."""
    replay, player = playing(4, 1, False)
    disk: dict[str, dict[str, np.ndarray]] = {}
    for step in range(1, 250):
        player.step()
        if step % 7:
            continue
        state = replay.state()
        for segment in state["segments"].values():
            disk.setdefault(segment.name, {k: v.copy() for k, v in segment.read().items()})
        state["segments"] = {
            k: Segment(s.name, partial(dict, disk[s.name])) for k, s in state["segments"].items()
        }
        other, _ = playing(4, 1, False)
        other.restore(state)
        rows = all_rows(replay)
        assert torch.equal(rows, all_rows(other))
        player.check(other.gather(rows, torch.ones(len(rows))), 1)


def prioritised(alpha: float, steps: int = 150, seed: int = 0):
    replay, player = playing(n_step=2, seed=seed)
    priorities = Priorities(replay, alpha)
    for _ in range(steps):
        player.step()
        priorities.add()
    return replay, player, priorities


def consistent(priorities: Priorities) -> None:
    tree = priorities.tree
    for node in range(1, priorities.leaf):
        assert float(tree[node]) == pytest.approx(float(tree[2 * node] + tree[2 * node + 1]), rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_transitions_are_drawn_in_proportion_to_their_priority(alpha):
    replay, player, priorities = prioritised(alpha)
    rows = all_rows(replay)
    error = torch.from_numpy(np.random.default_rng(0).exponential(size=len(rows)))
    priorities.update(rows, error)
    expected = (error + 1e-6) ** alpha
    expected /= expected.sum()
    size = 30_000
    batch = priorities.sample(size, 0.5, np.random.default_rng(1))
    counts = torch.bincount(batch.index, minlength=WORLDS * SLOTS)
    assert counts.sum() == counts[rows].sum() == size
    share = counts[rows].double() / size
    assert ((share - expected).abs() < 5 * (expected / size).sqrt() + 1e-4).all()
    player.check(priorities.sample(64, 0.5, np.random.default_rng(2)), 2)


def test_importance_weights_by_hand():
    """Schaul et al. 2016, section 3.4: w = (N · P)^−β over the largest, so (p_min / p)^(α β)."""
    replay, _, priorities = prioritised(0.5)
    rows = all_rows(replay)
    error = torch.where(torch.arange(len(rows)) % 2 == 0, 4.0, 0.25)
    priorities.update(rows, error)
    batch = priorities.sample(512, 0.4, np.random.default_rng(0))
    drawn = dict(zip(rows.tolist(), error.tolist(), strict=True))
    by_hand = [1.0 if drawn[int(i)] == 0.25 else (0.25 / 4.0) ** (0.5 * 0.4) for i in batch.index]
    assert batch.weight.tolist() == pytest.approx(by_hand, rel=1e-4)
    assert set(np.round(batch.weight.tolist(), 3)) == {1.0, round(0.0625**0.2, 3)}


def test_new_transitions_get_the_highest_priority_so_far():
    replay, player, priorities = prioritised(1.0)
    rows = all_rows(replay)
    priorities.update(rows, torch.full((len(rows),), 0.5))
    priorities.update(rows[:1], torch.tensor([7.0]))
    player.step()
    priorities.add()
    leaves = priorities.tree[priorities.leaf :]
    assert len(replay.entered) >= WORLDS - 1  # a final observation is none
    assert leaves[replay.entered].tolist() == pytest.approx([7.0] * len(replay.entered), rel=1e-5)


@pytest.mark.parametrize(("n_step", "masked"), [(1, False), (3, True)])
def test_stretches_that_do_not_follow_each_other_are_kept_apart(n_step, masked):
    replay, player = playing(4, n_step, masked, seed=n_step)
    priorities = Priorities(replay, 0.5)
    for step in range(1, 201):
        player.step(cut=step % 9 == 0)
        priorities.add()
        if step % 9 == 0:
            player.jump()
            priorities.add()
        leaves = priorities.tree[priorities.leaf :]
        assert leaves.nonzero().squeeze(1).tolist() == sorted(replay.drawable())
        if step % 13 == 0:
            rows = all_rows(replay)
            found = player.check(replay.gather(rows, torch.ones(len(rows))), n_step)
            assert len(found) == len(rows) and (step < 100 or len(rows) > WORLDS * SLOTS // 3)


@pytest.mark.parametrize("stack", [1, 4])
def test_what_may_not_be_drawn_has_no_priority_and_all_else_has_some(stack):
    replay, player = playing(stack, n_step=2)
    priorities = Priorities(replay, 0.5)
    for _ in range(150):  # three times round the ring
        player.step()
        priorities.add()
        leaves = priorities.tree[priorities.leaf :]
        assert leaves.nonzero().squeeze(1).tolist() == sorted(replay.drawable())


def test_rounding_never_leads_to_a_leaf_without_priority():
    _, _, priorities = prioritised(1.0)
    total = priorities.tree[1]
    beyond = torch.stack([torch.zeros_like(total), total, total * (1 + 1e-9), 2 * total])
    assert (priorities.tree[priorities.leaf + priorities.find(beyond)] > 0).all()


def test_of_a_row_drawn_twice_the_larger_error_counts():
    replay, _, priorities = prioritised(1.0)
    row = all_rows(replay)[5]
    priorities.update(torch.stack([row, row, row]), torch.tensor([2.0, 3.0, 1.0]))
    assert priorities.tree[priorities.leaf + row].item() == pytest.approx(3.0, rel=1e-5)
    consistent(priorities)


def test_the_sum_tree_stays_consistent():
    replay, player, priorities = prioritised(0.7, steps=20)
    generator = np.random.default_rng(0)
    for _ in range(100):
        player.step()
        priorities.add()
        batch = priorities.sample(16, 0.5, generator)  # may hold a row twice
        priorities.update(batch.index, torch.from_numpy(generator.exponential(size=16)))
    consistent(priorities)
    assert (priorities.tree >= 0).all()


def test_restored_priorities_draw_the_same():
    replay, player, priorities = prioritised(0.7)
    rows = all_rows(replay)
    priorities.update(rows, torch.from_numpy(np.random.default_rng(0).exponential(size=len(rows))))
    other, _ = playing(n_step=2)
    other.restore(replay.state())
    twin = Priorities(other, 0.7)
    twin.restore(priorities.state())
    consistent(twin)
    first, second = (p.sample(64, 0.5, np.random.default_rng(3)) for p in (priorities, twin))
    assert torch.equal(first.index, second.index) and torch.equal(first.weight, second.weight)
    assert priorities.state()["highest"] == twin.state()["highest"]
