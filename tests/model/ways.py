"""Every way in which a canvas can write a text, listed one by one."""

from itertools import combinations, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .small import EOS, MASK


class Ways(NamedTuple):
    """A text's ways.

    Attributes:
        places: which of the text's tokens each position writes, -1 for none, `[ways, canvas]`.
        scores: log-probabilities, differentiable, `[ways]`.
    """

    places: Tensor
    scores: Tensor


def graph_ways(log_probs: Tensor, transitions: Tensor, text: list[int]) -> Ways:
    """All paths that write a text's words, given `[canvas, vocabulary]` and `[canvas, canvas]` log-probabilities."""
    words, last = [token for token in text if token != EOS], len(log_probs) - 1
    places, scores = [], []
    for inside in combinations(range(1, last), len(words)):
        moves = sum(transitions[a, b] for a, b in pairwise((0, *inside, last)))
        scores.append(moves + sum(log_probs[vertex, word] for vertex, word in zip(inside, words, strict=True)))
        places.append([inside.index(vertex) if vertex in inside else -1 for vertex in range(last + 1)])
    return Ways(torch.tensor(places), torch.stack(scores))


def blank_ways(log_probs: Tensor, text: list[int]) -> Ways:
    """All sequences of tokens and blanks that collapse to a text, given `[canvas, vocabulary]` log-probabilities."""
    found = [[]]
    for _ in range(len(log_probs)):
        found = [[*way, next_] for way in found for next_ in _may_follow(way, text)]
    places = torch.tensor([way for way in found if max(way) == len(text) - 1])
    tokens = torch.tensor([*text, MASK])[places]
    return Ways(places, log_probs.gather(1, tokens.T).sum(0))


def _may_follow(way: list[int], text: list[int]) -> list[int]:
    """A blank; the last token once more, if nothing lies between; the next one, if it would not merge with the last."""
    before, written = (way[-1] if way else -1), max(way, default=-1)
    next_ = [] if written + 1 == len(text) else [written + 1]
    if before >= 0:
        next_ = [before, *(one for one in next_ if text[one] != text[before])]
    return [-1, *next_]


def writes_of(ways: Ways, words: int, canvas: int) -> Tensor:
    """How likely each position writes each word, given that the text is written, `[words, canvas]`; no gradient."""
    shares = ways.scores.detach().softmax(0)
    writes = torch.zeros(words, canvas)
    for word in range(words):
        writes[word] = ((ways.places == word) * shares[:, None]).sum(0)
    return writes
