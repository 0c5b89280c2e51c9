"""Training sessions: begun in a run folder, iterated update by update, saved, logged, scored and stopped.

`session` begins a training and hands it out as an iterator; `loop` takes what `learn` yields and saves, logs,
scores and stops in between. `trainee` is the protocol of what is trained; `agents`, `perceptions` and
`samplers` implement it. `actors` leaves an agent's playing to a cluster, whose shards lie in the run's folder
``shards/``. `resume` says what a resumed run may change, `seeds` trains several seeds into one folder,
`ranks` lets several processes of torchrun train together, `metric_encoder` makes the encoder of the sample
metrics.
"""
