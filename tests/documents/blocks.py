"""The blocks of code in a document, and what is said about them."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->")
LANGUAGES = ("bash", "python", "text")


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        where: its document and line, `README.md:22`.
        language: "bash", "python", or "text", which is nothing to run.
        text: its lines.
        reason: why it is not run; empty: it is.
    """

    where: str
    language: str
    text: str
    reason: str


def read_blocks(document: Path) -> list[Block]:
    """Return the blocks of a document in their order.

    Raises:
        ValueError: a block is indented, in no language of `LANGUAGES`, or a mark is not directly before a block.
    """
    blocks, mark = [], None
    for token in MarkdownIt("commonmark").parse(document.read_text(encoding="utf-8")):
        where = f"{document.name}:{token.map[0] + 1}" if token.map else ""
        if token.type == "code_block":
            raise ValueError(f"{where}: this block is indented: put it between ```bash, or ```python, and ```.")
        if token.type == "fence":
            language = token.info.strip()
            if language not in LANGUAGES:
                found = repr(language) if language else "no language"
                raise ValueError(f"{where}: this block is in {found}: say bash, python or text.")
            blocks.append(Block(where, language, token.content, mark["reason"] if mark else ""))
            mark = None
        elif mark:
            raise ValueError(f"{where}: `{mark[0]}` belongs directly before a block of code.")
        elif token.type == "html_block":
            mark = NOT_RUN.fullmatch(token.content.strip())
    if mark:
        raise ValueError(f"{document.name}: `{mark[0]}` belongs directly before a block of code.")
    return blocks
