"""Tasks of walking robots that a scene declares: named reward terms, parts of observations, limits, targets.

In: a scene's ``[world]`` keys, states of the simulation. Out: observations (N, D), rewards (N,), ends (N,).
Does not know: gymnasium's five rewards (`sim.walker.reward`), batches, pictures.

Reading order: `reward_terms` (each by name, with its weight), `proprioception` (trunk, joints, feet,
sensors), `task` (both together), `declared_task` (from a scene's keys).
"""
