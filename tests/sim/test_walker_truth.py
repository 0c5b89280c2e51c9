"""Ground truth of walker pictures: checked with rays, by hand and against the mask."""

import hashlib
import subprocess
import sys
import threading

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from sim.walker.anatomy import CLASSES, END_ON, Anatomy, bones, keypoint_names, part  # noqa: E402
from sim.walker.camera import Viewpoints  # noqa: E402
from sim.walker.engine import NoOpenGLError  # noqa: E402
from sim.walker.labelled_episodes import RenderOptions, render_episodes  # noqa: E402
from sim.walker.rendering import opengl  # noqa: E402
from sim.walker.rendering.opengl import refusal  # noqa: E402
from sim.walker.rendering.palette import STANDARD, random_appearance  # noqa: E402
from sim.walker.reward import BODIES  # noqa: E402
from sim.walker.simulation import load  # noqa: E402
from sim.walker.truth import TruthError  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

needs_opengl = pytest.mark.skipif(bool(refusal()), reason=f"no OpenGL: {refusal()}")
SIZE = 96
BODY = CLASSES.index("torso")  # and all classes after it


@pytest.fixture
def software(block_opengl):
    block_opengl("ImportError: libEGL")


def on_the_move(body, *, steps=6, seed=3, num_envs=1, size=SIZE):
    worlds = Walker(body, width=size, height=size).make_batch(num_envs, seed, num_threads=1)
    worlds.reset()
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        worlds.step(worlds.action_space.low * generator.uniform(-0.6, 0.6, worlds.action_space.shape))
    return worlds


@pytest.fixture(scope="module", params=BODIES)
def posed(request):
    """One of each body on the move, with a picture's context of its own, which takes 0.2 s to open."""
    worlds = on_the_move(request.param)
    yield request.param, worlds
    worlds.close()


def anatomy(body):
    return Anatomy(body, load(BODIES[body]))


def first_hits(model, data, view):
    """(H, W) geom and (H, W) m ahead of what a ray through the middle of each pixel meets first."""
    x, y = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    rays = view.forward * view.focal + (x[..., None] - view.width / 2) * view.right
    rays = rays - (y[..., None] - view.height / 2) * view.up
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    geom, ahead = np.full(x.shape, -1), np.full(x.shape, np.nan)
    found = np.zeros(1, np.int32)
    for at in np.ndindex(x.shape):
        hit = mujoco.mj_ray(model, data, view.origin, rays[at], None, True, -1, found)
        if hit >= 0:
            geom[at], ahead[at] = found[0], hit * (rays[at] @ view.forward)
    return geom, ahead


@needs_opengl
def test_masks_and_depth_are_what_rays_through_the_pixels_meet(posed):
    body, worlds = posed
    generator = np.random.default_rng(1)
    worlds.cameras[0] = Viewpoints().draw(body, generator).camera(SIZE, SIZE)
    percept = worlds.truth([0])[0]
    simulation = worlds.walkers.simulation
    data = simulation.data(0)
    geom, ahead = first_hits(simulation.model, data, worlds.cameras[0].view(data.xpos[1]))
    near = ahead < 15  # m; MuJoCo's rays end with the simulation's ground, the picture's goes on
    expected = anatomy(body).mask(geom)
    assert percept.mask.dtype == np.uint8 and percept.depth.dtype == np.float32
    agrees = percept.mask == expected
    ours = (percept.mask >= BODY) | (expected >= BODY)
    assert agrees[near].mean() > 0.99 and agrees[near & ours].mean() > 0.95  # edges of facets
    apart = np.abs(percept.depth - ahead)[near & agrees]
    assert np.median(apart) < 2e-3 and np.quantile(apart, 0.99) < 0.02  # m
    assert np.array_equal(np.isnan(percept.depth), percept.mask == CLASSES.index("background"))
    assert set(np.unique(percept.mask)) <= set(range(len(anatomy(body).classes)))


