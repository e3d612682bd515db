"""One example a line: how a line of a `.src` or `.tgt` file is read, and written."""

import ast
import codecs
import warnings
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.files import open_regular

QUOTES = ("''", '""')
BRACKETS = "[]"
# What Python raises over a text that is none of its literals.
NO_LITERAL = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)
BOM = codecs.BOM_UTF8.decode()  # at a file's start a mark of its encoding, not part of its text


def parse_line(line: str) -> str | list[str]:
    """Read one line as TextBox does, except that nothing is ever evaluated.

    A line in quotes that is a Python string literal becomes that string (so a text may hold a line break), one in
    brackets that is a literal list of strings becomes that list (several references), any other stays the text that
    it is, stripped. Nothing is raised, whatever the line holds.
    """
    text = line.strip()
    if len(text) < 2 or text[0] + text[-1] not in (*QUOTES, BRACKETS):
        return text
    try:
        return literal(text)
    except NO_LITERAL:
        return text


def literal(text: str) -> str | list[str]:
    """Return the text or the list of texts that Python's literal means.

    Raises:
        NO_LITERAL: it is none, or holds what is no text.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a text may well hold "\d"
        value = ast.literal_eval(text)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [_joined_surrogates(item) for item in value]
    if isinstance(value, str):
        return _joined_surrogates(value)
    raise ValueError("This is no text.")


def format_line(value: str | list[str]) -> str:
    """Return the line, without its end, that `parse_line` reads as `value`, wherever in a file it stands.

    A text stays as it is unless that would be read otherwise; the rule is wider than our own reading, so that TextBox,
    which evaluates such lines, reads the same text. What is not written as it is becomes a literal.
    """
    if (
        isinstance(value, list)
        or value != value.strip()
        or not value
        or "\n" in value
        or "\r" in value
        or value.startswith(BOM)
        or (value[0] in "'\"[" and value[-1] in "'\"]")
    ):
        return repr(value)
    return value


def references_of(target: str | list[str]) -> list[str]:
    """Return the references that a target is, as `parse_line` reads it: one, or several."""
    return [target] if isinstance(target, str) else target


def _joined_surrogates(text: str) -> str:
    """Return `text` with each pair of surrogates as the character that it means: so JSON's escapes write an emoji.

    Raises:
        UnicodeDecodeError: a surrogate stands alone, which no tokenizer takes.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


def read_lines(path: Path) -> list[str]:
    """Return a file's lines without their ends, not yet parsed.

    Raises:
        UserError: the file is missing, empty or not UTF-8 (with the line).
    """
    try:
        with open_regular(path) as file:
            content = file.read().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError:
        raise UserError(
            f"{str(path)!r} is missing: a dataset has train, valid and test files, .src and .tgt."
        ) from None
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}): make it a readable file.") from None
    if not content.strip():
        raise UserError(f"{str(path)!r} is empty: write one example a line into it.")
    lines = []
    # Bytes are split as Python's text files are, at \n, \r and \r\n alone; str would also cut at U+2028 and the like.
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise UserError(f"{str(path)!r}, line {number}, is not UTF-8 text: save the file as UTF-8.") from None
    return lines
