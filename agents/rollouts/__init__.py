"""Rollouts: steps of N worlds collected as tensors, or as stretches of transitions that actors send.

In: a learner that chooses actions, and a batch of worlds. Out: a `Rollout` on the learner's device, or a
`Stretch` of arrays. Does not know: losses, optimisers, Ray.

Reading order: `rollout` (consecutive steps, time first), `double_buffer` (two halves of worlds in turn),
`frame_stacks` (only newest frames are copied to the device), `rollout_stretch` (what an actor sends).
"""
