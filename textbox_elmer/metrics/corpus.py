"""Generated texts and references as the metrics see them: lower-cased, tokenized, never empty; and their n-grams."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nltk.tokenize import NLTKWordTokenizer

from textbox_elmer.errors import UserError
from textbox_elmer.text.rouge_guard import NO_TEXT
from textbox_elmer.text.sentences import sentence_tokenize

_WORDS = NLTKWordTokenizer()
PUNCTUATION = frozenset(["''", *"'`.?!,:-;", "``", "-LRB-", "-RRB-", "-LCB-", "-RCB-", "--", "..."])


def word_tokenize(text: str) -> list[str]:
    """Return a text's tokens, as `nltk.word_tokenize` does."""
    return [token for sentence in sentence_tokenize(text) for token in _WORDS.tokenize(sentence)]


@dataclass
class Text:
    """One text.

    Attributes:
        raw: the text, lower-cased if asked for.
        without_punctuation: whether `joined` leaves punctuation out.
    """

    raw: str
    without_punctuation: bool = False

    @cached_property
    def tokens(self) -> list[str]:
        """The text's words and punctuation marks."""
        return word_tokenize(self.raw)

    @cached_property
    def joined(self) -> str:
        """The tokens with blanks between them."""
        tokens = self.tokens
        if self.without_punctuation:
            tokens = [token for token in tokens if token not in PUNCTUATION]
        return " ".join(tokens)


@dataclass
class Corpus:
    """All generated texts and, for each, its references."""

    generated: list[Text]
    references: list[list[Text]] = field(default_factory=list)


def build_corpus(
    generated: Sequence[str], references: Sequence[str | Sequence[str]], config: Mapping[str, Any]
) -> Corpus:
    """Prepare texts for scoring.

    Raises:
        UserError: no texts, unequal numbers of texts and references, or a text without any reference.
    """
    if not generated:
        raise UserError("There is no generated text to score: the test split is empty.")
    if len(generated) != len(references):
        raise UserError(
            f"There are {len(generated)} generated texts but {len(references)} references: give one per text."
        )

    def text(raw: str) -> Text:
        return Text((raw.lower() if config["lower_evaluation"] else raw) or NO_TEXT, bool(config["remove_punc"]))

    several = [[refs] if isinstance(refs, str) else list(refs) for refs in references]
    for number, refs in enumerate(several, start=1):
        if not refs:
            raise UserError(f"Example {number} has an empty list of references: give at least one.")
    return Corpus([text(raw) for raw in generated], [[text(raw) for raw in refs] for refs in several])


def combine_references(scores: Sequence[float], strategy: str) -> float:
    """Return one score from those against several references.

    "max" takes the best; "leave_one_out" the mean, over each reference left out in turn, of the best of the others.
    """
    best, *others = sorted(scores, reverse=True)
    if strategy == "leave_one_out" and others:
        return (best * len(others) + others[0]) / len(scores)
    return best


def ngram_counts(tokens: Sequence[str], n: int) -> Counter:
    """Return how often each sequence of `n` tokens occurs."""
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def pooled(counts: Iterable[Counter]) -> Counter:
    """Return the sum of counts, in time that grows with their number (`sum` copies what it has at every step)."""
    total: Counter = Counter()
    for count in counts:
        total.update(count)
    return total
