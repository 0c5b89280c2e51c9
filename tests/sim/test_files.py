"""Files on disk: whole or absent, never in the place of another's, whoever else writes at the same time."""

import errno
import os
import threading

import pytest

from sim.storage.files import SaveError, new_folder, next_free, put_in_place, write_whole


def test_the_next_free_name_counts_up_from_two(tmp_path):
    assert next_free(tmp_path / "pong.mp4") == tmp_path / "pong.mp4"
    (tmp_path / "pong.mp4").touch()
    (tmp_path / "pong-2.mp4").symlink_to("nowhere")  # still somebody's
    assert next_free(tmp_path / "pong.mp4") == tmp_path / "pong-3.mp4"
    (tmp_path / "gallery").mkdir()
    assert next_free(tmp_path / "gallery") == tmp_path / "gallery-2"


def test_processes_that_ask_at_the_same_time_get_a_folder_each(tmp_path):
    """Each looks for a free name before any has made its folder."""
    together, found = threading.Barrier(8), []

    def take():
        together.wait()
        with new_folder(tmp_path / "gallery") as folder:
            (folder / "mine").touch(exist_ok=False)
            found.append(folder.name)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(["gallery", *(f"gallery-{number}" for number in range(2, 9))])


def test_a_new_folder_that_stays_empty_goes_again(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "gallery"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not make .*file/gallery"):
        with new_folder(tmp_path / "file" / "gallery"):
            pass


@pytest.mark.parametrize("links", [True, False])
def test_a_finished_file_takes_the_next_name_where_another_came_first(tmp_path, monkeypatch, links):
    link = os.link

    def slow(source, target):
        if not links:
            raise OSError(errno.EPERM, "no links on this file system")
        if target == tmp_path / "a.txt":
            target.write_text("another's")  # between the look and the link
        link(source, target)

    if not links:
        (tmp_path / "a.txt").write_text("another's")
    monkeypatch.setattr(os, "link", slow)
    (tmp_path / "new").write_text("mine")
    assert put_in_place(tmp_path / "new", tmp_path / "a.txt", overwrite=False) == tmp_path / "a-2.txt"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.txt": "another's",
        "a-2.txt": "mine",
    }


def test_a_file_that_cannot_be_finished_leaves_the_older_one(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("older")

    def full(path):
        path.write_text("half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(file, full)
    assert file.read_text() == "older" and list(tmp_path.iterdir()) == [file]
    write_whole(file, lambda path: path.write_text("newer"))
    assert file.read_text() == "newer" and list(tmp_path.iterdir()) == [file]
