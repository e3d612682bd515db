"""Whatever is wrong with a file of texts, each of its rows gets an answer, or the file a sentence."""

import io
import json
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from pyarrow import parquet

from tests.test_mutations import EDITS, Edit, edited, examples
from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.opening import JSON, KINDS, format_of, open_table
from textbox_elmer.inference.tables.rows import Answer, NewColumns

NEW = NewColumns("generated", ("tokens", "ms"))
ROWS = [{"n": "1", "text": "alpha beta"}, {"n": 'a "quoted",\n one', "text": "gamma, delta"}, {"n": "", "text": "é 你"}]


def sound(kind: str) -> bytes:
    """Return a sound file of a kind."""
    if kind == ".parquet":
        sink = io.BytesIO()
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), sink)
        return sink.getvalue()
    if kind == JSON:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
    if kind == ".txt":
        return "".join(f"{row['text']}\n" for row in ROWS).encode()
    return 'n\ttext\n1\talpha\n"a ""b"""\t"é\n"\n'.replace("\t", "," if kind == ".csv" else "\t").encode()


def answered(path: Path, kind: str) -> tuple[int, bytes]:
    """Return how many rows a file has, and what is written for it as `kind`."""
    table = open_table(path, "text", NEW)
    form = format_of(table, kind, NEW)
    rows, parts = 0, []
    for window in table.windows():
        answers = [
            Answer(None, row.fault) if row.text is None else Answer(row.text, details={"tokens": ["a"], "ms": 1.0})
            for row in window.rows
        ]
        assert all(answer.fault or answer.text.encode().strip() for answer in answers)
        rows += len(answers)
        parts.append(io.BytesIO(form.part(window, answers)))
    file = io.BytesIO()
    form.join(parts, file)
    return rows, file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_is_lost(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"in{kind}"

    @examples(150)
    @given(EDITS)
    def check(edits: list[Edit]) -> None:
        path.write_bytes(edited(sound(kind), edits))
        complaint = None
        try:
            rows, content = answered(path, kind)
            objects = content if kind == ".parquet" else answered(path, JSON)[1]
        except UserError as error:
            complaint = str(error)
        if complaint is not None:
            assert repr(str(path)) in complaint
        elif kind == ".parquet":
            assert parquet.read_metadata(io.BytesIO(content)).num_rows == rows
        else:
            lines = objects.decode().split("\n")
            assert len(lines) == rows + 1
            assert all("error" in json.loads(line) for line in lines[:-1])

    check()
