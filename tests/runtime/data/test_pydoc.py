"""The generated dataset pydoc: which side a pair goes to, and how all is written."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from textbox_elmer.runtime.data import pydoc_sources
from textbox_elmer.runtime.data.pydoc import build_pydoc
from textbox_elmer.runtime.data.pydoc_splits import split_pairs
from textbox_elmer.runtime.data.pydoc_text import Pair
from textbox_elmer.runtime.data.reading import parse_line
from textbox_elmer.runtime.errors import UserError

FILES = [f"{split}.{side}" for split in ("train", "valid", "test") for side in ("src", "tgt")]
WORDS = [a + b + c for a in ("ka", "lo", "mi", "ne") for b in ("ra", "si", "tu", "vo") for c in ("den", "fal", "gor")]


def made_up_pairs(count: int, seed: int = 0) -> list[Pair]:
    chance = random.Random(seed)

    def text(length: int) -> str:
        return " ".join(chance.choices(WORDS, k=length))

    return [Pair(text(chance.randint(18, 60)), f"{text(chance.randint(4, 9)).capitalize()}.") for _ in range(count)]


def source_of(pairs: list[Pair]) -> str:
    return "\n".join(f'def f{i}():\n    """{pair.summary}\n\n    {pair.body}\n    """' for i, pair in enumerate(pairs))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up standard library and two installed distributions, `alpha` and `beta-tools`."""
    site = tmp_path / "site-packages"
    pairs = made_up_pairs(240)
    contents = {
        "lib/first.py": source_of(pairs[:80]),
        "lib/package/second.py": source_of(pairs[80:120]),
        "lib/test/third.py": source_of([Pair("stdlibtest " * 20, "Stdlibtest one two three.")]),
        "lib/broken.py": 'def f(:\n    """Broken one two three.\n\n    ' + "broken " * 20 + '"""',
        "site-packages/alpha/code.py": source_of(pairs[120:200]),
        "site-packages/alpha/tests/code.py": source_of([Pair("alphatest " * 20, "Alphatest one two three.")]),
        "site-packages/alpha-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: alpha\nVersion: 1.2\n",
        "site-packages/alpha-1.2.dist-info/RECORD": "alpha/code.py,,\nalpha/tests/code.py,,\nalpha/gone.py,,\n",
        "site-packages/beta/native.pyi": source_of(pairs[200:]),
        "site-packages/beta_tools-3.dist-info/METADATA": "Metadata-Version: 2.1\nName: beta-tools\nVersion: 3\n",
        "site-packages/beta_tools-3.dist-info/RECORD": "beta/native.pyi,,\n../../bin/beta.py,,\n",
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    monkeypatch.setattr(pydoc_sources.sysconfig, "get_path", lambda name: str(tmp_path / "lib"))
    monkeypatch.syspath_prepend(str(site))
    return tmp_path


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def words_of(pair: Pair) -> list[str]:
    return re.findall(r"\w+", " ".join(pair).lower())


# --- splits


def near_copies(pair: Pair, names: list[str]) -> list[Pair]:
    return [Pair(f"{name} {pair.body} {name}", f"{pair.summary[:-1]} {name}.") for name in names]


def test_splits_share_no_text_and_no_near_copy() -> None:
    originals = made_up_pairs(400, seed=1)
    copies = [copy for pair in originals[:300] for copy in near_copies(pair, ["Bert", "Bart", "Marian"])]
    same_summary = [Pair(pair.body, originals[0].summary) for pair in made_up_pairs(40, seed=2)]
    contained = [Pair(" ".join(pair.body.split()[:18]), pair.summary) for pair in originals[300:]]
    splits = split_pairs([*originals, *copies, *same_summary, *contained])
    side_of = {pair: split for split, pairs in splits.items() for pair in pairs}

    assert all(len(splits[split]) >= 10 for split in ("valid", "test"))
    assert len(splits["train"]) > 300
    # Compared by single words, in another way than the code's: made-up texts share few, near-copies nearly all.
    bags = {pair: frozenset(words_of(pair)) for pair in side_of}
    sequences = {pair: {tuple(words_of(pair)[i : i + 3]) for i in range(len(words_of(pair)) - 2)} for pair in side_of}
    for held in splits["valid"] + splits["test"]:
        for other, side in side_of.items():
            if side != side_of[held]:
                assert other.summary.lower() != held.summary.lower()
                assert bags[held] != bags[other]
                shared = len(sequences[held] & sequences[other])
                assert shared <= 0.5 * min(len(sequences[held]), len(sequences[other]))


def test_bodies_with_the_same_words_are_kept_once() -> None:
    body = made_up_pairs(1)[0].body
    pairs = [Pair(body, "One summary of it."), Pair(body.upper(), "Another summary of it."), Pair(f"{body}!", "Third.")]
    assert sum(map(len, split_pairs(pairs).values())) == 1


def test_splits_do_not_depend_on_order() -> None:
    pairs = made_up_pairs(200) + near_copies(made_up_pairs(1)[0], WORDS)
    shuffled = random.Random(5).sample(pairs, len(pairs))
    assert split_pairs(shuffled) == split_pairs(pairs)
    train = split_pairs(pairs)["train"]
    assert train != sorted(train)


# --- the whole build


def test_build_writes_parallel_files_and_reports_them(environment: Path) -> None:
    folder = environment / "dataset" / "pydoc"
    report = build_pydoc(folder, ["alpha==1.2", "beta_tools", "gamma"])

    lines = {name: (folder / name).read_text(encoding="utf-8").splitlines() for name in FILES}
    pairs = {
        Pair(body, summary)
        for split in ("train", "valid", "test")
        for body, summary in zip(lines[f"{split}.src"], lines[f"{split}.tgt"], strict=True)
    }
    assert pairs == set(made_up_pairs(240))
    assert report.pairs == {split: len(lines[f"{split}.src"]) for split in ("train", "valid", "test")}
    assert report.source_words == pytest.approx(sum(len(pair.body.split()) for pair in pairs) / 240)
    assert report.target_words == pytest.approx(sum(len(pair.summary.split()) for pair in pairs) / 240)
    assert report.packages == {"alpha": "1.2", "beta-tools": "3"}
    assert report.missing == ("gamma",)
    assert "240 pairs" in str(report)
    assert "Not installed: gamma" in str(report)
    provenance = (folder / "README.txt").read_text(encoding="utf-8")
    assert f"python: {sys.version.split()[0]}" in provenance
    assert "beta-tools: 3\n" in provenance


def test_lines_that_look_like_literals_read_back(environment: Path) -> None:
    text = f"'This' is quoted. {'filler ' * 20}[1] says 'so'"
    (environment / "lib" / "odd.py").write_text(f'"""[Note on odd lines]\n\n{text}\n"""', encoding="utf-8")
    folder = environment / "pydoc"
    build_pydoc(folder, ["alpha"])
    read = {name: [parse_line(line) for line in (folder / name).read_text().splitlines()] for name in FILES}
    assert any(text in lines for lines in read.values())
    assert any("[Note on odd lines]" in lines for lines in read.values())


def test_two_builds_are_byte_identical(environment: Path) -> None:
    build_pydoc(environment / "a" / "pydoc", ["alpha", "beta-tools"])
    script = (
        "import sys; from pathlib import Path\n"
        "from textbox_elmer.runtime.data import pydoc, pydoc_sources\n"
        "pydoc_sources.sysconfig.get_path = lambda name: sys.argv[1]\n"
        "pydoc.build_pydoc(Path(sys.argv[2]), ['alpha', 'beta-tools'])\n"
    )
    repository = Path(__file__).parents[3]
    # Another process, with another hash seed.
    subprocess.run(
        [sys.executable, "-c", script, environment / "lib", environment / "b" / "pydoc"],
        check=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": "77",
            "PYTHONPATH": os.pathsep.join([str(environment / "site-packages"), str(repository)]),
        },
    )
    assert contents_of(environment / "a" / "pydoc") == contents_of(environment / "b" / "pydoc")


