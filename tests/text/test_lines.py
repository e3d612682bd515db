"""Reading lines and folders, as data.json shows and as users get it wrong."""

import ast
import json
import random
import warnings
from pathlib import Path

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.data.folder import find_dataset, load_split
from textbox_elmer.text.lines import format_line, parse_line, read_lines

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "textbox" / "data.json").read_text())["lines"]


@pytest.mark.parametrize("case", CASES, ids=[case["line"][:20] for case in CASES])
def test_reference_lines(case: dict, tmp_path: Path) -> None:
    assert parse_line(case["line"]) == case["loaded"]
    (tmp_path / "a.tgt").write_text(f"first\n{case['line']}\nlast\n", encoding="utf-8")
    assert [parse_line(line) for line in read_lines(tmp_path / "a.tgt")] == ["first", case["loaded"], "last"]


@pytest.mark.parametrize(
    "line",
    [
        "[__import__('os').system('touch executed')]",
        "['a' for _ in range(3)]",
        "['a', open('executed', 'w')]",
        "'a'.upper() + 'b'",
        "'a' * 1000000000 + 'b'",
        "[1, 2]",
        "[['nested']]",
        "['a', None]",
        "'\\d is no escape",
        "[" * 5000 + "]" * 5000,
        "''' '",
        "'\0'",
        r"'a lone \ud800 surrogate'",
        r"['fine', '\ud800']",
        "[" + "-" * 5000 + "1]",
        "[b'bytes']",
        "[SEP]",
        "[{[]: 1}]",
    ],
)
def test_nothing_is_evaluated(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_line(line) == line
    assert not list(tmp_path.iterdir())


def test_a_text_with_odd_escapes_raises_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_line(r"'\d'") == r"\d"


def test_surrogate_pairs_are_the_character_that_they_mean() -> None:
    for text in ("\N{GRINNING FACE}", "\ufeffmark", "你好 café"):
        assert parse_line(json.dumps(text)) == text
        assert parse_line(json.dumps([text, "b"])) == [text, "b"]


MARKS = "'\"[](){},\\#:.-+*=\n\t\0 "
PIECES = [*MARKS, "'''", "a", "1", "café", "你", "\\n", "\\x4", "\\ud83d", "None", "open('executed', 'w')"]


def test_any_line_becomes_texts_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    kinds = {"literal": 0, "list": 0, "as it is": 0}
    for _ in range(20000):
        line = "".join(draw.choices(PIECES, k=draw.randint(0, 8)))
        first, last = draw.choice([("", ""), ("'", "'"), ('"', '"'), ("[", "]"), ("['", "']"), ("['", "', 'b']")])
        line = first + line + last
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value = parse_line(line)
        for text in value if isinstance(value, list) else [value]:
            assert isinstance(text, str)
            assert text.encode("utf-8").decode("utf-8") == text
        if value == line.strip():
            kinds["as it is"] += 1
            continue
        assert line.strip()[0] in "'\"["
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert value == ast.literal_eval(line.strip())
        kinds["list" if isinstance(value, list) else "literal"] += 1
    assert min(kinds.values()) > 1000, "each kind of line was drawn"
    assert not list(tmp_path.iterdir())


def test_plain_text_is_only_stripped() -> None:
    draw = random.Random(1)
    alphabet = "abc éß你😀.,:;!?()-\\ \t\u2028\xa0"
    for _ in range(2000):
        line = "".join(draw.choices(alphabet, k=draw.randint(0, 12)))
        assert parse_line(line) == line.strip()


def test_lines_end_where_python_files_end_them(tmp_path: Path) -> None:
    content = "one\r\ntwo\u2028still two\nthree\x0cstill three\n\nfive"
    (tmp_path / "a.src").write_bytes(b"\xef\xbb\xbf" + content.encode())
    texts = read_lines(tmp_path / "a.src")
    assert texts == ["one", "two\u2028still two", "three\x0cstill three", "", "five"]
    with (tmp_path / "a.src").open(encoding="utf-8-sig") as file:
        assert len(texts) == len(list(file))


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        "'quoted'",
        "'a' and 'b'",
        '"both \' kinds"',
        "'backslash \\n inside'",
        "[1, 2]",
        "['one', 'two']",
        "[CFWS] and [SEP]",
        "(1, 2)",
        "(see below) for 'x'",
        "'unbalanced",
        "'",
        "r'raw'",
        "café 你好 'x'",
        "1.5",
        "None",
        "{'a': 1}",
    ],
)
def test_a_line_reads_back_as_its_text(text: str) -> None:
    line = format_line(text)
    assert parse_line(line) == text
    assert len(line.splitlines()) == 1


