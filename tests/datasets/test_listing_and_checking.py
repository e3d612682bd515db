"""`data list` and `data check`."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from textbox_elmer.datasets.folder.counting import count_examples
from textbox_elmer.runtime.catalogue.datasets import DATASETS
from textbox_elmer.text.lines import read_lines

Data = Callable[..., str]


def write(folder: Path, **files: str) -> None:
    """Write files, given as train_src="…"."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


def row(printed: str, name: str) -> list[str]:
    """The cells of a table's row."""
    line = next(line for line in printed.splitlines() if re.match(rf"│ +{re.escape(name)} +│", line))
    return [cell.strip() for cell in line.split("│")[2:-1]]


def test_lists_every_dataset_by_task_and_what_is_here(place: Path, data: Data) -> None:
    write(place / "dataset" / "samsum", train_src="a\nb\n", train_tgt="a\nb\n", valid_src="c", test_src="d\n" * 1234)
    write(place / "dataset" / "wia-t", train_src="a\n")
    write(place / "dataset" / "mine", train_src="a\n")
    printed = data("list")
    for name in DATASETS:
        assert row(printed, name)
    for task in {known.task for known in DATASETS.values()}:
        assert task in printed
    assert row(printed, "samsum") == ["2", "1", "1,234", "is here"]
    assert row(printed, "wia") == ["1", "-", "-", "is here"]
    assert row(printed, "mine") == ["1", "-", "-", "is here"]
    assert row(printed, "xsum") == ["", "", "", "data get xsum"]
    assert row(printed, "cos")[-1] == "was never published"
    assert row(printed, "apidoc")[-1] == "data apidoc"
    assert row(printed, "apidoc-prose")[-1] == "data apidoc"
    assert printed.index("Text summarization") < printed.index("samsum") < printed.index("Machine translation")
    assert row(data("list", "--data_path", "elsewhere"), "samsum")[-1] == "data get samsum"


@pytest.mark.parametrize("content", ["a\nb", "a\r\nb\rc\n", "\n\n", "a\u2028b\n", "x" * 5_000_000 + "\r\ny"])
def test_counts_lines_as_they_are_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.src").write_bytes(content.encode())
    expected = len(content.encode().splitlines()) if not content.strip() else len(read_lines(tmp_path / "train.src"))
    assert count_examples(tmp_path)["train"] == expected


def test_a_line_end_between_two_reads_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.datasets.folder.counting._CHUNK", 3)
    (tmp_path / "train.src").write_bytes(b"ab\r\ncd\re\n\nf")
    assert count_examples(tmp_path)["train"] == 5


def test_checks_a_dataset(place: Path, data: Data) -> None:
    write(
        place / "dataset" / "d",
        train_src="one two\none two\nthree\n\n",
        train_tgt="x\nx\n['a b c', 'd']\ny z\n",
        valid_src="one two\nnew\n",
        valid_tgt="other\n''\n",
        test_src="three\none two\nfresh\n",
        test_tgt="['a b c', 'd']\nq\nr s\n",
    )
    printed = data("check", "d")
    assert row(printed, "examples") == ["4", "2", "3"]
    assert row(printed, "references") == ["5", "2", "4"]
    assert row(printed, "source words: mean / median / most") == ["1.2 / 1.5 / 2", "1.5 / 1.5 / 2", "1.3 / 1 / 2"]
    assert row(printed, "target words: mean / median / most") == ["1.6 / 1 / 3", "0.5 / 0.5 / 1", "1.8 / 1.5 / 3"]
    assert row(printed, "empty sources") == ["1", "0", "0"]
    assert row(printed, "empty targets") == ["0", "1", "0"]
    assert row(printed, "duplicate sources") == ["1", "0", "0"]
    assert row(printed, "duplicate targets") == ["1", "0", "0"]
    assert row(printed, "duplicate pairs") == ["1", "0", "0"]
    assert row(printed, "sources that train has too") == ["", "1", "2"]
    assert row(printed, "pairs that train has too") == ["", "0", "1"]
    warnings = [line for line in printed.splitlines() if line.startswith("Warning: ")]
    assert "Warning: test: 2 of 3 examples (66.7%): sources that train has too." in warnings
    assert "Warning: train: 1 of 4 examples (25.0%): empty sources." in warnings
    assert len(warnings) == 7


def test_a_sound_dataset_has_no_warnings(workplace: Path, data: Data) -> None:
    for split, text in (("train", "a\nb\n"), ("valid", "c\n"), ("test", "d\n")):
        for side in ("src", "tgt"):
            (workplace / "dataset" / "toy" / f"{split}.{side}").write_text(text)
    assert "Warning" not in data("check", "toy")


def test_a_dataset_without_test_split(place: Path, data: Data) -> None:
    write(place / "dataset" / "d", train_src="a\n", train_tgt="b\n", valid_src="c\n", valid_tgt="d\n")
    printed = data("check", "d")
    assert row(printed, "examples") == ["1", "1"]
    assert "Warning: There is no test split: run with --do_test=False." in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("samsum", "get it with `python -m textbox_elmer data get samsum`"),
        ("d2", "Did you mean 'd'?"),
        ("d", "train.src' has 2 lines but 'dataset/d/train.tgt' has 1"),
        ("half", "'dataset/half/test.tgt' is missing"),
    ],
)
def test_missing_and_broken_datasets(place: Path, data: Data, name: str, message: str) -> None:
    write(place / "dataset" / "d", train_src="a\nb\n", train_tgt="b\n", valid_src="c\n", valid_tgt="d\n")
    write(place / "dataset" / "half", train_src="a", train_tgt="b", valid_src="c", valid_tgt="d", test_src="e")
    assert message in data("check", name, status=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "xsum"], "'xsum' is no option of `textbox-elmer data list`"),
        (["check"], "`textbox-elmer data check` needs DATASET, e.g. textbox-elmer data check samsum"),
        (["everything"], "needs one of list, get, check, import, apidoc, distill"),
    ],
)
def test_mistakes(place: Path, data: Data, arguments: list[str], message: str) -> None:
    assert message in data(*arguments, status=2)
