"""Reading files of texts: every kind, from any place, and what is said of damaged ones."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from textbox_elmer.errors import UserError
from textbox_elmer.pretraining.corpus.files import find_files
from textbox_elmer.pretraining.corpus.readers import is_usable, read_texts

TEXTS = ["First text.", "Zweiter Text: ä, 你好.", "Third\u2028text.", "a", "It's \\d here."]


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def texts(path: Path) -> list[str]:
    return [text for _, text in read_texts(path)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines(tmp_path: Path, end: str, last: bool) -> None:
    content = end.join(TEXTS) + (end if last else "")
    assert texts(write(tmp_path, "a.txt", content.encode())) == TEXTS
    assert texts(write(tmp_path, "b.txt", b"\xef\xbb\xbf" + content.encode())) == TEXTS
    spaced = f"{end}  {end}".join(TEXTS)
    assert texts(write(tmp_path, "c.txt", spaced.encode())) == TEXTS


def test_source_lines_are_read_as_textboxs(tmp_path: Path) -> None:
    lines = "'two\\nlines'\n['a', 'b']\nplain\n"
    assert texts(write(tmp_path, "train.src", lines.encode())) == ["two\nlines", "['a', 'b']", "plain"]
    assert texts(write(tmp_path, "train.txt", lines.encode())) == lines.splitlines()


def test_json_lines(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"id": 1, "text": text}) for text in [*TEXTS, "two\nlines"])
    assert texts(write(tmp_path, "a.jsonl", lines.encode())) == [*TEXTS, "two\nlines"]


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]
)
def test_parquet(tmp_path: Path, kind: pyarrow.DataType) -> None:
    column = pyarrow.array([*TEXTS, None, "  ", "last"]).cast(kind)
    table = pyarrow.table({"id": range(len(column)), "text": column})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    assert texts(tmp_path / "a.parquet") == [*TEXTS, "last"]


@pytest.mark.parametrize("suffix", ["txt", "jsonl", "parquet"])
def test_any_place_is_a_start(tmp_path: Path, suffix: str) -> None:
    many = [f"Text number {number}." for number in range(700)]
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        parquet.write_table(pyarrow.table({"text": many}), path, row_group_size=300)
    else:
        path.write_text("".join(json.dumps({"text": t}) + "\n" if suffix == "jsonl" else f"{t}\n\n" for t in many))
    everything = list(read_texts(path))
    assert [text for _, text in everything] == many
    for number in (0, 1, 255, 256, 299, 300, 556, 557, 699):
        assert list(read_texts(path, everything[number][0])) == everything[number:]


def cut_end(content: bytes) -> bytes:
    return content[:-20]


def cut_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def garbage(content: bytes) -> bytes:
    return b"no parquet at all"


def spoil_page(content: bytes) -> bytes:
    return content[:200] + bytes(byte ^ 0x5A for byte in content[200:600]) + content[600:]


@pytest.mark.parametrize("spoil", [cut_end, cut_half, garbage, spoil_page])
def test_damaged_parquet_is_named(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": [f"Text number {number}." for number in range(2000)]}), path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError, match=r"a.parquet' is damaged or no parquet file .*--skip_bad_files=True"):
        texts(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.txt",
            b"x" * 1_000_002,
            r"a.txt', line 1, is longer than 1 MB, too long for one text: write one text a line",
        ),
        ("a.txt", b"one\ntwo \xff\n", r"a.txt', line 2, is not UTF-8 text"),
        ("a.jsonl", b'{"text": "a"}\n\n[1]\n', r"a.jsonl', line 3, is not a JSON object with a text"),
        ("a.jsonl", b'{"text": 1}\n', r"a.jsonl', line 1, is not a JSON object with a text"),
        ("a.jsonl", b"{" * 100_000, r"a.jsonl', line 1, is not a JSON object with a text"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        texts(write(tmp_path, name, content))


def test_a_parquet_file_without_texts_is_named(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"body": ["a"], "id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a.parquet' has no column 'text', but 'body', 'id'"):
        texts(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("text", "usable"), [("12 / 3", False), ("___", False), ("x1", True), ("你", True), ("é", True)]
)
def test_usable_texts_have_letters(text: str, usable: bool) -> None:
    assert is_usable(text) is usable


def test_textboxs_files_come_first(tmp_path: Path) -> None:
    for name in ("train.src", "valid.src", "other.txt"):
        write(tmp_path, name, b"a text\n")
    files = find_files(tmp_path)
    assert ([path.name for path in files.train], [path.name for path in files.valid]) == (["train.src"], ["valid.src"])


def test_a_folder_is_searched_for_files(tmp_path: Path) -> None:
    names = [
        "b.txt",
        "a.jsonl",
        "more/c.parquet",
        "valid-1.txt",
        "validation/x.txt",
        "test.txt",
        "notes.md",
        "train.tgt",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, name, b"a text\n")
    files = find_files(tmp_path)
    assert [path.name for path in files.train] == ["a.jsonl", "b.txt", "c.parquet"]
    assert [path.name for path in files.valid] == ["valid-1.txt", "x.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty' holds no corpus: put texts into train.src and valid.src there"):
        find_files(tmp_path / "empty")