@needs_opengl
def test_keypoints_are_seen_where_the_rendered_depth_says_so(posed):
    """Seen: the surface is at most as far in front as the limb is thick. Hidden: something is nearer."""
    body, worlds = posed
    known = anatomy(body)
    generator = np.random.default_rng(2)
    agreed, seen, hidden = [], 0, 0
    for _ in range(12):
        worlds.cameras[0] = Viewpoints().draw(body, generator).camera(SIZE, SIZE)
        percept = worlds.truth([0])[0]
        assert tuple(percept.keypoints) == tuple(percept.places) == known.keypoints
        for k, (x, y, visible) in enumerate(percept.keypoints.values()):
            ahead = list(percept.places.values())[k][2]
            if not (0 <= x < SIZE and 0 <= y < SIZE):
                assert not visible
                continue
            surface = percept.depth[int(y), int(x)]
            if visible:
                agreed.append(surface >= ahead - END_ON * known.depths[k] - 0.01)
                seen += 1
            else:
                agreed.append(surface < ahead - known.depths[k] + 0.01)
                hidden += 1
            if visible:
                agreed.append(percept.mask[int(y), int(x)] >= BODY)
    assert np.mean(agreed) > 0.97 and seen > 30
    assert hidden > 10 or body in ("walker2d", "hopper", "halfcheetah")  # these are flat


def test_what_stands_behind_the_torso_is_hidden():
    """Along the diagonal an ant's one leg points at the viewer, the opposite one hides behind the ball."""
    worlds = Walker("ant", width=SIZE, height=SIZE).make_batch(1, 0, num_threads=1)
    worlds.reset()
    worlds.walkers.simulation.qpos[0] = worlds.walkers.simulation.model.qpos0
    camera = worlds.cameras[0]
    camera.azimuth, camera.elevation, camera.look_height = 45.0, 0.0, 0.75
    keypoints = worlds.truth([0], kinds=("keypoints",))[0].keypoints
    assert keypoints["back left toe"] == pytest.approx((SIZE / 2, SIZE / 2, 1.0), abs=1e-6)
    assert all(keypoints[name][2] == 0 for name in ("front left hip", "front left knee", "front left toe"))
    assert all(keypoints[f"{leg} toe"][2] == 1 for leg in ("front right", "back right"))


def test_keypoints_are_the_models_own_pose_by_hand():
    worlds = Walker("walker2d", width=100, height=80).make_batch(1, 0, num_threads=1)
    worlds.reset()
    worlds.walkers.simulation.qpos[0] = worlds.walkers.simulation.model.qpos0
    camera = worlds.cameras[0]
    camera.azimuth, camera.elevation, camera.distance, camera.look_height = 90.0, 0.0, 4.0, 1.0
    percept = worlds.truth([0], kinds=("keypoints",))[0]
    heights = {"head": 1.45, "hip": 1.05, "right knee": 0.6, "left ankle": 0.1}  # m, walker2d_v5.xml
    for name, height in heights.items():
        assert percept.places[name] == pytest.approx((0.0, 1 - height, 4.0), abs=1e-9)
        focal = 40 / np.tan(np.radians(22.5))
        assert percept.keypoints[name][:2] == pytest.approx((50, 40 + focal * (1 - height) / 4))
    assert percept.places["right toe"] == pytest.approx((0.2, 0.9, 4.0), abs=1e-9)
    assert percept.label == "walker2d" and percept.origin == "truth"
    assert percept.mask is None and percept.depth is None


def test_the_truth_is_of_the_same_instant_as_the_observation():
    """A hopper's head is 0.2 m above its torso, which its positions give, endings included."""
    worlds = Walker("hopper", max_steps=15, width=SIZE, height=SIZE).make_batch(2, 0, num_threads=1)
    worlds.reset()
    generator, ended = np.random.default_rng(0), 0
    for camera in worlds.cameras:
        camera.azimuth, camera.elevation, camera.distance, camera.look_height = 90.0, 0.0, 3.0, 1.0
    for _ in range(40):
        actions = generator.uniform(-1, 1, worlds.action_space.shape).astype(np.float32)
        obs, _, terminated, truncated, _ = worlds.step(actions)
        ended += (terminated | truncated).sum()
        for i, percept in enumerate(worlds.truth([0, 1], kinds=("keypoints",))):
            height, angle = obs[i, :2]  # m, rad
            expected = 0.2 * np.sin(angle), 1 - height - 0.2 * np.cos(angle), 3.0
            assert percept.places["head"] == pytest.approx(expected, abs=1e-9)
    assert ended >= 2


@needs_opengl
def test_picture_and_mask_are_of_the_same_instant():
    """What differs between two pictures from one tripod is what was or is now the body."""
    worlds = on_the_move("halfcheetah", steps=0)
    worlds.looks[0] = random_appearance(np.random.default_rng(1))
    before, was = worlds.pictures([0])[0], worlds.truth([0])[0].mask
    for _ in range(6):
        worlds.step(worlds.action_space.high)
    worlds.walkers.simulation.qpos[0, 0] = 0.0  # the tripod has not moved
    after, now = worlds.pictures([0])[0], worlds.truth([0])[0].mask
    changed = (before != after).any(axis=2)
    # where body and ground changed places the colours did; where both show ground they did not
    swapped = (was >= BODY) != (now >= BODY)
    assert swapped.sum() > 50 and changed[swapped].mean() > 0.95
    ground = (was < BODY) & (now < BODY)
    assert changed[ground].mean() < 0.25


