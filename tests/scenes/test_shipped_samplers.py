"""Samplers that ship: each draws examples of the shape that its card tells, with every scheduler."""

from __future__ import annotations

import numpy as np
import pytest

from generative.diffusion.schedule import SCHEDULERS
from scenes.build.devices import chosen_device
from scenes.build.samplers import load_sampler
from scenes.data.sampler_data import build_sampler
from scenes.schema import load_scene, shipped_scenes
from sim.records import Condition, SampleOptions

SAMPLING = [name for name in shipped_scenes() if load_scene(name).sampler]


@pytest.mark.parametrize("name", SAMPLING)
def test_shipped_samplers_draw_what_their_cards_tell_of(name):
    scene = load_scene(name)
    if not scene.sampler[0].checkpoint:
        pytest.skip("ships untrained")
    model, card = build_sampler(scene, 0, chosen_device("cpu"))
    made = model.sample(2, Condition(), SampleOptions(steps=2), 0).values
    assert made.shape == (2, *card["spec"]["shape"]) and made.std() > 0


DIFFUSION = ("boards-diffusion", "cats", "digits-diffusion", "frames-diffusion", "frames-from-text")


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFUSION)
def test_every_scheduler_draws_what_a_shipped_diffusion_model_has_learned(name):
    scene = load_scene(name)
    model, _ = load_sampler(scene, 0, "cpu", scene.resolve(scene.sampler[0].checkpoint))
    brightness = {
        scheduler: model.sample(8, Condition(), SampleOptions(steps=20, scheduler=scheduler), 0).values.mean()
        for scheduler in SCHEDULERS
    }
    assert np.ptp(list(brightness.values())) < 15, brightness
