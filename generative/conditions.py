"""Validation of sampling conditions: labels, texts, frames, masks and latents, the same for every sampler."""

from __future__ import annotations

from collections.abc import Collection as Container
from dataclasses import fields

import numpy as np

from sim.fields import nearest
from sim.records import Array, Condition
from supervised.captions.grammar import split
from supervised.data.dataset import Spec


class ConditionError(ValueError):
    """A condition that a sampler does not support; the message names it and what is supported."""


def check_condition(condition: Condition, spec: Spec, honours: Container[str]) -> None:
    """Check that a sampler supports a condition.

    Args:
        condition: to check.
        spec: of the sampler's data.
        honours: the parts of a `Condition` that the sampler takes into account, such as ``{"label"}``.

    Raises:
        ConditionError: naming the part, and what is offered instead.

    >>> check_condition(Condition(label="pang"), Spec((8, 8, 3), ("pong", "freeway")), {"label"})
    Traceback (most recent call last):
    generative.conditions.ConditionError: there is no label "pang"; did you mean "pong"?
    """
    for field in fields(Condition):
        if getattr(condition, field.name) is not None and field.name not in honours:
            takes = ", ".join(sorted(honours)) or "no condition at all"
            raise ConditionError(f"this sampler takes no {field.name}; it takes {takes}")
    if condition.label is not None and condition.label not in spec.label_names:
        raise ConditionError(
            f'there is no label "{condition.label}"; {nearest(condition.label, spec.label_names)}'
        )
    if condition.text is not None:
        check_text(condition.text, spec)
    if condition.mask is not None and condition.frame is None:
        raise ConditionError("a mask needs a frame, the image of which it hides a part")
    if condition.frame is not None:
        _check_array("frame", condition.frame, spec.shape, np.uint8 if spec.pictures else np.float32)
    if condition.mask is not None:
        _check_array("mask", condition.mask, spec.shape[:2], np.bool_)
        if not condition.mask.any():
            raise ConditionError("the mask is empty: there is nothing to inpaint")


def check_text(text: str, spec: Spec) -> None:
    """Check that all words of a text are in the vocabulary of the captions.

    Raises:
        ConditionError: naming the first that is not, and its nearest ones.
    """
    if not spec.words:
        raise ConditionError("this sampler takes no text: its data has no captions")
    said = split(text)
    if not said:
        raise ConditionError(f'there is no word in the text "{text}"')
    for word in said:
        if word not in spec.words:
            raise ConditionError(f'text: no caption has the word "{word}"; {nearest(word, spec.words)}')


def latents_of(condition: Condition, n: int, width: int) -> Array | None:
    """Latents (n, `width`) float32 of a condition; None if it has none.

    Raises:
        ConditionError: if they are neither one vector nor n.
    """
    if condition.latent is None:
        return None
    latents = np.asarray(condition.latent, np.float32)
    if latents.shape not in ((width,), (n, width)):
        raise ConditionError(f"latent must have shape ({width},) or ({n}, {width}), not {latents.shape}")
    return np.broadcast_to(latents, (n, width))


def _check_array(name: str, array: Array, shape: tuple[int, ...], kind: type[np.generic]) -> None:
    if array.shape != shape:
        sizes = " × ".join(map(str, shape)), " × ".join(map(str, array.shape))
        raise ConditionError(f"the {name} is {sizes[1]}, it must be {sizes[0]}")
    if array.dtype != kind:
        raise ConditionError(f"the {name} must be {np.dtype(kind)}, not {array.dtype}")
