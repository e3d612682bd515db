"""From a graph's outputs to texts, in numpy: what `textbox_elmer.model`'s `writing` and `dag` do with tensors."""

import numpy as np

from textbox_elmer.model import ElmerConfig

NO_VERTEX = -1
IMPOSSIBLE = -np.inf


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


def walk(token_log_probs: np.ndarray, transitions: np.ndarray, decoding: str) -> np.ndarray:
    """Walk from vertex 0 to the last one, and return the vertices on the way, `[batch, canvas]`, -1 behind the end.

    Args:
        token_log_probs: the log-probability of each vertex's best token, `[batch, canvas]`.
        transitions: that of going from row to column, -inf where impossible, `[batch, canvas, canvas]`; edges that do
            not lead to the right are impossible, whatever their values are.
        decoding: "greedy", "lookahead" or "viterbi", which mean what they mean to `dag.walk`.
    """
    if decoding == "lookahead":
        transitions = transitions + token_log_probs[:, None]
    transitions = np.where(np.tri(transitions.shape[1], dtype=bool), IMPOSSIBLE, transitions)
    return _best_mean_walk(token_log_probs, transitions) if decoding == "viterbi" else _follow(transitions)


def _follow(scores: np.ndarray) -> np.ndarray:
    """Return the walk that takes the edge with the largest score, or where none is possible goes to the last vertex."""
    batch, canvas, _ = scores.shape
    following = np.where(scores.max(-1) == IMPOSSIBLE, canvas - 1, scores.argmax(-1))
    path = np.zeros((batch, 1), dtype=np.int64)
    # `following` leads as many steps ahead as `path` has vertices: each turn doubles both.
    while path.shape[1] < canvas:
        path = np.concatenate([path, np.take_along_axis(following, path, 1)], 1)
        following = np.take_along_axis(following, following, 1)
    path = path[:, :canvas]
    path[:, 1:][path[:, :-1] == canvas - 1] = NO_VERTEX
    return path


def _best_mean_walk(token_log_probs: np.ndarray, transitions: np.ndarray) -> np.ndarray:
    """Return the walk with the largest mean; impossible transitions are -inf already."""
    batch, canvas = token_log_probs.shape
    # By its number of vertices, the score of the best walk to each vertex.
    scores = np.full((canvas, batch, canvas), IMPOSSIBLE, dtype=transitions.dtype)
    scores[0, :, 0] = token_log_probs[:, 0]
    for step in range(1, canvas):
        edges = scores[step - 1, :, step - 1 :, None] + transitions[:, step - 1 :, step:]
        scores[step, :, step:] = edges.max(1) + token_log_probs[:, step:]
    means = scores[:, :, -1] / np.arange(1, canvas + 1, dtype=scores.dtype)[:, None]
    # Without a possible walk, two vertices: the trace leads back to vertex 0.
    lengths = np.where(means.max(0) == IMPOSSIBLE, min(canvas, 2), means.argmax(0) + 1)
    path = np.full((batch, canvas), NO_VERTEX)
    rows, vertex = np.arange(batch), np.full(batch, canvas - 1)
    for step in range(canvas - 1, -1, -1):
        before = (scores[step] + transitions[rows, :, vertex]).argmax(-1)
        vertex = np.where(step < lengths - 1, before, vertex)
        path[:, step] = np.where(step < lengths, vertex, NO_VERTEX)
    return path
