"""Networks of agents: architectures, action heads, recurrence, normalisation of inputs, memory format.

In: observations (N, …) as tensors. Out: features, action distributions, values or Q-values. Does not know:
how anything is learned, worlds, catalogues.

Reading order: `architectures` (trunks by name, actor-critic and Q-networks), `heads` (action distributions),
`recurrent` (a GRU behind the trunk), `normalize` (running moments), `memory_format` (channels last),
`inference` (a copy whose weights are prepared for acting); `continuous` (actor and critics of SAC).
"""