@pytest.mark.parametrize("body", [pytest.param("walker2d", marks=pytest.mark.slow), "humanoid"])
def test_looking_changes_nothing(body):
    watched, alone = (on_the_move(body, steps=0, num_envs=2) for _ in range(2))
    kinds = ("keypoints",) if refusal() else ("mask", "depth", "keypoints")
    generator = np.random.default_rng(0)
    for step in range(40):
        actions = generator.uniform(watched.action_space.low, watched.action_space.high).astype(np.float32)
        if step % 4 == 0:
            watched.looks = [random_appearance(generator)] * 2
            watched.pictures([1, 0]), watched.truth([0, 1], kinds)
        ours, theirs = watched.step(actions), alone.step(actions)
        assert all(np.array_equal(a, b) for a, b in zip(ours[:4], theirs[:4], strict=True))
    ours, theirs = watched.state(), alone.state()
    assert np.array_equal(ours["physics"], theirs["physics"])
    for name in ("geom_size", "geom_rgba", "tex_data", "light_diffuse", "mat_reflectance"):
        models = (worlds.walkers.simulation.model for worlds in (watched, alone))
        assert np.array_equal(*(getattr(model, name) for model in models)), name


def test_one_world_and_a_batch_tell_the_same():
    single = Walker("ant", width=SIZE, height=SIZE).make(5)
    single.reset()
    worlds = Walker("ant", width=SIZE, height=SIZE).make_batch(2, 4, num_threads=1)
    worlds.reset()
    ours, theirs = single.truth(("keypoints",)), worlds.truth([1], ("keypoints",))[0]
    assert ours == theirs
    assert np.array_equal(single.render(), worlds.pictures([1])[0])
    assert np.array_equal(worlds.render()[1], worlds.pictures([1])[0])
    assert worlds.pictures([]).shape == (0, SIZE, SIZE, 3) and worlds.truth([]) == []


@needs_opengl
def test_looks_change_colours_only_and_leave_no_trace():
    worlds = on_the_move("humanoid")
    first, mask = worlds.pictures([0])[0], worlds.truth([0])[0].mask
    generator = np.random.default_rng(0)
    for _ in range(3):
        worlds.looks[0] = random_appearance(generator)
        assert (worlds.pictures([0])[0] != first).mean() > 0.5
        assert np.array_equal(worlds.truth([0])[0].mask, mask)
    worlds.looks[0] = STANDARD
    assert np.array_equal(worlds.pictures([0])[0], first)


def test_looks_repeat_with_their_seed_and_keep_left_from_right(software):
    looks = [random_appearance(np.random.default_rng(seed)) for seed in range(200)]
    assert looks == [random_appearance(np.random.default_rng(seed)) for seed in range(200)]
    assert all(look.right[0] > look.right[2] and look.left[2] > look.left[0] for look in looks)
    assert np.linalg.norm([look.sun for look in looks], axis=1) == pytest.approx(1)
    worlds = on_the_move("walker2d")  # drawn in software here
    first = worlds.pictures([0])[0]
    worlds.looks[0] = looks[0]
    assert (worlds.pictures([0])[0] != first).mean() > 0.5


def test_without_opengl_keypoints_are_the_same_and_the_rest_names_the_packages(software):
    worlds = on_the_move("humanoid")
    assert worlds.pictures([0])[0].any()
    keypoints = worlds.truth([0], kinds=("keypoints",))[0].keypoints
    for kinds in (("mask",), ("depth",), ("mask", "depth", "keypoints")):
        with pytest.raises(NoOpenGLError, match="libegl1 libegl-mesa0 libgl1-mesa-dri .*libosmesa6"):
            worlds.truth([0], kinds)
    with pytest.raises(NoOpenGLError, match="libEGL"):
        worlds.truth([0])
    assert {name for name, point in keypoints.items() if point[2]} >= {"head", "right knee"}


