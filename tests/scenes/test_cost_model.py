"""The cost model: what is fitted, what follows from it by hand, and the tables of docs/performance.md."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from scenes.bench import cost_designs, cost_model
from scenes.bench.cost_designs import GRADIENT, OBSERVATION, Assumptions
from scenes.bench.cost_fit import CostModel, held_out_errors, nonnegative_least_squares
from scenes.bench.cost_measurement import Parts, Setting, Stopwatch, measure_parts

#: Seconds: fixed, each, shared among threads.
PARTS = {"emulation": (1e-4, 0.0, 3e-4), "inference": (5e-4, 5e-5, 5e-5), "update": (2e-3, 1e-5, 2e-4)}
MODEL = CostModel(PARTS, 1e-5, (2e-4, 1e-9), (1e-3, 5e-10))
HAS = Assumptions()


def run(setting):
    """A measurement without noise."""
    play, learn = (MODEL.call("emulation", setting.num_envs, setting.threads), setting.minibatch_size)
    inference = MODEL.call("inference", setting.num_envs, setting.threads)
    parts = Parts(play, inference, MODEL.call("update", learn, setting.threads), MODEL.rest)
    return {"setting": asdict(setting), "parts": asdict(parts)}


def data(**more):
    return {
        "machine": {},
        "fit": [run(setting) for setting in cost_model.FIT],
        "held_out": [run(setting) for setting in cost_model.HELD_OUT],
        "all_reduce": {str(size): 2e-4 + 1e-9 * size for size in cost_model.REDUCED},
        "ray": {str(size): 1e-3 + 5e-10 * size for size in cost_model.SHARDS},
    } | more


def test_the_fit_finds_what_made_the_measurements():
    model = CostModel.fit(data())
    for name, coefficients in PARTS.items():
        assert model.parts[name] == pytest.approx(coefficients, rel=1e-6, abs=1e-12)
    assert model.all_reduce == pytest.approx((2e-4, 1e-9)) and model.shard == pytest.approx((1e-3, 5e-10))
    assert all(abs(row["env_step"]["error"]) < 1e-9 for row in held_out_errors(model, data()))


def test_an_error_is_that_of_the_prediction_and_parts_not_measured_are_left_out():
    slow = run(Setting(12, 32, 96))
    slow["parts"]["update"] *= 2
    unknown = run(Setting(12, 32, 96, 2))
    unknown["parts"]["update"] = None
    first, second = held_out_errors(MODEL, data(held_out=[slow, unknown]))
    assert first["update"]["error"] == pytest.approx(-0.5) and first["emulation"]["error"] == pytest.approx(0)
    assert second["update"] is None and second["env_step"] is None and second["inference"] is not None


def test_coefficients_are_never_negative():
    generator = np.random.default_rng(0)
    for _ in range(20):
        features, target = generator.normal(size=(2, 6, 3)), generator.normal(size=6)
        found = nonnegative_least_squares(features[0], target)
        gradient = features[0].T @ (features[0] @ found - target)
        assert (found >= 0).all() and (gradient > -1e-9).all(), "Karush–Kuhn–Tucker: no step down is left"
        assert np.abs(gradient[found > 0]).max(initial=0) < 1e-9


def test_one_core_does_one_thing_after_the_other():
    worlds, samples = cost_designs.WORLDS, cost_designs.MINIBATCH
    emulation = (1e-4 + worlds * 3e-4) / worlds
    inference = (5e-4 + worlds * 1e-4) / worlds
    update = 4 * (2e-3 + samples * 2.1e-4) / samples + 1e-5
    rate = cost_designs.one_process(MODEL, 1, HAS)
    assert rate.steps_per_second == pytest.approx(1 / (emulation + inference + update))
    assert rate.limit == "update"
    beyond = cost_designs.one_process(MODEL, 64, HAS)
    assert beyond.steps_per_second == cost_designs.one_process(MODEL, 16, HAS).steps_per_second
    assert beyond.limit == "one machine"


def test_a_ring_of_two_sends_the_gradient_once():
    assert cost_designs.ring(1, 1.0, 1.0) == 0
    assert cost_designs.ring(2, 1.0, 0.0) == 2 and cost_designs.ring(2, 0.0, 1.0) == GRADIENT
    assert cost_designs.all_reduce(MODEL, 2, HAS) == pytest.approx(2e-4 + 1e-9 * GRADIENT), "as measured"


def test_ranks_scale_by_their_exchange_alone():
    free = CostModel(PARTS, 1e-5, (0.0, 0.0), (0.0, 0.0))
    idle = Assumptions(network=math.inf, network_latency=0.0)
    one, many = (cost_designs.data_parallel(free, n, idle).steps_per_second for n in (1, 4096))
    assert many == pytest.approx(4096 * one)
    assert cost_designs.data_parallel(MODEL, 4096, HAS).steps_per_second < many
    fixed = cost_designs.data_parallel_fixed_batch(MODEL, 4096, HAS)
    assert fixed.limit == "all-reduce" and fixed.steps_per_second < many / 10


def test_actors_scale_until_the_learner_or_its_network_is_full():
    few, all_of_them = (cost_designs.ray_actors(MODEL, n, HAS) for n in (2, 4096))
    assert few.limit == "actors" or few.limit == "learner"
    assert all_of_them.limit == "learner"
    narrow = cost_designs.ray_actors(MODEL, 4096, Assumptions(network=1e6))
    assert narrow == cost_designs.Rate(1e6 / OBSERVATION, "network into the learner")
    assert cost_designs.ray_actors(MODEL, 1, HAS).limit == "needs two cores"


def test_half_batches_hide_the_shorter_of_emulation_and_decisions():
    turn, halves = (cost_designs.gpu_machines(MODEL, 1, HAS, halves=halves) for halves in (False, True))
    assert halves.steps_per_second > turn.steps_per_second
    hidden = 1 / turn.steps_per_second - 1 / halves.steps_per_second
    whole = HAS.gpu_call / 256 + OBSERVATION / HAS.pcie + cost_designs.FORWARD / HAS.gpu_flops
    assert hidden == pytest.approx(whole), "decisions of half as many cost less than emulation here"
    assert cost_designs.gpu_machines(MODEL, 64, HAS, halves=True).steps_per_second < (
        64 * halves.steps_per_second
    )


def test_a_design_scales_to_where_doubling_gains_less_than_half():
    def saturating(model, n, has):
        return cost_designs.Rate(min(n, 24), "")

    assert cost_model.last_worthwhile(saturating, MODEL) == 32
    assert cost_model.last_worthwhile(lambda model, n, has: cost_designs.Rate(n, ""), MODEL) is None


def test_the_documents_tables_are_those_of_its_data():
    document = (cost_model.DATA.parent / "performance.md").read_text("utf-8")
    for table in cost_model.tables(json.loads(cost_model.DATA.read_text("utf-8"))):
        assert table in document, "run python -m scenes.bench.cost_model --document docs/performance.md"


def test_the_command_answers_in_json_and_draws(tmp_path, capsys):
    file, picture, document = tmp_path / "data.json", tmp_path / "rates.png", tmp_path / "a.md"
    file.write_text(json.dumps(data()))
    assert cost_model.main(["--data", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["rates"]["one process"]["1"]["limit"] == "update"
    assert answer["scales_to"]["torchrun, 256 samples a rank"] is None or answer["scales_to"]
    old = "| held out | x |\n| --- | --- |\n| 1 | 2 |"
    document.write_text(f"before\n\n{old}\n\nafter\n")
    assert cost_model.main(["--data", str(file), "--document", str(document)]) == 0
    text = document.read_text()
    assert cost_model.tables(data())[1] in text and old not in text
    assert text.startswith("before\n\n|") and text.endswith("|\n\nafter\n")
    pytest.importorskip("matplotlib")
    assert cost_model.main(["--data", str(file), "--figure", str(picture)]) == 0
    assert picture.stat().st_size > 10_000


def test_what_is_missing_or_broken_is_refused(tmp_path, capsys):
    (tmp_path / "empty.json").write_text("{")
    for name, words in (("gone.json", "No such file"), ("empty.json", "Expecting")):
        with pytest.raises(SystemExit, match="2"):
            cost_model.main(["--data", str(tmp_path / name)])
        assert words in capsys.readouterr().err


def test_a_stopwatch_divides_the_time_of_threads_that_are_waited_for():
    watch = Stopwatch()
    assert watch.timed("call", lambda x: x + 1)(1) == 2
    watch.times["call"] = [(1.0, 5.0), (2.0, 4.0), (9.0, 9.0)]
    assert watch.seconds("call") == 2.0 and watch.seconds("call", 2) == 3.0
    assert watch.total() == 18.0


@pytest.mark.slow
def test_every_part_of_a_run_takes_time():
    pytest.importorskip("ale_py")
    parts = measure_parts(Setting(2, 4, 8))
    assert min(parts.emulation, parts.inference, parts.update) > 0 and parts.rest >= 0
    assert measure_parts(Setting(2, 4, 8), learn=False).update is None


@pytest.mark.slow
def test_an_all_reduce_takes_longer_for_more_bytes():
    from scenes.bench.cost_measurement import measure_all_reduce

    found = measure_all_reduce((4096, 2**24))
    assert 0 < found[4096] < found[2**24]
