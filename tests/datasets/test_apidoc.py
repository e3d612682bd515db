"""The datasets apidoc and apidoc-prose: made of a made-up botocore, split by service, written in one step."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from textbox_elmer.cli import main
from textbox_elmer.datasets.apidoc import services
from textbox_elmer.datasets.apidoc.making import build_apidoc
from textbox_elmer.datasets.apidoc.pairs import Pair
from textbox_elmer.datasets.apidoc.prose import training_prose
from textbox_elmer.datasets.apidoc.services import PINNED, Service, read_services
from textbox_elmer.datasets.apidoc.splits import side
from textbox_elmer.errors import UserError
from textbox_elmer.files import held

REPOSITORY = Path(__file__).parents[2]
SERVICES = 120
FILES = sorted(["README.txt", *(f"{split}.{end}" for split in ("train", "valid", "test") for end in ("src", "tgt"))])
PROSE_FILES = ["README.txt", "train.src", "valid.src"]


def made_up(seed: int, words: int) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abcdefghijklmnop", k=7)) for _ in range(words)).capitalize()


def description(number: int, **facts: str) -> dict[str, Any]:
    """A service whose every text names its number."""
    return {
        "documentation": f"<p>About the service number {number}: {made_up(1000 + number, 9)}.</p>",
        "metadata": {"endpointPrefix": f"prefix{number}", **facts},
        "operations": {
            "MakeThing": {
                "input": {"shape": "Input"},
                "output": {"shape": "Output"},
                "documentation": f"<p>Makes a thing of service {number}. {made_up(number, 9)}.</p>",
            },
            f"Ping{number}": {"documentation": f"<p>Answers for service {number} at once.</p>"},
        },
        "shapes": {
            "Input": {"type": "structure", "members": {"thingName": {"documentation": "<p>Name.</p>"}, "Tags": {}}},
            "Output": {"members": {"ThingARN": {"documentation": f"Tells {number} {made_up(2000 + number, 9)}."}}},
            "Name": {"type": "string", "documentation": f"<i>Names</i> {number} {made_up(3000 + number, 9)}."},
        },
    }


def add(site: Path, service: str, content: dict[str, Any], version: str = "2020-01-01", packed: bool = True) -> None:
    folder = site / "botocore" / "data" / service / version
    folder.mkdir(parents=True)
    data = json.dumps(content).encode()
    (folder / f"service-2.json{'.gz' if packed else ''}").write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up botocore 9.9, installed before the real one."""
    site = tmp_path / "site-packages"
    for number in range(SERVICES):
        add(site, f"service{number:03}", description(number), packed=number % 2 == 0)
    (site / "botocore-9.9.dist-info").mkdir()
    (site / "botocore-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: botocore\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(site))
    return site


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def numbers_in(text: str) -> set[int]:
    return set(map(int, re.findall(r"\d+", text)))


# --- reading


def test_the_newest_version_of_a_service_is_read(site: Path) -> None:
    newest = description(500) | {"metadata": {"endpointPrefix": "prefix", "signingName": "signed"}}
    add(site, "service000", newest, "2021-06-30")
    (site / "botocore" / "data" / "service000" / "2022-01-01").mkdir()  # holds other files only
    (site / "botocore" / "data" / "endpoints.json").write_text("{}")
    version, services = read_services()
    assert version == "9.9"
    assert [service.name for service in services] == [f"service{number:03}" for number in range(SERVICES)]
    assert [services[0].family, services[1].family] == ["signed", "prefix1"]
    make, ping = services[0].operations
    assert (make.name, make.inputs, make.outputs) == ("MakeThing", ("thingName", "Tags"), ("ThingARN",))
    assert (ping.name, ping.inputs, ping.outputs) == ("Ping500", (), ())
    assert len(services[0].html) == 6


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"metadata": {}, "shapes": {}}'])
def test_a_damaged_description_is_named(site: Path, content: bytes) -> None:
    file = site / "botocore" / "data" / "service001" / "2020-01-01" / "service-2.json"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"service-2.json' is damaged .*--force-reinstall"):
        read_services()


def test_without_botocore_the_command_to_get_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(services.metadata, "distribution", nothing)
    assert main(["data", "apidoc", f"--data_path={tmp_path / 'dataset'}"]) == 2
    error = capsys.readouterr().err
    assert f"botocore, which is not installed: `pip install botocore=={PINNED}`." in error
    assert error.count("\n") == 1
    assert not list((tmp_path / "dataset").glob("*"))
    assert not list((tmp_path / "dataset").glob(".*"))


