"""One pinhole for keypoints, software and MuJoCo: where it says a point lies, pictures show it."""

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from sim.walker.camera import Camera, Viewpoint, Viewpoints  # noqa: E402
from sim.walker.rendering.opengl import SKY, OpenGLDrawing, refusal  # noqa: E402
from sim.walker.reward import BODIES  # noqa: E402

needs_opengl = pytest.mark.skipif(bool(refusal()), reason=f"no OpenGL: {refusal()}")

BALL = """<body pos="{} {} {}"><geom type="sphere" size="0.06"/></body>"""
SPREAD = [(x, y, z) for x in (-0.8, 0.7) for y in (-0.6, 0.5) for z in (0.4, 1.5)]


@pytest.fixture
def balls():
    """Eight small spheres that hide nothing of each other, and MuJoCo's eye on them."""
    bodies = "".join(BALL.format(*place) for place in SPREAD)
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{bodies}</worldbody></mujoco>")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    drawing = OpenGLDrawing(model)
    yield data, drawing
    drawing.close()


@needs_opengl
@pytest.mark.parametrize(("azimuth", "elevation", "size"), [(70, -8, (256, 256)), (200, -35, (320, 200))])
def test_projections_lie_in_the_middle_of_what_mujoco_draws(azimuth, elevation, size, balls):
    data, drawing = balls
    camera = Camera(azimuth, elevation, 4.5, 0.9, *size)
    geoms, depth = drawing.survey(data, camera)
    pixels, ahead = camera.view(data.xpos[1]).project(data.geom_xpos)
    whole = 0
    for ball in range(len(SPREAD)):
        rows, columns = np.nonzero(geoms == ball)
        if not (0 < rows.min() and rows.max() < size[1] - 1):  # cut by the edge
            continue
        centroid = columns.mean() + 0.5, rows.mean() + 0.5
        assert centroid == pytest.approx(pixels[ball], abs=0.2)
        assert depth[rows, columns].min() == pytest.approx(ahead[ball] - 0.06, abs=3e-3)  # m
        whole += 1
    assert whole >= 6
    assert np.array_equal(np.isnan(depth), geoms == SKY) and (geoms == SKY).any()


def test_the_cameras_frame_is_right_down_ahead():
    view = Camera(90, 0, 4, 1, 100, 80).view(np.zeros(3))  # stands 4 m towards −y, 1 m high
    assert view.locate(np.array([[0.3, 0.0, 1.2], [0.0, 1.0, 0.0]])) == pytest.approx(
        np.array([[0.3, -0.2, 4.0], [0.0, 1.0, 5.0]])
    )


def test_projecting_is_dividing_by_what_lies_ahead():
    view = Camera(33, -20, 3, 0.5, 120, 90).view(np.array([2.0, -1.0, 0.0]))
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3)) + [2, -1, 0.5]
    located = view.locate(points)
    pixels, depth = view.project(points)
    assert depth == pytest.approx(located[:, 2]) and (depth > 0).all()
    back = (pixels - [60, 45]) / view.focal * depth[:, None]
    assert back == pytest.approx(located[:, :2])
    assert np.linalg.norm(located, axis=1) == pytest.approx(np.linalg.norm(points - view.origin, axis=1))


@pytest.mark.parametrize("body", BODIES)
def test_drawn_viewpoints_fill_their_ranges_and_repeat_with_their_seed(body):
    ranges = Viewpoints(azimuth=(10, 50), elevation=(-30, -20), distance=(0.5, 2), look_height=(-0.1, 0.2))
    generator = np.random.default_rng(4)
    drawn = [ranges.draw(body, generator) for _ in range(200)]
    again = np.random.default_rng(4)
    assert drawn == [ranges.draw(body, again) for _ in range(200)]
    usual = Viewpoint.facing(body)
    columns = {
        "azimuth": [v.azimuth for v in drawn],
        "elevation": [v.elevation for v in drawn],
        "distance": [v.distance / usual.distance for v in drawn],
        "look_height": [v.look_height - usual.look_height for v in drawn],
    }
    for name, values in columns.items():
        low, high = getattr(ranges, name)
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high


@pytest.mark.parametrize("body", BODIES)
def test_the_usual_ranges_stay_above_the_ground(body):
    generator = np.random.default_rng(0)
    for _ in range(100):
        camera = Viewpoints().draw(body, generator).camera(64, 64)
        assert camera.view(np.zeros(3)).origin[2] > 0.2  # m


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ({"azimuth": (5, 4)}, "azimuth"),
        ({"distance": (0.0, 1)}, "distance"),
        ({"elevation": (-91, 0)}, "elevation"),
        ({"look_height": (float("nan"), 1)}, "look_height"),
    ],
)
def test_ranges_without_a_viewpoint_are_refused(ranges, says):
    with pytest.raises(ValueError, match=says):
        Viewpoints(**ranges)
