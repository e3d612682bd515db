"""The text of service descriptions: HTML to prose, prose to sentences, names to words."""

import re
from html.parser import HTMLParser

_ASIDES = frozenset(("caution", "important", "note", "warning"))
_NOT_PROSE = frozenset(("fullname", "head", "script", "style", "title"))
_PARTS = frozenset(("blockquote", "div", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "section", "ul"))
_ROWS = frozenset(("br", "caption", "dd", "dt", "hr", "li", "table", "td", "th", "tr"))
# What stands in one of these is a text of its own: no sentence goes on across its edge.
_BLOCKS = _ASIDES | _NOT_PROSE | _PARTS | _ROWS
# A period behind one of these does not end a sentence.
_ABBREVIATIONS = r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bcf)(?<!\bNo)(?<!\bInc)(?<!\bU\.S)(?<!\bapprox)(?<!\bVer)"
_SENTENCE_END = re.compile(rf"{_ABBREVIATIONS}(?<=[^\s.])[.!?][)\"'”’]*\s+(?=[^a-z\s.,;])")
_NAME_PART = re.compile(
    r"IPv[46]"
    r"|[A-Z]{2,}s(?![a-z])"  # ARNs
    r"|[A-Z]+(?![a-z])\d*"  # EC2; the DB of DBInstance
    r"|[A-Z]?[a-z]+\d*"
    r"|\d+"
)


def html_blocks(html: str) -> list[tuple[str, bool]]:
    """Return HTML's texts, one per block (paragraph, list item, …), each on one line, in their order.

    Entities are resolved, markup goes, and what only looks like markup, such as `<bucket`, does no harm. Blocks with
    no text are left out.

    Returns:
        pairs of a text and whether it is an aside: in a `<note>` or the like.
    """
    reader = _Reader()
    # A marked section, such as `<![if …]>`, is none of HTML's, and html.parser breaks off at one.
    reader.feed(html.replace("<![", "&lt;!["))
    reader.close()
    reader.end_block()
    return reader.blocks


def sentences(text: str) -> list[str]:
    """Return a text's sentences; where it is unclear whether one ends, as behind "e.g.", it goes on."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    parts = [text[start:end].strip() for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    return [part for part in parts if part]


def name_words(name: str) -> str:
    """Return a name's words in lower case: "DescribeDBInstances" -> "describe db instances"."""
    return " ".join(_NAME_PART.findall(name)).lower()


class _Reader(HTMLParser):
    """Collects the texts of the blocks that it is fed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[str, bool]] = []
        self._text: list[str] = []
        self._asides = self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.end_block()
        self._asides += tag in _ASIDES
        self._hidden += tag in _NOT_PROSE

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.end_block()
        self._asides = max(0, self._asides - (tag in _ASIDES))
        self._hidden = max(0, self._hidden - (tag in _NOT_PROSE))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._text.append(data)

    def end_block(self) -> None:
        """End the current text, if there is one."""
        # No control characters or lone surrogates, which a line of UTF-8 cannot hold.
        kept = "".join(character for character in "".join(self._text) if character.isprintable() or character.isspace())
        self._text.clear()
        if text := " ".join(kept.split()):
            self.blocks.append((text, self._asides > 0))
