"""`data import`: tables of every kind become datasets that read back as the very same texts."""

import csv
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pytest
from pyarrow import parquet

from textbox_elmer.datasets import tables
from textbox_elmer.files import held
from textbox_elmer.runtime.data import load_split

Data = Callable[..., str]
TEXTS = ["plain", "NA", "007", "1.0", "two\nlines", "a\r\nb\rc", " blanks ", "'quoted'", '"', "['a', 'b']", "你好", ""]
ROWS = [{"document": text, "summary": f"{text}!", "number": i} for i, text in enumerate(TEXTS)]


def write_csv(path: Path, rows: Sequence[dict[str, Any]], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    if path.suffix in (".csv", ".tsv"):
        write_csv(path, rows, "\t" if path.suffix == ".tsv" else ",")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(list(rows)))
    else:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def read_pairs(folder: Path, *splits: str) -> set[tuple[str, Any]]:
    loaded = [load_split(folder, split) for split in splits or ("train", "valid", "test")]
    pairs = [pair for split in loaded for pair in zip(split.source, split.target, strict=True)]
    return {(source, target if isinstance(target, str) else tuple(target)) for source, target in pairs}


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_every_kind_of_table_keeps_its_texts(place: Path, data: Data, suffix: str) -> None:
    write_table(place / f"table{suffix}", ROWS)
    printed = data("import", "--file", f"table{suffix}", "--source", "document", "--target", "summary", "mine")
    assert read_pairs(place / "dataset" / "mine") == {(row["document"], row["summary"]) for row in ROWS}
    assert "10 train, 1 valid, 1 test examples" in printed
    assert "Held out of train, for the table has none: valid and test." in printed
    assert sorted(os.listdir(place / "dataset")) == ["mine"]


@pytest.mark.parametrize(
    "arguments",
    [
        "--hub table.jsonl --source document --target summary mine",
        "mine --hub=table.jsonl --source=document --target=summary",
        "--file=table.jsonl mine --target summary --source document --data_path dataset",
    ],
)
def test_options_before_and_after(place: Path, data: Data, arguments: str) -> None:
    write_table(place / "table.jsonl", ROWS)
    data("import", *arguments.split())
    assert (place / "dataset" / "mine" / "test.tgt").exists()


def test_several_references_numbers_and_nothing(place: Path, data: Data) -> None:
    rows = [
        {"q": "several", "a": ["one", "two\nlines"]},
        {"q": "a gap", "a": ["one", None]},
        {"q": "single", "a": ["'only'"]},
        {"q": "none", "a": []},
        {"q": "null", "a": None},
        {"q": None, "a": ["x"]},
    ]
    write_table(place / "t.jsonl", rows)
    assert "Left out: 3 rows without source or target." in data(
        "import", "--file=t.jsonl", "--source=q", "--target=a", "m"
    )
    expected = {("several", ("one", "two\nlines")), ("a gap", ("one",)), ("single", ("'only'",))}
    assert read_pairs(place / "dataset" / "m") == expected
    write_table(place / "n.jsonl", [{"q": i, "a": i / 2} for i in range(5)])
    data("import", "--file=n.jsonl", "--source=q", "--target=a", "numbers")
    assert read_pairs(place / "dataset" / "numbers") == {(str(i), str(i / 2)) for i in range(5)}


def test_fields_of_records(place: Path, data: Data) -> None:
    rows = [{"translation": {"de": f"Satz {i}", "en": f"sentence {i}"}, "id": i} for i in range(4)]
    write_table(place / "t.jsonl", rows)
    data("import", "--file=t.jsonl", "--source=translation.de", "--target", "translation.en", "m")
    assert ("Satz 3", "sentence 3") in read_pairs(place / "dataset" / "m")


def test_the_tables_own_splits(place: Path, data: Data) -> None:
    (place / "tables").mkdir()
    for name in ("train", "validation", "test"):
        write_csv(place / "tables" / f"{name}.csv", [{"s": f"{name} {i}", "t": "NA"} for i in range(3)])
    printed = data("import", "--hub", "tables", "--source=s", "--target=t", "m")
    assert "Held out" not in printed
    for ours, theirs in (("train", "train"), ("valid", "validation"), ("test", "test")):
        split = load_split(place / "dataset" / "m", ours)
        assert (split.source, split.target) == ([f"{theirs} {i}" for i in range(3)], ["NA"] * 3)


