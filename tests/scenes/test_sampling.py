"""Samplers in scenes: trained, killed and resumed, scored, exported to galleries; bad requests refused."""

from __future__ import annotations

import json
import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import answer, refusal
from PIL import Image

from generative.gallery import writing
from generative.gallery.writing import SOMETIMES
from scenes.build.samplers import load_sampler
from scenes.cli.listing import list_all
from scenes.cli.main import main
from scenes.data.sampler_data import DataRecipe, DataSplit, fetch_examples
from scenes.evaluation.sample_scoring import SampleScorer, Verdict
from scenes.evaluation.samplers import prompt_agreement
from scenes.sampling import command
from scenes.sampling.gallery_export import GalleryExport
from scenes.schema import load_scene
from sim.records import Condition, Percept, SampleOptions
from sim.storage.checkpoints import load_checkpoint
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

pytestmark = pytest.mark.usefixtures("remembered_features")

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
STEPS = """
title = "Digits, out of noise"
[[sampler]]
use = "diffusion"
data = "digits"
examples = 400
channels = [8, 8]
fold = 1
[train]
updates = 1
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


def test_training_writes_a_checkpoint_that_tells_of_its_data(trained):
    card = load_checkpoint(trained).card
    assert (card["kind"], card["name"]) == ("sampler", "vae") and "world" not in card
    assert card["spec"]["shape"] == [8, 8, 3] and card["spec"]["label_names"] == list("0123456789")
    assert card["protocol"]["data"] == "digits" and card["trained"]["updates"] == 6
    assert card["config"]["latents"] == 4


def play_on(arguments):
    """In a process of its own, to be killed."""
    from generative.models import vae
    from scenes.cli.main import main as run

    vae.VALIDATE_EVERY = 1
    raise SystemExit(run(arguments))


@pytest.mark.slow  # a start of torch; agents are killed in the default suite, by the same session
def test_killed_and_resumed_it_ends_in_the_same_weights(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("generative.models.vae.VALIDATE_EVERY", 1)
    killed = ["train", scene, "--run", str(tmp_path / "killed"), *OFTEN, "--set", "train.updates=14"]
    process = multiprocessing.get_context("spawn").Process(target=play_on, args=[killed])
    process.start()
    states = tmp_path / "killed" / "state"
    while process.is_alive() and not (states.is_dir() and any(states.glob("[0-9]*"))):
        process.join(0.005)
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
    data = Dataset(
        values=np.zeros((4, 8, 8, 3), np.uint8),
        labels=LabelColumn.one("pong", 4),
        episodes=np.arange(4),
        captions=(low, high, low, ""),
    )
    scorer = SampleScorer("frames/pong", DataSplit(data, data, data.spec()), "cpu")
    scorer.__dict__["reader"] = SimpleNamespace(
        perceive=lambda pictures: [Percept("model", caption=low) for _ in pictures]
    )
    share = prompt_agreement(Obedient(), scorer, SampleOptions(), 0)
    assert share == pytest.approx(2 / 3), "of three that say something two are low"


class Illustrator(Obedient):
    """`Obedient` as a sampler, which draws black pictures where no sentence is given."""

    spec = SimpleNamespace(words=("ball",), label_names=("pong",), pictures=True, shape=(8, 8, 3))

    def sample(self, n, condition, options, seed):
        return SimpleNamespace(values=np.zeros((n, 8, 8, 3), np.uint8))


def test_without_a_sentence_each_sample_has_one_of_the_held_out_captions(scene, tmp_path, monkeypatch):
    low, high = (f"The ball is {h} on the left; {STATE}" for h in ("low", "high"))
    data = Dataset(
        values=np.zeros((4, 8, 8, 3), np.uint8),
        labels=LabelColumn.one("pong", 4),
        episodes=np.arange(4),
        captions=(low, high, low, ""),
    )
    split = DataSplit(data, data, data.spec())
    monkeypatch.setattr(command, "build_sampler", lambda *about: (Illustrator(), None))
    monkeypatch.setattr(command, "some_examples", lambda *about: split)
    request = command.SampleRequest(tmp_path / "out", n=7)
    drawing, scorer = command._draw(load_scene(scene), request, "cpu", lambda line: None)
    assert set(drawing.prompts) == {low, high} and drawing.prompts.count(high) in (2, 3)
    assert drawing.prompts[3:6] == drawing.prompts[:3], "they come round again"
    np.testing.assert_array_equal(drawing.values[:, 0, 0, 0], [len(text) for text in drawing.prompts])
    scorer.__dict__["reader"] = SimpleNamespace(
        perceive=lambda pictures: [Percept("model", caption=low) for _ in pictures]
    )
    scorer.__dict__["neighbours"] = lambda values: (values, ["near"] * len(values))
    verdicts = scorer.verdicts_by_prompt(drawing.values, drawing.prompts)
    export = GalleryExport(drawing.model, scorer, 0, Condition(), drawing.prompts)
    for entry, prompt in zip(export.samples(drawing.values, verdicts), drawing.prompts, strict=True):
        wrong = [str(check) for check in entry.checks if not check.right]
        assert entry.prompt == prompt and entry.condition == f'"{prompt}"'
        assert wrong == (["ball height high, read as low"] if prompt == high else [])
    one = command._draw(
        load_scene(scene), replace(request, conditions=["label=pong"]), "cpu", lambda line: None
    )[0]
    assert not one.prompts and not one.values.any()


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
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "3"]
    found = answer(capsys, *wish, "--out", str(out), "--condition", "label=3")
    assert {"index.html", "grid.png", "metrics.json", "interpolation.gif"} <= {p.name for p in out.iterdir()}
    assert set(found) == {"files", "metrics"} and all((out / name).is_file() for name in found["files"])
    assert found["metrics"]["images_per_second"] > 0 and "frechet" not in found["metrics"]
    first = np.asarray(Image.open(out / "grid.png"))
    for seed, same in (("0", True), ("1", False)):
        answer(capsys, *wish, "--out", str(out), "--condition", "label=3", "--seed", seed, "--overwrite")
        assert np.array_equal(first, np.asarray(Image.open(out / "grid.png"))) == same


def test_held_out_real_examples_of_the_class_stand_beside_the_samples_on_page_and_map(trained, scene):
    model, _ = load_sampler(load_scene(scene), 0, "cpu", trained)
    data = fetch_examples(load_scene(scene), DataRecipe("digits", 400, 0))
    scorer = SampleScorer("digits", data, "cpu")
    export = GalleryExport(model, scorer, 0, Condition(label="3"))
    real = export.real(5)
    held = {values.tobytes() for values in data.validation.values[data.validation.labels == 3]}
    assert 1 < len(real) <= 5 and all(one.label == "3" for one in real)
    assert {one.picture.tobytes() for one in real} <= held
    values = model.sample(6, Condition(label="3"), SampleOptions(), 0).values
    found = export.latent_map(values)
    assert found.samples.shape == (6, 3) and found.space == "the model's latent space"
    assert len(found.real) == len(export.real(6))
    (entry,) = export.samples(values[:1], [Verdict()], neighbours=False)
    assert entry.nearest is None and not entry.distance and entry.label == "3"


def test_without_neighbours_none_is_searched_and_no_example_is_played(
    scene, trained, tmp_path, capsys, monkeypatch
):
    def plays(*about):
        raise AssertionError("examples were played")

    monkeypatch.setattr(SampleScorer, "neighbours", plays)
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "4", "--no-neighbours"]
    answer(capsys, *wish, "--out", str(tmp_path / "here"))
    page = (tmp_path / "here" / "index.html").read_text("utf-8")
    assert 'data-nearest="' not in page and 'id="real-4"' in page, "real ones that are here cost nothing"
    assert json.loads((tmp_path / "here" / "metrics.json").read_text())["command"].endswith("--no-neighbours")
    monkeypatch.setattr("scenes.data.sampler_data.is_available", lambda *about, **more: False)
    monkeypatch.setattr("scenes.data.sampler_data.fetch_examples", plays)
    assert main([*wish, "--out", str(tmp_path / "there"), "--json"]) == 0
    assert "digits is not on this machine, and --no-neighbours plays no examples" in capsys.readouterr().err
    page = (tmp_path / "there" / "index.html").read_text("utf-8")
    assert "real-1" not in page and 'id="map"' not in page and 'id="sample-4"' in page


def test_what_is_masked_is_filled_in_and_measured(scene, trained, tmp_path, capsys):
    out = tmp_path / "hung"
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "4", "--out", str(out), "--steps", "3"]
    found = answer(capsys, *wish, "--condition", "frame=1", "--condition", "mask=0,0,8,4")
    assert 0 < found["metrics"]["rmse"] < 255 and (out / "filled-in.png").is_file()
    assert json.loads((out / "metrics.json").read_text())["protocol"] == {"steps": 3}, "it fills in by steps"
    more = [*wish[: wish.index("--steps")], "--overwrite"]
    answer(capsys, *more)
    assert not (out / "filled-in.png").exists(), "that was of the gallery before"


def test_a_gallery_tells_its_own_figures_from_those_of_the_card(tmp_path, capsys):
    wish = ["sample", "digits-gan", "--n", "3", "--condition", "label=3", "--out", str(tmp_path)]
    found = answer(capsys, *wish)
    told = json.loads((tmp_path / "metrics.json").read_text())
    assert told["metrics"] == found["metrics"] and set(found["metrics"]) == {"images_per_second", "truth"}
    scores = load_checkpoint(load_scene("digits-gan").resolve("checkpoints/digits-gan")).card["scores"]
    graded = told["checkpoint"]
    assert told["n"] == 3 and graded["n"] == scores["n"] and graded["protocol"] == scores["protocol"]
    assert graded["metrics"]["frechet"] == scores["frechet"] and graded["ci95"] == scores["ci95"]
    assert "baseline" not in graded["metrics"] and told["protocol"] == {}
    assert {sample["reading"] for sample in told["samples"]} == {"by nearest neighbours"}
    extra = {Path(name).name for name in found["files"]} - {"index.html", "metrics.json", "grid.png"}
    assert extra == {"traversal.png", "interpolation.mp4", "interpolation.gif"} and extra <= set(SOMETIMES)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "r²" not in page and page.count("3: component 1,") == 2, (
        "its name, and the picture's for the blind"
    )
    assert page.count("a principal component") == 1


def test_a_persons_page_is_overwritten_only_where_that_is_asked_for(
    scene, trained, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "2"]
    mine = [Path("hung", name) for name in ("index.html", "notes.txt")]
    mine[0].parent.mkdir()
    for file in mine:
        file.write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("scenes.sampling.command.build_sampler", None)  # no work is done first
        said = refusal(capsys, *wish, "--out", "hung")
    assert said.splitlines() == [
        "playfield: --out hung: hung/index.html would be overwritten; name another folder, or add --overwrite"
    ]
    assert [file.read_text() for file in mine] == ["mine", "mine"]
    answer(capsys, *wish, "--out", "hung", "--overwrite")
    assert mine[0].read_text() != "mine" and mine[1].read_text() == "mine"


def test_a_gallery_that_nobody_named_takes_the_next_free_folder(
    scene, trained, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("gallery").mkdir()
    assert main(["sample", scene, "--checkpoint", str(trained), "--n", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["files"][0] == "gallery-2/index.html"
    assert "gallery exists: writing to gallery-2" in captured.err and not list(Path("gallery").iterdir())
    told = json.loads(Path("gallery-2/metrics.json").read_text())
    assert "--out" not in told["command"], "the line makes another one, wherever there is room"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_the_finished_files_of_a_gallery_are_kept(
    scene, trained, tmp_path, capsys, monkeypatch, number
):
    def interrupted(path, picture):
        signal.raise_signal(number)
        write(path, picture)

    write = writing._write_png
    monkeypatch.setattr(writing, "_write_png", interrupted)
    wish = ["sample", scene, "--checkpoint", str(trained), "--n", "2", "--out", str(tmp_path / "g"), "--json"]
    assert main(wish) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["files"] == [
        str(tmp_path / "g" / n) for n in ("metrics.json", "grid.png")
    ]
    assert {path.name for path in (tmp_path / "g").iterdir()} == {"metrics.json", "grid.png"}
    Image.open(tmp_path / "g" / "grid.png").load()
    assert "has no page; finished: metrics.json, grid.png" in captured.err


@pytest.fixture
def diffusing(tmp_path):
    """A scene whose sampler works in steps, untrained."""
    file = tmp_path / "steps.toml"
    file.write_text(STEPS)
    return str(file)


def test_a_denoising_shows_the_samples_of_the_gallery_and_says_how_many(diffusing, tmp_path, capsys):
    found = answer(capsys, "sample", diffusing, "--n", "5", "--steps", "3", "--out", str(tmp_path / "g"))
    told = json.loads((tmp_path / "g" / "metrics.json").read_text())
    assert found["metrics"]["steps"] == 3 and "checkpoint" not in told
    assert told["protocol"] == {"steps": 3, "scheduler": "dpmsolver++", "guidance": 1.0}
    page = (tmp_path / "g" / "index.html").read_text("utf-8")
    assert "5 samples from noise to image in 3 steps" in page
    assert {Path(name).name for name in found["files"][3:]} <= set(SOMETIMES)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--scheduler", "dimm"], '--scheduler dimm: there is no scheduler "dimm"; did you mean "ddim"'),
        (["--steps", "1001"], "--steps must be from 1 to 1,000"),
        (
            ["--scheduler", "euler", "--condition", "frame=0", "--condition", "mask=0,0,4,4"],
            "--scheduler euler: inpainting always uses ddpm",
        ),
        (["--condition", "frame=0"], "--condition: a frame needs a mask"),
    ],
)
def test_the_option_that_is_wrong_is_named(diffusing, tmp_path, capsys, more, words):
    assert words in refusal(capsys, "sample", diffusing, "--out", str(tmp_path / "g"), *more)
    assert not (tmp_path / "g").exists()


def test_what_takes_one_step_takes_no_other_number_and_no_scheduler(diffusing, tmp_path, capsys):
    one = Path(diffusing).with_name("one.toml")
    one.write_text(STEPS.replace('"diffusion"', '"one-step"'))
    said = refusal(capsys, "sample", str(one), "--out", str(tmp_path / "g"), "--steps", "4")
    assert "--steps 4: steps must be 1" in said
    said = refusal(capsys, "sample", str(one), "--out", str(tmp_path / "g"), "--scheduler", "ddim")
    assert "--scheduler ddim" in said and "takes one step" in said
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--condition", "label=tree"], 'no label "tree"'),
        (["--condition", "lable=3"], 'did you mean "label"'),
        (["--condition", "text=three trees"], 'the word "trees"'),
        (["--condition", "text=three"], "takes no text; it takes"),
        (["--condition", "frame=1", "--condition", "mask=0,0,99,4"], "8×8"),
        (["--condition", "frame=nowhere.png"], "no such file"),
        (["--n", "0"], "--n must be"),
        (["--n", "1000000"], "--n must be"),
        (["--steps", "0"], "--steps must be"),
        (["--guidance", "-1"], "--guidance must be"),
        (["--steps", "4"], '--steps 4: the sampler "vae" has no steps'),
        (["--scheduler", "nonsense"], '--scheduler nonsense: the sampler "vae" has no scheduler'),
        (["--guidance", "3"], '--guidance 3.0: the sampler "vae" has no guidance'),
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