def test_a_plain_text_is_written_as_it_is() -> None:
    for text in ("plain", "it's", "[SEP] a", "café 你好\u3000了", "a, 'b'"):
        assert format_line(text) == text


def test_whatever_is_written_is_read_again(tmp_path: Path) -> None:
    draw = random.Random(2)
    pieces = [
        *MARKS,
        "\r",
        "\r\n",
        "\ufeff",
        "\u2028",
        "\x85",
        "\xa0",
        "\x1c",
        *(p for p in PIECES if p != "\\ud83d"),
        "\N{GRINNING FACE}",
    ]
    texts = ["".join(draw.choices(pieces, k=draw.randint(0, 6))) for _ in range(5000)]
    values: list[str | list[str]] = [*texts, *([*texts[i : i + draw.randint(1, 3)]] for i in range(0, 5000, 5))]
    draw.shuffle(values)
    for values_of_a_file in (values, ["\ufeffmark first", *values]):
        (tmp_path / "a.tgt").write_bytes("".join(f"{format_line(value)}\n" for value in values_of_a_file).encode())
        assert [parse_line(line) for line in read_lines(tmp_path / "a.tgt")] == values_of_a_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "train.src").write_text("['a', 'b']\n'quoted'\nplain\n")
    (tmp_path / "toy" / "train.tgt").write_text("['a', 'b']\nx\ny\n")
    return tmp_path / "toy"


def test_a_source_is_one_text(folder: Path) -> None:
    split = load_split(folder, "train")
    assert split.source == ["['a', 'b']", "quoted", "plain"]
    assert split.target == [["a", "b"], "x", "y"]
    assert load_split(folder, "train", limit=2).target == [["a", "b"], "x"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.src", None, "train.src' is missing"),
        ("train.tgt", b"", "train.tgt' is empty"),
        ("train.tgt", b" \n\n", "train.tgt' is empty"),
        ("train.tgt", b"\xef\xbb\xbf", "train.tgt' is empty"),
        ("train.tgt", b"a\nb\n", "train.src' has 3 lines but .*train.tgt' has 2"),
        ("train.src", b"a\nb\n\xff\n", "train.src', line 3, is not UTF-8"),
        ("train.src", b"\xef\xbb\xbfa\n\xff\n", "train.src', line 2, is not UTF-8"),
        ("train.src", b"a\rb\rc\xe4", "train.src', line 3, is not UTF-8"),
        ("train.src", "a\nb\nc\n".encode("utf-16"), "train.src', line 1, is not UTF-8"),
    ],
)
@pytest.mark.parametrize("limit", [0, 1])
def test_unusable_files(folder: Path, name: str, content: bytes | None, message: str, limit: int) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_split(folder, "train", limit)


def test_a_folder_in_place_of_a_file(folder: Path) -> None:
    (folder / "train.src").unlink()
    (folder / "train.src").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_split(folder, "train")


@pytest.mark.parametrize(
    ("data_path", "dataset", "message"),
    [
        (".", "toys", "no dataset 'toys'.* Did you mean 'toy'"),
        (".", "other", "Put its six files there"),
        ("nowhere", "toy", "'nowhere/toy' does not exist"),
        (".", "apidoc", "make it with `python -m textbox_elmer data apidoc --data_path=.`"),
        ("dataset/", "apidoc", "make it with `python -m textbox_elmer data apidoc`"),
        ("dataset", "samsum", "not in 'dataset' yet: get it with `python -m textbox_elmer data get samsum`."),
        ("my data", "gyafc-em", "`python -m textbox_elmer data get gyafc-em '--data_path=my data'`"),
        (".", "samsun", "Did you mean 'samsum'"),
        (".", "cos", "Put its six files there"),
    ],
)
def test_missing_datasets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data_path: str, dataset: str, message: str
) -> None:
    monkeypatch.chdir(folder.parent)
    assert find_dataset(".", "toy").samefile(folder)
    with pytest.raises(UserError, match=message):
        find_dataset(data_path, dataset)
