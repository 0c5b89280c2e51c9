"""Actors: every shard consumed exactly once and none too old, whoever dies, repeats itself or is slow."""

from __future__ import annotations

import errno
import itertools
import random
import socket
import sys
import time
from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from agents.actors.backend import (
    ActorDied,
    ActorError,
    ActorFailed,
    ActorStarted,
    ClusterError,
    ShardDelivered,
)
from agents.actors.feed import ShardFeed
from agents.actors.in_process import InProcessBackend
from agents.actors.ledger import ShardLedger, staleness
from agents.actors.pool import PATIENCE, ActorPool
from agents.actors.ray_backend import RayBackend
from agents.actors.ray_cluster import check_address, check_cluster
from agents.actors.shards import Shard, ShardError, ShardFolder, Stretch, decode, encode
from agents.alphazero.actor import SelfPlayActor
from agents.alphazero.train import AlphaZero
from sim.catalog import MissingPackageError, make_worlds, world_config
from sim.records import Budget, Episode
from sim.storage.runs import Run


class Counting:
    """An actor whose stretches have 10 positions and say by which weights they were played."""

    def __init__(self, *, seed):
        self.seed = seed

    def play(self, version, weights):
        assert weights["version"] == version, "weights and their number come together"
        return Stretch(version, 10, {"seed": np.array([self.seed])}, (Episode(1.0, 10, "win", True),))


def feed_of(backend, count=2, max_staleness=4, folder=None):
    feed = ShardFeed(ActorPool(backend, Counting, count, seed=0), max_staleness)
    if folder is not None:
        feed.keep_in(folder)
    return feed


def take(feed, version, positions=20):
    return feed.take(positions, version, lambda: {"version": np.array(version)})


STRETCH = Stretch(
    7,
    3,
    {"obs": np.arange(6, dtype=np.uint8).reshape(3, 2)},
    (Episode(-1.0, 2, "loss", False), Episode(0.5, 1)),
)


