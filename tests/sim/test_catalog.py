"""Worlds by name: near misses, missing packages, gymnasium's own way in."""

import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sim.catalog import (
    WORLDS,
    CatalogError,
    MissingPackageError,
    install_hint,
    load,
    make_world,
    make_worlds,
    world_config,
    world_names,
)
from sim.errors import RequestError
from sim.fields import FieldError
from sim.gym_worlds import GymWorld
from sim.vector import ActionError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("atari/pongg", 'there is no world "atari/pongg"; did you mean "atari/pong"'),
        ("atari/Breakout", 'did you mean "atari/breakout"'),
        ("gym/CartPole", 'there is no world "gym/CartPole"; did you mean "gym/CartPole-v'),
        ("gym/cartpole-v1", 'did you mean .*"gym/CartPole-v1"'),
        ("attari/pong", 'there is no world "attari"; did you mean "atari"'),
        ("", 'there is no world ""; '),
        ("atari/", 'there is no world "atari/"'),
        ("atari/../roms/pong", "there is no world"),
        ("gym/playfield/atari-pong", "there is no world"),
    ],
)
def test_an_unknown_world_names_its_neighbours(name, message):
    for make in (make_world, make_worlds):
        with pytest.raises(CatalogError, match=message) as caught:
            make(name)
        assert isinstance(caught.value, RequestError) and "\n" not in str(caught.value)


def test_unknown_keys_and_a_family_without_its_variant_are_named():
    with pytest.raises(
        FieldError, match='world "gym/CartPole-v1": unknown key "kwarg"; did you mean "kwargs"'
    ):
        make_world("gym/CartPole-v1", kwarg={})
    with pytest.raises(FieldError, match='world "atari": the key "game" is missing'):
        make_world("atari")
    with pytest.raises(FieldError, match=r'^pong.toml, \[world\]: unknown key "num_enws"'):
        world_config("atari/pong", {"num_enws": 1}, "pong.toml, [world]")


def test_a_config_knows_its_own_name_and_fields():
    config = world_config("gym/CartPole-v1", {"kwargs": {"sutton_barto_reward": True}})
    assert config == GymWorld("CartPole-v1", {"sutton_barto_reward": True})
    assert config.name == "gym/CartPole-v1"
    assert config.protocol() == {
        "world": "gym/CartPole-v1",
        "kwargs.sutton_barto_reward": "True",
        "gymnasium": gymnasium.__version__,
    }
    world = config.make(0)
    world.reset()
    assert world.step(0)[1] == 0.0, "the environment's own keys reach it"
    worlds = config.make_batch(2, 0)
    worlds.reset()
    assert worlds.step(np.zeros(2, np.int64))[1].tolist() == [0, 0]


def test_every_name_that_is_listed_can_be_configured():
    names = world_names()
    assert len(set(names)) == len(names)
    assert {"atari/pong", "gym/CartPole-v1", "gym/Pendulum-v1"} <= set(names)
    assert not any("playfield/" in name for name in names)
    families = {name: load(WORLDS, name, "world") for name in WORLDS}
    variants = {family: set(cls.variants()) for family, cls in families.items()}
    for name in names:
        family, slash, variant = name.partition("/")
        assert not slash or variant in variants[family], name


def test_a_missing_package_gives_the_line_that_mends_it_and_hurts_only_its_own():
    catalog = {"mine": "tests_catalog_missing:Thing", "json": "json:dumps"}
    with pytest.raises(MissingPackageError) as caught:
        load(catalog, "mine", "agent")
    needed = 'the package tests_catalog_missing: python -m pip install "tests_catalog_missing"'
    assert str(caught.value) == f'agent "mine" needs {needed}'
    assert isinstance(caught.value, RequestError)
    assert load(catalog, "json", "agent") is json.dumps
    assert install_hint("ale_py").startswith('the package ale-py: python -m pip install "ale-py>=')
    assert install_hint("pygame").startswith('the package pygame-ce: python -m pip install "pygame-ce>=')
    assert install_hint("torch.nn").startswith('the package torch: python -m pip install "torch<')


def test_atari_without_ale_py_says_what_to_install():
    code = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.startswith("ale_py") else find(name, *rest)
