"""Documents: the paths, names and commands that docs and docstrings mention exist; examples run."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from scenes.build.agents import scene_agent, scene_world
from scenes.build.perceptions import perception_config
from scenes.build.samplers import sampler_config
from scenes.schema import load_scene

ROOT = Path(__file__).parent.parent
FOLDERS = ("sim", "supervised", "generative", "agents", "scenes")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py"))
SCENE_VERBS = ("watch", "play", "train", "evaluate", "sample", "perceive", "collect", "uci")


def defines(file: Path, name: str) -> bool:
    """Whether a module defines a class, function, constant or field, or imports it."""
    pattern = rf"^ *(class|def) {name}\b|^ *{name}\b *[:=]|\bimport .*\b{name}\b"
    return re.search(pattern, file.read_text("utf-8"), re.M) is not None


def exists(dotted: str) -> bool:
    """Whether ``sim.records.Percept`` and the like is a package, a module, or a name in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
        if file.is_file():
            return count == len(parts) or defines(file, parts[count])
    return False


def mentioned(text: str) -> set[str]:
    """The dotted names in single backticks that begin with one of our folders."""
    return set(re.findall(rf"(?<!`)`((?:{'|'.join(FOLDERS)})(?:\.\w+)+)`(?!`)", text))


def commands(text: str) -> list[list[str]]:
    """The indented ``playfield`` commands of a document, continued lines joined, comments left out."""
    lines = re.findall(r"^    (playfield .*)$", text.replace("\\\n", " "), re.M)
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_and_name_in_a_document_exists(document):
    text = document.read_text("utf-8")
    paths = re.findall(rf"[`(]((?:{'|'.join((*FOLDERS, 'tests', 'docs', 'curves'))})/[\w./-]*)[`)]", text)
    assert [path for path in paths if not ((ROOT / path).exists() or (ROOT / "docs" / path).exists())] == []
    assert [name for name in mentioned(text) if not exists(name)] == []
    modules = re.findall(r"python -m ((?:scenes|generative|supervised|agents|sim)[\w.]+)", text)
    assert [name for name in modules if not exists(name)] == []


def test_every_name_in_the_glossary_is_defined_in_the_file_beside_it():
    found = []
    for line in (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines():
        for path, names in re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", line):
            found += [(path, name) for name in re.findall(r"`(\w+)`", names)]
    assert len(found) > 30
    assert [(path, name) for path, name in found if not defines(ROOT / path, name)] == []


def test_names_of_ours_in_docstrings_and_comments_exist():
    stale = []
    for module in MODULES:
        names = mentioned(module.read_text("utf-8"))
        stale += [(str(module.relative_to(ROOT)), name) for name in names if not exists(name)]
    assert stale == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_in_a_document_name_scenes_and_keys_that_exist(document):
    for verb, *words in commands(document.read_text("utf-8")):
        if verb not in SCENE_VERBS or words[0].isupper() or words[0].endswith((".toml", ".pfr")):
            continue
        changes = [after for word, after in zip(words, words[1:], strict=False) if word == "--set"]
        scene = load_scene(words[0], changes)
        built = [perception_config(scene, i) for i in range(len(scene.perception))]
        built += [sampler_config(scene, i) for i in range(len(scene.sampler))]
        built += [scene_agent(scene)] if scene.agent is not None else []
        built += [scene_world(scene)] if scene.world is not None else []
        assert built, f"{verb} {' '.join(words)}: a scene of nothing"  # keys that are none were refused above


def test_the_examples_in_docs_give_what_they_say():
    done = doctest.testfile(str(ROOT / "docs" / "perception.md"), module_relative=False)
    assert done.attempted > 5 and done.failed == 0
