"""Sound: the spectrogram against its formula, files of every kind, the classifier, and bad data."""

import math

import numpy as np
import pytest
import torch
from task_checks import check_task

from sim.catalog import MissingPackageError
from sim.records import Budget, Percept
from supervised.data.columns import RaggedColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.audio_file import RATE, AudioError, read_audio, read_sounds
from supervised.data.sources.sounds import sound_splits
from supervised.data.sources.splits import DataError, Source
from supervised.data.sources.tunes import rendered_splits
from supervised.sound.log_mel import BANDS, FLOOR, HOP, WINDOW, centres, filters, log_mel
from supervised.sound.sound_classifier import SoundClassifier, augmented, normalized, smoothed
from supervised.sound.tempo_rule import TempoRule, tempo_and_metre

av = pytest.importorskip("av")
pytest.importorskip("matplotlib")


def sine(hertz, seconds=1.5, loudness=0.5):
    phase = 2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE
    return np.round(loudness * 32767 * np.sin(phase)).astype(np.int16)


def write(path, sound, codec="pcm_s16le", rate=RATE, channels=1):
    """Write mono or equal stereo sound, resampled to `rate`."""
    layout = "mono" if channels == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
    frame.sample_rate = RATE
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate, frame_size=1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def test_log_mel_equals_its_formula():
    """A triangle for each band and a Fourier sum for each frequency, written out."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, WINDOW + HOP).astype(np.float32)
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / WINDOW) for n in range(WINDOW)])
    marks = np.linspace(2595 * math.log10(1 + 80 / 700), 2595 * math.log10(1 + 3900 / 700), BANDS + 2)
    edges = [700 * (10 ** (mark / 2595) - 1) for mark in marks]
    n = np.arange(WINDOW)
    power = [
        abs(np.sum(sound[HOP:] * window * np.exp(-2j * np.pi * k * n / WINDOW))) ** 2 for k in range(257)
    ]
    for band in (0, 20, BANDS - 1):
        low, middle, high = edges[band : band + 3]
        total = 0.0
        for k, value in enumerate(power):
            hertz = k * RATE / WINDOW
            rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
            total += max(0.0, min(rising, falling)) * value
        assert log_mel(sound)[1, band] == pytest.approx(math.log(total + FLOOR), abs=1e-3)


def test_a_sine_is_loudest_in_its_band_and_levels_are_in_nats():
    loud, soft = (log_mel(sine(1000, loudness=level)).mean(0) for level in (0.5, 0.25))
    assert abs(centres()[loud.argmax()] - 1000) < 30
    assert loud.max() - soft.max() == pytest.approx(math.log(4), abs=0.01)
    assert filters().sum(0)[10:240].min() > 0  # no frequency falls between the bands


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 44_100, 2),
        ("b.flac", "flac", 22_050, 1),
        ("c.ogg", "libopus", 48_000, 2),
        ("d.mp3", "libmp3lame", 32_000, 1),
    ],
)
def test_files_of_any_kind_become_mono_sound_of_one_rate(tmp_path, name, codec, rate, channels):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    sound = read_audio(write(tmp_path / name, sine(440), codec, rate, channels))
    assert sound.dtype == np.int16 and abs(len(sound) / RATE - 1.5) < 0.2
    power = np.abs(np.fft.rfft(sound))
    assert abs(power.argmax() * RATE / len(sound) - 440) < 2


@pytest.mark.parametrize("fault", ["silent", "short", "damaged", "empty", "text"])
def test_files_without_sound_are_refused_by_name(tmp_path, fault):
    file = tmp_path / "x.wav"
    if fault in ("silent", "short"):
        write(file, sine(440, loudness=0) if fault == "silent" else sine(440, 0.2))
    else:
        file.write_bytes(
            {"damaged": b"RIFF\x10\x00\x00\x00WAVEfmt \xff", "empty": b"", "text": b"no sound"}[fault]
        )
    said = {"silent": "is silent", "short": "0.2 s of sound"}.get(fault, "cannot be read|no audio stream")
    with pytest.raises(AudioError, match=rf"x\.wav.*({said})"):
        read_audio(file)


def test_a_video_without_sound_is_refused(tmp_path):
    file = tmp_path / "film.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no audio stream"):
        read_audio(file)


def test_a_folder_is_read_in_order_and_what_is_no_sound_told(tmp_path):
    write(tmp_path / "b.wav", sine(500))
    (tmp_path / "a.wav").write_bytes(b"no")
    (tmp_path / "notes.txt").write_text("not read")
    failed = []
    found = list(read_sounds(str(tmp_path), lambda name, error: failed.append(name)))
    assert [name for name, _ in found] == [str(tmp_path / "b.wav")] and failed == [str(tmp_path / "a.wav")]
    with pytest.raises(AudioError, match="no such file"):
        next(read_sounds(str(tmp_path / "none.wav"), print))


def dance(kind, number, generator):
    """A tune of random notes: even quavers in 2/2, or long and short ones in 6/8."""
    letters = [str(c) for c in generator.choice(list("DEFGABcd"), 96)]
    if kind == "reel":
        body = "|".join("".join(letters[i : i + 8]) for i in range(0, 96, 8))
    else:
        body = "|".join("{}2{} {}2{}".format(*letters[i : i + 4]) for i in range(0, 96, 4))
    metre = "2/2" if kind == "reel" else "6/8"
    return f"X:{number}\nT:No. {number}\nR:{kind}\nM:{metre}\nL:1/8\nK:D\n{body}|\n"


@pytest.fixture(scope="module")
def dances(tmp_path_factory):
    """Four made-up tunes of each of two dances, and one of another, split by tune."""
    file = tmp_path_factory.mktemp("abc") / "tunes.abc"
    generator = np.random.default_rng(0)
    tunes = [dance(("reel", "jig")[i % 2], i, generator) for i in range(8)]
    file.write_text("\n".join([*tunes, dance("polka", 8, generator)]))
    return rendered_splits((file,), Source("made up", "test", "", "0"), renderings=1, seed=0)


SMALL = SoundClassifier(channels=8, hidden=8, batch_size=4, seconds=2.0)


def test_the_task_keeps_its_interface(dances):
    assert dances.skipped == ("1 tunes of another dance or of none",) and len(dances.test) == 2
    check_task(SMALL, dances, inputs=2)


def test_played_alike_the_sounds_change_and_nothing_else(dances):
    other = dances.extra_tests["one tempo, no swing"]
    assert other.episodes.tolist() == dances.test.episodes.tolist()
    assert not np.array_equal(other.values[0], dances.test.values[0])


def labelled(pairs):
    sounds, labels = zip(*pairs, strict=True)
    truths = tuple(Percept("truth", label=label) for label in labels)
    return Dataset(values=RaggedColumn.of(sounds), truths=truths, episodes=np.arange(len(labels)))


def test_a_short_fit_tells_high_from_low(dances):
    pairs = [
        (sine(hertz, 2.5), "low" if hertz < 600 else "high") for hertz in (300, 400, 500, 900, 1100, 1400)
    ]
    config = SoundClassifier(
        channels=16, hidden=8, batch_size=6, seconds=1.0, dropout=0.0, learning_rate=1e-2
    )
    model = config.build(("high", "low"), seed=0)
    list(model.fit(labelled(pairs), labelled(pairs), seed=0).learn(Budget(None, 30)))
    said = model.perceive([sine(350, 2.0), sine(1000, 2.0), sine(1000, 2.0, loudness=0.02)])
    assert [one.label for one in said] == ["low", "high", "high"]
    assert all(one.scores[0] > 0.6 for one in said)


def test_logits_over_time_are_means_of_windows():
    model = SMALL.build(("a", "b"), seed=0)
    model.network.eval()
    sound = np.random.default_rng(0).integers(-9000, 9000, 13 * RATE).astype(np.int16)
    logits, mels = model.over_time(sound), log_mel(sound)
    assert logits.shape == (-(-len(mels) // 4), 2)
    with torch.no_grad():
        first, last = (
            model.network(torch.from_numpy(normalized(part))[None])[0] for part in (mels[:500], mels[148:])
        )
    assert np.allclose(logits[:30], first[:30], atol=1e-5) and np.allclose(
        logits[-20:], last[-20:], atol=1e-5
    )
    share = np.exp(logits.mean(0))
    assert model.perceive([sound])[0].scores[0] == pytest.approx((share / share.sum()).max())


def test_augmentation_keeps_shape_and_masks():
    mels = np.random.default_rng(0).normal(size=(100, BANDS)).astype(np.float32)
    found = [augmented(mels, np.random.default_rng(seed)) for seed in range(8)]
    assert all(
        one.shape == mels.shape and one.dtype == np.float32 and np.isfinite(one).all() for one in found
    )
    assert any((one == 0).all(0).any() for one in found)


def test_a_moving_average_by_hand():
    assert smoothed(np.array([[0.0], [3.0], [6.0], [9.0]]), 2)[:, 0].tolist() == [0.0, 1.5, 4.5, 7.5]


def clicks(period, accented, seconds=6.0):
    """Clicks `period` seconds apart, two of every `accented` loud, in a little noise."""
    sound = np.random.default_rng(0).normal(0, 1e-3, int(seconds * RATE)).astype(np.float32)
    for i, at in enumerate(np.arange(0.05, seconds, period)):
        sound[int(at * RATE)] += 1.0 if i % accented < 2 else 0.03
    return sound


def test_the_tempo_rule_reads_pulse_and_metre():
    features = tempo_and_metre(clicks(0.2, 3))
    assert np.exp(features[0]) == pytest.approx(0.2, abs=0.005) and features[2] > features[1] + 0.05
    sounds = [clicks(period, n) for n in (3, 4) for period in np.arange(0.14, 0.26, 0.01)]
    rule = TempoRule(sounds, ["jig"] * 12 + ["reel"] * 12)
    assert [one.label for one in rule([clicks(0.155, 3), clicks(0.165, 4)])] == ["jig", "reel"]


def folder_of(root, counts):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            write(root / name / f"{i}.wav", sine(300 + 50 * i))
    return root


def test_a_folder_of_sounds_by_class_is_split_by_file_within_each(tmp_path):
    root = folder_of(tmp_path / "mine", {"bird": 4, "car": 3})
    (root / "bird" / "zz.wav").write_bytes(b"damaged")
    splits = sound_splits("mine", root, renderings=1, seed=0)
    assert splits.classes == ("bird", "car") and splits.unit == "file"
    assert "1 sounds" in splits.skipped[0] and "zz.wav" in splits.skipped[0]
    for part in (splits.train, splits.validation, splits.test):
        assert {truth.label for truth in part.truths} == {"bird", "car"}


@pytest.mark.parametrize(
    ("counts", "said"),
    [({"bird": 3}, "only bird"), ({}, "there is none"), ({"bird": 3, "car": 2}, "car has fewer than 3")],
)
def test_folders_that_cannot_be_learned_from_are_refused(tmp_path, counts, said):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match=said):
        sound_splits("mine", folder_of(tmp_path / "mine", counts), renderings=1, seed=0)


def test_a_file_and_an_unknown_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="is a file: name a folder"):
        sound_splits("x", write(tmp_path / "a.wav", sine(300)), renderings=1, seed=0)
    with pytest.raises(DataError, match='no data "polkas"'):
        sound_splits("polkas", None, renderings=1, seed=0)


def test_without_pyav_the_line_that_installs_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingPackageError, match="pip install"):
        read_audio(tmp_path / "a.wav")
