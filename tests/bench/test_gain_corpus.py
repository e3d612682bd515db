"""The gain bench's corpus: real docstrings, none of which a held-out example of pydoc could be guessed from."""

import zipfile
from pathlib import Path

import pytest

from textbox_elmer.bench import gain_corpus
from textbox_elmer.bench.gain_corpus import build_corpus, clean
from textbox_elmer.runtime.data.reading import parse_line
from textbox_elmer.runtime.errors import UserError

HELD_OUT = "The quick brown fox jumps over the lazy dog every morning before breakfast is served."
SUMMARY = "Return the fox."
FRESH = [
    "A first fresh docstring about sorting numbers that nobody else has written in quite the same words.",
    "Another one, on how to open files\n\n    and close them again when all of their lines have been read.\n",
    "'Quoted from one end to the other, with enough words in it to be kept as a text of the corpus.'",
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a pydoc with one valid and one test example, and of a wheel; nothing else is installed."""
    monkeypatch.setattr(gain_corpus, "find_files", lambda: ([], {}, []))
    pydoc = tmp_path / "pydoc"
    pydoc.mkdir()
    for split, body in (("valid", "Nothing that is of any interest here, but nine words."), ("test", HELD_OUT)):
        (pydoc / f"{split}.src").write_text(f"{body}\n")
        (pydoc / f"{split}.tgt").write_text(f"{SUMMARY}\n")
    return tmp_path


def add_wheel(place: Path, *docstrings: str) -> None:
    (place / "wheels").mkdir(exist_ok=True)
    source = "".join(f'def f{n}():\n    """{text}"""\n' for n, text in enumerate(docstrings))
    with zipfile.ZipFile(place / "wheels" / "some_package-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("some_package/module.py", source)
        wheel.writestr(
            "some_package/tests/test_module.py", 'def f():\n    """Tests are left out, however many words."""\n'
        )


def build(place: Path, name: str = "corpus") -> tuple[list[str], gain_corpus.CorpusReport]:
    report = build_corpus(place / name, place / "pydoc", place / "wheels", {"some-package": "1.0"})
    lines = [line for split in ("train", "valid") for line in (place / name / f"{split}.src").read_text().splitlines()]
    return [parse_line(line) for line in lines], report


def test_fresh_docstrings_are_texts_of_one_line(place: Path) -> None:
    add_wheel(place, *FRESH, "Too short.")
    texts, report = build(place)
    assert sorted(texts) == sorted(" ".join(text.split()) for text in FRESH)
    assert (report.texts, report.left_out) == (2, 0)
    assert "2 texts of" in str(report)


@pytest.mark.parametrize(
    "copy",
    [
        HELD_OUT,
        HELD_OUT.upper().replace(" ", "\n    "),
        f"{SUMMARY} {HELD_OUT}",
        f"Some words before. {HELD_OUT} And some words after it, to hide it among others.",
        "We saw how the quick brown fox jumps over the lazy cat, which nobody had thought that it would do.",
        "Return the fox. The quick brown fox jumps, and then come other words of no consequence whatsoever.",
    ],
)
def test_what_shares_words_with_held_out_examples_is_left_out(place: Path, copy: str) -> None:
    add_wheel(place, *FRESH, copy)
    texts, report = build(place)
    assert len(texts) == 3
    assert report.left_out == 1


def test_copies_count_once_and_builds_repeat(place: Path) -> None:
    add_wheel(place, *FRESH, FRESH[0].upper())
    texts, _ = build(place)
    assert len(texts) == 3
    build(place, "again")
    for split in ("train", "valid"):
        name = f"{split}.src"
        assert (place / "corpus" / name).read_bytes() == (place / "again" / name).read_bytes()
    assert not list(place.glob(".*"))


def test_code_and_markup_are_left_out() -> None:
    docstring = "Sum numbers.\n\nExamples\n--------\n>>> add(1, 2)\n3\n\n.. versionadded:: 2\n\nThat is all."
    assert clean(docstring) == "Sum numbers. Examples 3 That is all."


def test_a_package_that_cannot_be_fetched_is_named(place: Path) -> None:
    with pytest.raises(UserError, match=r"pip cannot fetch no-such-package-x==1.0 for the corpus \(.*\): connect"):
        build_corpus(place / "corpus", place / "pydoc", place / "wheels", {"no-such-package-x": "1.0"})
    assert not (place / "corpus").exists()


def test_pydoc_must_be_there(place: Path) -> None:
    with pytest.raises(UserError, match=r"valid.src' is missing"):
        build_corpus(place / "corpus", place / "nowhere", place / "wheels", {})
