"""Construction of a scene's agent and worlds: the network of a checkpoint, and seeding intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scenes.build.agents import build_policy, scene_agent, scene_world, with_checkpoint_network
from scenes.schema import load_scene
from scenes.training.agents import AgentTrainee
from scenes.watching.scene_show import SceneShow
from sim.storage.checkpoints import CheckpointError, load_checkpoint


@pytest.fixture
def scene(tmp_path):
    """A recipe that has moved on since its weights were trained."""
    shipped = load_scene("pong-hour")
    weights = shipped.resolve(shipped.agent.checkpoint)
    file = tmp_path / "own.toml"
    file.write_text(
        f'title = "Own"\n[world]\nuse = "atari/pong"\n'
        f'[agent]\nuse = "pqn"\nnetwork = "nature"\ndueling = true\nema = 0.5\ncheckpoint = "{weights}"\n'
    )
    return load_scene(str(file))


def test_weights_are_played_by_the_network_that_they_belong_to(scene):
    world = scene_world(scene)
    worlds = world.make_batch(1, 0)
    policy, _ = build_policy(scene, worlds, world, "cpu")
    worlds.close()
    made = policy.config
    assert (made.network, made.dueling, policy.network.value) == ("small", False, None)
    assert made.ema == 0.5, "all else is the scene's"


def test_an_agent_with_normalised_pixels_plays_in_a_scene_without():
    own, quick = load_scene("pong"), load_scene("pong-quick")
    world = scene_world(own)
    worlds = world.make_batch(1, 0)
    obs, info = worlds.reset()
    moved = replace(own, agent=replace(own.agent, checkpoint=str(quick.resolve(quick.agent.checkpoint))))
    played = [build_policy(each, worlds, world, "cpu")[0].act(obs, info)[0] for each in (moved, quick)]
    worlds.close()
    assert (played[0].probabilities == played[1].probabilities).all()
    assert played[0].value == played[1].value, "standardised values are shown as returns in both"


def test_what_moves_such_a_player_can_be_told(scene):
    show = SceneShow(scene, device="cpu")
    maps = show.start(7).attribution(False)
    show.close()
    assert maps.shape == (2, 84, 84) and maps.max() > 0


def test_a_card_that_tells_of_no_network_is_refused_by_its_name(scene):
    whole = load_checkpoint(scene.resolve(scene.agent.checkpoint))
    odd = replace(whole, card={**whole.card, "config": {"network": "huge"}})
    with pytest.raises(CheckpointError, match=r'pong-hour/card\.toml: network must be one of .* not "huge"'):
        with_checkpoint_network(scene, scene_agent(scene), odd)


def test_only_training_seeds_its_consoles_rarely(scene):
    trainee = AgentTrainee(scene, "cpu", None)
    own = scene_world(scene).make_batch(1, 0)
    assert (trainee._worlds.seed_every, own.seed_every) == (4_000, 0)
    trainee.close()
    own.close()