def test_the_pinned_version_is_that_of_the_requirements() -> None:
    assert f"botocore=={PINNED}" in (REPOSITORY / "requirements.txt").read_text().splitlines()


# --- splits


def test_no_service_is_on_two_sides(site: Path, tmp_path: Path) -> None:
    # Some have a twin in their family; others' targets, or their sources, another family has, too.
    for number in range(0, SERVICES, 3):
        add(site, f"twin{number:03}", description(number + 5000, signingName=f"prefix{number}"))
        copy = description(number + 1, signingName=f"copy{number}")
        copy["operations"]["MakeThing"]["input"] = None
        copy["operations"][f"Ping{number + 1}"]["documentation"] = f"Says that service {number + 1} is there."
        add(site, f"copy{number:03}", copy)
    build_apidoc(tmp_path)
    sides: dict[str, set[int]] = {}
    targets: dict[str, list[str]] = {}
    pairs: dict[str, str] = {}
    for split in ("train", "valid", "test"):
        sources, targets[split] = (
            (tmp_path / "apidoc" / f"{split}.{end}").read_text().splitlines() for end in ("src", "tgt")
        )
        assert len(sources) == len(targets[split]) > 1
        assert len(set(sources) - set(pairs)) == len(sources)
        pairs |= zip(sources, targets[split], strict=True)
        sides[split] = {number % 5000 for target in targets[split] for number in numbers_in(target)}
    assert not sides["train"] & (sides["valid"] | sides["test"])
    assert not set(targets["train"]) & {*targets["valid"], *targets["test"]}
    signature = "make thing ( thing name , tags ) thing arn :"
    assert pairs[f"{signature} {made_up(2, 9)}."] == "Makes a thing of service 2."
    assert pairs["ping2 ( ) :"] == "Answers for service 2 at once."
    train = [numbers_in(target) for target in targets["train"]]
    assert train != sorted(train, key=min)


def test_services_keep_their_sides() -> None:
    """Written down, for a dataset whose sides moved would make all earlier scores incomparable."""
    sides = {name: side(name) for name in ("ec2", "iam", "s3", "athena", "ecr", "rds", "cloudfront", "lex", "odb")}
    assert [name for name, split in sides.items() if split == "valid"] == ["athena", "ecr", "rds"]
    assert [name for name, split in sides.items() if split == "test"] == ["cloudfront", "lex", "odb"]


# --- prose


def test_prose_is_that_of_training_services_alone(site: Path, tmp_path: Path) -> None:
    build_apidoc(tmp_path)
    held_out = "".join((tmp_path / "apidoc" / f"{split}.tgt").read_text() for split in ("valid", "test"))
    texts = [(tmp_path / "apidoc-prose" / f"{split}.src").read_text().splitlines() for split in ("train", "valid")]
    assert not set(texts[0]) & set(texts[1])
    lines = [*texts[0], *texts[1]]
    assert len(lines) == len(set(lines))
    assert {number for line in lines for number in numbers_in(line)} == set(range(SERVICES)) - numbers_in(held_out)
    assert f"About the service number 1: {made_up(1001, 9)}." in lines
    assert f"Makes a thing of service 1. {made_up(1, 9)}." in lines
    assert f"Tells 1 {made_up(2001, 9)}." in lines
    assert f"Names 1 {made_up(3001, 9)}." in lines
    assert "Answers for service 1 at once." in lines
    assert "Name." not in lines


SECRET = Pair("send fox ( fox ) : The quick brown fox jumps over the lazy dog today.", "Sends a fox to you.")


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ("<p>Something else that is of no importance here.</p>", True),
        ("<p>The quick brown fox jumps over the lazy cat.</p>", False),
        ("<p>Look: THE QUICK, <b>brown</b> fox</p><p>jumps over the lazy cat.</p>", False),
        ("<p>The quick brown fox jumps over a lazy dog.</p>", True),
        ("<p>It is said that it does this. Sends a fox to you. Really!</p>", False),
        ("<ul><li>What it does, if you call it, is:</li><li>sends a fox to you</li></ul>", False),
        ("<p>It never sends a fox to you without being asked.</p>", True),
        ("<p>Five words are too few.</p>", False),
    ],
)
def test_prose_says_nothing_of_held_out_examples(html: str, kept: bool) -> None:
    fresh = "Another text, so that one stays for training."
    prose = training_prose([Service("iam", "iam", (), (html, fresh, html, fresh.upper()))], [SECRET])
    assert len(prose["train"] + prose["valid"]) == 1 + kept


# --- writing


