"""A rollout as a learner would collect it, from the beginning of its worlds."""

from __future__ import annotations

from agents.rollouts.rollout import Rollout, RolloutCollector


def collected(agent, worlds) -> Rollout:
    """The first rollout of `agent`, a PPO or PQN learner, in `worlds`, which are reset."""
    config = agent.config
    collector = RolloutCollector(
        agent, worlds, worlds.reset(), clip_reward=config.clip_reward, life_loss_ends=config.life_loss_ends
    )
    return collector.collect(config.num_steps)
