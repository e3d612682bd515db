"""Reading a graph's vertices only where a walk can come to; the walk is the one over all that they would write."""

import torch
from torch import Tensor

from .dag import walk
from .exits import Inside
from .reading import CanvasHead, Words

# How likely a vertex is to be met for it to be read before anybody asks: as few as may be, but most walks in one pass.
LIKELY = 0.2
# How far a log-probability that was computed may lie above 0, in nats.
ROUNDING = 1e-5


def read_reachable(states: Tensor, head: CanvasHead, transitions: Tensor, decoding: str) -> Words:
    """Return what the vertices write that a walk meets or decides against, of others log-probabilities of -inf.

    A vertex's word is at most certain, so the transition alone bounds what "lookahead" would find there: of those that
    were not read at first, whatever that bound puts beside a step of the walk is read before the walk goes there.

    Args:
        states: the vertices', `[batch, canvas, width]`.
        head: reads them.
        transitions: log-probabilities from row to column, `[batch, canvas, canvas]`.
        decoding: one of `dag.STEPWISE`.
    """
    blank = torch.zeros(states.shape[:2], dtype=torch.long, device=states.device)
    known = blank.bool()
    known[:, 0] = known[:, -1] = True  # bos and eos, which nothing else can be
    unread = torch.full(blank.shape, -torch.inf, device=states.device)
    words = Words(blank, unread.masked_fill(known, 0.0), unread, blank.bool())
    if decoding == "greedy":
        return _add(words, _met(unread, transitions, decoding) & ~known, states, head)
    wanted = (_visits(transitions) > LIKELY) & ~known
    words, known = _add(words, wanted, states, head), known | wanted
    while (wanted := _undecided(words.log_probs, known, transitions)).any():
        words, known = _add(words, wanted, states, head), known | wanted
    return words


def _add(words: Words, wanted: Tensor, states: Tensor, head: CanvasHead) -> Words:
    """Read the vertices that are wanted, boolean, `[batch, canvas]`, as well."""
    if not wanted.any():
        return words
    inner = Inside(wanted)
    found = head.read(inner.take(states), real=inner.real)
    return Words(*(inner.put(old, new) for old, new in zip(words, found, strict=True)))


def _visits(transitions: Tensor) -> Tensor:
    """Return how likely a path is to visit each vertex, `[batch, canvas]`.

    Visits v are e_0 + Tᵀ v, a triangular system, for the transitions T lead to the right alone.
    """
    start = torch.zeros_like(transitions[:, :, :1])
    start[:, 0] = 1.0
    onward = torch.eye(transitions.shape[1], device=transitions.device) - transitions.exp().transpose(1, 2)
    return torch.linalg.solve_triangular(onward, start, upper=False, unitriangular=True)[..., 0]


def _met(log_probs: Tensor, transitions: Tensor, decoding: str) -> Tensor:
    """Return which vertices a walk comes to, boolean, `[batch, canvas]`."""
    batch, size = log_probs.shape
    path = walk(log_probs, transitions, torch.full((batch,), size, device=log_probs.device), decoding)
    met = torch.zeros(batch, size + 1, dtype=torch.bool, device=log_probs.device)
    return met.scatter_(1, path % (size + 1), True)[:, :size]  # -1, behind a path's end, goes to a place of its own


def _undecided(log_probs: Tensor, known: Tensor, transitions: Tensor) -> Tensor:
    """Return which unknown vertices a step of the "lookahead" walk might rather have gone to, `[batch, canvas]`."""
    best = (transitions + log_probs[:, None]).amax(-1, keepdim=True)
    rivals = (transitions + ROUNDING >= best) & (transitions > -torch.inf) & ~known[:, None]
    return (rivals & _met(log_probs, transitions, "lookahead")[:, :, None]).any(1)
