"""Benchmarks (``playfield bench``): throughput on this machine, side by side with other libraries.

In: names of rows. Out: a measured row each (`paired_timing.Measured`), in units a second. Does not know:
scenes, runs, scores; it trains nothing that is kept.

Every row has two sides, ours and a peer's. Each lives in a process of its own, which starts up and warms up
once and then waits; the sides run in turn, round after round, never together. A figure is the median over the
rounds, a ratio the median of the rounds' own ratios: what disturbs both sides of a round cancels. Both sides
get the same number of threads, the same settings where the peer has them, and the note of a row says
what still differs. The peer is used as its own documentation says.

Reading order: `benchmarks` (what there is), `worlds`, `acting`, `learning`, `chess_search`, `dreaming` (both
sides of each), `worker` (one side in its process), `paired_timing` (in turn), `report` (machine and table),
`history` (earlier runs), `regression` (`--check`), `command` (the verb). Apart from these: `cost_model`, with
`cost_measurement`, `cost_fit` and `cost_designs`, what PPO would do past one machine.

To add a row: two functions that take `worker.Settings` and yield how much they have done, as in `worlds`; a
line in `benchmarks.BENCHMARKS`. `tests/scenes/test_bench.py` finds both from then on.
"""