def test_a_new_build_replaces_the_old_one(environment: Path) -> None:
    folder = environment / "dataset" / "pydoc"
    build_pydoc(folder, ["alpha"])
    before = contents_of(folder)
    build_pydoc(folder, ["alpha", "beta-tools"])
    assert contents_of(folder) != before
    assert sorted(contents_of(folder)) == sorted([*FILES, "README.txt"])
    assert [path.name for path in folder.parent.iterdir()] == ["pydoc"]


@pytest.mark.parametrize("fails_at", ["test.tgt", "README.txt", "rename"])
def test_a_failure_midway_leaves_the_old_dataset(
    environment: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    folder = environment / "dataset" / "pydoc"
    build_pydoc(folder, ["alpha"])
    before = contents_of(folder)
    write_bytes, replace = Path.write_bytes, os.replace

    def failing_write(path: Path, data: bytes) -> int:
        if path.name == fails_at:
            raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, data)

    def failing_replace(source: Path, target: Path) -> None:
        if fails_at == "rename" and target == folder and "new" in source.name:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(Path, "write_bytes", failing_write)
    monkeypatch.setattr(os, "replace", failing_replace)
    with pytest.raises(UserError, match=r"pydoc cannot be written \((No space|Input/output)"):
        build_pydoc(folder, ["alpha", "beta-tools"])
    assert contents_of(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["pydoc"]


def test_too_few_docstrings_are_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydoc_sources.sysconfig, "get_path", lambda name: str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="too few for train, valid and test"):
        build_pydoc(tmp_path / "dataset" / "pydoc", [])
    assert not (tmp_path / "dataset" / "pydoc").exists()


def test_a_folder_that_cannot_be_written_is_a_user_error(environment: Path) -> None:
    (environment / "file").touch()
    with pytest.raises(UserError, match=r"file/pydoc cannot be written"):
        build_pydoc(environment / "file" / "pydoc", ["alpha"])
    with pytest.raises(UserError, match=r"file cannot be written"):
        build_pydoc(environment / "file", ["alpha"])


def test_a_folder_with_other_files_is_left_alone(environment: Path) -> None:
    folder = environment / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"mine holds thesis.txt"):
        build_pydoc(folder, ["alpha"])
    assert contents_of(folder) == {"thesis.txt": b"years of work"}
