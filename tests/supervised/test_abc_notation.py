"""ABC notation: notes, rhythm and keys by hand, and melodies as sound of known pitch."""

import numpy as np
import pytest

from supervised.data.sources.abc_notation import read_tunes, signature, split_tunes
from supervised.data.sources.audio_file import RATE
from supervised.data.sources.synthesizer import Timbre, melody
from supervised.data.sources.tunes import ONE_TEMPO, SECONDS, render, swung, variants

HEAD = "X:1\nT:A tune\nR: Reel\nM:2/4\nL:1/16\nK:{key}\n"


def notes(body, key="C"):
    """Rows of onset and duration in sixteenths, and pitch."""
    (tune,) = read_tunes(HEAD.format(key=key) + body)
    return (tune.notes * (16, 16, 1)).round(6).tolist()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("C2 c,c'", [[0, 2, 60], [2, 1, 60], [3, 1, 84]]),
        ("A/B/ z2 c3/2", [[0, 0.5, 69], [0.5, 0.5, 71], [3, 1.5, 72]]),
        ("A>B c<<d", [[0, 1.5, 69], [1.5, 0.5, 71], [2, 0.25, 72], [2.25, 1.75, 74]]),
        ("(3ABc d", [[0, 2 / 3, 69], [2 / 3, 2 / 3, 71], [4 / 3, 2 / 3, 72], [2, 1, 74]]),
        ("^FF | F", [[0, 1, 66], [1, 1, 66], [2, 1, 65]]),
        ("A2-|A2 A", [[0, 4, 69], [4, 1, 69]]),
        ('"Am"v{gf}!trill!A [CEG]2 [1 B :|', [[0, 1, 69], [1, 2, 67], [3, 1, 71]]),
        ("A[L:1/8]A[K:D]f % f", [[0, 1, 69], [1, 2, 69], [3, 2, 78]]),
    ],
)
def test_melodies_by_hand(body, found):
    assert notes(body) == [pytest.approx(row, abs=1e-5) for row in found]


@pytest.mark.parametrize(
    ("key", "raised"),
    [
        ("D", "F C"),
        ("Amix", "F C"),
        ("A minor", ""),
        ("Gdor", "-B"),
        ("F", "-B"),
        ("EM", "F C G D"),
        ("?", ""),
    ],
)
def test_key_signatures(key, raised):
    assert {f"-{k}" if v < 0 else k for k, v in signature(key).items()} == set(raised.split())


def test_fields_and_pickups_are_told_and_tunes_without_a_note_left_out():
    text = HEAD.format(key="G") + "de|g2g2 g2g2|\n\nX:2\nT:Nothing\nK:C\n\nX:3\nM:6/8\nK:D\nDFA dfa|"
    first, last = read_tunes(text)
    assert (first.title, first.rhythm, first.metre, first.pickup) == ("A tune", "reel", (2, 4), 2 / 16)
    assert last.pickup == 0 and last.notes[0, 1] == 1 / 8  # the unit of 6/8, where no field says it
    assert [rhythm for rhythm, _ in split_tunes(text)] == ["reel", "", ""]


def loudest_hertz(sound):
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return np.argmax(power) * RATE / len(sound)


def test_a_tone_has_its_pitch_and_nothing_folds_back():
    plain = Timbre(np.ones(10) / 10, np.zeros(10), 0.01, 0.02, (0.0, 5.0), 0.0, 1.0)
    generator = np.random.default_rng(0)
    high = melody(np.array([[0.0, 1.0, 69 + 24, 1.0]]), 1.0, plain, generator)  # 1760 Hz: two partials
    power = np.abs(np.fft.rfft(high * np.hanning(len(high)))) ** 2
    near = {1760, 3520}
    inside = [k for k in range(len(power)) if min(abs(k - hertz) for hertz in near) < 30]
    assert power[inside].sum() > 0.99 * power.sum()
    sine = Timbre(np.eye(10)[0], np.zeros(10), 0.01, 0.02, (0.0, 5.0), 0.0, 1.0)
    assert loudest_hertz(melody(np.array([[0.0, 1.0, 57, 1.0]]), 1.0, sine, generator)) == pytest.approx(
        220, abs=1
    )


def test_a_rendering_is_reproducible_and_fills_its_time():
    (tune,) = read_tunes(HEAD.format(key="D") + "d2f2 a2f2|" * 20)
    one, other = (render(tune, ONE_TEMPO, 1.4, np.random.default_rng(3)) for _ in range(2))
    assert one.dtype == np.int16 and len(one) == SECONDS * RATE and np.array_equal(one, other)
    assert not np.array_equal(one, render(tune, ONE_TEMPO, 1.4, np.random.default_rng(4)))


def test_swing_moves_the_second_of_two_notes_and_nothing_else():
    times = np.arange(-2, 9) * 0.25
    late = swung(times, 0.5, 3.0)
    assert np.allclose(late[::2], times[::2]) and np.allclose(late[1::2], times[1::2] + 0.125)
    assert np.allclose(swung(times, 0.5, 1.0), times) and (np.diff(swung(times, 0.5, 1.7)) > 0).all()


def test_variants_of_one_tune_are_one_unit():
    low, high = "cdec|" * 5, "defd|" * 5  # the same steps, in C and in D
    tunes = [
        ("The Mill -- Reel", "C", low),
        ("Other", "D", high),
        ("Mill, The", "G", "GABc|"),
        ("Not", "C", "c4|"),
    ]
    text = "".join(f"X:1\nT:{title}\nR:reel\nL:1/16\nK:{key}\n{body}\n" for title, key, body in tunes)
    assert variants(list(read_tunes(text))).tolist() == [0, 0, 0, 3]
