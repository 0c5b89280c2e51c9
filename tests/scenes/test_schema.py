"""Scene files: the strict loader, `--set`, and errors that name file, key and nearest name."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from scenes.build.agents import scene_agent, scene_world
from scenes.schema import SceneError, Train, holds_path, load_scene, make_scene, shipped_scenes
from sim.errors import RequestError

WHOLE = """
title = "A scene"
seed = 3
[world]
use = "atari/pong"
num_envs = 16
frame_skip = 2
[agent]
use = "ppo"
checkpoint = "here/pong"
gamma = 0.9
[[perception]]
use = "detector"
origin = "noisy truth"
[[sampler]]
use = "diffusion"
feed = "reset"
[train]
env_steps = 10_000
[view]
fps = 30
"""


@pytest.fixture
def write(tmp_path):
    def writer(text: str, name: str = "own.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return writer


def test_every_key_arrives(write, tmp_path):
    scene = load_scene(write(WHOLE))
    assert (scene.title, scene.name, scene.seed) == ("A scene", "own", 3)
    assert scene.world.num_envs == 16
    assert scene.perception[0].origin == "noisy truth"
    assert scene.sampler[0].feed == "reset"
    assert scene.train == Train(env_steps=10_000)
    assert scene.view.fps == 30
    assert scene.resolve(scene.agent.checkpoint) == tmp_path / "here" / "pong"
    assert scene_world(scene).frame_skip == 2
    assert scene_agent(scene).gamma == 0.9


def test_a_scene_needs_no_world(write):
    scene = load_scene(write('title = "Words"'))
    assert scene.world is None
    with pytest.raises(SceneError, match=r"own.toml has no \[world\]"):
        scene_world(scene)


def test_set_changes_keys_of_every_kind(write):
    changes = ["agent.gamma=0.5", "perception.0.origin=truth", "title=Other words", "train.env_steps=7"]
    scene = load_scene(write(WHOLE), changes, seed=9)
    assert scene_agent(scene).gamma == 0.5
    assert (scene.perception[0].origin, scene.title) == ("truth", "Other words")
    assert (scene.train.env_steps, scene.seed) == (7, 9)


def test_the_resolved_scene_loads_again_and_is_the_same(write, tmp_path):
    scene = load_scene(write(WHOLE), ["agent.gamma=0.5"], seed=9)
    (tmp_path / "elsewhere").mkdir()
    again = load_scene(write(scene.toml(), "elsewhere/scene.toml"))
    assert (again.seed, again.world, again.train) == (9, scene.world, scene.train)
    assert scene_agent(again) == scene_agent(scene)
    assert again.resolve(again.agent.checkpoint) == scene.resolve(scene.agent.checkpoint)


def test_whatever_is_changed_of_a_scene_is_what_is_written(write, tmp_path):
    scene = load_scene(write(WHOLE))
    changed = replace(
        scene,
        seed=4,
        agent=replace(scene.agent, fields=scene.agent.fields | {"gamma": 0.25}),
        perception=(replace(scene.perception[0], smoothing=0.5, graded_by=None),),
        train=replace(scene.train, env_steps=7),
        view=replace(scene.view, fps=9),
    )
    again = load_scene(write(changed.toml(), "again.toml"))
    for key in ("title", "seed", "world", "agent", "perception", "sampler", "train", "view"):
        assert getattr(again, key) == getattr(absolute(changed), key), key
    assert load_scene(str(again.source)).toml() == again.toml() == changed.toml()


def absolute(scene):
    """A scene whose files are named by their whole paths, as `toml` writes them."""

    def whole(path):
        return path and str(scene.resolve(path))

    def table(one):
        paths = [key for key in ("checkpoint", "graded_by") if hasattr(one, key)]
        fields = {key: whole(value) if holds_path(key) else value for key, value in one.fields.items()}
        return replace(one, fields=fields, **{key: whole(getattr(one, key)) for key in paths})

    tables = {key: tuple(map(table, getattr(scene, key))) for key in ("perception", "sampler")}
    single = {key: table(one) for key in ("world", "agent") if (one := getattr(scene, key))}
    return replace(scene, **single, **tables)


@pytest.mark.parametrize("name", shipped_scenes())
def test_every_shipped_scene_is_the_same_by_what_is_written_of_it(write, name):
    scene = load_scene(name)
    again = load_scene(write(scene.toml()))
    assert again.toml() == scene.toml()
    for key in ("world", "agent", "perception", "sampler", "train", "view"):
        assert getattr(again, key) == getattr(absolute(scene), key), key


def test_making_a_scene_leaves_what_a_file_says_as_it_was(tmp_path):
    raw = {"title": "a", "agent": {"use": "ppo"}}
    make_scene(raw, tmp_path / "a.toml", ["agent.gamma=0.5", "world.use=atari/pong"], seed=3)
    assert raw == {"title": "a", "agent": {"use": "ppo"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "own.toml is not TOML"),
        (b"title = '\xff'", "own.toml is not UTF-8 text: byte 9"),
        ("seed = 1", 'own.toml: the key "title" is missing'),
        ("title = 3", "own.toml: title must be a string, not 3"),
        ('title = "a"\nsead = 1', 'unknown key "sead"; did you mean "seed"'),
        ('title = "a"\nseed = -1', "seed must be in 0…2,147,483,647, not -1"),
        ('title = "a"\nseed = 2147483648', "seed must be in 0…2,147,483,647, not 2147483648"),
        ('title = "a"\nworld = 3', r"\[world\] must be a table"),
        ('title = "a"\n[world]\nnum_envs = 2', r'\[world\]: the key "use" is missing'),
        ('title = "a"\n[world]\nuse = "chess"\nnum_envs = 0', "num_envs must be in 1…16,384, not 0"),
        ('title = "a"\n[world]\nuse = "chess"\nnum_envs = "2"', 'num_envs must be a whole number, not "2"'),
        ('title = "a"\n[perception]\nuse = "x"', r"must be written \[\[perception\]\]"),
        ('title = "a"\n[[perception]]\nuse = "x"\nfeed = "ear"', "feed must be one of overlay, agent"),
        ('title = "a"\n[train]\nenv_steps = 0', "env_steps must be at least 1"),
        ('title = "a"\n[train]\nenv_steps = 1\nupdates = 1', "env_steps or updates, not both"),
        ('title = "a"\n[train]\nenv_step = 1', 'unknown key "env_step"; did you mean "env_steps"'),
        ('title = "a"\n[view]\nfps = 0', "fps must be in 1…1000"),
        ('title = "a"\n[view]\nfps = true', "fps must be a whole number, not true"),
    ],
)
def test_bad_scenes_are_refused_with_file_key_and_mend(write, text, words):
    with pytest.raises(SceneError, match=words):
        load_scene(write(text))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("agent.gama=0.5", r'own.toml, \[agent\]: unknown key "gama"; did you mean "gamma"'),
        ("agent.gamma=high", 'gamma must be a number, not "high"'),
        ("agent.gamma=1.5", r"gamma must be in \[0, 1\]"),
        ("agent.gamma=nan", "gamma must be a finite number"),
        ("agent.precision=float16", "precision must be one of auto, float32, bfloat16"),
        ("agent.use=ppp", 'there is no agent "ppp"; did you mean "ppo"'),
        ("world.use=atari/pnog", 'there is no world "atari/pnog"; did you mean "atari/pong"'),
        ("world.sticky=0", r'own.toml, \[world\]: unknown key "sticky"'),
        ("gamma", "--set wants key.path=value"),
        ("perception.1.use=x", "not one of the items 0…0"),
        ("title.a=1", '"title" is not a table'),
    ],
)
def test_bad_changes_are_refused(write, change, words):
    with pytest.raises(RequestError, match=words):
        scene = load_scene(write(WHOLE), [change])
        scene_world(scene)
        scene_agent(scene)


def test_unknown_scenes_name_the_nearest():
    with pytest.raises(SceneError, match='there is no scene "pnog"; did you mean "pong"'):
        load_scene("pnog")
    with pytest.raises(SceneError, match="there is no scene file nowhere.toml"):
        load_scene("nowhere.toml")
    with pytest.raises(SceneError, match="/ is a folder, not a scene file"):
        load_scene("/")
    with pytest.raises(SceneError, match="/dev/zero is a device, not a scene file"):
        load_scene("/dev/zero")


def test_shipped_scenes_are_found_by_name():
    assert {"pong", "breakout", "cartpole"} <= set(shipped_scenes())
    assert load_scene("pong").name == "pong"


def test_it_knows_how_it_was_asked_for(tmp_path):
    file = tmp_path / "my own.toml"
    file.write_text('title = "Mine"\n[world]\nuse = "cartpole"\n')
    assert load_scene("cartpole").asked() == "cartpole"
    own = load_scene(str(file), ["agent.use=random", "title=A b"])
    assert shlex.split(own.asked()) == [str(file), "--set", "agent.use=random", "--set", "title=A b"]
