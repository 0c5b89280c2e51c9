"""Catalogue of agents by name, and of the actors that play for them; see `sim.catalog`."""

AGENTS = {
    "alphazero": "agents.alphazero.train:AlphaZero",
    "dqn": "agents.dqn:DQN",
    "greedy": "agents.greedy:Greedy",
    "imitation": "agents.imitation:Imitation",
    "ppo": "agents.ppo:PPO",
    "pqn": "agents.pqn:PQN",
    "reinforce": "agents.reinforce:Reinforce",
    "random": "agents.random:Random",
    "sac": "agents.sac:SAC",
    "sb3/a2c": "agents.sb3:A2C",
    "sb3/dqn": "agents.sb3:DQN",
    "sb3/maskableppo": "agents.sb3:MaskablePPO",
    "sb3/ppo": "agents.sb3:PPO",
    "sb3/qrdqn": "agents.sb3:QRDQN",
    "sb3/sac": "agents.sb3:SAC",
    "sb3/td3": "agents.sb3:TD3",
    "sb3/tqc": "agents.sb3:TQC",
}

#: Agents whose playing can be left to actors; see `agents.actors`.
ACTORS = {
    "alphazero": "agents.alphazero.actor:SelfPlayActor",
    "dqn": "agents.rollout_actor:RolloutActor",
}

#: Agents that act by tree search, unless their `search` is "none"; see `agents.alphazero.search_agent`.
SEARCHERS = ("alphazero", "imitation")
