"""Walkers are drawn where they are, with OpenGL and without, from wherever the camera stands."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("mujoco")

from sim.walker import engine  # noqa: E402
from sim.walker.camera import Camera  # noqa: E402
from sim.walker.engine import NoOpenGLError  # noqa: E402
from sim.walker.rendering.opengl import refusal  # noqa: E402
from sim.walker.rendering.software import Capsules, picture  # noqa: E402
from sim.walker.reward import BODIES  # noqa: E402
from sim.walker.world import Walker  # noqa: E402

NOTHING = Capsules(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros((0, 3)))
RED, BLUE = (250.0, 40.0, 40.0), (40.0, 40.0, 250.0)


def capsules(*items):
    """From (start, end, radius, colour)."""
    return Capsules(*(np.array(column, float) for column in zip(*items, strict=True)))


def camera(**changes):
    return Camera(
        **{"azimuth": 90, "elevation": 0, "distance": 4, "look_height": 1, "width": 200, "height": 160}
        | changes
    )


@pytest.fixture
def software(block_opengl):
    block_opengl("blocked")


def walker(body, **fields):
    world = Walker(body, width=240, height=180, **fields).make(1)
    world.reset()
    return world


def body_pixels(rgb):
    """Where something brighter or more colourful than ground and sky is."""
    return (rgb.max(axis=2) > 135) | (np.ptp(rgb, axis=2) > 60)


def test_points_are_projected_by_the_rules_of_a_pinhole():
    view = camera().view(np.array([5.0, 0.0, 9.0]))  # the torso's height does not matter
    focal = 80 / np.tan(np.radians(22.5))  # half the height, half the field of view
    pixels, depth = view.project(
        np.array([[5.0, 0.0, 1.0], [6.0, 0.0, 1.0], [5.0, 4.0, 2.0], [5.0, -5.0, 1.0]])
    )
    assert pixels[:3] == pytest.approx(np.array([[100, 80], [100 + focal / 4, 80], [100, 80 - focal / 8]]))
    assert depth == pytest.approx([4, 4, 8, -1])


def test_looking_from_above_keeps_the_axes_square():
    view = camera(azimuth=33, elevation=-50).view(np.zeros(3))
    axes = np.stack([view.right, view.up, view.forward])
    assert axes @ axes.T == pytest.approx(np.eye(3)) and view.right[2] == 0 and view.up[2] > 0
    assert view.origin[2] == pytest.approx(1 + 4 * np.sin(np.radians(50)))


def test_a_ball_is_as_large_as_it_should_be():
    view = camera().view(np.zeros(3))
    ball = capsules(([0, 0, 1], [0, 0, 1], 0.3, RED))
    red = np.ptp(picture(ball, view).astype(float), axis=2) > 60
    assert red.sum() == pytest.approx(np.pi * (view.focal * 0.3 / 4) ** 2, rel=0.05)
    assert red[80, 100] and not red[80, 130]


def test_what_is_nearer_hides_what_is_farther_in_any_order():
    near, far = ([-1, -1, 1], [1, -1, 1], 0.1, RED), ([0, 1, 0.2], [0, 1, 1.8], 0.1, BLUE)
    view = camera().view(np.zeros(3))
    for items in ((near, far), (far, near)):
        rgb = picture(capsules(*items), view)
        assert rgb[80, 100, 0] > rgb[80, 100, 2] and rgb[65, 100, 2] > rgb[65, 100, 0]


def test_limbs_that_cross_are_cut_where_they_cross():
    """One bar leans towards the viewer on the right, the other on the left."""
    a, b = ([-1, 0.5, 1], [1, -0.5, 1], 0.1, RED), ([-1, -0.5, 1], [1, 0.5, 1], 0.1, BLUE)
    rgb = picture(capsules(a, b), camera().view(np.zeros(3))).astype(int)
    redder = rgb[80, :, 0] - rgb[80, :, 2]
    assert (redder[110:125] > 80).all() and (redder[75:90] < -80).all()


def test_shadows_fall_on_the_ground_below():
    view = camera(elevation=-40, look_height=0.5).view(np.zeros(3))
    bare = picture(NOTHING, view).astype(int)
    shaded = picture(capsules(([0, 0, 1], [0, 0, 1], 0.2, RED)), view).astype(int)
    darker = (bare - shaded > 15).all(axis=2)
    middle, _ = view.project(np.array([[0.35 / 0.8, 0.5 / 0.8, 0.0]]))  # the sun stands behind, to the left
    assert np.argwhere(darker).mean(axis=0)[::-1] == pytest.approx(middle[0], abs=3)
    assert darker.sum() > 60


def test_far_tiles_blur_into_one_grey():
    rows = picture(NOTHING, camera(elevation=-3, width=400).view(np.zeros(3))).astype(float)[..., 1]
    horizon = 80 - camera().view(np.zeros(3)).focal * np.tan(np.radians(3))
    assert rows[int(horizon) + 4].std() < 2 < rows[-10].std()


@pytest.mark.parametrize("body", BODIES)
def test_the_software_drawing_shows_the_torso_where_it_is(body, software):
    world = walker(body)
    for _ in range(5):
        world.step(world.action_space.low)
    world.camera.orbit(25, 10)
    rgb = world.render()
    data = world.simulation.data(0)
    torso, _ = world.camera.view(data.xpos[1]).project(data.geom_xpos[[1]])  # the first geom after the ground
    x, y = torso[0].astype(int)
    bare = picture(NOTHING, world.camera.view(data.xpos[1]))
    assert rgb.shape == (180, 240, 3) and rgb.dtype == np.uint8
    assert rgb[y, x].min() > 90 > bare[y, x].min()
    assert np.allclose(rgb[:5], bare[:5], atol=1), "the sky is no body's"
    assert 300 < body_pixels(rgb).sum() < 12000


def test_without_opengl_the_software_drawing_is_used_quietly(monkeypatch, capfd):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    for module in ("egl", "osmesa", "glfw"):
        monkeypatch.setitem(sys.modules, f"mujoco.{module}", None)
    monkeypatch.delattr("mujoco.GLContext", raising=False)
    refusal.cache_clear()
    try:
        world = walker("hopper")
        assert body_pixels(world.render()).any()
        assert world.pictures.backend == "software" and world.pictures.reason
    finally:
        refusal.cache_clear()
    assert capfd.readouterr() == ("", "")


def test_opengl_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    refusal.cache_clear()
    try:
        assert refusal() == "MUJOCO_GL=disable"
        with pytest.raises(NoOpenGLError, match=r"none \(MUJOCO_GL=disable\): unset MUJOCO_GL$"):
            walker("hopper").truth(("depth",))
    finally:
        refusal.cache_clear()


def test_a_platform_that_mujoco_cannot_be_imported_with_is_refused_in_one_line():
    code = """