def test_a_shard_comes_back_from_its_bytes_and_half_of_them_are_refused():
    content = encode(Shard("1-0-0", 4, STRETCH))
    again = decode(content)
    assert (again.name, again.stretch.version, again.stretch.episodes) == ("1-0-0.4", 7, STRETCH.episodes)
    assert again.stretch.arrays["obs"].dtype == np.uint8
    np.testing.assert_array_equal(again.stretch.arrays["obs"], STRETCH.arrays["obs"])
    for part in (b"", content[:10], content[: len(content) // 2], content[:-1]):
        with pytest.raises(ShardError):
            decode(part)


def test_a_folder_of_shards_holds_whole_ones_alone(tmp_path, monkeypatch):
    folder = ShardFolder(tmp_path / "shards")
    assert folder.read_all() == []
    for actor, number in (("2-0-0", 1), ("1-1-1", 10), ("1-0-0", 9), ("1-1-1", 2)):
        folder.write(f"{actor}.{number}", encode(Shard(actor, number, STRETCH)))
    (tmp_path / "shards" / "1-0-0.3.npz").write_bytes(b"cut off")
    (tmp_path / "shards" / ".new-12-1-0-0.4.npz").write_bytes(b"half")
    assert [shard.name for shard in folder.read_all()] == ["1-1-1.2", "1-0-0.9", "1-1-1.10", "2-0-0.1"]
    assert len(list((tmp_path / "shards").iterdir())) == 4, "what cannot be read is gone"

    def full(path, content):
        path.write_bytes(content[:5])
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("agents.actors.shards._write", full)
    with pytest.raises(OSError, match="could not write a shard of games: the disk is full"):
        folder.write("1-0-0.5", encode(Shard("1-0-0", 5, STRETCH)))
    assert len(list((tmp_path / "shards").iterdir())) == 4


def test_whoever_dies_repeats_itself_or_is_slow_each_shard_counts_once():
    backend = InProcessBackend(
        die_after={"1-0-0": 1, "1-0-3": 0, "1-1-1": 4},
        repeats={("1-1-1", 1), ("1-1-1", 2), ("1-2-2", 2)},
        slow={"1-2-2": 7},
    )
    feed = feed_of(backend, count=3, max_staleness=2)
    consumed = []
    for version in range(12):
        shards = take(feed, version, positions=30)
        assert all(staleness(shard, version) <= 2 for shard in shards)
        consumed += [shard.name for shard in shards]
        assert feed.metrics()["actors_alive"] == 3
    assert set(Counter(consumed).values()) == {1}
    ledger, metrics = feed.ledger, feed.metrics()
    assert ledger.shards == len(consumed) == 36 and ledger.positions == 360 == 10 * ledger.games
    assert ledger.replaced == metrics["actors_replaced"] == 3, "and one of them at once"
    assert ledger.duplicates == 3 and ledger.refused > 0, "the slow one was asked for long ago"
    names = {name.partition(".")[0] for name in consumed}
    assert {"1-0-4", "1-1-5"} <= names, "who replaces another bears a new name"
    assert len({shard.stretch.arrays["seed"].item() for shard in shards}) == len({s.actor for s in shards})


@pytest.mark.parametrize("bound", [0, 1, 3])
def test_no_shard_is_older_than_the_bound_and_the_learner_gets_on_all_the_same(bound):
    feed = feed_of(InProcessBackend(), count=4, max_staleness=bound)
    for version in range(6):
        shards = take(feed, version, positions=40)
        metrics = feed.metrics()
        ages = [staleness(shard, version) for shard in shards]
        assert metrics["staleness_max"] == max(ages) <= bound
        assert metrics["staleness_mean"] == np.mean(ages)
    assert (feed.ledger.refused > 0) == (bound < 2), "an update takes one of each; two are on their way"


def test_a_shard_of_a_learner_that_was_killed_is_newer_and_not_older():
    assert staleness(Shard("1-0-0", 1, STRETCH), version=3) == 0
    ledger = ShardLedger()
    ledger.enter(Shard("1-0-0", 3, STRETCH), version=0, max_staleness=0)
    again = ShardLedger()
    again.restore(ledger.state())
    assert again == ledger and again.knows(Shard("1-0-0", 2, STRETCH)) and again.session() == 1


@pytest.mark.parametrize("trial", range(4))
def test_killed_anywhere_and_resumed_from_any_state_nothing_is_lost_or_counted_twice(tmp_path, trial):
    """States are taken and lost at random; the ledger knows what its history consumed, once each."""
    rng = random.Random(trial)
    folder = tmp_path / "shards"
    states, history = [None], [[]]  # what a state accounts for
    for _ in range(6):
        feed, start = feed_of(InProcessBackend(), 2, 99, folder), rng.choice([-1, -1, -2]) % len(states)
        states, history = states[: start + 1], history[: start + 1]  # the newest one, or that before it
        feed.restore(states[-1])
        seen = list(history[-1])
        waiting = {path.stem for path in folder.glob("*.npz")} - set(seen)
        first = True
        for version in range(rng.randrange(1, 9)):
            shards = take(feed, version, positions=10 * rng.randrange(1, 4))
            names = [shard.name for shard in shards]
            if first and waiting:
                assert set(names[: len(waiting)]) <= waiting, "what had been delivered comes first"
            first = False
            seen += names
            if rng.random() < 0.5:
                states.append(feed.state())
                history.append(list(seen))
                states, history = states[-2:], history[-2:]
        assert set(Counter(seen).values()) == {1}
        assert feed.ledger.shards == len(seen) and feed.ledger.refused == feed.ledger.duplicates == 0
        unsafe = set(seen) - set(history[0])
        assert unsafe <= {path.stem for path in folder.glob("*.npz")}, (
            "what a kept state does not know is kept"
        )


def test_shards_that_every_state_knows_are_deleted(tmp_path):
    feed = feed_of(InProcessBackend(), folder=tmp_path)
    counts = []
    for version in range(9):
        take(feed, version)
        feed.state()
        counts.append(len(list(tmp_path.glob("*.npz"))))
    assert max(counts) < 10, counts


def test_a_resumed_runs_actors_bear_new_names(tmp_path):
    first = feed_of(InProcessBackend(), folder=tmp_path)
    names = {shard.actor for shard in take(first, 0)}
    again = feed_of(InProcessBackend(), folder=tmp_path)
    again.restore(first.state())
    names_then = {shard.actor for _ in range(3) for shard in take(again, 1)}
    assert {name[0] for name in names} == {"1"} and {name[0] for name in names_then} <= {"1", "2"}
    assert "2" in {name[0] for name in names_then}


class Scripted(InProcessBackend):
    """A backend that reports what it is told to."""

    def __init__(self, *events):
        super().__init__()
        self.events = iter(events)

    def collect(self, timeout):
        self._events.clear()
        return [next(self.events)]


def pool_of(*events, clock=time.monotonic):
    pool = ActorPool(Scripted(*events), Counting, 1, seed=0, clock=clock)
    pool.start(1)
    return pool


def test_actors_that_cannot_live_are_given_up_with_the_reason():
    deaths = [ActorDied(f"1-0-{i}", "out of memory") for i in range(99)]
    pool = pool_of(*deaths)
    with pytest.raises(ActorError, match="13 actors died one after another.*the last one: out of memory"):
        pool.collect()
    assert pool.replaced == 12
    with pytest.raises(ActorError, match="actor 1-0-0 failed: there is no such move"):
        pool_of(ActorStarted("1-0-0"), ActorFailed("1-0-0", "there is no such move")).collect()
    times = itertools.count(0, PATIENCE / 3)
    waits = ActorPool(InProcessBackend(), Counting, 1, seed=0, clock=lambda: next(times))
    waits._backend.collect = lambda timeout: []
    waits.start(1)
    with pytest.raises(ActorError, match="no actor could be started within 10 minutes"):
        waits.collect()


def test_the_late_word_of_an_actor_that_was_replaced_is_nothing():
    content = encode(Shard("1-0-1", 1, STRETCH))
    pool = pool_of(
        ActorDied("1-0-0", "gone"),
        ActorDied("1-0-0", "gone"),
        ActorStarted("1-0-1"),
        ShardDelivered("1-0-0", b"late"),
        ShardDelivered("1-0-1", content),
    )
    assert pool.collect() == [content] and pool.replaced == 1


QUEEN = {"history": 1, "max_plies": 8}
SMALL = AlphaZero(
    network="board32", precision="float32", num_simulations=2, num_considered=2, cut_after=4, num_steps=4,
    minibatch_size=8, num_epochs=1, buffer_size=64,
)  # fmt: skip


def self_play(config=SMALL, actors=2, num_envs=2):
    make = world_config("chess/kqk", QUEEN).make_batch
    return partial(SelfPlayActor, config, make, num_envs, actors)


def learner_with(backend, folder=None, actors=2, config=SMALL, max_staleness=8):
    worlds = make_worlds("chess/kqk", 2, seed=0, **QUEEN)
    learner = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    learner.feed = ShardFeed(ActorPool(backend, self_play(config, actors), actors, seed=0), max_staleness)
    if folder is not None:
        learner.feed.keep_in(folder)
    return learner, worlds


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_self_play_actor_hands_out_finished_games_by_the_weights_they_began_with():
    worlds = make_worlds("chess/kqk", 2, **QUEEN)
    weights = SMALL.build(worlds.single_observation_space, worlds.single_action_space, seed=3).weights()
    actor = self_play(actors=3)(seed=5)  # two plies a stretch, and on until a game has ended
    first, second = actor.play(4, weights), actor.play(6, weights)
    assert first.version == 4 and first.positions == sum(episode.length for episode in first.episodes)
    assert first.arrays["obs"].shape == (first.positions, 21, 8, 8)
    assert all(episode.length <= 4 for episode in first.episodes)
    while not (third := actor.play(8, weights)).version == 8:
        assert third.version in (4, 6), "a game is as old as its first move"
    assert second.version <= 6


def test_a_learner_with_actors_counts_the_positions_it_was_sent_and_learns_from_each():
    finals, rows = [], []
    for _ in range(2):
        learner, worlds = learner_with(InProcessBackend(die_after={"1-0-0": 2}, repeats={("1-1-1", 1)}))
        for progress in learner.learn(worlds, Budget(updates=6)):
            assert progress.env_steps == learner.feed.ledger.positions >= 8 * progress.updates
            assert sum(episode.length for episode in progress.episodes) >= 8
            rows.append(progress.metrics)
        finals.append(learner.weights())
    assert same(*finals), "actors in turn are deterministic"
    assert rows[5]["actors_replaced"] == 1 and rows[5]["shards_duplicated"] == 1
    assert rows[5]["actors_alive"] == 2 and rows[5]["grad_norm"] > 0
    untouched, _ = learner_with(InProcessBackend())
    assert not same(finals[0], untouched.weights())


def saved_and_read(run, step, learner):
    run.save_state(step, learner.state())
    return run.newest_state()[1]


def test_a_learner_that_was_killed_goes_on_with_ledger_memory_and_undigested_games(tmp_path):
    run = Run(tmp_path / "run", resume=False)
    learner, worlds = learner_with(InProcessBackend(), tmp_path / "shards")
    updates = learner.learn(worlds, Budget(updates=5))
    next(updates)
    state = saved_and_read(run, 1, learner)
    positions = learner.feed.ledger.positions
    lost = next(updates)  # learned from, and not saved
    again, fresh = learner_with(InProcessBackend(), tmp_path / "shards")
    again.restore(state)
    assert not again.resumes_exactly and again.feed.ledger.positions == positions
    assert len(again._memory) == len(learner._memory) - (lost.env_steps - positions)
    assert same(again.weights(), state["network"])
    progress = next(again.learn(fresh, Budget(updates=5)))
    assert progress.updates == 2
    assert progress.episodes[: len(lost.episodes)] == lost.episodes, "its games are learned from again, once"
    run.close()


def test_with_and_without_actors_runs_go_on_from_each_other(tmp_path):
    run = Run(tmp_path / "run", resume=False)
    learner, worlds = learner_with(InProcessBackend(), tmp_path / "shards")
    next(learner.learn(worlds, Budget(updates=3)))
    alone = SMALL.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    assert alone.resumes_exactly
    alone.restore(saved_and_read(run, 1, learner))
    assert not alone.resumes_exactly, "it was not, for actors have played"
    before = learner.feed.ledger.state()
    progress = next(alone.learn(make_worlds("chess/kqk", 2, **QUEEN), Budget(updates=3)))
    assert progress.env_steps == before["positions"] + 8
    state = saved_and_read(run, 2, alone)
    assert state["shards"] == before, "the ledger is kept for later actors"
    third, fresh = learner_with(InProcessBackend(), tmp_path / "shards")
    third.restore(state)
    assert next(third.learn(fresh, Budget(updates=3))).updates == 3
    run.close()


def test_without_ray_the_line_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingPackageError, match='a cluster needs the package ray: python -m pip install "ray'
    ):
        RayBackend("local", 1)


def test_a_ray_that_does_not_come_up_is_told_and_stopped(monkeypatch):
    stopped = []

    def init(**options):
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, shutdown=lambda: stopped.append(1)))
    with pytest.raises(ClusterError, match="--cluster local: The current node timed out during startup"):
        RayBackend("local", 1)
    assert stopped


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "localhost:port", ":6379", "host:99999"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ClusterError, match=f'host:port, such as head:6379, not "{address}"'):
        check_address(address)


def test_a_cluster_that_does_not_answer_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        ClusterError, match=rf"--cluster 127.0.0.1:{port} does not answer \(connection refused\)"
    ):
        check_cluster(f"127.0.0.1:{port}")


def test_a_port_behind_which_there_is_no_ray_is_given_up(monkeypatch):
    monkeypatch.setattr("agents.actors.ray_cluster.PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr("agents.actors.ray_cluster.ANSWER_WITHIN", 0.1)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(ClusterError, match="did not answer within 0 seconds: start one with ray start"):
            check_cluster(f"127.0.0.1:{deaf.getsockname()[1]}")


def test_a_probe_that_fails_tells_why(monkeypatch):
    monkeypatch.setattr("agents.actors.ray_cluster.PROBE", "raise SystemExit('no such cluster')")
    with pytest.raises(ClusterError, match="--cluster auto: no such cluster: start one"):
        check_cluster("auto")
    monkeypatch.setattr("agents.actors.ray_cluster.PROBE", "raise ConnectionError('none found')")
    with pytest.raises(
        ClusterError, match="--cluster auto: no Ray cluster runs here, and RAY_ADDRESS names none"
    ):
        check_cluster("auto")