def test_without_opengl_by_choice_the_mend_is_to_unset_it(block_opengl):
    block_opengl("MUJOCO_GL=disable")
    with pytest.raises(NoOpenGLError, match="unset MUJOCO_GL"):
        on_the_move("hopper").truth([0], ("depth",))


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(TruthError, match='"boxes"; they know mask, depth, keypoints'):
        on_the_move("hopper").truth([0], ("boxes",))


def test_all_bodies_share_one_list_of_classes():
    for body in BODIES:
        known = anatomy(body)
        assert known.classes == CLASSES[: len(known.classes)]
        assert known.mask(np.array([[-1, 0, 1]])).tolist() == [[0, 1, 2]]  # sky, floor, torso
        assert known.keypoints == keypoint_names(body) and (known.depths > 0).all()
        joined = {name for pair in bones(body) for name in pair}
        assert joined == set(known.keypoints)
        assert len(bones(body)) == len(known.keypoints) - 1  # a tree
    sizes = [len(anatomy(body).classes) for body in BODIES]
    assert sizes == [6, 6, 7, 5, 11]
    with pytest.raises(KeyError, match="tail"):
        part("tail")


@needs_opengl
def test_where_limbs_meet_there_are_no_specks(monkeypatch):
    """A speck is a pixel whose eight neighbours are of other classes, but for one at most."""

    def specks():
        worlds, total = on_the_move("ant", steps=12, size=160, seed=0, num_envs=3), 0
        for percept in worlds.truth([0, 1, 2], ("mask",)):
            mask = percept.mask
            around = [np.roll(mask, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
            total += int((np.sum([mask == other for other in around], axis=0) <= 1).sum())
        worlds.close()
        return total

    slimmer = specks()  # what is left are the tips of slivers that look past each other
    monkeypatch.setattr(opengl, "SLIMMER", 0.0)
    assert slimmer < 0.5 * specks()


TELL = """
import hashlib
from sim.walker.labelled_episodes import RenderOptions, render_episodes
rgb, percepts = next(render_episodes("ant", [9], RenderOptions(size=48, frames=2)))
print(hashlib.sha256(rgb.tobytes() + percepts[1].mask.tobytes() + percepts[1].depth.tobytes()).hexdigest())
"""


@needs_opengl
def test_other_threads_and_processes_see_the_same():
    told = []

    def tell():
        rgb, percepts = next(render_episodes("ant", [9], RenderOptions(size=48, frames=2)))
        last = percepts[1]
        told.append(hashlib.sha256(rgb.tobytes() + last.mask.tobytes() + last.depth.tobytes()).hexdigest())

    tell()
    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    other = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    assert told[0] == told[1] == other.stdout.split()[-1]


class Still:
    """Does nothing, and counts."""

    def __init__(self):
        self.seeds, self.steps = [], []

    def seed(self, seed):
        self.seeds.append(seed)
        self.steps.append(0)

    def act(self, obs, info, memory=None, *, greedy=False):
        self.steps[-1] += 1
        return type("Nothing", (), {"actions": np.zeros((len(obs), 3), np.float32)}), memory


def test_rendering_of_a_seed_depends_on_that_seed_alone():
    filming = RenderOptions(size=32, frames=4, kinds=("keypoints",))
    both = list(render_episodes("hopper", [3, 8], filming))
    (alone,) = render_episodes("hopper", [8], filming)
    assert np.array_equal(both[1][0], alone[0]) and both[1][1] == alone[1]
    assert not np.array_equal(both[0][0], both[1][0])
    turned = {round(percept.keypoints["head"][0], 6) for percept in alone[1]}
    assert len(turned) == 4, "each picture has a viewpoint of its own"


def test_rendering_ends_with_the_episode_and_asks_the_policy():
    policy = Still()
    filming = RenderOptions(
        size=16, frames=500, every=3, kinds=("keypoints",), viewpoints=None, vary_look=False
    )
    lengths = [len(percepts) for _, percepts in render_episodes("hopper", [0, 1], filming, policy)]
    expected = []
    for seed in (0, 1):
        world, steps, over = Walker("hopper").make(seed), 0, False
        world.reset(seed=seed)
        while not over:
            over, steps = world.step(np.zeros(3))[2], steps + 1
        expected.append(steps)
    assert policy.seeds == [0, 1] and policy.steps == expected
    assert lengths == [-(-steps // 3) for steps in expected] and min(lengths) > 5


@pytest.mark.parametrize("keys", [{"frames": 0}, {"every": 0}, {"size": -1}])
def test_filming_nothing_is_refused(keys):
    with pytest.raises(ValueError, match=next(iter(keys))):
        RenderOptions(**keys)