def test_both_datasets_are_written_and_reported(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "apidoc"]) == 0
    printed = capsys.readouterr().out
    dataset, prose = tmp_path / "dataset" / "apidoc", tmp_path / "dataset" / "apidoc-prose"
    assert sorted(contents_of(dataset)) == FILES
    assert sorted(contents_of(prose)) == PROSE_FILES
    for folder, split in ((dataset, "train"), (dataset, "test"), (prose, "train")):
        count = len((folder / f"{split}.src").read_text().splitlines())
        assert f"{count} {split}" in printed
        assert f"{split}.src: {count} lines" in (folder / "README.txt").read_text()
    assert "botocore 9.9" in printed
    assert "botocore 9.9 (Apache-2.0)" in (dataset / "README.txt").read_text()
    assert sorted(path.name for path in dataset.parent.iterdir()) == ["apidoc", "apidoc-prose"]


def test_two_builds_are_byte_identical(site: Path, tmp_path: Path) -> None:
    build_apidoc(tmp_path / "a")
    # Another process, with another hash seed.
    subprocess.run(
        [sys.executable, "-m", "textbox_elmer", "data", "apidoc", f"--data_path={tmp_path / 'b'}"],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY)])},
    )
    for name in ("apidoc", "apidoc-prose"):
        assert contents_of(tmp_path / "a" / name) == contents_of(tmp_path / "b" / name)


def test_a_new_build_replaces_the_old_one(site: Path, tmp_path: Path) -> None:
    data_path = tmp_path / "dataset"
    build_apidoc(data_path)
    before = contents_of(data_path / "apidoc")
    add(site, "service999", description(999))
    build_apidoc(data_path)
    assert contents_of(data_path / "apidoc") != before
    assert sorted(contents_of(data_path / "apidoc")) == FILES
    assert sorted(path.name for path in data_path.iterdir()) == ["apidoc", "apidoc-prose"]


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("fails_at", ["test.tgt", "README.txt", "rename", "interrupt"])
def test_a_failure_midway_leaves_nothing_half(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str, earlier: bool
) -> None:
    data_path = tmp_path / "dataset"
    if earlier:
        build_apidoc(data_path)
        add(site, "service999", description(999))
    before = contents_of(data_path / "apidoc") if earlier else None
    write_bytes, rename = Path.write_bytes, os.rename

    def failing_write(path: Path, data: bytes) -> int:
        if path.name == fails_at:
            raise OSError(28, "No space left on device", str(path))
        if fails_at == "interrupt" and path.name == "valid.tgt":
            raise KeyboardInterrupt
        return write_bytes(path, data)

    def failing_rename(source: Path, target: Path) -> None:
        if fails_at == "rename" and target == data_path / "apidoc" and not source.name.endswith(".old"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(Path, "write_bytes", failing_write)
    monkeypatch.setattr(os, "rename", failing_rename)
    with pytest.raises((UserError, KeyboardInterrupt)) as caught:
        build_apidoc(data_path)
    if caught.type is UserError:
        assert re.search(r"apidoc' cannot be written \((No space|Input/output)", str(caught.value))
    assert (contents_of(data_path / "apidoc") if (data_path / "apidoc").exists() else None) == before
    assert not list(data_path.glob(".*"))


def test_what_is_not_ours_is_left_alone(site: Path, tmp_path: Path) -> None:
    (tmp_path / "apidoc-prose").mkdir()
    (tmp_path / "apidoc-prose" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"apidoc-prose' holds 'thesis.txt'"):
        build_apidoc(tmp_path)
    assert contents_of(tmp_path / "apidoc-prose") == {"thesis.txt": b"years of work"}
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"apidoc' cannot be written"):
        build_apidoc(tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "apidoc").touch()
    with pytest.raises(UserError, match=r"apidoc' is here already and no folder"):
        build_apidoc(tmp_path / "other")


def test_two_builds_at_once(site: Path, tmp_path: Path) -> None:
    for name in ("apidoc", "apidoc-prose"):
        with held(tmp_path / name, ""), pytest.raises(UserError, match=f"Another process is at work on .*{name}'"):
            build_apidoc(tmp_path)
    build_apidoc(tmp_path)


def test_too_few_services_are_a_user_error(site: Path, tmp_path: Path) -> None:
    for number in range(3, SERVICES):
        (next((site / "botocore" / "data" / f"service{number:03}").glob("*/*"))).unlink()
    with pytest.raises(UserError, match="too few services for train, valid and test"):
        build_apidoc(tmp_path)
    assert not list(tmp_path.glob("apidoc*"))
