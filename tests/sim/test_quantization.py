"""Weights at 8 bits: how far they may be off, what is left alone, and what a hostile file is told."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sim.storage.checkpoints import (
    CheckpointError,
    CheckpointLayout,
    convert_checkpoint,
    load_checkpoint,
    make_card,
    save_checkpoint,
)
from sim.storage.quantization import dequantize_rows, pack_int8, quantize_rows, unpack_int8

CARD = make_card("agent", "ppo", {}, seed=0, trained={"updates": 1})


def weights(seed=0):
    """Rows whose magnitudes span ten decades, one of them zero, and what is too small to be quantized."""
    generator = np.random.default_rng(seed)
    kernel = generator.standard_normal((64, 8, 3, 3)) * 10.0 ** np.linspace(-7, 3, 64)[:, None, None, None]
    kernel[5] = 0.0
    return {
        "conv.weight": kernel.astype(np.float32),
        "conv.bias": generator.standard_normal(64).astype(np.float32),
        "head.weight": generator.standard_normal((6, 100)).astype(np.float32),
        "long": generator.standard_normal(5_000).astype(np.float32),
        "narrow": generator.standard_normal((2_000, 4)).astype(np.float32),
        "norm.scale": np.ones(64, np.float32),
        "steps": np.arange(5_000).reshape(50, 100),
    }


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(tmp_path / "c", CARD, weights(), storage="int8")
    return tmp_path / "c"


def edit_arrays(folder, change):
    """Change the arrays of a checkpoint's file and vouch for it with the right SHA-256."""
    file, card = folder / "model.safetensors", folder / "card.toml"
    old = hashlib.sha256(file.read_bytes()).hexdigest()
    arrays = load_file(file)
    change(arrays)
    save_file(arrays, file)
    card.write_text(card.read_text().replace(old, hashlib.sha256(file.read_bytes()).hexdigest()))


def test_no_weight_is_further_off_than_half_of_its_rows_scale():
    kernel = weights()["conv.weight"]
    integers, scale = quantize_rows(kernel)
    error = np.abs(dequantize_rows(integers, scale).astype(np.float64) - kernel)
    assert np.all(error <= scale[:, None, None, None] * 0.5 * (1 + 1e-5))
    assert np.abs(integers.astype(int)).reshape(64, -1).max(axis=1).tolist() == [127] * 5 + [0] + [127] * 58
    assert scale == pytest.approx(np.abs(kernel).reshape(64, -1).max(axis=1) / 127)
    assert error.max() > 0, "some are off"


def test_a_known_row_and_its_sign():
    integers, scale = quantize_rows(np.array([[2.54, -0.011, 0.009, -2.54]], np.float32))
    assert scale == pytest.approx([0.02]) and integers.tolist() == [[127, -1, 0, -127]]


def test_only_large_tensors_are_quantized_and_the_others_halved(saved):
    stored, wanted = load_file(saved / "model.safetensors"), weights()
    assert stored.keys() == wanted.keys() | {"conv.weight.scale"}
    assert (stored["conv.weight"].dtype, stored["conv.weight.scale"].shape) == (np.int8, (64,))
    assert stored["conv.weight.scale"].dtype == np.float32
    for name in ("conv.bias", "head.weight", "long", "narrow", "norm.scale"):
        assert stored[name].tobytes() == wanted[name].astype(np.float16).tobytes(), name
    assert stored["steps"].dtype == np.int64


def test_they_load_as_floats_and_are_stored_again_without_another_loss(saved, tmp_path):
    found = load_checkpoint(saved).weights
    assert found.keys() == weights().keys() and found["conv.weight"].dtype == np.float32
    assert (
        found["conv.weight"].tobytes() == dequantize_rows(*quantize_rows(weights()["conv.weight"])).tobytes()
    )
    convert_checkpoint(saved, tmp_path / "again", "int8")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        saved / "model.safetensors"
    ).read_bytes()


