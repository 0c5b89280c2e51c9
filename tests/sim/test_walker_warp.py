"""MuJoCo Warp beside the C engine: the same episodes in single precision; one line where it is missing."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("mujoco")

from sim.fields import FieldError, construct  # noqa: E402
from sim.walker import simulation  # noqa: E402
from sim.walker.reward import BODIES  # noqa: E402
from sim.walker.walkers import REASONS  # noqa: E402
from sim.walker.warp import walkers as warp_walkers  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

INSTALLED = bool(importlib.util.find_spec("mujoco_warp"))
MISSING = 'needs MuJoCo Warp: python -m pip install "playfield[gpu]"'
needs_warp = pytest.mark.skipif(not INSTALLED, reason=MISSING)


def actions_for(worlds, steps, strength=0.3):
    space = worlds.single_action_space
    shape = (steps, worlds.num_envs, *space.shape)
    return (strength * np.random.default_rng(0).uniform(space.low, space.high, shape)).astype(np.float32)


def test_without_warp_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr(warp_walkers, "find_spec", lambda name: None)
    for ask in (lambda: Walker(backend="warp").make_batch(2, 0), Walker(backend="warp").protocol):
        with pytest.raises(warp_walkers.WarpError) as told:
            ask()
        assert str(told.value) == f'backend = "warp" {MISSING}'


@pytest.mark.parametrize(
    "fields", [{"mass": 1.2}, {"reward": {"forward": 1.0}}, {"body": "file", "path": "a"}]
)
def test_what_warp_does_not_know_is_refused(fields):
    with pytest.raises((FieldError, ValueError), match='backend = "warp" has gymnasium'):
        construct(Walker, {"backend": "warp", **fields}, "test")


def test_only_humanoid_has_another_solver():
    solvers = {name: warp_walkers.read_model(body).opt.solver for name, body in BODIES.items()}
    assert set(solvers.values()) == {2}  # Newton
    if INSTALLED:
        named = {name for name in BODIES if "solver" in Walker(name, backend="warp").protocol()}
        assert named == {"humanoid"}


@needs_warp
@pytest.mark.slow  # minutes of compiling kernels, the first time
@pytest.mark.parametrize("body", ["walker2d", "ant", "humanoid"])
def test_twenty_steps_are_the_c_engines_to_single_precision(body, monkeypatch):
    """Humanoid's by the same solver on both sides; an ant's until it touches the ground.

    Warp turns the friction pyramid of a capsule on the ground otherwise, which only bodies in space notice.
    Velocities round more than positions, and contact forces most.
    """
    monkeypatch.setattr(simulation, "load", warp_walkers.read_model)
    ours = Walker(body, backend="warp").make_batch(3, seed=5)
    theirs = Walker(body).make_batch(3, seed=5, num_threads=1)
    (obs, _), (wanted, _) = ours.reset(), theirs.reset()
    model = theirs.walkers.simulation.model
    np.testing.assert_allclose(obs, wanted, rtol=1e-5, atol=1e-5)
    tolerance = np.full(obs.shape[1], 2e-2)
    tolerance[: model.nq - BODIES[body].hidden + model.nv] = 1e-4
    tolerance[: model.nq - BODIES[body].hidden] = 1e-5
    compared = 0
    for actions in actions_for(ours, 20):
        obs, reward, terminated, truncated, info = ours.step(actions)
        wanted, gained, over, cut, told = theirs.step(actions)
        if body == "ant" and theirs.walkers.simulation.output("ncon").any():
            break
        compared += 1
        assert (np.abs(obs - wanted) <= tolerance).all()
        np.testing.assert_allclose(reward, gained, rtol=1e-5, atol=1e-5)
        assert np.array_equal(terminated, over) and np.array_equal(truncated, cut)
        assert set(info) == set(told) and list(info["reason"]) == list(told["reason"])
        for key in set(info) - {"reason"}:
            np.testing.assert_allclose(info[key], told[key], rtol=1e-5, atol=5e-5, err_msg=key)
    assert compared == (2 if body == "ant" else 20)


@needs_warp
@pytest.mark.slow
def test_on_the_device_episodes_end_and_begin_anew_in_arrays_that_torch_shares():
    torch = pytest.importorskip("torch")
    walkers = warp_walkers.DeviceWalkers(BODIES["walker2d"], 4, max_steps=5, seed=0, device="cpu")
    walkers.reset()
    obs = torch.from_dlpack(walkers.obs)
    first, home = obs.clone(), torch.tensor(walkers.model.qpos0[1:])
    assert (obs[:, :8] - home).abs().max() <= 5e-3 and (obs[:, 8:].abs() <= 5e-3).all()
    assert len({tuple(row) for row in first.tolist()}) == 4
    for step in range(1, 6):
        before = obs.clone()
        actions = torch.full((4, 6), 0.1)
        actions[2] = torch.nan if step == 3 else 0.1
        walkers.step(actions)
        truncated, final = torch.from_dlpack(walkers.truncated), torch.from_dlpack(walkers.final_obs)
        assert not torch.from_dlpack(walkers.terminated).any()
        assert truncated.tolist() == [step == 5, step == 5, step == 3, step == 5]
        assert torch.isfinite(obs).all() and torch.isfinite(torch.from_dlpack(walkers.reward)).all()
        if step == 3:  # the last sane observation, no reward, and the next episode
            assert torch.equal(final[2], before[2]) and walkers.reward.numpy()[2] == 0
            assert REASONS[walkers.reason.numpy()[2]] == "unstable"
    assert walkers.elapsed.numpy().tolist() == [0, 0, 2, 0]
    begun = obs[[0, 1, 3]]
    assert (begun[:, :8] - home).abs().max() <= 5e-3 and not torch.equal(begun, first[[0, 1, 3]])
    assert (final[0] - begun[0]).abs().max() > 5e-3
    again = warp_walkers.DeviceWalkers(BODIES["walker2d"], 4, max_steps=5, seed=0, device="cpu")
    again.reset()
    assert torch.equal(torch.from_dlpack(again.obs), first)


@needs_warp
@pytest.mark.slow
def test_a_restored_batch_on_warp_goes_on_to_the_last_bit():
    config = Walker("walker2d", backend="warp", max_steps=20)
    worlds, other = config.make_batch(3, 7), config.make_batch(3, 99)
    worlds.reset(), other.reset()
    actions = actions_for(worlds, 50, strength=1.0)
    ended = 0
    for row in actions[:25]:
        obs, _, terminated, truncated, info = worlds.step(row)
        ended += int((terminated | truncated).sum())
    assert ended >= 3
    restored, _ = other.restore(worlds.state())
    assert np.array_equal(restored, obs)
    for row in actions[25:]:
        a, b = worlds.step(row), other.step(row)
        assert all(np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
    assert worlds.single_observation_space == Walker("walker2d").make_batch(1, 0).single_observation_space