from sim import catalog
assert not any(name.startswith("atari/") for name in catalog.world_names())
assert catalog.make_world("gym/CartPole-v1").reset()[0].shape == (4,)
try:
    catalog.make_world("atari/pong")
except catalog.MissingPackageError as error:
    print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith('world "atari" needs the package ale-py: python -m pip install "ale-py>=')


def test_a_bug_of_our_own_is_not_called_a_missing_package():
    with pytest.raises(ModuleNotFoundError) as caught:
        load({"mine": "sim.no_such_module:Thing"}, "mine", "agent")
    assert not isinstance(caught.value, RequestError)


def test_an_environment_that_lacks_a_package_says_so():
    def incomplete(render_mode=None):
        import tests_catalog_absent  # noqa: F401

    def undressed(render_mode=None):
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed: pip install box2d")

    gymnasium.register("tests/Incomplete-v0", entry_point=incomplete)
    gymnasium.register("tests/Undressed-v0", entry_point=undressed)
    for make in (make_world, make_worlds):
        with pytest.raises(
            MissingPackageError, match='gym/tests/Incomplete-v0: it needs .*pip install "tests_catalog_'
        ):
            make("gym/tests/Incomplete-v0")
        with pytest.raises(MissingPackageError, match="gym/tests/Undressed-v0: .*pip install box2d"):
            make("gym/tests/Undressed-v0")
    for name in ("tests/Incomplete-v0", "tests/Undressed-v0"):
        del gymnasium.registry[name]


def test_what_an_environment_lacks_is_named_by_its_package_wherever_in_the_chain():
    class Undrawn(gymnasium.Env):
        metadata = {"render_modes": ["rgb_array"]}
        observation_space = action_space = gymnasium.spaces.Discrete(2)

        def __init__(self, render_mode=None):
            self.render_mode = render_mode

        def render(self):
            try:
                import tests_catalog_absent  # noqa: F401
            except ImportError as error:
                raise gymnasium.error.DependencyNotInstalled("run `pip install something[else]`") from error

    gymnasium.register("tests/Undrawn-v0", Undrawn, order_enforce=False, disable_env_checker=True)
    with pytest.raises(MissingPackageError) as caught:
        make_world("gym/tests/Undrawn-v0").render()
    needed = 'the package tests_catalog_absent: python -m pip install "tests_catalog_absent"'
    assert str(caught.value) == f"pictures of gym/tests/Undrawn-v0: it needs {needed}"
    del gymnasium.registry["tests/Undrawn-v0"]


def test_mujoco_environments_draw_without_a_window_and_beside_each_other(monkeypatch):
    from sim.walker.rendering.opengl import refusal

    monkeypatch.delenv("DISPLAY", raising=False)
    if refusal():
        with pytest.raises(RequestError, match="need OpenGL, and here is none"):
            make_world("gym/Hopper-v5").render()
        return

    names = ("InvertedPendulum-v5", "InvertedDoublePendulum-v5")
    worlds = [make_world(f"gym/{name}", kwargs={"width": 64, "height": 64}) for name in names]
    for world in worlds:
        world.reset(seed=0)
    first = [world.render() for world in worlds]
    assert all(rgb.shape == (64, 64, 3) and len(np.unique(rgb)) > 20 for rgb in first)
    for world, rgb in zip(worlds, first, strict=True):
        np.testing.assert_array_equal(world.render(), rgb)


