"""The agents by name; see `sim.catalog` for how a name is looked up."""

AGENTS = {
    "ppo": "agents.ppo:PPO",
    "random": "agents.random:Random",
}