def test_a_checkpoint_at_half_precision_becomes_nearly_half_as_large(tmp_path):
    large = {"a": np.random.default_rng(0).standard_normal((256, 512)).astype(np.float32)}
    save_checkpoint(tmp_path / "half", CARD | {"scores": {"win": 1.0}}, large, storage="float16")
    convert_checkpoint(tmp_path / "half", tmp_path / "int8", "int8")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "int8")]
    assert 0.5 < sizes[1] / sizes[0] < 0.52
    card = load_checkpoint(tmp_path / "int8").card
    assert card["scores"] == {"win": 1.0}
    assert (card["format"], card["weights"]["storage"]) == (2, "int8")
    half = load_checkpoint(tmp_path / "half").card
    assert (half["format"], half["weights"]["storage"]) == (1, "float16")


def test_a_tensor_that_is_not_finite_is_refused_by_name_as_ever(tmp_path):
    spoilt = weights()
    spoilt["conv.weight"][0] = np.inf
    save_checkpoint(tmp_path / "c", CARD, spoilt, storage="int8")
    with pytest.raises(CheckpointError, match=r"holds NaN or infinity: in 2% of conv\.weight"):
        load_checkpoint(tmp_path / "c")


def test_a_name_that_is_taken_keeps_its_meaning():
    both = {"a": weights()["conv.weight"], "a.scale": np.ones(64, np.float32)}
    assert unpack_int8(pack_int8(both)).keys() == both.keys()
    assert unpack_int8(pack_int8(both))["a"].tobytes() == both["a"].tobytes()


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (None, r"conv\.weight is int8 and there is no conv\.weight\.scale"),
        (np.ones(63, np.float32), r"conv\.weight\.scale is float32 \(63,\).* takes float32 \(64,\)"),
        (np.ones((64, 1), np.float32), r"is float32 \(64, 1\)"),
        (np.ones((), np.float32), r"is float32 \(\)"),
        (np.ones(64, np.float64), r"is float64 \(64,\)"),
        (np.ones(64, np.int8), r"is int8 \(64,\)"),
    ],
)
def test_a_missing_or_misshapen_scale_is_refused_by_name(saved, scale, words):
    def change(arrays):
        arrays.pop("conv.weight.scale")
        arrays.update({} if scale is None else {"conv.weight.scale": scale})

    edit_arrays(saved, change)
    with pytest.raises(CheckpointError, match=f"model.safetensors is damaged: .*{words}"):
        load_checkpoint(saved)


def test_an_int8_number_without_rows_is_refused(saved):
    edit_arrays(saved, lambda arrays: arrays.update(x=np.array(3, np.int8), **{"x.scale": np.ones((), "f4")}))
    with pytest.raises(CheckpointError, match=r"x\.scale is float32 \(\).* takes float32 \(rows,\)"):
        load_checkpoint(saved)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_scale_that_is_not_finite_is_refused_by_the_name_of_its_tensor(saved, number):
    edit_arrays(saved, lambda arrays: arrays["conv.weight.scale"].fill(number))
    with pytest.raises(CheckpointError, match=r"holds NaN or infinity: in \d+% of conv\.weight;"):
        load_checkpoint(saved)


def test_what_cannot_be_told_from_quantized_weights_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="flags is int8"):
        save_checkpoint(tmp_path / "c", CARD, {"flags": np.ones(3, np.int8)})
    other = CheckpointLayout({"": "unet/model.safetensors"})
    with pytest.raises(ValueError, match="plain layout"):
        save_checkpoint(tmp_path / "c", CARD, weights(), storage="int8", layout=other)
    assert not (tmp_path / "c").exists()


def test_files_of_another_library_are_not_converted(tmp_path):
    layout = CheckpointLayout({"conv": "a.safetensors", "": "b.safetensors"})
    save_checkpoint(tmp_path / "c", CARD, weights(), layout=layout)
    with pytest.raises(CheckpointError, match="files of another library"):
        convert_checkpoint(tmp_path / "c", Path(tmp_path / "d"), "int8")