@pytest.mark.parametrize("name", ["playfield/atari-pong", "sim.catalog:playfield/atari-pong"])
def test_every_world_is_registered_with_gymnasium(name):
    env = gymnasium.make(name, seed=3, max_frames=400)
    mine = make_world("atari/pong", seed=3, max_frames=400)
    (obs, info), (wanted, wanted_info) = env.reset(), mine.reset()
    np.testing.assert_array_equal(obs, wanted)
    assert info == wanted_info
    for action in [2, 3, 0] * 4:
        (obs, *rest), (wanted, *wanted_rest) = env.step(action), mine.step(action)
        np.testing.assert_array_equal(obs, wanted)
        assert rest == wanted_rest
    assert env.render().shape == (210, 160, 3)
    env.close()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        # by default Stable-Baselines3's checker looks at it, in tests/agents/test_sb3.py
        pytest.param("atari-pong", {"frame_skip": 2}, marks=pytest.mark.slow),
        pytest.param("atari-breakout", {"observation": "ram"}, marks=pytest.mark.slow),
        ("walker-hopper", {"width": 64, "height": 48}),
        pytest.param("walker-humanoid", {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:.*A Box observation space m.*infinity")  # as gymnasium's own walkers
def test_worlds_without_a_mask_pass_gymnasiums_own_checker(name, fields):
    env = gymnasium.make(f"playfield/{name}", render_mode="rgb_array", disable_env_checker=True, **fields)
    check_env(env.unwrapped)
    env.close()


def test_gymnasiums_keywords_are_its_own():
    env = gymnasium.make("playfield/chess", render_mode="rgb_array", max_episode_steps=2, colour="white")
    assert env.render_mode == "rgb_array"
    _, info = env.reset(seed=1)
    assert env.render().shape == (480, 480, 3) and env.render().dtype == np.uint8
    cut = []
    for _ in range(2):
        *_, truncated, info = env.step(int(np.flatnonzero(info["action_mask"])[0]))
        cut.append(truncated)
    assert cut == [False, True], "a time limit of gymnasium's"
    env = gymnasium.make("playfield/chess", render_mode=None, disable_env_checker=False)
    assert env.render_mode is None and isinstance(env, gymnasium.wrappers.PassiveEnvChecker)
    with (
        pytest.warns(UserWarning, match="not in the possible render_modes"),
        pytest.raises(FieldError, match='render_mode must be "rgb_array" or "human", not "ansi"'),
    ):
        gymnasium.make("playfield/chess", render_mode="ansi")
    with pytest.warns(UserWarning, match="HumanRendering wrapper is being applied"):
        env = gymnasium.make("playfield/chess", render_mode="human")
    assert isinstance(env, gymnasium.wrappers.HumanRendering)
    with pytest.raises(FieldError, match='unknown key "color"; did you mean "colour"'):
        gymnasium.make("playfield/chess", color="white")


def test_gymnasium_batches_the_registered_worlds():
    batch = gymnasium.make_vec("playfield/chess-kqk", num_envs=2, render_mode="rgb_array", max_plies=9)
    obs, info = batch.reset(seed=5)
    for i in range(2):
        wanted, told = make_world("chess/kqk", max_plies=9).reset(seed=5 + i)
        np.testing.assert_array_equal(obs[i], wanted)
        np.testing.assert_array_equal(info["action_mask"][i], told["action_mask"])
    assert [rgb.shape for rgb in batch.render()] == [(480, 480, 3)] * 2


def test_a_world_with_masks_names_them_where_a_checker_plays_blindly():
    env = gymnasium.make("playfield/chess", disable_env_checker=True)
    env.action_space.seed(0)
    with pytest.raises(ActionError, match=r'info\["action_mask"\] .* sb3-contrib\'s MaskablePPO'):
        check_env(env.unwrapped)


def test_the_names_are_found_without_importing_the_simulators():
    code = """
import sys
from sim.catalog import world_names
print(len(world_names()), *{"ale_py", "torch", "pygame", "mujoco"} & set(sys.modules))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    count, *imported = answer.stdout.split()
    assert imported == [] and int(count) > 104, answer.stderr


def test_a_single_world_uses_its_seed_once():
    world, other = make_world("gym/CartPole-v1", seed=3), make_world("gym/CartPole-v1", seed=3)
    first, second = world.reset()[0], world.reset()[0]
    np.testing.assert_array_equal(first, other.reset()[0])
    assert (first != second).any()
    np.testing.assert_array_equal(world.reset(seed=3)[0], first)
    assert world.action_names == ("LEFT", "RIGHT")
    assert make_world("gym/FrozenLake-v1").action_names == ("LEFT", "DOWN", "RIGHT", "UP")
    assert make_world("gym/tests/Masked-v0").action_names == tuple(f"ACTION {i}" for i in range(5))
    assert make_world("gym/Pendulum-v1").action_names == ()


def test_names_that_gymnasium_keeps_of_what_has_moved_are_no_worlds():
    assert "Humanoid-v2" in gymnasium.registry
    assert "gym/Humanoid-v2" not in world_names() and "gym/Humanoid-v5" in world_names()
    with pytest.raises(CatalogError, match="Humanoid-v5"):
        world_config("gym/Humanoid-v2", {})
