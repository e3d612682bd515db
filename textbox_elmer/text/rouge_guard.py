"""What the package rouge stops at, kept from it: texts without a word, such as ".", and very long ones."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

NO_TEXT = "UNK"  # what TextBox scores in place of an empty text


def guarded_scores(
    get_scores: Callable[..., Any], generated: Sequence[str], references: Sequence[str], *arguments: Any, **named: Any
) -> Any:
    """Return what the package's `get_scores` does, of texts that it would stop at, too.

    Those without a word, which young models write, are scored as TextBox scores an empty one.
    """
    longest = max((len(text.split()) for text in (*generated, *references)), default=0)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 2 * longest + 1000))  # it looks for common subsequences by recursion
    try:
        return get_scores(_with_words(generated), _with_words(references), *arguments, **named)
    finally:
        sys.setrecursionlimit(before)


def _with_words(texts: Sequence[str]) -> list[str]:
    return [text if text.replace(".", "").strip() else NO_TEXT for text in texts]
