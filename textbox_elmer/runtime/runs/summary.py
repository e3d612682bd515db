"""What sums up a test's texts beside the metrics: where their words were decided, whence they came, how they vary."""

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from textbox_elmer.runtime.runs.traces import Trace


def summarize(texts: Sequence[str], traces: Sequence[Trace]) -> dict[str, Any]:
    """Return what results.json says of a test's texts; the first three are None for a model without exits.

    Args:
        texts: at least one.
        traces: what `make_traces` made of them, or nothing.

    Returns:
        `mean_exit_layer`, the mean layer (from 0) that tokens came from; `mean_settled_layer`, that since which they
        have not changed, which is earlier under soft exit; `copied_words`, the share, from 0 to 1, of words whose
        tokens were all copied from the source; `distinct_texts`, how many texts differ; `repeated_words`, the share of
        words that equal their left neighbour.
    """
    words = [text.split() for text in texts]
    return {
        "mean_exit_layer": _mean([layer for trace in traces for layer in trace.exit_layers]),
        "mean_settled_layer": _mean([layer for trace in traces for layer in trace.settled_layers or ()]),
        "copied_words": _mean([copied for trace in traces for copied in copied_words(trace)]),
        "distinct_texts": len(set(texts)),
        "repeated_words": sum(left == right for text in words for left, right in pairwise(text))
        / max(1, sum(map(len, words))),
    }


def copied_words(trace: Trace) -> list[bool]:
    """Tell of each word of a text, which is what stands between blanks, whether all of it was copied."""
    letters = [copied for piece, copied in zip(trace.pieces, trace.copied or (), strict=True) for _ in piece]
    words = re.finditer(r"\S+", "".join(trace.pieces))
    return [all(letters[word.start() : word.end()]) for word in words]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
