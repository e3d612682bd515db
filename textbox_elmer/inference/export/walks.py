"""The walks of `textbox_elmer.model.dag` in numpy, for graphs that all have as many vertices."""

import numpy as np

NO_VERTEX = -1
IMPOSSIBLE = -np.inf


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
