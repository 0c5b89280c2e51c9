"""Replay buffer that stores every frame once, with n-step returns and prioritised sampling.

Consecutive observations of a stacked world share all frames but one, so only the newest frame of each is
stored and stacks are rebuilt when a batch is sampled: a million Atari transitions take 6.6 GiB, not 26. Each
world has a ring buffer of its own; where an episode ends, its final observation takes one more slot, so that
a transition's successor is always the next slot and a stack never crosses into another episode.

Everything is in tensors on one device, so that a GPU learner never waits for the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.networks.memory_format import channels_last, join, split
from sim.machine import check_memory
from sim.records import Segment, State
from supervised.tensors import on_device

SEGMENT = 512  # slots; full segments are immutable and written to disk once


@dataclass
class ReplaySamples:
    """Minibatch of B n-step transitions."""

    obs: Tensor  # (B, …)
    action: Tensor  # (B,), or (B, D) continuous ones
    n_step_return: Tensor  # (B,) Σ γ^k r_k
    discount: Tensor  # (B,) of the successor's value: γ^m, 0 where the episode terminated
    next_obs: Tensor  # (B, …) m ≤ n steps later
    next_mask: Tensor | None  # (B, A)
    index: Tensor  # (B,) for `Priorities.update`
    weight: Tensor  # (B,) importance weights; 1 for uniform draws


class Replay:
    """Replay buffer: a ring of transitions for each of N worlds."""

    def __init__(
        self,
        buffer_size: int,
        num_envs: int,
        observation_space: gymnasium.Space[object],
        *,
        frame_stack: int = 1,
        actions: int = 0,
        action_size: int = 0,
        masked: bool = False,
        n_step: int = 1,
        gamma: float = 0.99,
        device: str | torch.device = "cpu",
        arrange: Callable[[Tensor], Tensor] = channels_last,
        segment: int = SEGMENT,
    ) -> None:
        """Allocate the memory.

        Args:
            buffer_size: transitions in all worlds together; rounded up to whole segments a world.
            num_envs: N.
            observation_space: of one world; (S, H, W) where `frame_stack` is S > 1.
            frame_stack: how many frames an observation stacks along its first axis.
            actions: A, where worlds have masks.
            action_size: D of continuous actions; 0: they are discrete.
            masked: whether worlds give action masks.
            n_step: the most steps that a transition spans.
            gamma: discount.
            device: of all tensors.
            arrange: the layout of observations that are given to `add`; see `agents.networks.memory_format`.
            segment: how many slots a segment has.

        Raises:
            MemoryRefused: if it does not fit; nothing was allocated.
        """
        shape = observation_space.shape
        assert shape is not None and observation_space.dtype is not None
        self.frame_stack = frame_stack
        self.num_envs, self.n_step, self.gamma = num_envs, n_step, gamma
        self.slots = max(2, math.ceil(buffer_size / num_envs / segment)) * segment
        self._segment = segment
        self.device = torch.device(device)
        example = arrange(torch.from_numpy(np.zeros((1, *shape), observation_space.dtype)))
        self._pictures = example.dim() == 4
        rows = num_envs * self.slots
        columns: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            "frame": (tuple(self._newest_frame(example).shape[1:]), example.dtype),
            "action": ((action_size,), torch.float32) if action_size else ((), torch.int32),
            "reward": ((), torch.float32),
            "terminated": ((), torch.bool),
            "last": ((), torch.bool),  # the episode ended with this transition
            "acted": ((), torch.bool),  # False for final observations
            "age": ((), torch.uint8),  # frames of the same episode before this one, at most S − 1
        }
        if masked:
            columns["mask"] = ((actions,), torch.bool)
        check_memory(
            rows * sum(math.prod(size) * dtype.itemsize for size, dtype in columns.values()),
            f"a replay of {rows:,} transitions",
            "set a smaller agent.buffer_size",
            free=torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else None,
        )
        self._columns = {
            name: torch.zeros(rows, *size, dtype=dtype, device=self.device)
            for name, (size, dtype) in columns.items()
            if name not in ("acted", "frame")
        }
        # One more frame, always zero, for stacks before an episode's first frame.
        size, dtype = columns["frame"]
        self._columns["frame"] = torch.zeros(rows + 1, *size, dtype=dtype, device=self.device)
        # On the host, which samples: it need not ask the device which rows are valid.
        self._columns["acted"] = torch.zeros(rows, dtype=torch.bool)
        self._acted: np.ndarray = self._columns["acted"].numpy()
        self._head = np.zeros(num_envs, np.int64)  # slots ever written, world by world
        self._age = np.zeros(num_envs, np.int64)
        self.entered = np.zeros(0, np.int64)  # rows that became valid for sampling in the last change
        self.left = np.zeros(0, np.int64)  # rows that became invalid

    def __len__(self) -> int:
        """The number of transitions to sample from (final observations counted)."""
        return int(np.maximum(self._newest() - self._oldest() + 1, 0).sum())

    def add(
        self,
        obs: Tensor,
        action: Tensor,
        reward: Tensor,
        terminated: np.ndarray,
        truncated: np.ndarray,
        final_obs: Tensor | None,
        mask: Tensor | None = None,
        final_mask: Tensor | None = None,
    ) -> None:
        """Add one step of all worlds.

        Args:
            obs: (N, …) before the step.
            action: (N,), or (N, D) continuous ones.
            reward: (N,) for training, possibly clipped.
            terminated: (N,) bool.
            truncated: (N,) bool.
            final_obs: (N, …) where any episode ended.
            mask: (N, A) of `obs`.
            final_mask: (N, A) of `final_obs`.
        """
        ended = terminated | truncated
        oldest, newest = self._oldest(), self._newest()
        rows = self._write(np.arange(self.num_envs), obs, mask, acted=True)
        columns = self._columns
        columns["action"][rows] = action.to(columns["action"].dtype)
        columns["reward"][rows] = reward.float()
        columns["terminated"][rows] = on_device(terminated, self.device)
        columns["last"][rows] = on_device(ended, self.device)
        if ended.any():
            assert final_obs is not None
            over = np.flatnonzero(ended)
            chosen = on_device(over, self.device)
            final_masks = None if final_mask is None else final_mask[chosen]
            self._write(over, final_obs[chosen], final_masks, acted=False)
            self._age[over] = 0
        self._note_changes(oldest, newest)

    def begin_stretch(self, context: Sequence[Tensor], age: np.ndarray) -> None:
        """Begin a stretch of play that does not follow what was added last, such as another actor's.

        What was added last must have ended in every world, by truncation or else. The frames before the
        stretch are added as context of its first stacks.

        Args:
            context: at least as many observations (N, …) as the largest `age`, oldest first, that came before
                the one that is added next; only their newest frames count.
            age: (N,) how many of them are of the same episode.
        """
        oldest, newest = self._oldest(), self._newest()
        assert not self._age.any()
        for back, obs in zip(range(len(context), 0, -1), context, strict=True):
            worlds = np.flatnonzero(age >= back)
            if len(worlds):
                self._write(worlds, obs[on_device(worlds, self.device)], None, acted=False)
        self._note_changes(oldest, newest)

    def drawable(self) -> np.ndarray:
        """Rows of all valid transitions, whose whole stack and successor are in the buffer."""
        rows = self._rows(self._oldest(), self._newest() + 1)
        acted: np.ndarray = rows[self._acted[rows]]
        return acted

    def sample(self, size: int, generator: np.random.Generator) -> ReplaySamples:
        """Sample `size` transitions uniformly."""
        return self.gather(*self.draw(size, generator))

    def draw(self, size: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Rows (B,) of `size` transitions, uniformly drawn, and their weights (B,), all 1."""
        oldest, newest = self._oldest(), self._newest()
        room = np.maximum(newest - oldest + 1, 0)
        bounds = room.cumsum()
        found: list[np.ndarray] = []
        missing = size
        while missing:
            draw = generator.integers(bounds[-1], size=missing)
            world = np.searchsorted(bounds, draw, side="right")
            logical = oldest[world] + draw - (bounds[world] - room[world])
            rows = world * self.slots + logical % self.slots
            found.append(rows[self._acted[rows]])
            missing -= len(found[-1])
        index = on_device(np.concatenate(found), self.device)
        return index, torch.ones(size, device=self.device)

    def gather(self, index: Tensor, weight: Tensor) -> ReplaySamples:
        """Gather the n-step transitions that start at rows `index` (B,)."""
        columns = self._columns
        total = torch.zeros(len(index), device=self.device)
        discount = torch.ones(len(index), device=self.device)
        row = index
        going = torch.ones(len(index), dtype=torch.bool, device=self.device)
        for _ in range(self.n_step):
            total += discount * columns["reward"][row] * going
            over = going & columns["terminated"][row]
            discount = torch.where(going, discount * self.gamma, discount)
            discount = torch.where(over, 0.0, discount)
            following = torch.where(going, self._after(row), row)
            going = going & ~columns["last"][row]
            row = following
        mask, action = columns.get("mask"), columns["action"][index]
        return ReplaySamples(
            obs=self._stacked(index),
            action=action if action.is_floating_point() else action.long(),
            n_step_return=total,
            discount=discount,
            next_obs=self._stacked(row),
            next_mask=None if mask is None else mask[row],
            index=index,
            weight=weight,
        )

    def state(self) -> State:
        """Full segments by name, which are immutable, and the unfinished rest."""
        segments: dict[str, Segment] = {}
        tails: State = {}
        for world in range(self.num_envs):
            head, size = int(self._head[world]), self._segment
            for number in range(max(0, head - self.slots) // size, -(-head // size)):
                first = number * size
                rows = world * self.slots + first % self.slots
                if first + size <= head:
                    read = partial(self._part, rows, size)
                    segments[f"{world}-{number}"] = Segment(f"replay-{world}-{number}", read)
                else:
                    rest = self._part(rows, head - first)
                    tails[f"{world}-{number}"] = {name: array.copy() for name, array in rest.items()}
        return {"segments": segments, "tails": tails, "head": self._head.copy(), "age": self._age.copy()}

    def _part(self, first: int, count: int) -> dict[str, np.ndarray]:
        """Rows from `first` of all columns, on the host."""
        return {name: c[first : first + count].cpu().numpy() for name, c in self._columns.items()}

    def restore(self, state: State) -> None:
        """Restore a state."""
        self._head[:], self._age[:] = state["head"], state["age"]
        parts = {name: segment.read() for name, segment in state["segments"].items()} | state["tails"]
        for name, part in parts.items():
            world, number = map(int, name.split("-"))
            rows = world * self.slots + number * self._segment % self.slots
            for column, array in part.items():
                self._columns[column][rows : rows + len(array)].copy_(torch.from_numpy(array))

    def _note_changes(self, oldest: np.ndarray, newest: np.ndarray) -> None:
        """Set `entered` and `left` after a change, from the bounds (N,) before it."""
        entered = self._rows(np.maximum(newest + 1, 0), self._newest() + 1)
        self.entered = entered[self._acted[entered]]
        self.left = self._rows(oldest, self._oldest())

    def _write(self, worlds: np.ndarray, obs: Tensor, mask: Tensor | None, *, acted: bool) -> Tensor:
        """Write observations of some worlds into their next slots; returns the rows."""
        places = worlds * self.slots + self._head[worlds] % self.slots
        self._acted[places] = acted
        rows = on_device(places, self.device)
        columns = self._columns
        columns["frame"][rows] = self._newest_frame(obs)
        age = np.minimum(self._age[worlds], self.frame_stack - 1).astype(np.uint8)
        columns["age"][rows] = on_device(age, self.device)
        for name in ("terminated", "last"):
            columns[name].index_fill_(0, rows, False)
        if mask is not None:
            columns["mask"][rows] = mask
        self._head[worlds] += 1
        self._age[worlds] += 1
        return rows

    def _rows(self, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The rows of logical slots from `first` (N,) to before `end` (N,) of each world, in order."""
        count = np.maximum(end - first, 0)
        world = np.repeat(np.arange(self.num_envs), count)
        within = np.arange(len(world)) - np.repeat(count.cumsum() - count, count)
        rows: np.ndarray = world * self.slots + (first[world] + within) % self.slots
        return rows

    def _after(self, row: Tensor) -> Tensor:
        """The next slot of the same world."""
        slot = row % self.slots
        return row - slot + (slot + 1) % self.slots

    def _newest_frame(self, obs: Tensor) -> Tensor:
        """The newest frame (N, …) of each observation; of images (N, h, w, k), channels last."""
        if self._pictures:
            return split(obs, self.frame_stack)[:, -1]
        return obs[:, -1] if self.frame_stack > 1 else obs

    def _stacked(self, row: Tensor) -> Tensor:
        """Rebuild frame stacks at rows: frames of one episode, oldest first, zeros before its start."""
        frames = self._columns["frame"]
        back = torch.arange(self.frame_stack - 1, -1, -1, device=self.device)
        slot = row % self.slots
        rows = (row - slot)[:, None] + (slot[:, None] - back) % self.slots  # (B, S)
        before = back > self._columns["age"][row].long()[:, None]
        rows = rows.masked_fill(before, len(frames) - 1)  # the blank one
        stack = frames.index_select(0, rows.flatten()).view(*rows.shape, *frames.shape[1:])
        if self._pictures:
            return join(stack)
        return stack if self.frame_stack > 1 else stack.squeeze(1)

    def _oldest(self) -> np.ndarray:
        """The first logical slot (N,) whose whole stack is still in the ring."""
        return np.maximum(self._head - self.slots, 0) + np.where(
            self._head > self.slots, self.frame_stack - 1, 0
        )

    def _newest(self) -> np.ndarray:
        """The last logical slot (N,) whose successor n steps later has been written."""
        return self._head - 1 - self.n_step


class Priorities:
    """Proportional prioritised replay (Schaul et al. 2016) over a `Replay`'s rows: a sum tree in one tensor.

    P(i) = p_i^α / Σ p^α with p = |TD error| + ε; new transitions get the highest priority so far. Invalid
    rows have priority 0, so that no sample has to be rejected: nothing in sampling and updating waits for the
    device.

    Attributes:
        tree: (2 · `leaf`,) float64: node i is the sum of nodes 2 i and 2 i + 1.
        leaf: the node of row 0; those of the other rows follow, and hold the priorities.
    """

    def __init__(self, replay: Replay, alpha: float, epsilon: float = 1e-6) -> None:
        self._replay, self._alpha, self._epsilon = replay, alpha, epsilon
        rows = replay.num_envs * replay.slots
        self._depth = (rows - 1).bit_length()
        self.leaf = 1 << self._depth
        self.tree = torch.zeros(2 * self.leaf, dtype=torch.float64, device=replay.device)
        self._highest = torch.ones((), dtype=torch.float64, device=replay.device)

    def add(self) -> None:
        """After `Replay.add`: set new valid rows to the highest priority, invalid ones to 0."""
        replay = self._replay
        for rows, priority in (
            (replay.left, torch.zeros_like(self._highest)),
            (replay.entered, self._highest),
        ):
            if len(rows):
                self._set(on_device(rows, replay.device), priority.expand(len(rows)))

    def sample(self, size: int, beta: float, generator: np.random.Generator) -> ReplaySamples:
        """Sample `size` transitions by priority; see `draw`."""
        return self._replay.gather(*self.draw(size, beta, generator))

    def draw(self, size: int, beta: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Rows (B,) drawn by priority, and weights (N · P(i))^−β over their maximum (section 3.4)."""
        strata = on_device((np.arange(size) + generator.random(size)) / size, self._replay.device)
        index = self.find(strata * self.tree[1])
        probability = self.tree[self.leaf + index] / self.tree[1]
        weight = (len(self._replay) * probability) ** -beta
        return index, (weight / weight.max()).float()

    def update(self, index: Tensor, td_error: Tensor) -> None:
        """Set the priorities of sampled transitions from their |TD error| (B,)."""
        priority = (td_error.detach().abs().double() + self._epsilon) ** self._alpha
        self._highest = torch.maximum(self._highest, priority.max())
        self._set(index, priority)

    def state(self) -> State:
        """The leaves and the highest priority."""
        return {"leaves": self.tree[self.leaf :].cpu().numpy(), "highest": self._highest.item()}

    def restore(self, state: State) -> None:
        """Restore a state."""
        self._highest.fill_(float(state["highest"]))
        self.tree[self.leaf :].copy_(torch.from_numpy(state["leaves"]))
        level = self.leaf
        while level > 1:
            sums = self.tree[level : 2 * level].view(-1, 2).sum(1)
            level //= 2
            self.tree[level : 2 * level] = sums

    def _set(self, index: Tensor, value: Tensor) -> None:
        """Write leaves and the sums above them; of a duplicate leaf the larger value counts."""
        node = index + self.leaf
        self.tree.index_fill_(0, node, 0.0)
        self.tree.scatter_reduce_(0, node, value, "amax")
        for _ in range(self._depth):
            node = node // 2
            self.tree[node] = self.tree[2 * node] + self.tree[2 * node + 1]

    def find(self, mass: Tensor) -> Tensor:
        """Find the leaves where the cumulative sum of priorities passes `mass` (B,); never one of priority 0.

        However `mass` was rounded, there is a positive leaf under every node on the path.
        """
        node = torch.ones(len(mass), dtype=torch.long, device=mass.device)
        for _ in range(self._depth):
            left = self.tree[2 * node]
            right = (mass >= left) & (self.tree[2 * node + 1] > 0)
            mass = torch.where(right, mass - left, mass)
            node = 2 * node + right.long()
        return node - self.leaf
