"""Conformance tests of the interfaces of perceptions and samplers; `sim.conformance` has those of worlds.

`check_perception` takes a model and inputs of its kind, `check_sampler` a model and examples. Both raise
`sim.conformance.ConformanceError` with the culprit and the rule that it breaks. Knows no torch and no pytest.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sim.conformance import SEED, require, same
from sim.percept_kind import field_of
from sim.percept_kinds import PERCEPT_KINDS, kinds_in
from sim.protocols import READS, Decodes, Encodes, HasLikelihood, PerceptionModel, SamplerModel, Traces
from sim.records import Array, Condition, Percept, SampleOptions


def check_perception(
    model: PerceptionModel, inputs: Sequence[Any], tells: str = "boxes", names: Sequence[str] = ()
) -> None:
    """Check a perception against its interface on these inputs.

    Args:
        model: whatever it reads.
        inputs: of that kind, such as pictures (H, W, 3) uint8 of any sizes.
        tells: the kind of percept that it tells, of `sim.percept_kinds`.
        names: the class names that it was built for.

    Raises:
        ConformanceError: naming the model and the first rule that it breaks.
    """
    require(model.reads in READS, model, f"it reads one of {', '.join(READS)}")
    before = copy.deepcopy(list(inputs))
    percepts = model.perceive(inputs)
    require(len(percepts) == len(inputs), model, "one percept an input")
    for given, kept in zip(inputs, before, strict=True):
        same = np.array_equal(given, kept) if isinstance(kept, np.ndarray) else given == kept
        require(bool(same), model, "perceiving leaves its inputs alone")
    require(model.perceive([]) == [], model, "of nothing nothing is seen")
    alone = [model.perceive([given])[0] for given in inputs]
    for given, percept, other in zip(inputs, percepts, alone, strict=True):
        require(percept.origin == "model", model, "a model says that it is one")
        _check_alike(model, percept, other)
        require(tells in kinds_in(percept), model, f"it tells {tells}")
        size = given.shape[:2] if model.reads == "rgb" else (0, 0)
        for kind in kinds_in(percept):
            for holds, rule in PERCEPT_KINDS[kind].rules(percept, size, names):
                require(holds, model, rule)
    weights = model.weights()
    model.load_weights(weights)
    for name, array in model.weights().items():
        require(np.array_equal(array, weights[name]), model, "weights are given and taken unchanged")


def _check_alike(model: PerceptionModel, percept: Percept, other: Percept) -> None:
    """Check that names and texts are the same; numbers may differ by rounding."""
    for name in {name for kind in PERCEPT_KINDS.values() for name in kind.fields}:
        one, two = field_of(percept, name), field_of(other, name)
        if not isinstance(one, np.ndarray | Mapping) and not isinstance(two, np.ndarray | Mapping):
            require(one == two, model, "an input is seen alike alone and among others")


def check_sampler(model: SamplerModel, values: Array, options: SampleOptions | None = None) -> None:
    """Check a sampler against its interface.

    Args:
        model: fitted or fresh.
        values: (n, …) examples of the kind that it makes, at least two.
        options: how it samples; few steps are enough.

    Raises:
        ConformanceError: naming the model and the first rule that it breaks.
    """
    options = options or SampleOptions(steps=2)
    free = Condition()
    samples = model.sample(3, free, options, SEED)
    made = samples.values
    _check_made(model, made, 3)
    require(samples.seed == SEED and samples.condition == free, model, "samples tell seed and condition")
    same(model, model.sample(3, free, options, SEED).values, made, "the same seed gives the same samples")
    other = model.sample(3, free, options, SEED + 1).values
    require(not np.array_equal(other, made), model, "another seed gives other samples")
    for condition, culprit in (
        (Condition(label="no such label"), "label"),
        (Condition(text="xyzzy"), "text"),
    ):
        words = _refused(model, condition, options)
        require(culprit in words, model, f"a {culprit} that it does not know is refused by name")
    weights = model.weights()
    model.load_weights(weights)
    for name, array in model.weights().items():
        require(np.array_equal(array, weights[name]), model, "weights are given and taken unchanged")
    same(model, model.sample(3, free, options, SEED).values, made, "weights are all that sampling needs")
    _check_abilities(model, values, made, options)


def _check_abilities(model: SamplerModel, values: Array, made: Array, options: SampleOptions) -> None:
    """Check the optional interfaces, of the samplers that have them."""
    before = values.copy()
    if isinstance(model, Traces):
        *_, last = model.trace(len(made), Condition(), options, SEED)
        same(model, last, made, "a trace ends in the sample")
    if isinstance(model, HasLikelihood):
        bits = model.bits_per_dim(values)
        typed = bits.shape == (len(values),) and bits.dtype == np.float64
        require(typed and bool(np.isfinite(bits).all()), model, "bits per dimension are finite float64 (n,)")
    if isinstance(model, Encodes):
        latents = model.encode(values)
        typed = latents.ndim == 2 and len(latents) == len(values) and latents.dtype == np.float32
        require(typed, model, "latents are float32 (n, L)")
        _check_made(model, model.decode(latents), len(values))
    elif isinstance(model, Decodes):
        given = Condition(latent=np.zeros((1, _latents(model)), np.float32))
        decoded = model.decode(np.asarray(given.latent))
        _check_made(model, decoded, 1)
    same(model, values, before, "examples are read, not written")


def _latents(model: Any) -> int:
    """The dimension of a decoder's latent space, from its configuration."""
    return int(model.config.latents)


def _check_made(model: SamplerModel, made: Array, n: int) -> None:
    shape = tuple(model.spec.shape)
    kind = np.float32 if len(shape) == 1 else np.uint8  # of vectors; of images and of maps of classes
    require(made.shape == (n, *shape), model, f"samples have shape {(n, *shape)}, not {made.shape}")
    require(made.dtype == kind, model, f"samples are {np.dtype(kind)}, not {made.dtype}")
    require(bool(np.isfinite(made).all()), model, "samples are finite")


def _refused(model: SamplerModel, condition: Condition, options: SampleOptions) -> str:
    """The error message of a sampler that refuses a condition; empty if it does not refuse."""
    try:
        model.sample(1, condition, options, SEED)
    except ValueError as error:
        return str(error)
    return ""
