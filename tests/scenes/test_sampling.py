"""Samplers in scenes: trained, killed and resumed, graded, hung in galleries; wrong requests are refused."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from generative.collection import Collection
from scenes.cli import main
from scenes.judging import Judge
from scenes.metric_board import truth_of_sentences
from scenes.sampling import Examples
from scenes.schema import load_scene, shipped_scenes
from scenes.verbs import list_all
from sim.checkpoints import load_checkpoint
from sim.records import Percept, SampleOptions

SCENE = """
title = "Digits, dreamt"
[[sampler]]
use = "vae"
data = "digits"
examples = 400
latents = 4
channels = 16
batch_size = 16
[train]
updates = 6
checkpoint_every = 2
"""
STATE = "the left paddle is low and the right one high; the score is 3 to 0."
OFTEN = ["--set", "train.checkpoint_every=1"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def scene(tmp_path):
    file = tmp_path / "dreamt.toml"
    file.write_text(SCENE)
    return str(file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint, for tests that do not write to it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "dreamt.toml").write_text(SCENE)
    assert main(["train", str(folder / "dreamt.toml"), "--run", str(folder / "run")]) == 0
    return folder / "run" / "checkpoints" / "6"


def answer(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *arguments):
    assert main([*arguments]) == 2
    return capsys.readouterr().err


def test_training_writes_a_checkpoint_that_tells_of_its_data(trained):
    card = load_checkpoint(trained).card
    assert (card["kind"], card["name"]) == ("sampler", "vae") and "world" not in card
    assert card["spec"]["shape"] == [8, 8, 3] and card["spec"]["label_names"] == list("0123456789")
    assert card["protocol"]["data"] == "digits" and card["trained"]["updates"] == 6
    assert card["config"]["latents"] == 4


def play_on(arguments):
    """In a process of its own, to be killed."""
    from generative import vae
    from scenes.cli import main as run

    vae.VALIDATE_EVERY = 1
    raise SystemExit(run(arguments))


def test_killed_and_resumed_it_ends_in_the_same_weights(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("generative.vae.VALIDATE_EVERY", 1)
    killed = ["train", scene, "--run", str(tmp_path / "killed"), *OFTEN, "--set", "train.updates=14"]
    process = multiprocessing.get_context("spawn").Process(target=play_on, args=[killed])
    process.start()
    states = tmp_path / "killed" / "state"
    while process.is_alive() and not (states.is_dir() and any(states.glob("[0-9]*"))):
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    found = max(int(path.name) for path in states.glob("[0-9]*"))
    assert found < 14, "it was killed in the middle"
    whole = ["train", scene, "--run", str(tmp_path / "never"), "--set", "train.updates=14"]
    assert main(whole) == 0 and main([*killed, "--resume"]) == 0
    other = load_checkpoint(tmp_path / "killed" / "checkpoints" / "14").weights
    for name, array in load_checkpoint(tmp_path / "never" / "checkpoints" / "14").weights.items():
        assert array.tobytes() == other[name].tobytes()


def test_training_starts_from_a_checkpoint_of_the_same_data_only(scene, trained, tmp_path, capsys):
    run = ["--run", str(tmp_path / "a")]
    assert main(["train", scene, *run, "--from", str(trained), "--steps", "1"]) == 0
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (64, 64), (i * 20, 0, 0)).save(folder / f"{i}.png")
    other = ["train", scene, "--run", str(tmp_path / "b"), "--from", str(trained)]
    said = refusal(capsys, *other, "--set", f"sampler.0.data={folder}")
    assert "other data" in said and not (tmp_path / "b").exists()


class Obedient:
    """Paints the number of asked-for words; its reader says the first caption of everything."""

    def illustrate(self, texts, options, seed):
        return np.stack([np.full((8, 8, 3), len(text), np.uint8) for text in texts])


def test_a_sampler_of_sentences_is_judged_by_unseen_captions_one_by_one():
    low, high = (f"The ball is {h} on the left; {STATE}" for h in ("low", "high"))
    data = Collection(np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, np.int64), ("pong",), np.arange(4),
                      captions=(low, high, low, ""))  # fmt: skip
    judge = Judge("frames/pong", Examples(data, data, data.spec()), "cpu")
    judge.__dict__["reader"] = SimpleNamespace(
        perceive=lambda pictures: [Percept("model", caption=low) for _ in pictures]
    )
    share = truth_of_sentences(Obedient(), judge, SampleOptions(), 0)
    assert share == pytest.approx(2 / 3), "of three that say something two are low"


def test_a_student_learns_from_a_checkpoint_of_its_own_data_only(trained, tmp_path, capsys):
    small = 'data = "digits"\nexamples = 400\nchannels = [8, 8]\nfold = 1\nbatch_size = 4\n'
    teacher, student = tmp_path / "teacher.toml", tmp_path / "student.toml"
    teacher.write_text(f'title = "T"\n[[sampler]]\nuse = "diffusion"\n{small}[train]\nupdates = 1\n')
    student.write_text(
        f'title = "S"\n[[sampler]]\nuse = "one-step"\nteacher = "t/checkpoints/1"\n{small}'
        "[train]\nupdates = 2\ncheckpoint_every = 1\n"
    )

    def train(scene, run, *more):
        return main(["train", str(scene), "--run", str(tmp_path / run), *more])

    assert train(student, "s") == 2
    assert "t/checkpoints/1" in capsys.readouterr().err
    assert train(teacher, "t") == 0
    assert train(student, "s", "--set", f"sampler.0.teacher={trained}") == 2
    assert "vae" in capsys.readouterr().err
    assert train(student, "s", "--set", "sampler.0.examples=300") == 0, "as much of the same data will do"
    assert train(student, "r") == 0
    assert train(student, "r", "--resume") == 0
    drawn = ["--checkpoint", str(tmp_path / "r/checkpoints/2"), "--n", "2", "--out", str(tmp_path / "g")]
    assert main(["sample", str(student), *drawn]) == 0


def test_a_run_on_a_folder_beside_the_scene_can_be_resumed(scene, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (64, 64), (i * 20, 0, 0)).save(folder / f"{i}.png")
    run = ["train", scene, "--run", str(tmp_path / "runs" / "a"), "--set", "sampler.0.data=pictures"]
    assert main([*run, "--steps", "1"]) == 0
    assert main(["train", scene, "--run", str(tmp_path / "runs" / "a"), "--resume", "--steps", "2"]) == 0
    assert (tmp_path / "runs" / "a" / "checkpoints" / "2").is_dir()


def test_a_gallery_is_written_and_the_same_seed_gives_it_again(scene, trained, tmp_path, capsys):
    out = tmp_path / "hung"
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "6"]
    found = answer(capsys, *wish, "--out", str(out), "--condition", "label=3")
    assert {"index.html", "grid.png", "metrics.json", "interpolation.gif"} <= {p.name for p in out.iterdir()}
    assert set(found) == {"files", "metrics"} and all((out / name).is_file() for name in found["files"])
    assert found["metrics"]["images_per_second"] > 0 and "frechet" not in found["metrics"]
    first = np.asarray(Image.open(out / "grid.png"))
    for seed, same in (("0", True), ("1", False)):
        answer(capsys, *wish, "--out", str(out), "--condition", "label=3", "--seed", seed)
        assert np.array_equal(first, np.asarray(Image.open(out / "grid.png"))) == same


def test_what_is_masked_is_filled_in_and_measured(scene, trained, tmp_path, capsys):
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "4", "--out", str(tmp_path / "hung")]
    found = answer(capsys, *wish, "--condition", "frame=1", "--condition", "mask=0,0,8,4")
    assert 0 < found["metrics"]["rmse"] < 255 and (tmp_path / "hung" / "filled-in.png").is_file()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--condition", "label=tree"], 'no label "tree"'),
        (["--condition", "lable=3"], 'did you mean "label"'),
        (["--condition", "text=three trees"], 'the word "trees"'),
        (["--condition", "text=three"], "cannot be asked for by text; it takes"),
        (["--condition", "frame=1", "--condition", "mask=0,0,99,4"], "8×8"),
        (["--condition", "frame=nowhere.png"], "no such file"),
        (["--n", "0"], "--n must be"),
        (["--n", "1000000"], "--n must be"),
        (["--steps", "0"], "--steps must be"),
        (["--guidance", "-1"], "--guidance must be"),
        (["--checkpoint", "nowhere"], "nowhere does not exist"),
    ],
)
def test_wrong_wishes_are_refused_and_nothing_is_written(
    scene, trained, tmp_path, capsys, monkeypatch, more, words
):
    monkeypatch.chdir(tmp_path)
    checkpoint = [] if "--checkpoint" in more else ["--checkpoint", str(trained)]
    assert words in refusal(capsys, "sample", scene, *checkpoint, *more)
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("sampler.0.use=va", 'did you mean "vae"'),
        ("sampler.0.laten=3", "latents"),
        ("sampler.0.data=digit", 'did you mean "digits"'),
        ("sampler.0.data=states/hopper", "vectors"),
        ("sampler.0.examples=0", "examples must be at least 1"),
    ],
)
def test_wrong_scenes_are_refused_and_leave_no_run(scene, tmp_path, capsys, change, words):
    said = refusal(capsys, "train", scene, "--run", str(tmp_path / "run"), "--set", change)
    assert words in said and not (tmp_path / "run").exists()


def test_another_models_checkpoint_is_refused(scene, trained, capsys):
    said = refusal(capsys, "evaluate", scene, "--checkpoint", str(trained), "--set", "sampler.0.latents=5")
    assert "does not fit" in said


def test_a_folder_of_mixed_sizes_is_refused(scene, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    for i, side in enumerate((64, 65)):
        Image.new("RGB", (64, side)).save(tmp_path / "mine" / f"{i}.png")
    said = refusal(capsys, "train", scene, "--run", str(tmp_path / "r"), "--set", "sampler.0.data=mine")
    assert "1.png has 64×65 pixels" in said and not (tmp_path / "r").exists()


def test_an_out_that_is_a_file_is_refused(scene, trained, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    said = refusal(capsys, "sample", scene, "--checkpoint", str(trained), "--out", str(tmp_path / "file"))
    assert "is a file" in said


def test_samplers_are_listed():
    assert "vae" in list_all("samplers")["samplers"]


SAMPLING = [name for name in shipped_scenes() if load_scene(name).sampler]


@pytest.mark.parametrize("name", SAMPLING)
def test_shipped_samplers_draw_what_their_cards_tell_of(name):
    from scenes.build import chosen_device
    from scenes.sampling import build_sampler
    from sim.records import Condition, SampleOptions

    scene = load_scene(name)
    if not scene.sampler[0].checkpoint:
        pytest.skip("ships untrained")
    model, card = build_sampler(scene, 0, chosen_device("cpu"))
    made = model.sample(2, Condition(), SampleOptions(steps=2), 0).values
    assert made.shape == (2, *card["spec"]["shape"]) and made.std() > 0
