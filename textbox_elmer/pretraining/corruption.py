"""BART's noise on a batch of tokenized texts: sentences in another order, then words hidden behind masks.

A batch is ragged: `ids` holds all texts' tokens one after the other, without the specials around them. There is no
loop over texts or tokens; what happens to a text depends on its own tokens and its own key alone.
"""

import math
from dataclasses import dataclass

import numpy as np

from .noise import Keys, random_bits, uniform
from .ragged import positions_in, ranges, row_of_each, shuffled, starts_of

# What random numbers are drawn for; each has a stream of its own.
SENTENCE_ORDER, SPAN_LENGTH, SPAN_PLACE, REPLACED, REPLACEMENT, MARGIN, EXIT_LAYER = range(7)


@dataclass
class Texts:
    """A ragged batch.

    Attributes:
        ids: tokens of all texts, `[tokens]`.
        lengths: tokens of each text, `[batch]`.
        sentence_starts: whether a sentence begins at each token, `[tokens]`; the first token of a text begins one.
    """

    ids: np.ndarray
    lengths: np.ndarray
    sentence_starts: np.ndarray


def permute_sentences(texts: Texts, keys: Keys) -> Texts:
    """Put the sentences of each text in random order (arXiv 1910.13461, section 2.2, sentence permutation)."""
    starts = np.flatnonzero(texts.sentence_starts)
    lengths = np.diff(starts, append=len(texts.ids))
    rows = row_of_each(texts.lengths)[starts]
    per_text = np.bincount(rows, minlength=len(keys))
    order = shuffled(random_bits(keys, SENTENCE_ORDER, rows, positions_in(per_text)), rows)
    moved = ranges(starts[order], lengths[order])
    return Texts(texts.ids[moved], texts.lengths, texts.sentence_starts[moved])


def poisson_table(rate: float) -> np.ndarray:
    """Return the cumulative probabilities of Poisson's 0, 1, 2, … up to where doubles see no more."""
    longest = math.ceil(rate + 12 * math.sqrt(rate) + 12)
    logs = [count * math.log(rate) - rate - math.lgamma(count + 1) for count in range(longest)]
    return np.cumsum(np.exp(logs))


def draw_spans(budgets: np.ndarray, keys: Keys, poisson: np.ndarray) -> np.ndarray:
    """Draw each text's span lengths until they cover its budget of words, the last one cut to fit.

    Returns:
        lengths `[batch, most spans]`, 0 being a length like any other, and -1 where a text has no further span.
    """
    count = 8
    while True:
        rows, numbers = np.divmod(np.arange(len(budgets) * count), count)
        draws = np.searchsorted(poisson, uniform(keys, SPAN_LENGTH, rows, numbers), side="right")
        lengths = draws.reshape(len(budgets), count)
        before = np.cumsum(lengths, axis=1) - lengths
        if (before[:, -1] + lengths[:, -1] >= budgets).all():
            return np.where(before < budgets[:, None], np.minimum(lengths, budgets[:, None] - before), -1)
        count *= 2


@dataclass(frozen=True)
class Infilling:
    """BART's text infilling (arXiv 1910.13461, section 2.2), over whole words.

    Attributes:
        word_starts: for each id of the vocabulary, whether it begins a word; a sentence's first token always does.
        ordinary_ids: the ids that may stand in for a mask.
        mask_token_id: what a span becomes.
        mask_ratio: share of a text's words that are hidden, rounded up to whole words.
        poisson: table of the span lengths' distribution, of `poisson_table`.
        replaced: share of the masks that become a random ordinary token.
    """

    word_starts: np.ndarray
    ordinary_ids: np.ndarray
    mask_token_id: int
    mask_ratio: float
    poisson: np.ndarray
    replaced: float = 0.1

    def __call__(self, texts: Texts, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
        """Hide spans of words, each behind one mask; a span of no words is a mask between two words.

        Spans never overlap: the words that stay and the spans are put into one random order, so that exactly
        `ceil(mask_ratio * words)` words of each text are hidden and every arrangement is equally likely.

        Returns:
            the corrupted ids `[tokens]` and the texts' lengths `[batch]`.
        """
        word_starts = np.flatnonzero(self.word_starts[texts.ids] | texts.sentence_starts)
        word_lengths = np.diff(word_starts, append=len(texts.ids))
        words = np.bincount(row_of_each(texts.lengths)[word_starts], minlength=len(keys))
        # A hair less, since 0.3 * 10 may come out a hair above 3.
        budgets = np.ceil(words * self.mask_ratio - 1e-9).astype(np.int64)
        spans = draw_spans(budgets, keys, self.poisson)
        span_counts = (spans >= 0).sum(axis=1)

        # A text is made of slots, each a word that stays or a span; its first slots in random order are the spans.
        slots = words - budgets + span_counts
        rows, positions = row_of_each(slots), positions_in(slots)
        order = shuffled(random_bits(keys, SPAN_PLACE, rows, positions), rows)
        is_first = positions < span_counts[rows]
        span_slots, span_rows, span_numbers = order[is_first], rows[is_first], positions[is_first]
        hides = np.ones(len(rows), dtype=np.int64)  # words that a slot takes up
        hides[span_slots] = spans[span_rows, span_numbers]
        is_span = np.zeros(len(rows), dtype=bool)
        is_span[span_slots] = True

        first_word = np.minimum(np.cumsum(hides) - hides, max(len(word_starts) - 1, 0))
        slot_lengths = np.ones(len(rows), dtype=np.int64)
        slot_lengths[~is_span] = word_lengths[first_word[~is_span]]
        token_starts = np.zeros(len(rows), dtype=np.int64)
        token_starts[~is_span] = word_starts[first_word[~is_span]]
        corrupted = texts.ids[ranges(token_starts, slot_lengths)] if len(texts.ids) else texts.ids
        corrupted[starts_of(slot_lengths)[span_slots]] = self._masks(keys, span_rows, span_numbers)
        return corrupted, np.bincount(rows, weights=slot_lengths, minlength=len(keys)).astype(np.int64)

    def _masks(self, keys: Keys, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        masks = np.full(len(rows), self.mask_token_id, dtype=np.int64)
        replaced = uniform(keys, REPLACED, rows, numbers) < self.replaced
        chosen = uniform(keys, REPLACEMENT, rows[replaced], numbers[replaced]) * len(self.ordinary_ids)
        masks[replaced] = self.ordinary_ids[chosen.astype(np.int64)]
        return masks