def test_held_out_deterministically_and_apart(place: Path, data: Data) -> None:
    rows = [{"s": f"source {i % 200}", "t": f"target {i}"} for i in range(400)]
    write_table(place / "t.parquet", rows)
    for name, order in (("m", rows), ("again", rows), ("otherwise", rows[::-1])):
        write_table(place / "t.parquet", order)
        data("import", "--file=t.parquet", "--source=s", "--target=t", name)
    folder = place / "dataset" / "m"
    assert digest(folder) == digest(place / "dataset" / "again")
    assert read_pairs(folder, "test") == read_pairs(place / "dataset" / "otherwise", "test")
    sources = {split: {source for source, _ in read_pairs(folder, split)} for split in ("train", "valid", "test")}
    assert [len(found) for found in sources.values()] == [180, 10, 10]
    assert len(set().union(*sources.values())) == 200
    assert len(load_split(folder, "test").source) == 20


def test_a_dataset_of_the_hub(place: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(*arguments: Any) -> datasets.DatasetDict:
        asked.append(arguments)
        rows = datasets.Dataset.from_list(ROWS)
        return datasets.DatasetDict(train=rows, validation=rows, extra=rows)

    monkeypatch.setattr(tables.datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(tables, "hub_arguments", lambda name: {})
    printed = data("import", "--hub", "owner/name:large", "--source", "document", "--target", "summary", "D")
    assert asked == [("owner/name", "large")]
    assert "Held out of train, for the table has none: test." in printed
    assert "Splits that are not used: extra." in printed


OWN, OTHER = [{"s": f"own {i}", "t": "x"} for i in range(3)], [{"s": f"other {i}", "t": "x"} for i in range(3)]
COLUMNS_ST = ["--source=s", "--target=t"]


@pytest.mark.parametrize(
    ("path", "decoy"),
    [
        ("t[1].csv", "t1.csv"),
        ("g*.csv", "gg.csv"),
        ("q?.jsonl", "qq.jsonl"),
        ("{a,b}.csv", "a.csv"),
        ("a::b.csv", "b.csv"),
        ("zip://t.csv", "t.csv"),
        ("http://localhost/t.parquet", "t.parquet"),
        ("file://t.csv", "t.csv"),
        ("~.csv", "t.csv"),
        (".hidden.csv", "hidden.csv"),
        ("__folder/t.csv", "t.csv"),
        ("**/t.csv", "x/t.csv"),
    ],
)
def test_a_path_is_a_path_and_no_pattern(place: Path, data: Data, path: str, decoy: str) -> None:
    for name, rows in ((path, OWN), (decoy, OTHER)):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_table(Path(name).absolute(), rows)
    data("import", "--file", path, *COLUMNS_ST, "m")
    assert read_pairs(place / "dataset" / "m") == {(row["s"], row["t"]) for row in OWN}
    Path(path).unlink()
    assert f"There is no file or folder {path!r}" in data("import", "--file", path, *COLUMNS_ST, "n", status=2)


def test_a_data_path_is_no_pattern_either(place: Path, data: Data) -> None:
    write_table(place / "t.csv", OWN)
    data("import", "--file=t.csv", *COLUMNS_ST, "--data_path=d[1]*?", "m")
    assert read_pairs(place / "d[1]*?" / "m") == {(row["s"], row["t"]) for row in OWN}
    assert os.listdir(place / "d[1]*?") == ["m"]


def folder_of_tables(folder: Path) -> None:
    folder.mkdir()
    write_table(folder / "train.csv", OWN)
    write_table(folder.parent / "elsewhere.csv", OTHER)


def readme(folder: Path) -> None:
    path = folder.parent / "elsewhere.csv"
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {path}\n---\n"
    )


def settings_in_json(folder: Path) -> None:
    (folder / "dataset_infos.json").write_text('{"default": {"splits": {"train": {"name": "train"}}}}')
    (folder / "notes.json").write_text("no table at all")


def script(folder: Path) -> None:
    (folder / f"{folder.name}.py").write_text("open('executed', 'w')\n")


def hidden(folder: Path) -> None:
    write_table(folder / ".train.csv", OTHER)
    (folder / ".git").mkdir()
    write_table(folder / ".git" / "train.csv", OTHER)


def linked_folder(folder: Path) -> None:
    (folder.parent / "others").mkdir()
    write_table(folder.parent / "others" / "train.csv", OTHER)
    (folder / "others").symlink_to("../others")


@pytest.mark.parametrize("put", [readme, settings_in_json, script, hidden, linked_folder])
def test_a_folder_is_the_tables_in_it(place: Path, data: Data, put: Callable[[Path], None]) -> None:
    folder_of_tables(place / "tables")
    put(place / "tables")
    data("import", "--file=tables", *COLUMNS_ST, "m")
    assert read_pairs(place / "dataset" / "m") == {(row["s"], row["t"]) for row in OWN}
    assert not Path("executed").exists()


def test_splits_by_name(place: Path, data: Data) -> None:
    names = ["train-00000-of-00002", "train-00001-of-00002", "dev/part 1", "my_test.v2", "attested"]
    for name in names:
        path = place / "tables" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(path, [{"s": name, "t": "x"}])
    (place / "tables" / "test_link.csv").symlink_to("my_test.v2.csv")
    data("import", "--file=tables", *COLUMNS_ST, "m")
    folder = place / "dataset" / "m"
    assert read_pairs(folder, "train") == {(names[0], "x"), (names[1], "x")}
    assert read_pairs(folder, "valid") == {(names[2], "x")}
    assert load_split(folder, "test").source == [names[3]] * 2


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda place: (place / name).write_bytes(content) and None


def taken(place: Path) -> None:
    (place / "dataset" / "m").mkdir(parents=True)
    write_table(place / "t.csv", ROWS)


def pipe(place: Path) -> None:
    os.mkfifo(place / "t.csv")


def pipe_in_folder(place: Path) -> None:
    folder_of_tables(place / "t")
    os.mkfifo(place / "t" / "test.csv")


def link_out_of_folder(place: Path) -> None:
    folder_of_tables(place / "t")
    (place / "t" / "test.csv").symlink_to("../elsewhere.csv")


def empty_folder(place: Path) -> None:
    (place / "t").mkdir()


def mixed_folder(place: Path) -> None:
    folder_of_tables(place / "t")
    write_table(place / "t" / "test.jsonl", OTHER)


def only_evaluation(place: Path) -> None:
    (place / "t").mkdir()
    for name in ("validation", "test"):
        write_csv(place / "t" / f"{name}.csv", ROWS)


TABLE = write("t.csv", b"a,b\n1,2\n3,4\n5,6\n")
COLUMNS = ["--source=a", "--target=b"]
MISTAKES: list[tuple[str, Callable[[Path], None], list[str], str]] = [
    (
        "no such column",
        TABLE,
        ["--file=t.csv", "--source=a", "--target=c", "m"],
        "no column 'c': its columns are a, b.",
    ),
    ("no such file", TABLE, ["--file=u.csv", *COLUMNS, "m"], "no file or folder 'u.csv'"),
    ("no table", write("t.txt", b"a"), ["--file=t.txt", *COLUMNS, "m"], "it must end in .csv"),
    ("no text", write("t.csv", b""), ["--file=t.csv", *COLUMNS, "m"], "cannot be read as a table"),
    ("no UTF-8", write("t.csv", b"a,b\n\xe9,1\n"), ["--file=t.csv", *COLUMNS, "m"], "cannot be read as a table"),
    ("cut JSON", write("t.json", b'[{"a": "1",'), ["--file=t.json", *COLUMNS, "m"], "cannot be read as a table"),
    ("cut Parquet", write("t.parquet", b"PAR1 and"), ["--file=t.parquet", *COLUMNS, "m"], "cannot be read as a table"),
    ("a pipe", pipe, ["--file=t.csv", *COLUMNS, "m"], "'t.csv' is neither a file nor a folder: check --file."),
    ("a pipe in a folder", pipe_in_folder, ["--file=t", *COLUMNS, "m"], "'t/test.csv' is no regular file"),
    (
        "a link out of a folder",
        link_out_of_folder,
        ["--file=t", *COLUMNS, "m"],
        "'t/test.csv' is a link that leads out",
    ),
    ("an empty folder", empty_folder, ["--file=t", *COLUMNS, "m"], "'t' holds no table: put files there that end in"),
    ("several kinds", mixed_folder, ["--file=t", *COLUMNS, "m"], "'t' holds tables of different kinds"),
    ("compressed", write("t.csv", gzip.compress(b"a,b\n1,2\n")), ["--file=t.csv", *COLUMNS, "m"], "unpack it first"),
    ("a long path", TABLE, [f"--file={'x' * 300}", *COLUMNS, "m"], "File name too long"),
    (
        "a long name",
        TABLE,
        ["--file=t.csv", *COLUMNS, "m" * 300],
        "cannot be a dataset's name: use at most 200 letters",
    ),
    *(
        (f"--hub={name}", TABLE, [f"--hub={name}", *COLUMNS, "m"], "no dataset's name on the hub")
        for name in ("csv", "pandas", "pandas:x", "/m", "a/b/c", "hf://a/b")
    ),
    ("a URL", TABLE, ["--hub=http://localhost/t.csv", *COLUMNS, "m"], "no dataset's name on the hub"),
    ("too few", write("t.csv", b"a,b\n1,2\n1,3\n"), ["--file=t.csv", *COLUMNS, "m"], "1 different sources, too few"),
    (
        "records",
        write("t.jsonl", b'{"a": [{"x": 1}], "b": "1"}\n'),
        ["--file=t.jsonl", *COLUMNS, "m"],
        "more than text",
    ),
    ("no train split", only_evaluation, ["--file=t", "--source=document", "--target=summary", "m"], "no train split"),
    ("taken", taken, ["--file=t.csv", "--source=document", "--target=summary", "m"], "'dataset/m' is here already"),
    ("a path as name", TABLE, ["--file=t.csv", *COLUMNS, "../m"], "'../m' cannot be a dataset's name"),
    (
        "no name",
        TABLE,
        ["--file=t.csv", *COLUMNS],
        "import` needs DATASET, e.g. textbox-elmer data import",
    ),
    ("no table named", TABLE, [*COLUMNS, "m"], "needs either --hub <name[:configuration]> or --file <path>"),
    ("two tables named", TABLE, ["--hub=x/y", "--file=t.csv", *COLUMNS, "m"], "needs either --hub"),
    ("no target named", TABLE, ["--file=t.csv", "--source=a", "m"], "needs --target, e.g. textbox-elmer data import"),
    ("unknown option", TABLE, ["--file=t.csv", "--sauce=a", "m"], "no option --sauce: did you mean --source?"),
]


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"), [case[1:] for case in MISTAKES], ids=[c[0] for c in MISTAKES]
)
def test_mistakes(place: Path, data: Data, spoil: Callable[[Path], None], arguments: list[str], message: str) -> None:
    spoil(place)
    before = sorted(place.rglob("*"))
    assert message in data("import", *arguments, status=2)
    assert [path for path in sorted(place.rglob("*")) if path not in before and path.name != "dataset"] == []


def test_two_imports_of_one_name(place: Path, data: Data) -> None:
    TABLE(place)
    arguments = ["import", "--file=t.csv", *COLUMNS]
    with held(Path("dataset/m"), ""):
        assert "Another process is at work on 'dataset/m': wait until it has ended, or choose another name" in data(
            *arguments, "m", status=2
        )
        data(*arguments, "n")
    data(*arguments, "m")
    assert sorted(os.listdir("dataset")) == ["m", "n"]


def test_no_network(place: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "hub_arguments", lambda name: {"local_files_only": True})
    assert "does not answer" in data("import", "--hub=owner/name", "--source=a", "--target=b", "m", status=2)
