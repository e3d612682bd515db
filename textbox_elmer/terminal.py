"""What a terminal shows: text from elsewhere is shown and never obeyed, a fault is one line, tables fit the window."""

import sys
import unicodedata
from typing import IO, Any

from rich.console import Console
from rich.text import Text

# What turns or hides the text around it: the marks and the overrides of writing from right to left.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Control characters, lone surrogates (which no output can encode), and separators of lines and paragraphs.
OBEYED = ("Cc", "Cs", "Zl", "Zp")
LONGEST_REASON = 300  # characters
PIPE_WIDTH = 160  # columns of a table where no terminal says how many there are


def shown(text: str, lines: bool = False) -> str:
    r"""Return text with whatever a terminal would obey instead of showing it written as an escape, ESC as `\x1b`.

    Args:
        lines: whether line breaks and tabs stay as they are.
    """
    kept = "\n\t" if lines else ""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        ascii(sign)[1:-1] if sign not in kept and (sign in TURNING or unicodedata.category(sign) in OBEYED) else sign
        for sign in text
    )


def say(text: str, file: IO[str] | None = None) -> None:
    """Print lines of text, by default on stdout, at once."""
    print(shown(text, lines=True), file=file or sys.stdout, flush=True)


def reason_of(error: BaseException) -> str:
    """Return what an exception says, in one line of at most 300 characters; its kind if it says nothing.

    What the system says of a file is left without its number and the file's name.
    """
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8 text"
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return " ".join(str(said).split())[:LONGEST_REASON] or type(error).__name__


class TextConsole(Console):
    """A console that takes no text for markup or emoji codes and shows control characters as escapes."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(markup=False, emoji=False, **arguments)

    def render_str(self, text: str, **arguments: Any) -> Text:
        """Return a cell's, a title's or a line's text, as rich asks for whatever is given as `str`."""
        return super().render_str(shown(text, lines=True), **arguments)


def table_console(width: int = PIPE_WIDTH, file: IO[str] | None = None) -> Console:
    """Return where tables go: as wide as the terminal, or `width` columns where there is none."""
    console = TextConsole(file=file)
    return console if console.is_terminal else TextConsole(file=file, width=width)
