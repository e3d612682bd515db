"""The index: every text found by its number, in blocks, packed or not, and what is left out is named."""

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from textbox_elmer.errors import UserError
from textbox_elmer.pretraining.corpus import Packing, TextCorpus, blocks, build_index, index, sample_texts


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BLOCK_TEXTS", 7)


def write_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Write three files of several kinds and return them with their usable texts."""
    texts = [f"Text number {number}." for number in range(100)]
    lines = [*texts[:20], "", "1 2 3", *texts[20:40]]
    (folder / "a.txt").write_text("\n".join(lines))
    parquet.write_table(pyarrow.table({"text": texts[40:80]}), folder / "b.parquet", row_group_size=30)
    (folder / "c.txt").write_text("\n".join(texts[80:]))
    return [folder / name for name in ("a.txt", "b.parquet", "c.txt")], texts


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def test_texts_are_found_in_any_order(tmp_path: Path) -> None:
    files, texts = write_files(tmp_path)
    built = build_index(files, cache_dir=tmp_path / "cache")
    assert built.examples == 100
    corpus = TextCorpus(built)
    for number in np.random.default_rng(0).permutation(300) % 100:
        assert corpus[3, number] == {"text": texts[number], "index": number, "epoch": 3}


def test_the_index_grows_by_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text.\n" * 700)
    assert len(build_index([tmp_path / "a.txt"], cache_dir=tmp_path / "cache").blocks) == 100


@pytest.mark.parametrize(("max_tokens", "texts_together"), [(10, 2), (11, 3), (14, 3), (15, 4)])
def test_packing_loses_nothing(tmp_path: Path, max_tokens: int, texts_together: int) -> None:
    files, texts = write_files(tmp_path)
    long = " ".join(["word"] * 30)
    files[0].write_text("\n".join([*texts[:20], long, *texts[20:40]]))
    built = build_index(files, packing=Packing(words, max_tokens), cache_dir=tmp_path / "cache")
    corpus = TextCorpus(built)
    examples = [corpus[0, number]["text"] for number in range(built.examples)]
    assert "\n".join(examples) == "\n".join([*texts[:20], long, *texts[20:]])
    for example in examples:
        parts = example.split("\n")
        assert example == long or sum(words(parts)) + len(parts) - 1 <= max_tokens
        assert long not in parts or parts == [long]
    assert max(example.count("\n") + 1 for example in examples) == texts_together
    assert sum(example.count("\n") + 1 == texts_together for example in examples) > 10
    assert TextCorpus(built)[0, 23]["text"] == examples[23]


def test_an_index_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, our_log: pytest.LogCaptureFixture) -> None:
    files, _ = write_files(tmp_path)
    first = build_index(files, cache_dir=tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(index, "read_texts", None)
        again = build_index(files, cache_dir=tmp_path / "cache")
    assert (again.blocks == first.blocks).all()
    assert "a.txt', line 22, left out: there are no letters" in our_log.text
    (cached,) = (tmp_path / "cache").iterdir()
    (cached / "blocks.npz").write_bytes(b"damaged")
    assert (build_index(files, cache_dir=tmp_path / "cache").blocks == first.blocks).all()
    files[2].write_text("Another text.\n" * 50)
    assert build_index(files, cache_dir=tmp_path / "cache").examples == 130


def test_a_bad_file_is_skipped_only_when_asked(tmp_path: Path) -> None:
    files, _ = write_files(tmp_path)
    # Damaged behind its first row group, which was read by then.
    files[1].write_bytes(files[1].read_bytes()[:-30])
    with pytest.raises(UserError, match=r"b.parquet' is damaged"):
        build_index(files, cache_dir=tmp_path / "cache")
    built = build_index(files, skip_bad_files=True, cache_dir=tmp_path / "cache")
    assert built.examples == 60
    assert any("b.parquet' is left out" in note for note in built.notes)
    assert TextCorpus(built)[0, 59]["text"] == "Text number 99."
    (tmp_path / "d.txt").write_bytes(b"Sound text.\n" * 20 + b"\xff")
    built = build_index([tmp_path / "d.txt", files[0]], skip_bad_files=True, cache_dir=tmp_path / "cache")
    assert built.examples == 40, "not even the sound part of it counts"
    assert TextCorpus(built)[0, 0]["text"] == "Text number 0."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n \n", "The corpus .*a.txt' is empty"),
        ("1\n--\n", "The corpus .*a.txt' is empty"),
        ("one\ntwo\n", "Every text of the corpus .*a.txt' is a single word"),
    ],
)
def test_a_corpus_of_nothing(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(UserError, match=message):
        build_index([tmp_path / "a.txt"], cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_file_that_shrank_is_named(tmp_path: Path) -> None:
    files, _ = write_files(tmp_path)
    corpus = TextCorpus(build_index(files, cache_dir=tmp_path / "cache"))
    files[2].write_text("Text.")
    with pytest.raises(UserError, match=r"c.txt' has become shorter while it was being read"):
        corpus[0, 99]
    files[2].unlink()
    with pytest.raises(UserError, match=r"c.txt' cannot be read"):
        TextCorpus(corpus.index)[0, 99]


def test_a_row_group_is_read_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.write_table(pyarrow.table({"text": [f"Text {n}." for n in range(2000)]}), tmp_path / "a.parquet")
    built = build_index([tmp_path / "a.parquet"], cache_dir=tmp_path / "cache")
    opened, read = 0, blocks.read_texts

    def count(*arguments: object) -> object:
        nonlocal opened
        opened += 1
        return read(*arguments)

    monkeypatch.setattr(blocks, "read_texts", count)
    corpus = TextCorpus(built)
    numbers = list(corpus.in_random_order(0, 0))
    assert sorted(int(corpus[0, number]["text"][5:-1]) for number in numbers) == list(range(2000))
    assert opened == 1


def test_samples_come_from_everywhere(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"Text number {number}.\n" for number in range(10_000)))
    built = build_index([tmp_path / "a.txt"], cache_dir=tmp_path / "cache")
    texts = sample_texts(built, characters=20_000)
    numbers = [int(text.split()[-1][:-1]) for text in texts]
    assert 15_000 < sum(map(len, texts)) <= 25_000
    assert min(numbers) < 200
    assert max(numbers) > 9800
    assert sample_texts(built) == [f"Text number {number}." for number in range(10_000)]
