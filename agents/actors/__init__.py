"""Actors: processes that play for a learner, on a Ray cluster, and the accounting of what they play.

In: a factory of actors and versioned weights. Out: shards, each the finished games of one stretch of play,
which a learner consumes exactly once. Does not know: algorithms, scenes. Only `ray_cluster` imports Ray.

Reading order: `shards` (what actors deliver, and the folder that keeps it), `ledger` (which shards have been
consumed, refused or delivered twice), `backend` (interface of what runs actors; `in_process` and
`ray_backend` implement it), `ray_cluster` (whether a cluster answers, and joining it), `pool` (as many actors
as wanted: the dead are replaced), `feed` (what a learner takes shards from).

To add an algorithm's actor: copy `agents.alphazero.actor`, and add its line to `agents.catalog.ACTORS`.
"""
