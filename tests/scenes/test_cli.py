"""The command line: verbs, JSON keys, exit codes, one clear line for what is wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import answer, refusal
from light_worlds import Pressed

from scenes.cli import doctor, watching
from scenes.cli.main import main
from scenes.cli.outcome import without_nonfinite
from scenes.schema import load_scene
from sim.storage.checkpoints import load_checkpoint, save_checkpoint

ENTRY = "from scenes.cli.main import entry; entry()"
CHEAP = ["--set", "world.num_envs=2", "--set", "agent.num_steps=16", "--set", "agent.minibatch_size=32"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys; from scenes.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'numpy', 'pygame', 'gymnasium') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_list_needs_no_torch():
    code = "import sys; from scenes.cli.main import main; main(['list', '--json'])"
    code += "; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    *_, names, torch = out.splitlines()
    assert torch == "False"
    assert {"worlds", "agents", "perceptions", "samplers", "scenes"} <= set(json.loads(names))


def test_list_gives_names_by_kind(capsys):
    assert "pong" in answer(capsys, "list")["scenes"]
    assert {"dqn", "ppo", "random"} <= set(answer(capsys, "list", "agents")["agents"])
    worlds = answer(capsys, "list", "worlds")["worlds"]
    assert {"atari/pong", "atari/breakout", "gym/CartPole-v1"} <= set(worlds)
    main(["list"])
    said = capsys.readouterr().out
    assert "CartPole" in said
    rows = [line.split() for line in said.splitlines() if line.rstrip().endswith("trained")]
    assert all(row[-1] == "trained" for row in rows), "a long title does not run into what stands behind it"


def test_train_writes_a_run_that_evaluate_and_watch_use(capsys):
    trained = answer(capsys, "train", "cartpole", "--run", "r", "--steps", "50", *CHEAP)
    assert (trained["run"], trained["env_steps"], trained["updates"]) == ("r", 64, 2)
    assert trained["steps_per_second"] > 0
    assert "policy_loss" in trained["metrics"]
    scored = answer(capsys, "evaluate", "cartpole", "--checkpoint", "r/checkpoints/64", "--episodes", "3")
    assert scored["n"] == 3
    assert {"return_mean", "return_iqm", "return_std"} <= set(scored["metrics"]) & set(scored["baseline"])
    low, high = scored["ci95"]["return_mean"]
    assert low <= scored["metrics"]["return_mean"] <= high
    assert scored["breakdown"] == {"gym/CartPole-v1": scored["metrics"]}
    assert scored["protocol"]["world"] == "gym/CartPole-v1"
    seen = answer(capsys, "watch", "cartpole", "--run", "r", "--headless", "--frames", "5")
    assert seen["frames"] == 5


def test_a_game_is_scored_by_outcome_and_by_opponent(capsys):
    Path("kqk.toml").write_text(
        'title = "KQK"\n[world]\nuse = "chess/kqk"\nmax_plies = 30\n[agent]\nuse = "random"\n'
    )
    scored = answer(capsys, "evaluate", "kqk.toml", "--episodes", "4")
    assert set(scored["breakdown"]) == {"random", "greedy", "perfect"}
    assert scored["breakdown"]["random"] == scored["metrics"]
    assert {"win", "draw", "loss", "mates"} <= set(scored["metrics"])
    assert {"win", "draw", "loss", "mates"} <= set(scored["ci95"])


def test_watch_records_h264_headless(capsys):
    own = random_scene()
    seen = answer(capsys, "watch", own, "--headless", "--frames", "30", "--record", "c.mp4")
    assert Path(seen["file"]).samefile("c.mp4") and seen["fps"] > 0
    with av.open("c.mp4") as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in video.decode(video=0)) == 30


def random_scene():
    Path("own.toml").write_text('title = "Own"\n[world]\nuse = "gym/CartPole-v1"\n[agent]\nuse = "random"\n')
    return "own.toml"


def test_with_no_display_watch_records_by_itself_and_says_so(capsys, few):
    few(watching, FRAMES_WITHOUT_DISPLAY=20)
    assert main(["watch", random_scene(), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["frames"] == 20
    assert Path(json.loads(captured.out.splitlines()[-1])["file"]).samefile("own.mp4")
    assert "no display" in captured.err and "own.mp4" in captured.err
    first = Path("own.mp4").read_bytes()
    assert main(["watch", random_scene(), "--json"]) == 0
    captured = capsys.readouterr()
    assert "to own-2.mp4" in captured.err
    assert Path(json.loads(captured.out.splitlines()[-1])["file"]).samefile("own-2.mp4")
    assert Path("own.mp4").read_bytes() == first


def test_a_persons_video_is_replaced_only_where_that_is_asked_for(capsys, monkeypatch):
    Path("c.mp4").write_text("mine")
    watched = ["watch", random_scene(), "--headless", "--frames", "3", "--record", "c.mp4"]
    with monkeypatch.context() as patch:
        patch.setattr("scenes.watching.playlist.show_of", None)  # no work is done first
        assert "c.mp4: it exists; name another file, or add --overwrite" in refusal(capsys, *watched)
    assert Path("c.mp4").read_text() == "mine"
    assert answer(capsys, *watched, "--overwrite")["frames"] == 3
    assert Path("c.mp4").stat().st_size > 4 and {p.name for p in Path().iterdir()} == {"c.mp4", "own.toml"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["watch", "pnog"], 'there is no scene "pnog"; did you mean "pong"?'),
        (["train", "missing.toml"], "there is no scene file missing.toml"),
        (["train", "cartpole", "--set", "agent.gama=1"], 'unknown key "gama"; did you mean "gamma"'),
        (["train", "cartpole", "--set", "agent.network=nature"], 'use network = "mlp"'),
        (["train", "cartpole", "--steps", "0"], "--steps must be at least 1"),
        (["train", "cartpole", "--resume"], "there is no run of cartpole"),
        (["train", "cartpole", "--resume", "--run", "x"], "x is not a run folder"),
        (["train", "cartpole", "--set", "agent.use=random"], "unknown key"),
        (["evaluate", "cartpole", "--checkpoint", "x"], "x does not exist"),
        (["evaluate", "cartpole", "--episodes", "0"], "--episodes must be at least 1"),
        (["watch", "cartpole", "--headless"], "--headless needs --frames"),
        (["watch", "cartpole", "--headless", "--frames", "0"], "--frames must be at least 1, not 0"),
        (["watch", "cartpole", "--headless", "--frames", "3", "--record", "a.avi"], ".mp4"),
        (["watch", "cartpole", "--run", "x"], "x holds no checkpoint"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(capsys, arguments, words):
    assert words in refusal(capsys, *arguments)


def test_cuda_is_refused_where_there_is_none(capsys):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert "use --device cpu" in refusal(capsys, "train", "cartpole", "--device", "cuda")


def test_an_existing_run_is_not_overwritten(capsys):
    answer(capsys, "train", "cartpole", "--run", "r", "--steps", "32", *CHEAP)
    assert "go on with --resume" in refusal(capsys, "train", "cartpole", "--run", "r")


def test_resuming_a_finished_run_does_nothing_and_says_so(capsys):
    first = answer(capsys, "train", "cartpole", "--run", "r", "--steps", "32", *CHEAP)
    assert main(["train", "cartpole", "--run", "r", "--resume", "--json", "--steps", "32"]) == 0
    captured = capsys.readouterr()
    assert "finished" in captured.err
    assert json.loads(captured.out.splitlines()[-1])["env_steps"] == first["env_steps"]


def test_a_run_goes_on_as_what_it_is_and_says_what_is_changed(capsys):
    answer(capsys, "train", "cartpole", "--run", "r", "--steps", "32", *CHEAP)
    said = refusal(capsys, "train", "pong", "--run", "r", "--resume")
    assert 'is a run of "CartPole' in said and "not of pong (atari/pong" in said
    assert "keeps it" in refusal(capsys, "train", "cartpole", "--run", "r", "--resume", "--seed", "5")
    further = ["train", "cartpole", "--run", "r", "--resume", "--steps"]
    assert main([*further, "64", "--set", "agent.gamma=0.9"]) == 0
    assert main([*further, "96"]) == 0
    said = capsys.readouterr().err
    changes = "from step 32 on: agent.gamma = 0.9"
    assert changes in said
    lines = Path("r/scene.toml").read_text().splitlines()
    assert lines[0].startswith(f"# {changes}")
    assert lines[1].startswith("# from step 64 on: train.env_steps = 96 (was 64)")
    assert load_scene("r/scene.toml").agent.fields["gamma"] == 0.9, "it stays changed"


def test_a_runs_scene_that_leaves_defaults_out_goes_on_unchanged(capsys):
    answer(capsys, "train", "cartpole", "--run", "r", "--steps", "32", *CHEAP)
    file = Path("r/scene.toml")
    written = file.read_text()
    file.write_text(written.replace("fps = 60\n", "").replace("evaluate_every = 0\n", ""))
    assert file.read_text() != written
    assert main(["train", "cartpole", "--run", "r", "--resume", "--steps", "64"]) == 0
    assert "from step 32 on: train.env_steps = 64 (was 32)\n" in capsys.readouterr().err


def test_a_run_stands_for_its_newest_checkpoint(capsys):
    run = answer(capsys, "train", "cartpole", "--run", "r", "--steps", "96", *CHEAP)
    newest = str(Path("r/checkpoints") / str(run["env_steps"]))
    scores = [
        answer(capsys, "evaluate", "cartpole", "--episodes", "2", "--checkpoint", folder)["metrics"]
        for folder in ("r", newest)
    ]
    assert scores[0] == scores[1]


def test_checkpoints_without_a_state_are_not_trained_over(capsys):
    often = ["--set", "train.checkpoint_every=32"]
    answer(capsys, "train", "cartpole", "--run", "r", "--steps", "96", *often, *CHEAP)
    shutil.rmtree("r/state")
    said = refusal(capsys, "train", "cartpole", "--run", "r", "--resume", "--steps", "128")
    assert "--from r/checkpoints/96" in said


def test_one_game_has_no_interval(capsys):
    found = answer(capsys, "evaluate", "cartpole", "--episodes", "1")
    assert found["ci95"]["return_mean"] == [None, None] and found["n"] == 1


def test_nobody_plays_where_there_is_no_display(capsys):
    assert "there must be a display" in refusal(capsys, "play", "cartpole", "--frames", "3")


def test_what_cannot_be_written_or_read_is_named(capsys, monkeypatch):
    Path("afile").write_text("")
    assert "afile is a file" in refusal(capsys, "perceive", "pong-detector", "--out", "afile")
    assert "it is a file" in refusal(capsys, "evaluate", "cartpole", "--checkpoint", "afile")
    answer(capsys, "train", "cartpole", "--run", "r", "--steps", "32", *CHEAP)

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("sim.storage.runs.FileLock.acquire", forbidden)
        assert "r cannot be written" in refusal(capsys, "train", "cartpole", "--run", "r", "--resume")
    with monkeypatch.context() as patch:
        patch.setattr("sim.storage.checkpoints.tomllib.loads", forbidden)
        assert "cannot be read: Permission" in refusal(capsys, "evaluate", "cartpole", "--checkpoint", "r")


def test_whoever_reads_may_stop_reading():
    for verb in ("--help", "list"):
        command = [sys.executable, "-c", ENTRY, verb]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.close()
        assert "Traceback" not in process.communicate(timeout=60)[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_an_answer_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", ENTRY, "list", "scenes", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["playfield: [Errno 28] No space left on device"]


def test_a_missing_package_is_named_with_its_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    for name in [m for m in sys.modules if m.startswith("sim.atari")]:
        monkeypatch.delitem(sys.modules, name)
    said = refusal(capsys, "evaluate", "breakout")
    assert "ale-py" in said and "python -m pip install" in said


def test_doctor_lists_checks(capsys):
    found = answer(capsys, "doctor")["checks"]
    assert all(check["ok"] or check["mend"] for check in found)
    assert any("ale_py" in check["name"] for check in found)


def test_doctor_tells_the_line_that_installs_the_faster_chess_rules(monkeypatch):
    monkeypatch.setattr("sim.chess.rules.game.fast_core_missing", lambda: "not installed")
    (check,) = (check for check in doctor._rules_core())
    assert check.ok, "it is optional"
    assert re.fullmatch(r'not installed: python -m pip install "rust-chess.*"', check.found)


def test_ctrl_c_saves_and_exits_130(tmp_path, capsys):
    Pressed.at = 40
    command = ["train", "cartpole", "--run", "r", "--steps", "320", *CHEAP]
    assert main([*command, "--set", "world.use=gym/tests/Pressed-v0", "--json"]) == 130
    steps = json.loads(capsys.readouterr().out.splitlines()[-1])["env_steps"]
    assert steps == 64, "to the end of the update"
    assert (tmp_path / "r" / "checkpoints" / "64" / "card.toml").is_file()
    assert (tmp_path / "r" / "state" / "64" / "state.json").is_file()


def test_a_checkpoint_of_nan_is_refused_by_the_name_of_the_tensor(capsys):
    kept = load_checkpoint(load_scene("cartpole").resolve("checkpoints/cartpole-ppo"))
    bias = "actor_critic.policy.bias"
    spoilt = kept.weights | {bias: np.full_like(kept.weights[bias], np.nan)}
    save_checkpoint(Path("nan"), {k: v for k, v in kept.card.items() if k != "weights"}, spoilt)
    for verb in (["evaluate"], ["collect", "--out", "x"], ["watch", "--set", "agent.checkpoint=/nan"]):
        words = [word.replace("/nan", str(Path("nan").absolute())) for word in verb[1:]]
        words += ["--headless", "--frames", "3"] if verb[0] == "watch" else ["--checkpoint", "nan"]
        assert f"nan holds NaN or infinity: in 100% of {bias}" in refusal(capsys, verb[0], "cartpole", *words)


def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(capsys):
    other = ["--set", "agent.network=mlp256"]
    assert "does not fit" in refusal(capsys, "evaluate", "cartpole", *other)
    scene = load_scene("cartpole")
    trained = str(scene.resolve(scene.agent.checkpoint))
    assert "does not fit" in refusal(capsys, "train", "cartpole", *other, "--from", trained)
    assert "does not fit" in refusal(capsys, "perceive", "pong-detector", "--set", "perception.0.channels=16")
    answer(capsys, "train", "cartpole", *other, "--run", "r", "--steps", "600")
    assert "does not fit" in refusal(capsys, "watch", "cartpole", "--run", "r", "--headless", "--frames", "5")
    answer(capsys, "evaluate", "cartpole", "--checkpoint", "r", "--episodes", "2")  # its own network plays


def test_numbers_that_json_has_not_are_null():
    told = without_nonfinite({"a": [1.5, float("nan")], "b": {"c": float("inf"), "d": "nan"}, "e": None})
    assert json.loads(json.dumps(told, allow_nan=False)) == {
        "a": [1.5, None],
        "b": {"c": None, "d": "nan"},
        "e": None,
    }
