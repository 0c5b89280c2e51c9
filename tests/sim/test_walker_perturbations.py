"""Perturbed walkers: neutral is gymnasium to the last bit, and each field does what physics says."""

from pathlib import Path

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

import sim  # noqa: E402
from sim.conformance import check_world  # noqa: E402
from sim.fields import FieldError, construct  # noqa: E402
from sim.walker.contacts import feet_of, ground_contacts  # noqa: E402
from sim.walker.perturbations import Perturbations  # noqa: E402
from sim.walker.tasks.reward_terms import RewardTerms  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

EVERYTHING = {
    "mass": (0.7, 1.3),
    "friction": (0.5, 2.0),
    "motor_strength": (0.6, 1.0),
    "latency": (0.0, 3.0),
    "push_force": (20.0, 60.0),
    "push_interval": (0.2, 0.3),
    "slope": (-5.0, 5.0),
}
NEUTRAL = {
    "mass": 1.0,
    "friction": 1.0,
    "motor_strength": 1.0,
    "latency": 0.0,
    "push_force": 0.0,
    "slope": 0.0,
}


def actions_for(worlds, steps, seed=0):
    """(steps, N, motors) float32, uniform within half of the bounds."""
    space = worlds.single_action_space
    shape = (steps, worlds.num_envs, *space.shape)
    return (np.random.default_rng(seed).uniform(space.low, space.high, shape) / 2).astype(np.float32)


def started(body="walker2d", num_envs=3, **fields):
    """A batch after its first reset, and the info of it."""
    worlds = Walker(body, **fields).make_batch(num_envs, 4, num_threads=1)
    return worlds, worlds.reset()[1]


