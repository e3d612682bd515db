"""From a graph's outputs to texts, in numpy: what `textbox_elmer.model.writing` does with tensors."""

import numpy as np

from textbox_elmer.inference.export.walks import walk
from textbox_elmer.model import ElmerConfig


def output_names(config: ElmerConfig) -> tuple[str, ...]:
    """Return the outputs of a model's graphs that its texts are made of."""
    return ("tokens", "log_probs", "transitions") if config.alignment == "dag" else ("tokens",)


def in_order(tokens: np.ndarray, eos_token_id: int, collapse_repeats: bool) -> np.ndarray:
    """Say which of one token a position, `[batch, canvas]`, make the text: all up to and with the first eos.

    With `collapse_repeats`, none that equals its left neighbour.
    """
    ends = tokens == eos_token_id
    kept = ends.cumsum(-1) - ends == 0
    return kept & _differs(tokens) if collapse_repeats else kept


def without_blanks(tokens: np.ndarray, blank: int, eos_token_id: int) -> np.ndarray:
    """Say which tokens and blanks `[batch, canvas]` make the text: no repeats, no blanks, nothing behind an eos."""
    return in_order(tokens, eos_token_id, collapse_repeats=True) & (tokens != blank)


def along_walk(
    tokens: np.ndarray,
    log_probs: np.ndarray,
    transitions: np.ndarray,
    decoding: str,
    eos_token_id: int,
    collapse_repeats: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens along a walk through the graph, eos at its end, and which of them make the text.

    Args:
        tokens: each vertex's, `[batch, canvas]`.
        log_probs: their log-probabilities, `[batch, canvas]`.
        transitions: log-probabilities from row to column, `[batch, canvas, canvas]`.
        decoding: "greedy", "lookahead" or "viterbi".
    """
    log_probs = log_probs.copy()
    log_probs[:, [0, -1]] = 0.0  # bos and eos, which nothing else can be
    path = walk(log_probs, transitions, decoding)[:, 1:]
    written = np.take_along_axis(tokens, path.clip(min=0), 1)
    written[path == tokens.shape[1] - 1] = eos_token_id
    kept = path >= 0
    return written, kept & _differs(written) if collapse_repeats else kept


def pack(tokens: np.ndarray, kept: np.ndarray, most: int, padding: int) -> np.ndarray:
    """Move the first `most` kept tokens of each row to its left end, and fill the rest with padding.

    Returns `[batch, longest]`, where `longest` is the largest number of tokens that a row keeps.
    """
    places = kept.cumsum(-1)
    kept = kept & (places <= most)
    packed = np.full((len(tokens), int(kept.sum(-1).max())), padding, dtype=tokens.dtype)
    packed[kept.nonzero()[0], places[kept] - 1] = tokens[kept]
    return packed


def _differs(tokens: np.ndarray) -> np.ndarray:
    """Say which tokens differ from their left neighbours."""
    differs = np.ones(tokens.shape, dtype=bool)
    differs[:, 1:] = tokens[:, 1:] != tokens[:, :-1]
    return differs
