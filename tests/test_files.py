"""Files and folders of ours: whole or not there, no planted link followed, one process at a time."""

import multiprocessing
import os
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.files import held, open_own, open_regular, put, remove, workspace, write_atomically

FORK = multiprocessing.get_context("fork")  # a process that need not import torch first
REMEDY = "give another --name"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "one\n")
    write_atomically(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    write_atomically(path, b"\0\xff")
    assert path.read_bytes() == b"\0\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    """A group shares its runs: the umask decides, as for any other file."""
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, "new")
    assert (caught.value.errno, caught.value.filename) == (28, str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_in_the_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("a.txt", ".a.txt.new"):
        (tmp_path / name).symlink_to(victim)
    write_atomically(tmp_path / "a.txt", "ours")
    assert victim.read_text() == "precious"
    assert (tmp_path / "a.txt").read_text() == "ours"
    assert not (tmp_path / "a.txt").is_symlink()


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("fifo", "folder", "device"):
        with pytest.raises(OSError, match="no regular file"):
            write_atomically(tmp_path / name, "")
    assert sorted(os.listdir(tmp_path)) == ["device", "fifo", "folder"]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"12345"
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(OSError, match="no regular file") as caught:
            open_regular(path)
        assert caught.value.filename == str(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_our_own_files_are_no_links(tmp_path: Path) -> None:
    for text in (b"one ", b"two"):
        with open_own(tmp_path / "log") as file:
            file.write(text)
    assert (tmp_path / "log").read_bytes() == b"one two"
    (tmp_path / "soft").symlink_to(tmp_path / "log")
    (tmp_path / "nowhere").symlink_to(tmp_path / "new")
    os.link(tmp_path / "log", tmp_path / "hard")
    os.mkfifo(tmp_path / "fifo")
    for name in ("soft", "nowhere", "hard", "fifo"):
        with pytest.raises(UserError, match=f"{name}' is a link or no regular file"):
            open_own(tmp_path / name)
    assert (tmp_path / "log").read_bytes() == b"one two"
    assert not (tmp_path / "new").exists()


def test_a_links_target_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    remove(tmp_path / "link")
    assert os.listdir(tmp_path / "folder") == ["precious"]
    remove(tmp_path / "folder")
    assert os.listdir(tmp_path) == []


def test_one_holds_a_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("saved")
    with held(tmp_path / "saved" / "run", REMEDY):
        for way in ("saved/run", "saved/../saved/run", "link/run"):
            with pytest.raises(UserError, match=r"Another process is at work on .*or give another --name\."):
                held(tmp_path / way, REMEDY).__enter__()
        with held(tmp_path / "saved" / "other", REMEDY):
            pass
    with held(tmp_path / "saved" / "run", REMEDY):
        pass
    assert os.listdir(tmp_path / "saved") == []


def holder(path: Path) -> BaseProcess:
    """Start a process that holds a name, and return when it does."""

    def hold(said: Connection) -> None:
        with held(path, REMEDY):
            said.send("held")
            time.sleep(60)

    said, says = FORK.Pipe(duplex=False)
    process = FORK.Process(target=hold, args=(says,), daemon=True)
    process.start()
    assert said.recv() == "held"
    return process


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path / "run")
    with pytest.raises(UserError, match="Another process"):
        held(tmp_path / "run", REMEDY).__enter__()
    process.kill()
    process.join()
    with held(tmp_path / "run", REMEDY):
        pass
    assert os.listdir(tmp_path) == []


def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".run.lock").symlink_to(tmp_path / "new")
    with pytest.raises(UserError, match=r"run' cannot be written .*symbolic links.*: give another --name\."):
        held(tmp_path / "run", REMEDY).__enter__()
    assert not (tmp_path / "new").exists()


def test_many_ask_for_one_name(tmp_path: Path) -> None:
    """However holders come and go, two are never in the block at once: a folder cannot be made twice."""

    def work(says: Connection) -> None:
        done, end = 0, time.monotonic() + 0.4
        while time.monotonic() < end:
            with suppress(UserError), held(tmp_path / "run", REMEDY):
                (tmp_path / "inside").mkdir()
                (tmp_path / "inside").rmdir()
                done += 1
        says.send(done)

    pipes = [FORK.Pipe(duplex=False) for _ in range(3)]
    for _, says in pipes:
        FORK.Process(target=work, args=(says,), daemon=True).start()
        says.close()
    assert sum(said.recv() for said, _ in pipes) > 0  # from a process that failed there comes an EOFError


def make(place: Path, text: str) -> Path:
    made = place / "made"
    made.mkdir()
    (made / "file").write_text(text)
    return made


def test_a_folder_appears_and_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "folder"
    for text in ("one", "two"):
        with workspace(folder, REMEDY) as place:
            assert os.listdir(place) == []
            with pytest.raises(UserError, match="Another process"):
                workspace(folder, REMEDY).__enter__()
            made = make(place, text)
            (place / "left over").touch()
            put(made, folder)
        assert (folder / "file").read_text() == text
        assert os.listdir(folder.parent) == ["folder"]


def test_the_hidden_folder_itself_can_be_put_into_place(tmp_path: Path) -> None:
    with workspace(tmp_path / "folder", REMEDY) as place:
        (place / "file").touch()
        put(place, tmp_path / "folder")
    assert os.listdir(tmp_path / "folder") == ["file"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path, "old").rename(tmp_path / "folder")
    with pytest.raises(FileExistsError), workspace(folder, REMEDY) as place:
        make(place, "new").mkdir()
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(source).name == "made":
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="Input/output"), workspace(folder, REMEDY) as place:
        put(make(place, "new"), folder)
    assert (folder / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


def test_what_a_killed_process_left(tmp_path: Path) -> None:
    """Killed between the two moves of `put`, or before them: the old folder comes back, what is half goes."""
    make(tmp_path, "old").rename(tmp_path / ".folder.old")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    (tmp_path / ".folder.making").symlink_to(tmp_path / "elsewhere")
    with workspace(tmp_path / "folder", REMEDY):
        assert (tmp_path / "folder" / "file").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "folder"]
    assert os.listdir(tmp_path / "elsewhere") == ["precious"]
    make(tmp_path, "older").rename(tmp_path / ".folder.old")
    with workspace(tmp_path / "folder", REMEDY) as place:
        put(make(place, "new"), tmp_path / "folder")
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert os.listdir(tmp_path / "elsewhere") == ["precious"]
    assert not (tmp_path / ".folder.old").exists()
