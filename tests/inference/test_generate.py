"""`generate`: which texts it writes, for which kinds of files, and what it says of those that cannot be done."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from transformers import AutoTokenizer, BartForConditionalGeneration

from tests.inference.conftest import BEAMS, SRC_LEN, read_objects, write_lines
from textbox_elmer.cli import main
from textbox_elmer.inference import load_writer, writer

Generate = Callable[..., tuple[bytes, str]]
NASTY = ["", "plain", 'he said "no"', "two\nlines", "tab\there", "你好\u2028", "007", " blank ", "a,b;c", "\\n"]


def test_lines_through_a_pipe(generate: Generate, texts: list[str], written: list[str]) -> None:
    shown, told = generate(piped="".join(f"{text}\r\n" for text in texts).encode())
    assert shown.decode().split("\n") == [*written, ""]
    assert told == "generate: 30 of 30 texts written.\n"


def table_of(texts: list[str]) -> list[dict[str, str]]:
    rows = zip(range(len(texts)), texts, NASTY * 3, strict=True)
    return [{"number": str(number), "document": text, "note": note} for number, text, note in rows]


def write_separated(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        table.writeheader()
        table.writerows(rows)


def write_parquet(path: Path, rows: list[dict[str, str]]) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=7)


def write_json(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")


WRITERS = {".jsonl": write_json, ".csv": write_separated, ".tsv": write_separated, ".parquet": write_parquet}


def read_table(path: Path) -> list[dict]:
    if path.suffix == ".jsonl":
        return read_objects(path.read_bytes())
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    text = io.StringIO(path.read_bytes().decode(), newline="")
    return list(csv.DictReader(text, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("kind", list(WRITERS))
def test_columns_and_order_are_kept(
    generate: Generate, tmp_path: Path, texts: list[str], written: list[str], kind: str
) -> None:
    rows, nothing = table_of(texts), "" if kind in (".csv", ".tsv") else None
    WRITERS[kind](tmp_path / f"in{kind}", rows)
    generate(f"--input=in{kind}", f"--output=made/out{kind}", "--column=document", "--output_column=summary")
    answered = [row | {"summary": text, "error": nothing} for row, text in zip(rows, written, strict=True)]
    assert read_table(tmp_path / "made" / f"out{kind}") == answered
    assert [path.name for path in (tmp_path / "made").iterdir()] == [f"out{kind}"]


@pytest.mark.parametrize("kind", [".txt", ".csv"])
def test_any_text_file_may_become_json_lines(
    generate: Generate, tmp_path: Path, texts: list[str], written: list[str], kind: str
) -> None:
    if kind == ".csv":
        write_separated(tmp_path / "in.csv", [{"text": text} for text in texts])
    else:
        write_lines(tmp_path / "in.txt", texts)
    generate(f"--input=in{kind}", "--output=out.jsonl")
    found = [(row["text"], row["generated"], row["error"]) for row in read_table(tmp_path / "out.jsonl")]
    assert found == [(text, answer, None) for text, answer in zip(texts, written, strict=True)]


def test_other_columns_of_parquet_keep_their_types(generate: Generate, tmp_path: Path) -> None:
    columns = {
        "text": pyarrow.array(["alpha", "beta", "alpha"]).dictionary_encode(),
        "when": pyarrow.array([1, None, 3], pyarrow.timestamp("us")),
        "where": pyarrow.array([[1.5], [], None]),
    }
    table = pyarrow.table(columns).replace_schema_metadata({"made by": "hand"})
    parquet.write_table(table, tmp_path / "in.parquet")
    generate("--input=in.parquet", "--output=out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found.select(list(columns)).equals(table)
    assert found.schema.metadata == table.schema.metadata
    assert found.column_names == [*columns, "generated", "error"]


def test_a_folder_of_parquet_files(generate: Generate, tmp_path: Path, texts: list[str], written: list[str]) -> None:
    (tmp_path / "in").mkdir()
    write_parquet(tmp_path / "in" / "a.parquet", [{"text": text} for text in texts])
    generate("--input=in", "--output=out")
    assert [row["generated"] for row in read_table(tmp_path / "out" / "a.parquet")] == written


def test_a_folder_becomes_a_folder(generate: Generate, tmp_path: Path, texts: list[str], written: list[str]) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "b.txt", texts[:20])
    write_json(tmp_path / "in" / "a.jsonl", [{"text": text} for text in texts[20:]])
    for ignored in (".hidden.txt", "notes.md"):
        (tmp_path / "in" / ignored).write_text("x")
    _, told = generate("--input=in", "--output=out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jsonl", "b.txt"]
    assert (tmp_path / "out" / "b.txt").read_text().splitlines() == written[:20]
    assert [row["generated"] for row in read_table(tmp_path / "out" / "a.jsonl")] == written[20:]
    assert "30 of 30 texts written" in told


def test_rows_that_cannot_be_done_are_answered_in_place(
    generate: Generate, tmp_path: Path, texts: list[str], written: list[str]
) -> None:
    lines = [texts[0].encode(), b"", b"caf\xe9", b" \t", texts[1].encode()]
    shown, told = generate(piped=b"\n".join(lines), status=3)
    assert shown.decode().splitlines() == [
        written[0],
        "[error: no text]",
        "[error: not UTF-8 text]",
        "[error: no text]",
        written[1],
    ]
    assert told == "generate: 2 of 5 texts written, 3 failed and have an error in place of a text.\n"


def test_json_lines_that_are_none(generate: Generate, tmp_path: Path, texts: list[str], written: list[str]) -> None:
    lines = [
        json.dumps({"text": texts[0], "n": 1.5}).encode(),
        b'{"text": "half',
        b"[1]",
        b'{"text": 7, "n": 2}',
        b'{"n": 3}',
        b'{"text": null}',
        b'{"text": "\\ud800"}',
        b'{"text": "caf\xe9"}',
        b"[" * 100_000,
        json.dumps({"text": texts[1]}).encode(),
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    shown, _ = generate("--input=in.jsonl", status=3)
    found = read_objects(shown)
    assert found[0] == {"text": texts[0], "n": 1.5, "generated": written[0], "error": None}
    assert [row["error"] for row in found] == [
        None,
        "no JSON object",
        "no JSON object",
        "no text, but a value of type int",
        "no column 'text'",
        "no text",
        "not UTF-8 text",
        "not UTF-8 text",
        "no JSON object",
        None,
    ]
    assert found[3] == {"text": 7, "n": 2, "generated": None, "error": "no text, but a value of type int"}
    assert found[6]["text"] == "\ud800"
    assert found[-1]["generated"] == written[1]


def test_fields_that_are_no_text(generate: Generate, tmp_path: Path, texts: list[str], written: list[str]) -> None:
    lines = ["\ufefftext,n".encode(), f"{texts[0]},1".encode(), b"caf\xe9,2", b"", b",3", b"a,b,c", texts[1].encode()]
    (tmp_path / "in.csv").write_bytes(b"\r\n".join(lines))
    shown, _ = generate("--input=in.csv", status=3)
    assert shown.splitlines() == [
        b"text,n,generated,error",
        f"{texts[0]},1,{written[0]},".encode(),
        b"caf\xe9,2,,not UTF-8 text",
        b",3,,no text",
        b"a,b,,3 fields under 2 columns",
        f"{texts[1]},,{written[1]},".encode(),
    ]


def test_values_of_parquet_that_are_no_text(generate: Generate, tmp_path: Path) -> None:
    broken = pyarrow.array([b"alpha", b"caf\xe9", None, b""]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": broken}), tmp_path / "in.parquet")
    generate("--input=in.parquet", "--output=out.parquet", status=3)
    errors = parquet.read_table(tmp_path / "out.parquet", columns=["error"])["error"].to_pylist()
    assert errors == [None, "not UTF-8 text", "no text", "no text"]


def test_texts_that_are_cut(generate: Generate, elmer: Path, texts: list[str], written: list[str]) -> None:
    """By default they are counted; they are the same texts as those of their beginnings. Under --strict they fail."""
    tokenizer = AutoTokenizer.from_pretrained(elmer)
    long = " ".join(["alpha beta"] * 20)
    ids = tokenizer(long, add_special_tokens=False)["input_ids"]
    beginning = tokenizer.decode(ids[: SRC_LEN - 2])
    shown, told = generate(piped=f"{long}\n{texts[0]}\n{beginning}\n".encode())
    cut, other, same = shown.decode().splitlines()
    assert (cut, other) == (same, written[0])
    assert f"3 of 3 texts written, 1 cut to src_len={SRC_LEN}." in told
    shown, told = generate("--strict", piped=f"{long}\n{texts[0]}\n".encode(), status=3)
    more = len(ids) - (SRC_LEN - 2)
    assert (
        shown.decode() == f"[error: too long: {more} tokens more than src_len={SRC_LEN} has room for]\n{written[0]}\n"
    )


def test_a_text_is_one_line(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "decode_ids", lambda tokenizer, ids: ["\none\r\ntwo\u2028three "] * len(ids))
    shown, _ = generate(piped=b"alpha\n")
    assert shown == b"one two three\n"


def test_details(generate: Generate, texts: list[str], written: list[str]) -> None:
    shown, _ = generate("--details", piped=("\n".join(["", *texts[:5]])).encode(), status=3)
    empty, *rows = read_objects(shown)
    names = ["tokens", "scores", "exit_layers", "settled_layers", "vertices", "copied"]
    assert list(empty) == ["text", "generated", "error", *names, "ms"]
    assert [empty[name] for name in names] == [None] * 6
    for row, text, answer in zip(rows, texts, written, strict=False):
        assert (row["text"], row["generated"]) == (text, answer)
        assert len({len(row[name]) for name in names}) == 1
        assert "".join(row["tokens"]).strip() == answer
        assert all(0 <= score <= 1 for score in row["scores"])
        assert all(left < right for left, right in zip(row["vertices"], row["vertices"][1:], strict=False))
        assert row["ms"] > 0


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_details_as_columns(generate: Generate, tmp_path: Path, texts: list[str], kind: str) -> None:
    WRITERS[kind](tmp_path / f"in{kind}", [{"text": text} for text in [*texts[:3], " "]])
    generate(f"--input=in{kind}", f"--output=out{kind}", "--details", status=3)
    found = [row["exit_layers"] for row in read_table(tmp_path / f"out{kind}")]
    if kind == ".csv":
        found = [json.loads(field) if field else None for field in found]
    assert all(layer == 1 for layers in found[:3] for layer in layers)
    assert found[3] is None


def test_a_run_writes_with_its_own_options(generate: Generate, bart_run: Path, texts: list[str]) -> None:
    """Of a model that writes token by token the milliseconds are the only detail."""
    best = bart_run / "checkpoint_best"
    tokenizer, model = AutoTokenizer.from_pretrained(best), BartForConditionalGeneration.from_pretrained(best)
    expected = {}
    for beams in (1, BEAMS):
        options = {"num_beams": beams, "max_length": 8, "forced_bos_token_id": tokenizer.bos_token_id}
        ids = [model.generate(tokenizer(text, return_tensors="pt")["input_ids"], **options)[0] for text in texts]
        expected[beams] = [
            " ".join(tokenizer.decode(row, skip_special_tokens=True).splitlines()).strip() for row in ids
        ]
    assert expected[1] != expected[BEAMS]
    lines = "\n".join(texts).encode()
    shown, _ = generate("--details", piped=lines, model=bart_run)
    rows = read_objects(shown)
    assert [row["generated"] for row in rows] == expected[BEAMS]
    assert set(rows[0]) == {"text", "generated", "error", "ms"}
    shown, _ = generate("--generation_kwargs={num_beams: 1, max_length: 8}", piped=lines, model=best)
    assert shown.decode().splitlines() == expected[1]


def test_from_python(elmer: Path, texts: list[str], written: list[str]) -> None:
    write = load_writer(str(elmer), src_len=SRC_LEN, use_gpu=False)
    assert [answer.text for answer in write(texts)] == written


def test_long_documents_are_tokenized_in_pieces(
    generate: Generate, monkeypatch: pytest.MonkeyPatch, texts: list[str], written: list[str]
) -> None:
    monkeypatch.setattr(writer, "TOKENIZED_AT_ONCE", 30)
    shown, _ = generate(piped="\n".join(texts).encode())
    assert shown.decode().splitlines() == written


def nothing(folder: Path) -> None:
    pass


def mistaken(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content)


def numbers(folder: Path) -> None:
    parquet.write_table(pyarrow.table({"text": [1, 2]}), folder / "x.parquet")


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [
        (nothing, ["--input=none.txt"], "There is no file or folder 'none.txt': check --input"),
        (mistaken("x.pdf", b"x"), ["--input=x.pdf"], "its name ends in .txt, .jsonl, .csv, .tsv, .parquet"),
        (mistaken("x.txt", b""), ["--input=x.txt"], "'x.txt' is empty"),
        (mistaken("x.txt", b"a\0b"), ["--input=x.txt"], "'x.txt' is binary"),
        (mistaken("x.txt", "a b".encode("utf-16")), ["--input=x.txt"], "'x.txt' is binary"),
        (mistaken("x.csv", b""), ["--input=x.csv"], "'x.csv' is empty"),
        (mistaken("x.csv", b"texts,n\na,1\n"), ["--input=x.csv"], "did you mean --column=texts?"),
        (mistaken("x.csv", b"text,n,n\na,1,2\n"), ["--input=x.csv"], "has the column 'n' twice"),
        (mistaken("x.csv", b"text,error\na,1\n"), ["--input=x.csv"], "has a column 'error' already"),
        (mistaken("x.tsv", b"text\tgenerated\na\t1\n"), ["--input=x.tsv"], "or give another --output_column"),
        (mistaken("x.jsonl", b'{"document": "a"}\n'), ["--input=x.jsonl"], "has no column 'text', but 'document'"),
        (mistaken("x.parquet", b"PAR1"), ["--input=x.parquet", "--output=y.parquet"], "damaged or no parquet file"),
        (numbers, ["--input=x.parquet", "--output=y.parquet"], "no texts in its column 'text', but int64"),
        (mistaken("x.parquet", b"PAR1"), ["--input=x.parquet"], "give --output=….parquet"),
        (
            mistaken("x.txt", b"a\n"),
            ["--input=x.txt", "--output=y.csv"],
            "are .txt or .jsonl: let the name of --output",
        ),
        (
            mistaken("x.txt", b"a\n"),
            ["--input=x.txt", "--output=y.txt", "--details"],
            "an --output that ends in .jsonl",
        ),
        (mistaken("x.txt", b"a\n"), ["--input=x.txt", "--output=x.txt"], "'x.txt' is here already"),
        (nothing, ["--input=."], "The folder '.' holds no file of texts"),
        (mistaken("x.txt", b"a\n"), ["--input=."], "need a folder of their own: give --output="),
        (mistaken("x.txt", b"a\n"), ["--input=x.txt", "--output=x.txt/y.txt"], "cannot be written"),
        (mistaken("x.txt", b"a\n"), ["--input=x.txt", "--src_len=2"], "src_len=2 leaves no room"),
        (mistaken("x.txt", b"a\n"), ["--input=x.txt", "--src_len=x"], "src_len must be a whole number"),
        (mistaken("x.txt", b"a\n"), ["--input=x.txt", "--batch_size=0"], "a whole number above 0, not '0'"),
        (
            mistaken("x.txt", b"a\n"),
            ["--input=x.txt", "--output=y.txt", "--generation_kwargs={top: 1}"],
            "no option top",
        ),
        (
            mistaken("x.txt", b"a\n"),
            ["--input=x.txt", "--colum=a"],
            "`textbox-elmer generate` has no option --colum: did you mean --column?",
        ),
        (mistaken("x.txt", b"a\n"), ["--input=x.txt", "--model=nobody"], "no model called 'nobody'"),
    ],
)
def test_mistakes(
    generate: Generate, tmp_path: Path, prepare: Callable[[Path], None], arguments: list[str], message: str
) -> None:
    prepare(tmp_path)
    before = sorted(tmp_path.iterdir())
    shown, told = generate(*arguments, status=2)
    assert message in " ".join(told.split())
    assert shown == b""
    assert sorted(tmp_path.iterdir()) == before


def test_an_open_quote_is_found(generate: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.inference.tables.separated.LONGEST", 200)
    (tmp_path / "in.csv").write_text('text\nalpha\n"beta\n' + "gamma\n" * 100)
    _, told = generate("--input=in.csv", status=2)
    assert "close its quotes" in told


def test_a_line_without_end(generate: Generate, monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    for module in ("rows", "lines"):
        monkeypatch.setattr(f"textbox_elmer.inference.tables.{module}.LONGEST", 100)
    shown, _ = generate(piped=b"a" * 1000 + b"\nalpha\n" + b"b" * 101, status=3)
    first, second, third = shown.decode().splitlines()
    assert first.startswith("[error: longer than")
    assert third.startswith("[error: longer than")
    assert not second.startswith("[error")


def test_nothing_is_given(capsys: pytest.CaptureFixture) -> None:
    assert main(["generate"]) == 2
    assert "`textbox-elmer generate` needs --model_path, e.g. textbox-elmer generate " in capsys.readouterr().err