from sim.catalog import make_world
from sim.errors import RequestError
for name in ("walker/hopper", "gym/Hopper-v5", "walker/hopper"):
    try:
        make_world(name)
    except RequestError as error:
        print(error)
"""
    environment = os.environ | {"MUJOCO_GL": "bogus"}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=60)
    line = 'MUJOCO_GL="bogus" is no OpenGL platform: unset it, or set egl, osmesa or disable'
    assert answer.stdout.decode().splitlines() == [line] * 3, answer.stderr.decode()


def test_a_platform_without_its_library_names_the_package(monkeypatch):
    for platform, package in (("osmesa", "libosmesa6"), ("egl", "libegl1")):
        monkeypatch.setenv("MUJOCO_GL", platform)
        told = engine.import_refusal(AttributeError("'NoneType' object has no attribute 'glGetError'"))
        assert told == (
            f"MUJOCO_GL={platform} needs its library: sudo apt-get install {package}, or unset MUJOCO_GL"
        )
    monkeypatch.delenv("MUJOCO_GL")
    assert "AttributeError: odd" in engine.import_refusal(AttributeError("odd"))


def test_the_camera_moves_the_picture(software):
    world = walker("humanoid")
    first = world.render()
    assert np.array_equal(first, world.render())
    world.camera.orbit(40, 0)
    turned = world.render()
    world.camera.orbit(-40, 0)
    assert np.array_equal(first, world.render())
    world.camera.orbit(0, 20)
    raised = world.render()
    assert (turned != first).mean() > 0.2 and (raised != first).mean() > 0.2
    world.camera.orbit(0, -20)
    world.camera.zoom(0.5)
    smaller = world.render()
    assert body_pixels(first).sum() / body_pixels(smaller).sum() == pytest.approx(4, rel=0.25)
    world.camera.width, world.camera.height = 100, 90
    assert world.render().shape == (90, 100, 3)


def test_the_camera_follows_over_the_ground(software):
    """After a kilometre the walker is still in the middle and the ground as sharp as at the start."""
    world = walker("walker2d")
    first = world.render()
    world.simulation.qpos[0, 0] += 1000.0
    assert np.abs(world.render().astype(int) - first).max() <= 3


def test_no_camera_and_no_place_breaks_the_drawing(software):
    world = walker("ant")
    generator = np.random.default_rng(0)
    for _ in range(60):
        azimuth, elevation = generator.uniform(-400, 400), generator.uniform(-95, 95)
        size = generator.integers(1, 90, 2)
        world.camera = Camera(
            azimuth, elevation, generator.uniform(0, 3), generator.uniform(-1, 2), *map(int, size)
        )
        assert world.render().shape == (size[1], size[0], 3)


def test_orbit_and_zoom_stop_at_their_ends():
    eye = camera()
    eye.orbit(0, 500)
    assert eye.elevation == -89
    eye.zoom(1e9)
    assert eye.distance == 0.5
    eye.zoom(1e-9)
    assert eye.distance == 50


needs_opengl = pytest.mark.skipif(bool(refusal()), reason=f"no OpenGL: {refusal()}")


@needs_opengl
@pytest.mark.parametrize(
    "body", [pytest.param(b, marks=[] if b in ("ant", "walker2d") else [pytest.mark.slow]) for b in BODIES]
)
def test_opengl_and_software_show_the_same_shape(body, block_opengl):
    world = walker(body)
    world.camera.elevation = -30  # no sky: its colours differ
    ours = body_pixels(world.render())
    assert world.pictures.backend == "opengl"
    world.close()
    block_opengl("blocked")
    theirs = body_pixels(world.render())
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.85


@needs_opengl
def test_opengl_pictures_are_made_by_any_one_thread_and_in_any_size():
    world = walker("ant")
    drawn = []
    thread = threading.Thread(target=lambda: drawn.append(world.render()))
    thread.start()
    thread.join()
    assert np.array_equal(drawn[0], world.render())
    world.camera.width, world.camera.height = 900, 700
    assert body_pixels(world.render()).any() and world.render().shape == (700, 900, 3)
    world.close()
    world.close()


@pytest.mark.skipif(bool(refusal()), reason="a sketch differs from a picture only where there is OpenGL")
def test_a_sketch_shows_what_the_picture_shows_wherever_the_walker_has_gone():
    world = walker("ant")
    for far in (0.0, 500.3):
        world.simulation.qpos[0, :2] += far
        whole, sketch = (drawn.astype(int) for drawn in (world.render(), world.sketch()))
        assert np.abs(whole - sketch).mean() < 3.0, f"{far} m away"
        assert np.abs(whole - np.roll(sketch, 40, axis=1)).mean() > 9.0
    world.close()
