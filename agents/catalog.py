"""The agents by name; see `sim.catalog` for how a name is looked up."""

AGENTS = {
    "dqn": "agents.dqn:DQN",
    "ppo": "agents.ppo:PPO",
    "reinforce": "agents.reinforce:Reinforce",
    "random": "agents.random:Random",
}
