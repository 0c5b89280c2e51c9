"""Agents that learn to play: PPO, DQN, PQN, SAC, REINFORCE, AlphaZero, imitation, Stable-Baselines3.

In: observations (N, …) and info of a batch of worlds. Out: a `Decision` with actions (N,) or (N, D).
Does not know: scenes, windows, run folders, generative models. A learner yields its progress and
leaves saving, scoring and stopping to its caller (`scenes.training.session`).

Reading order: `ppo` (one algorithm, top to bottom), then what it shares with others: `rollouts/`,
`returns`, `networks/`, `actor_critic_learner`, `optim/` (optimiser steps, schedules), `pinned_buffers`
(GPU), `data_parallel` (shares of several ranks), `memory_limits`; `reinforce`; `pqn`, and `dqn` with its
`replay`, both acting by `q_policy`; `sac` (continuous actions) with its `squashed_policy` and `held_noise`;
`alphazero/` (tree search); `imitation` (learning from recorded games); `actors/` (processes that play for a
learner, on Ray; DQN's are `rollout_actor`); `random` and `greedy` (baselines); `evaluation/` (scores, their
statistics, saliency maps); `sb3/` (Stable-Baselines3's algorithms through one adapter).

To add an agent: copy `random.py` (or `ppo.py`, if it learns), add its line to `catalog.AGENTS`, and
`tests/agents/test_agents_conform.py` checks it from then on.
"""
