"""What the tests of scenes share."""

import hashlib

import pytest

#: Features of pictures by encoder and content, see `remembered_features`.
FEATURES = {}


@pytest.fixture
def few(monkeypatch):
    """`few(module, NAME=number, …)` makes the usual amounts of a module small: a verb then takes no time."""

    def amounts(module, **numbers):
        for name, number in numbers.items():
            monkeypatch.setattr(module, name, number)

    return amounts


@pytest.fixture
def remembered_features(monkeypatch):
    """Encoders encode no pictures that an earlier test had encoded: data sets come again and again."""
    from generative.metrics.encoder import EncoderModel, RandomEncoder

    def remembering(encode):
        def remembered(encoder, pictures):
            content = hashlib.sha256(pictures.tobytes()).digest()
            key = (*encoder.stamp().items(), pictures.shape, content)
            if key not in FEATURES:
                FEATURES[key] = encode(encoder, pictures)
            return FEATURES[key].copy()

        return remembered

    for kind in (EncoderModel, RandomEncoder):
        monkeypatch.setattr(kind, "encode", remembering(kind.encode))
