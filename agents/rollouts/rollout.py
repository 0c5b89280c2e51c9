"""Rollout collection of PPO, PQN and REINFORCE: steps of N worlds as time-first tensors.

In: a learner that chooses actions (`Actor`) and a batch of worlds. Out: a `Rollout` on the learner's device,
with the value of what follows each step: where an episode was truncated that of its final observation, from
which it bootstraps, and where it terminated whatever number, which `agents.returns` does not count.

Recurrent state goes from step to step and from rollout to rollout; it is zero where an episode begins. Of
stacked frames only the newest one is copied to the device (`agents.rollouts.frame_stacks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from agents.networks.memory_format import stack
from agents.returns import generalized_advantage
from agents.rollouts.frame_stacks import FrameStacks
from sim.records import Array, Episode
from sim.vector import Info, Worlds, ended_episode, lives_lost

TOLD = ("reward", "terminated", "truncated", "ended")  # results of a step, on the host


@dataclass
class Rollout:
    """Transitions of T steps of N worlds, time first."""

    obs: Tensor  # (T, N, …), as the network takes them
    action: Tensor  # (T, N) or (T, N, D), as the loss takes them
    value: Tensor  # (T, N) of the observations
    next_value: Tensor  # (T, N), of the final observation where an episode was truncated
    reward: Tensor  # (T, N) float32, for learning
    terminated: Tensor  # (T, N) bool, for learning
    truncated: Tensor  # (T, N) bool
    ended: Tensor  # (T, N) bool, where the next step belongs to another episode
    episodes: tuple[Episode, ...] = ()  # that ended, by time and world
    log_prob: Tensor | None = None  # (T, N) of the actions, where the actor gives it
    mask: Tensor | None = None  # (T, N, A) bool, where the worlds have one
    memory: Tensor | None = None  # (N, H) recurrent state before the first step, where there is one

    def advantage(self, gamma: float, gae_lambda: float) -> Tensor:
        """Generalised advantages (T, N); see `agents.returns`."""
        return generalized_advantage(
            self.reward, self.value, self.next_value, self.terminated, self.truncated, gamma, gae_lambda
        )


@dataclass
class Choice:
    """Actions chosen for N worlds, with the values that an update needs."""

    actions: Array  # (N,) or (N, D), as the worlds take them
    value: Tensor  # (N,) of the observations
    action: Tensor | None = None  # as the loss takes them; None: the same as `actions`
    log_prob: Tensor | None = None  # (N,)
    memory: Tensor | None = None  # (N, H) recurrent state after the observations


class Actor(Protocol):
    """Interface of a learner that a `RolloutCollector` calls."""

    def tensor(self, array: Array) -> Tensor:
        """Copy an array to the learner's device."""

    def observe(self, obs: Array) -> Tensor:
        """Observations (N, …) as the network takes them."""

    def mask(self, info: Mapping[str, Any]) -> Tensor | None:
        """Action mask (N, A) bool, or None if all actions are allowed."""

    def choose(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Choice:
        """Choose N actions for learning."""

    def bootstrap(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Tensor:
        """Values (n,) of observations after which nothing is played."""


@dataclass
class Step:
    """One step of N worlds: tensors on the device by name, and on the host `TOLD`.

    Where the actor gave no actions as the loss takes them, those of the worlds stand before `TOLD`.
    """

    tensors: dict[str, Tensor]
    told: tuple[Array, ...]

    @property
    def ended(self) -> Array:
        """(N,) bool, where an episode ended."""
        return self.told[-1]


class RolloutCollector:
    """Collector of consecutive rollouts in a batch of worlds.

    Attributes:
        obs: (N, …) the newest observations.
        info: the newest info.
        memory: (N, H) the recurrent state before `obs`; None where the actor has none, and at first.
    """

    def __init__(
        self,
        actor: Actor,
        worlds: Worlds,
        start: tuple[Array, Info],
        memory: Tensor | None = None,
        *,
        clip_reward: bool = False,
        life_loss_ends: bool = False,
    ) -> None:
        """Begin where the worlds stand.

        Args:
            actor: chooses.
            worlds: N of them.
            start: what `reset` or `restore` of `worlds` gave.
            memory: (N, H) recurrent state of a resumed learner.
            clip_reward: rewards become their sign; episodes keep their scores.
            life_loss_ends: a lost life terminates; episodes, and the memory, go on.
        """
        self._actor, self._worlds = actor, worlds
        self.obs, self.info = start
        self.memory = memory
        self._clip_reward, self._life_loss_ends = clip_reward, life_loss_ends
        self._seen = FrameStacks(actor, worlds.frame_stack, self.obs)
        self._chosen: tuple[Tensor | None, Choice]  # mask and choice of the step in progress

    @torch.no_grad()
    def collect(self, num_steps: int, *, whole_episodes: bool = False) -> Rollout:
        """Play `num_steps` steps; with `whole_episodes` fewer, until an episode has ended in every world.

        Of whole episodes only the first of each world counts in `Rollout.episodes`.

        Raises:
            WorldError: if lost lives terminate, and the worlds tell no lives.
        """
        memory = self.memory
        steps: list[Step] = []
        episodes: list[Episode] = []
        counts = np.ones(self._worlds.num_envs, bool)  # whose episodes count
        while len(steps) < num_steps and counts.any():
            self.send()
            steps.append(self.recv())
            episodes += self.ended_episodes(steps[-1].ended & counts)
            if whole_episodes:
                counts &= ~steps[-1].ended
        if memory is None and self.memory is not None:
            memory = torch.zeros_like(self.memory)
        return self.rollout(steps, episodes, memory, self.last_value())

    def send(self) -> None:
        """Choose actions, and begin a step of the worlds with them."""
        mask = self._actor.mask(self.info)
        choice = self._actor.choose(self._seen.newest, mask, self.memory)
        self._chosen = mask, choice
        self._worlds.send(choice.actions)

    def recv(self) -> Step:
        """End the step that `send` began."""
        actor, before, seen, (mask, choice) = self._actor, self.info, self._seen.newest, self._chosen
        self.obs, reward, terminated, truncated, self.info = self._worlds.recv()
        ended = terminated | truncated
        self._seen.step(self.obs, ended)
        final_value = torch.zeros_like(choice.value)
        if truncated.any():
            rows = actor.tensor(np.flatnonzero(truncated))
            final_value[rows] = self._final_value(truncated, rows, choice.memory)
        self.memory = choice.memory
        if self.memory is not None and ended.any():
            self.memory = self.memory * actor.tensor(~ended)[:, None]
        if self._life_loss_ends:
            terminated = terminated | lives_lost(before, self.info)
        tensors = {"obs": seen, "value": choice.value, "next_value": final_value}
        optional = {"action": choice.action, "log_prob": choice.log_prob, "mask": mask}
        tensors |= {name: tensor for name, tensor in optional.items() if tensor is not None}
        told = (reward, terminated, truncated, ended)
        return Step(tensors, told if choice.action is not None else (choice.actions, *told))

    def ended_episodes(self, which: Array) -> list[Episode]:
        """The episodes that ended with the last step in the worlds `which` (N,) bool."""
        return [ended_episode(self.info, int(i)) for i in np.flatnonzero(which)]

    def last_value(self) -> Tensor:
        """Values (N,) of the newest observations."""
        return self._actor.bootstrap(self._seen.newest, self._actor.mask(self.info), self.memory)

    def rollout(
        self, steps: Sequence[Step], episodes: Sequence[Episode], memory: Tensor | None, last: Tensor
    ) -> Rollout:
        """Put steps together, with the value of what follows each and rewards as learning takes them.

        Args:
            steps: T of them.
            episodes: that ended.
            memory: (N, H) recurrent state before the first step.
            last: (N,) values of what follows the last step.
        """
        columns = {name: stack([step.tensors[name] for step in steps]) for name in steps[0].tensors}
        names = TOLD if "action" in columns else ("action", *TOLD)
        for name, column in zip(names, zip(*(step.told for step in steps), strict=True), strict=True):
            columns[name] = self._actor.tensor(np.stack(column))
        rollout = Rollout(**columns, episodes=tuple(episodes), memory=memory)
        following = torch.cat([rollout.value[1:], last[None]])
        rollout.next_value = torch.where(rollout.truncated, rollout.next_value, following)
        rollout.reward = rollout.reward.float()
        if self._clip_reward:
            rollout.reward = rollout.reward.sign()
        return rollout

    def _final_value(self, truncated: Array, rows: Tensor, memory: Tensor | None) -> Tensor:
        """Values (n,) of the final observations of truncated episodes, in the memory of their steps."""
        final = self.info["final_info"]
        masked = {key: final[key][truncated] for key in ("action_mask",) if key in final}
        obs = self._actor.observe(self.info["final_obs"][truncated])
        return self._actor.bootstrap(obs, self._actor.mask(masked), None if memory is None else memory[rows])
