"""`data get` against a local hub that behaves, breaks, lies, or publishes hostile archives."""

import gzip
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.datasets.hub import Hub, archive, dataset_files, packed
from textbox_elmer.cli import main
from textbox_elmer.datasets import getting
from textbox_elmer.datasets.download import look_up, part_of
from textbox_elmer.datasets.unpack import MOST_ENTRIES
from textbox_elmer.files import held
from textbox_elmer.runtime.data import load_split

Data = Callable[..., str]
GOOD = archive(dataset_files())
# Noise does not compress, so that the archive is large enough to be broken off in the middle.
NOISE = random.Random(0).randbytes(50_000).hex().encode() + b"\n"
LARGE = archive(dataset_files() | {"samsum/notes.txt": NOISE})


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def test_gets_a_dataset_that_a_run_reads(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    printed = data("get", "samsum")
    assert printed == "dataset/samsum: 3 train, 2 valid, 1 test examples from RUCAIBox/Summarization.\n"
    split = load_split(place / "dataset" / "samsum", "train")
    assert (split.source[0], split.target[2]) == ("train src 0", "train tgt 2")
    assert everything(place / "dataset") == [
        f"samsum/{split}.{side}" for split in ("test", "train", "valid") for side in ("src", "tgt")
    ]


@pytest.mark.parametrize("arguments", [["--data_path", "my data", "samsum"], ["samsum", "--data_path=my data"]])
def test_data_path_says_where(hub: Hub, place: Path, data: Data, arguments: list[str]) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", archive(dataset_files("./")))
    data("get", *arguments)
    assert (place / "my data" / "samsum" / "test.tgt").read_text() == "test tgt 0\n"


def test_the_archive_that_is_called_otherwise(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Question-Answering", "msqg.tgz", archive(dataset_files("msqg/")))
    hub.publish("RUCAIBox/Style-Transfer", "gyafc_em.tgz", archive(dataset_files("gyafc_em/")))
    data("get", "msqa")
    data("get", "gyafc-em")
    assert sorted(os.listdir("dataset")) == ["gyafc-em", "msqa"]


def test_the_other_direction_of_a_translation(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Translation", "wmt16-ro-en.tgz", archive(dataset_files("wmt16-ro-en/")))
    data("get", "wmt16-en-ro")
    split = load_split(place / "dataset" / "wmt16-en-ro", "valid")
    assert (split.source[0], split.target[0]) == ("valid tgt 0", "valid src 0")
    assert len(everything(place / "dataset")) == 6


def test_a_dataset_without_test_split(hub: Hub, place: Path, data: Data) -> None:
    files = {name: content for name, content in dataset_files("kvret/").items() if "test" not in name}
    hub.publish("RUCAIBox/Task-Dialogue", "kvret.tgz", archive(files))
    assert "no test split: run with --do_test=False" in data("get", "kvret")


def test_never_overwrites(hub: Hub, place: Path, data: Data) -> None:
    (place / "dataset" / "samsum").mkdir(parents=True)
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    assert "'dataset/samsum' is here already" in data("get", "samsum", status=2)
    assert os.listdir(place / "dataset" / "samsum") == []
    assert hub.downloads == []


def test_what_has_arrived_serves_the_next_command(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    part = _break_off(hub, place, data)
    arrived = part.stat().st_size
    assert 0 < arrived < len(LARGE)
    assert part.name.startswith(".")
    hub.breaks_after = None
    hub.downloads.clear()
    data("get", "samsum")
    assert hub.downloads == [f"bytes={arrived}-"]
    assert len(everything(place / "dataset")) == 6


def test_a_server_that_knows_no_ranges_starts_afresh(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    _break_off(hub, place, data)
    hub.breaks_after, hub.ignores_ranges = None, True
    data("get", "samsum")
    assert len(everything(place / "dataset")) == 6


def test_a_new_version_is_not_joined_to_an_old_part(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    _break_off(hub, place, data)
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    hub.breaks_after = None
    hub.downloads.clear()
    data("get", "samsum")
    assert hub.downloads == [""]


def test_broken_off_again_and_again(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    hub.breaks_after = 20_000
    for attempt in range(1, len(LARGE) // hub.breaks_after + 1):
        data("get", "samsum", status=2)
        (part,) = (place / "dataset").iterdir()
        assert part.stat().st_size == attempt * hub.breaks_after
    data("get", "samsum")
    assert hub.downloads == ["", *(f"bytes={20_000 * i}-" for i in range(1, attempt + 1))]


def _break_off(hub: Hub, place: Path, data: Data) -> Path:
    """Download two thirds of the archive and return where they lie."""
    hub.breaks_after = 2 * len(LARGE) // 3
    message = data("get", "samsum", status=2)
    assert "samsum.tgz broke off at 0.0 of 0.1 MB" in message
    assert "repeat the command, which goes on from there" in message
    assert not (place / "dataset" / "samsum").exists()
    (part,) = (place / "dataset").iterdir()
    return part


def test_a_wrong_checksum_is_thrown_away(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    hub.sha256 = "ab" * 32
    assert "arrived with another SHA-256" in data("get", "samsum", status=2)
    assert everything(place) == []
    hub.sha256 = None
    data("get", "samsum")


def test_no_checksum_no_download(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    hub.sha256 = "no-checksum"
    assert "names no size and SHA-256 for samsum.tgz" in data("get", "samsum", status=2)
    hub.sha256 = None
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", b"")
    assert "names no size and SHA-256 for samsum.tgz" in data("get", "samsum", status=2)
    assert hub.downloads == []


def test_a_server_that_sends_more_than_announced(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    hub.extra = b"0" * 1000
    assert "sends more than it announced" in data("get", "samsum", status=2)
    assert everything(place) == []


def test_the_size_limit_of_the_download(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    message = data("get", "samsum", "--max_gb=0.00001", status=2)
    assert "samsum.tgz has " in message
    assert "give a larger --max_gb" in message
    assert hub.downloads == []
    assert everything(place) == []


def test_the_size_limit_of_what_it_unpacks_to(hub: Hub, place: Path, data: Data) -> None:
    bomb = archive(dataset_files() | {"samsum/zeros": bytes(3_000_000)})
    assert len(bomb) < 10_000
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", bomb)
    assert "unpacks to more than 0.001 GB" in data("get", "samsum", "--max_gb", "0.001", status=2)
    assert everything(place) == []


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "much"])
def test_limits_that_are_none(place: Path, data: Data, limit: str) -> None:
    assert "--max_gb must be a number" in data("get", "samsum", f"--max_gb={limit}", status=2)


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def huge_header() -> bytes:
    """An archive whose first entry has a name of 100 MB."""
    name = entry("long", tarfile.GNUTYPE_LONGNAME)
    name.size = 100_000_000
    return packed(name.tobuf(tarfile.GNU_FORMAT) + bytes(name.size))


def many_entries() -> bytes:
    tar = b"".join(entry(f"{i}").tobuf() for i in range(MOST_ENTRIES + 1))
    return packed(tar + bytes(1024))


def cut_tar() -> bytes:
    """An archive that is whole as a gzip file but whose tar file ends inside its last text."""
    tar = gzip.decompress(archive({"samsum/train.src": b"a\n" * 5000}))
    return packed(tar[:4000])


def sparse() -> bytes:
    made = entry("samsum/train.src", tarfile.GNUTYPE_SPARSE)
    return packed(made.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


FILES = dataset_files()
HOSTILE = {
    "absolute path": (archive(FILES, entry("/etc/train.src")), "'/etc/train.src' would lie outside"),
    "parent": (archive(FILES, entry("samsum/../../escaped")), "would lie outside"),
    "backslashes": (archive(FILES, entry("..\\escaped")), "would lie outside"),
    "parent folder": (archive(FILES, entry("../out", tarfile.DIRTYPE)), "would lie outside"),
    "symbolic link": (archive(FILES, entry("samsum/l", tarfile.SYMTYPE, "/etc/passwd")), "neither a file nor a folder"),
    "hard link": (archive(FILES, entry("samsum/l", tarfile.LNKTYPE, "/etc/passwd")), "neither a file nor a folder"),
    "device": (archive(FILES, entry("samsum/d", tarfile.CHRTYPE)), "neither a file nor a folder"),
    "pipe": (archive(FILES, entry("samsum/p", tarfile.FIFOTYPE)), "neither a file nor a folder"),
    "sparse file": (sparse(), "neither a file nor a folder"),
    "huge header": (huge_header(), "a header of many megabytes"),
    "many entries": (many_entries(), "more than 10,000 entries"),
    "twice": (archive(FILES, entry("samsum/train.src")), "holds 'samsum/train.src' twice"),
    "two datasets": (archive(FILES | dataset_files("other/")), "several datasets"),
    "a file missing": (archive({k: v for k, v in FILES.items() if "valid.tgt" not in k}), "it lacks valid.tgt"),
    "half a test split": (archive({k: v for k, v in FILES.items() if "test.tgt" not in k}), "it lacks test.tgt"),
    "nothing": (archive({}), "it lacks train.src, train.tgt, valid.src, valid.tgt"),
    "cut off": (LARGE[: len(LARGE) // 2], "damaged or incomplete"),
    "cut off inside": (cut_tar(), "damaged or incomplete"),
    "no archive": (b"<html>Sign in</html>", "damaged or incomplete"),
    "gzip of something else": (packed(b"text" * 1000), "damaged or incomplete"),
    "one bit wrong": (GOOD[:60] + bytes([GOOD[60] ^ 4]) + GOOD[61:], "damaged or incomplete|it lacks"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_and_damaged_archives(hub: Hub, place: Path, data: Data, kind: str) -> None:
    content, complaint = HOSTILE[kind]
    (place / "work").mkdir()
    os.chdir(place / "work")
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", content)
    message = data("get", "samsum", status=2)
    assert any(part in message for part in complaint.split("|")), message
    assert "samsum.tgz of RUCAIBox/Summarization was not unpacked" in message
    assert everything(place) == []
    assert os.listdir(place / "work" / "dataset") == []
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    data("get", "samsum")


def test_what_a_killed_process_left_is_cleared_away(hub: Hub, place: Path, data: Data) -> None:
    left = place / "dataset" / ".samsum.making" / "0"
    left.mkdir(parents=True)
    (left / "train.src").write_text("half")
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    data("get", "samsum")
    assert len(everything(place / "dataset")) == 6


def test_planted_links_are_not_followed(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    part = _break_off(hub, place, data)
    hub.breaks_after = None
    victim = place / "victim"
    victim.write_text("precious")
    part.unlink()
    part.symlink_to(victim)
    (part.parent / ".samsum.making").symlink_to(place)
    assert f"{str(part.relative_to(place))!r} is a link or no regular file" in data("get", "samsum", status=2)
    assert victim.read_text() == "precious"
    part.unlink()
    data("get", "samsum")
    assert sorted(os.listdir(place)) == ["dataset", "victim"]
    assert os.listdir(place / "dataset") == ["samsum"]


def test_one_downloads_a_name_or_an_archive(hub: Hub, place: Path, data: Data) -> None:
    hub.publish("RUCAIBox/Translation", "wmt16-ro-en.tgz", archive(dataset_files("wmt16-ro-en/")))
    with held(Path("dataset/wmt16-ro-en"), ""):
        assert "Another process is at work on 'dataset/wmt16-ro-en'" in data("get", "wmt16-ro-en", status=2)
    # The other direction of the same archive is another dataset.
    part = part_of(look_up("RUCAIBox/Translation", "wmt16-ro-en.tgz"), Path("dataset"))
    with held(part, ""):
        assert "Another process is at work on 'dataset/.wmt16-ro-en.tgz" in data("get", "wmt16-en-ro", status=2)
    data("get", "wmt16-ro-en")


def test_interrupted_while_unpacking(hub: Hub, place: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(getting, "unpack", interrupt)
        assert main(["data", "get", "samsum"]) == 130
    assert [path.name for path in (place / "dataset").iterdir() if not path.name.endswith(".part")] == []
    hub.downloads.clear()
    data("get", "samsum")
    assert hub.downloads == []  # all of it had arrived


def test_a_full_disk(hub: Hub, place: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    hub.publish("RUCAIBox/Summarization", "samsum.tgz", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(getting, "unpack", fail)
        message = data("get", "samsum", status=2)
    assert "'dataset/samsum' cannot be written (No space left on device): make room there" in message
    assert not (place / "dataset" / "samsum").exists()
    data("get", "samsum")


def test_too_little_room_is_found_before_the_download(
    hub: Hub, place: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish("RUCAIBox/Summarization", "samsum.tgz", LARGE)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10_000})())
    assert "needs 0.1 MB in 'dataset', but 0.0 MB are free" in data("get", "samsum", status=2)
    assert hub.downloads == []


def test_no_network(place: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    message = data("get", "samsum", status=2)
    assert "http://127.0.0.1:9 cannot be reached" in message
    assert "samsum.tgz of the dataset repository RUCAIBox/Summarization" in message
    assert everything(place) == []


def test_the_hub_answers_with_errors(hub: Hub, place: Path, data: Data) -> None:
    assert "has no samsum.tgz in RUCAIBox/Summarization" in data("get", "samsum", status=2)
    hub.status = 503
    assert "cannot be reached (it answers 503)" in data("get", "samsum", status=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["samsun"], "no dataset 'samsun'. Did you mean 'samsum'?"),
        (["cos"], "has never published it"),
        (["../samsum"], "no dataset '../samsum'"),
        ([], "`textbox-elmer data get` needs DATASET, e.g. textbox-elmer data get samsum"),
        (["samsum", "xsum"], "'xsum' is no option of `textbox-elmer data get`, which is typed, e.g., textbox"),
        (["samsum", "--max_bg=1"], "no option --max_bg: did you mean --max_gb?"),
        (["samsum", "--max_gb"], "--max_gb needs a value"),
        (["samsum", "--max_gb=1", "--max_gb", "2"], "--max_gb is given twice"),
    ],
)
def test_mistakes(place: Path, data: Data, arguments: list[str], message: str) -> None:
    assert message in data("get", *arguments, status=2)
    assert everything(place) == []
