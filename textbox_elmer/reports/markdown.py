"""Text from elsewhere in Markdown that we write: it appears as it is, in its place, and is no HTML, link or cell."""

import re
from urllib.parse import quote

from textbox_elmer.terminal import shown

# HTML's own characters become entities, for not every reader of Markdown knows a backslash before them.
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
SPECIAL = {**ENTITIES, **{sign: f"\\{sign}" for sign in "\\`[]|"}}
TRANSLATION = str.maketrans(SPECIAL)


def plain_text(text: str) -> str:
    """Return text for a line, a link's words or a table's cell."""
    return _one_line(text).translate(TRANSLATION)


def code(text: str) -> str:
    """Return text as code, for a line that is not a table's."""
    words = _one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", words)), default=0) + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{space}{words}{space}{fence}"


def file_link(path: str) -> str:
    """Return a link's target that is a file's path, whatever characters that holds."""
    return f"<{quote(path, errors='surrogateescape')}>"


def _one_line(text: str) -> str:
    return shown(" ".join(text.split()))
