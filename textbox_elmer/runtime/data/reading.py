"""One example a line: how a line of a `.src` or `.tgt` file is read."""

import ast
import codecs
import io
import warnings
from pathlib import Path

from textbox_elmer.runtime.errors import UserError

QUOTES = ("''", '""')
BRACKETS = "[]"


def parse_line(line: str) -> str | list[str]:
    """Read one line as TextBox does, except that nothing is ever evaluated.

    A line in quotes that is a Python string literal becomes that string (so a text may hold a line break), one in
    brackets that is a literal list of strings becomes that list (several references), any other stays the text that
    it is, stripped.
    """
    text = line.strip()
    if len(text) < 2 or text[0] + text[-1] not in (*QUOTES, BRACKETS):
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a text may well hold "\d"
            value = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return value
    return text


def read_lines(path: Path) -> list[str]:
    """Return a file's lines, not yet parsed.

    Raises:
        UserError: the file is missing, empty or not UTF-8 (with the line).
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{str(path)!r} is missing: a dataset has train, valid and test files, .src and .tgt."
        ) from None
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}): make it a readable file.") from None
    if not content.strip():
        raise UserError(f"{str(path)!r} is empty: write one example a line into it.")
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{str(path)!r}, line {line}, is not UTF-8 text: save the file as UTF-8.") from None
    # Python's text files end lines at \n, \r and \r\n alone; str.splitlines would also cut at U+2028 and the like.
    return list(io.StringIO(text, newline=None))