@pytest.mark.parametrize("body", ["walker2d", "humanoid"])
def test_neutral_values_are_the_plain_world_to_the_last_bit(body):
    plain, _ = started(body)
    neutral, info = started(body, **NEUTRAL, push_interval=5.0)
    assert not set(NEUTRAL) & set(info)
    for actions in actions_for(plain, 80):
        a, b = plain.step(actions), neutral.step(actions)
        assert all(np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
    assert Walker(body, **NEUTRAL).protocol() == Walker(body).protocol()


def test_model_fields_of_their_own_with_neutral_values_change_no_bit():
    """What MuJoCo derives from masses, gears and gravity anew is what it derived from the file."""
    plain, _ = started()
    worlds, _ = started(mass=(1.0, 2.0), friction=(1.0, 2.0), motor_strength=(1.0, 2.0), slope=(0.0, 5.0))
    perturber = worlds.walkers.simulation.perturber
    perturber._drawn[:] = [1.0, 1.0, 1.0, 0.0, 0.0]
    perturber._write(np.arange(3))
    worlds.restore(plain.state() | perturber.state())
    for actions in actions_for(plain, 25):  # before the first fall, after which they draw anew
        assert np.array_equal(plain.step(actions)[0], worlds.step(actions)[0])


def test_starts_are_those_of_the_plain_world_and_draws_do_not_depend_on_other_fields():
    plain, _ = started("hopper")
    alone, one = started("hopper", mass=(0.5, 1.5))
    worlds, told = started("hopper", **(EVERYTHING | {"mass": (0.5, 1.5)}))
    assert np.array_equal(plain.walkers.simulation.qpos, worlds.walkers.simulation.qpos)
    assert np.array_equal(one["mass"], told["mass"]) and len(set(told["mass"])) == 3
    assert ((told["mass"] >= 0.5) & (told["mass"] <= 1.5)).all()
    alone.reset(seed=5), worlds.reset(seed=5)
    assert alone.walkers.simulation.factor("mass")[0] == one["mass"][1], "world 0 of seed 5 is world 1 of 4"


def test_every_episode_draws_anew_from_its_seed():
    worlds, first = started(**EVERYTHING, max_steps=5)
    for actions in actions_for(worlds, 5):
        info = worlds.step(actions)[4]
    assert not np.any(first["mass"] == info["mass"])
    assert np.array_equal(info["final_info"]["mass"], first["mass"])
    latencies = set()
    for seed in range(30):
        latencies |= set(worlds.reset(seed=100 * seed)[1]["latency"].tolist())
    assert latencies == {0.0, 1.0, 2.0, 3.0}, "both ends are drawn"


@pytest.mark.parametrize("body", ["hopper", pytest.param("ant", marks=pytest.mark.slow)])
def test_perturbed_worlds_keep_every_promise_of_a_world(body):
    check_world(Walker(body, max_steps=40, width=64, height=48, **EVERYTHING), steps=60)


def test_a_restored_perturbed_batch_goes_on_to_the_last_bit():
    worlds, _ = started(**EVERYTHING, max_steps=60)
    actions = actions_for(worlds, 120)
    for row in actions[:40]:
        worlds.step(row)
    state = worlds.state()
    other, _ = started(**EVERYTHING, max_steps=60)
    other.reset(seed=77)
    for row in actions[:9]:
        other.step(row)
    _, info = other.restore(state)
    for key in ("mass", "latency", "push_force"):
        assert np.array_equal(info[key], worlds.walkers._info[key])
    pushes = 0
    for row in actions[40:]:
        a, b = worlds.step(row), other.step(row)
        assert all(np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
        assert np.array_equal(a[4]["push_force"], b[4]["push_force"])
        pushes += a[4]["push_force"].any()
    assert pushes > 10


def test_a_state_of_a_plain_world_is_refused():
    plain, _ = started()
    worlds, _ = started(mass=1.2)
    with pytest.raises(ValueError, match="perturbed"):
        worlds.restore(plain.state())
    with pytest.raises(ValueError, match="perturbed"):
        plain.restore(worlds.state())
    longer, _ = started(latency=3.0)
    shorter, _ = started(latency=2.0)
    with pytest.raises(ValueError, match="other perturbations"):
        shorter.restore(longer.state())


def test_latency_is_the_same_actions_later():
    """Two steps late: what is chosen now is done in the next but one; before, the motors are slack."""
    late, _ = started(num_envs=2, latency=2.0)
    plain, _ = started(num_envs=2)
    actions = actions_for(plain, 12)
    shifted = np.concatenate([np.zeros_like(actions[:2]), actions[:-2]])
    for chosen, done in zip(actions, shifted, strict=True):
        a, b = late.step(chosen), plain.step(done)
        assert np.array_equal(a[0], b[0])
        assert a[4]["reward_ctrl"] == pytest.approx(-1e-3 * np.square(chosen).sum(axis=1))


def flying(**fields):
    """Cheetahs, which cannot fall, high above the ground and at rest."""
    worlds, _ = started("halfcheetah", num_envs=8, **fields)
    lift(worlds)
    return worlds


def lift(worlds):
    worlds.walkers.simulation.qpos[:, 1] = 50.0
    worlds.walkers.simulation.qvel[:] = 0.0


def coast(worlds, steps, strength=0.0):
    """The info of `steps` steps under constant controls."""
    actions = np.full(worlds.action_space.shape, strength, np.float32)
    return [worlds.step(actions)[4] for _ in range(steps)]


def velocity(worlds):
    """(N, 3) m/s of the centres of mass."""
    simulation, found = worlds.walkers.simulation, []
    for row in range(worlds.num_envs):
        data = simulation.data(row)
        mujoco.mj_comVel(simulation.model, data)
        mujoco.mj_subtreeVel(simulation.model, data)
        found.append(data.subtree_linvel[1].copy())
    return np.array(found)


@pytest.mark.parametrize("slope", [-5.0, 5.0])
def test_on_a_slope_who_flies_is_accelerated_downhill(slope):
    """Free fall: v = g t, turned by the slope; uphill is forwards."""
    worlds = flying(slope=slope)
    coast(worlds, 4)
    fall = 9.81 * 4 * 0.05 * np.array([-np.sin(np.radians(slope)), 0, -np.cos(np.radians(slope))])
    assert velocity(worlds) == pytest.approx(np.tile(fall, (8, 1)), abs=0.01)


def test_a_push_gives_its_impulse_to_the_whole_body():
    """Momentum of a flying body: 40 N for 0.2 s, four steps, over twice its mass."""
    worlds = flying(push_force=40.0, push_interval=1.0, mass=2.0)
    pushed = [info["push_force"].tolist() for info in coast(worlds, 18)]
    assert pushed == [[0.0] * 8] * 18
    lift(worlds)
    pushed = [info["push_force"].tolist() for info in coast(worlds, 7)]
    assert pushed == [[0.0] * 8] + [[pytest.approx(40.0)] * 8] * 4 + [[0.0] * 8] * 2
    gained = velocity(worlds)[:, 0]
    mass = 2 * worlds.walkers.simulation.model.body_mass.sum()
    assert np.abs(gained) == pytest.approx(np.full(8, 40.0 * 0.2 / mass), rel=0.03)
    assert min(gained) < 0 < max(gained), "forwards and backwards"


def test_motor_strength_and_mass_scale_torque_and_acceleration():
    """Three times the motors on three times the mass accelerate alike, but for armature and damping."""
    weak = Walker("walker2d", motor_strength=0.5).make(0)
    weak.reset()
    weak.step(np.array([0, 0.5, 0, 0, 0, -1], np.float32))
    assert list(weak.torques) == [0, 25, 0, 0, 0, -50]
    speeds = {}
    for name, fields in {
        "plain": {},
        "both": {"motor_strength": 3.0, "mass": 3.0},
        "heavy": {"mass": 3.0},
    }.items():
        worlds, _ = started(num_envs=1, **fields)
        worlds.walkers.simulation.qpos[:, 1] = 1.9  # m: off the ground, and not yet out of bounds
        worlds.walkers.simulation.qvel[:] = 0.0
        obs = worlds.step(np.full((1, 6), -0.1, np.float32))[0]
        speeds[name] = np.abs(obs[0, 11:]).max()  # rad/s of the joints
    assert speeds["both"] == pytest.approx(speeds["plain"], rel=0.2)
    assert speeds["heavy"] < 0.6 * speeds["plain"]


def test_servos_are_weaker_in_stiffness_and_limit():
    path = str(Path(sim.__file__).parents[1] / "scenes" / "robots" / "quadruped.xml")
    reward = RewardTerms(forward=1.0)
    worlds = Walker("file", path=path, reward=reward, motor_strength=0.5, friction=2.0).make_batch(1, 0)
    worlds.reset()
    plain, weak = worlds.walkers.simulation.model, worlds.walkers.simulation.model_of(0)
    for name in ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange"):
        assert np.array_equal(getattr(weak, name), 0.5 * getattr(plain, name)), name
    assert plain.actuator_biasprm.any() and np.array_equal(weak.actuator_gear, plain.actuator_gear)


def test_friction_scales_how_fast_a_slide_ends():
    """A cheetah thrown forwards slides twice as far on half of the friction, roughly."""
    distances = {}
    for friction in (0.25, 1.0):
        worlds, _ = started("halfcheetah", num_envs=1, friction=friction)
        simulation = worlds.walkers.simulation
        for _ in range(40):
            worlds.step(np.zeros((1, 6), np.float32))
        start = simulation.qpos[0, 0]
        simulation.qvel[0, 0] = 2.0
        for _ in range(60):
            worlds.step(np.zeros((1, 6), np.float32))
        distances[friction] = simulation.qpos[0, 0] - start
    assert distances[0.25] > 1.5 * distances[1.0] > 0


def test_the_model_of_a_world_is_the_perturbed_one():
    """What a heavy cheetah at rest on a slope puts on the ground: its own weight, by the slope's cosine."""
    worlds, _ = started("halfcheetah", num_envs=2, mass=2.0, slope=5.0, friction=2.0)
    coast(worlds, 120)
    simulation = worlds.walkers.simulation
    feet = feet_of("halfcheetah", simulation.model)
    contacts = ground_contacts(simulation.model_of(1), simulation.data(1), feet)
    weight = 2.0 * simulation.model.body_mass.sum() * 9.81
    expected = weight * np.array([np.sin(np.radians(5)), 0, np.cos(np.radians(5))])
    assert contacts.forces.sum(axis=0) == pytest.approx(expected, rel=0.02, abs=2.0)
    plain, _ = started(num_envs=1)
    assert plain.walkers.simulation.model_of(0) is plain.walkers.simulation.model


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"mass": 0.0}, "mass must be in"),
        ({"mass": [1.2, 0.8]}, r"mass must be a number or a range such as \[0.8, 1.2\]"),
        ({"friction": [0.5, 1.0, 2.0]}, "friction must be a number or a range"),
        ({"slope": "steep"}, 'slope must be a number or a range .* not "steep"'),
        ({"latency": 0.5}, "latency must be whole steps, not 0.5"),
        ({"push_force": -1.0}, "push_force must be in"),
        ({"motor_strengh": 0.5}, "motor_strength"),
        ({"mass": float("nan")}, "mass must be a finite number"),
        ({"mass": "nan..1"}, "mass must be a number or a range"),
    ],
)
def test_bad_ranges_are_refused_by_name(keys, words):
    with pytest.raises(FieldError, match=words):
        construct(Walker, keys, "test")


def test_scores_under_perturbations_are_another_protocol():
    stamps = [
        Walker(**{key: value}).protocol() for key, value in EVERYTHING.items() if key != "push_interval"
    ]
    assert len({tuple(stamp.items()) for stamp in [Walker().protocol(), *stamps]}) == 7
    assert Walker(mass=(0.8, 1.2)).protocol()["mass"] == "0.8..1.2"
    assert Walker(mass="0.8..1.2").protocol() == Walker(mass=(0.8, 1.2)).protocol()
    assert Walker(push_force=50.0).protocol()["push_interval"] == 2
    assert "push_interval" not in Walker(push_interval=1.0).protocol()
    assert Perturbations.of(Walker(push_interval=1.0)).varied == ()
