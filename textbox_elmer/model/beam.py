"""Beam search over the graph that adds up all paths that write the same text."""

from typing import NamedTuple

import torch
from torch import Tensor

from .dag import best_path

NO_WORD = -1
NO_VERTEX = -1


class BeamTexts(NamedTuple):
    """The text that `beam_search` chose for each row."""

    words: Tensor  # [batch, longest], ids of the words between beginning and end, -1 behind the last one
    log_probs: Tensor  # [batch], over all paths that write it; -inf where no beam reached the last vertex
    vertices: Tensor  # [batch, longest], where the text's likeliest path writes each word, -1 behind the last one


class _Beams(NamedTuple):
    """Prefixes of texts, each different from the others of its row."""

    words: Tensor  # [batch, beams, tokens], places in the row's vocabulary
    log_probs: Tensor  # [batch, beams], of the prefix, however the text goes on
    masses: Tensor  # [batch, beams, canvas], how likely its last word is at each vertex, adding up to 1


def beam_search(
    token_probs: Tensor,
    words: Tensor,
    transitions: Tensor,
    canvas_lengths: Tensor,
    num_beams: int,
    length_penalty: float = 1.0,
    max_tokens: int | None = None,
) -> BeamTexts:
    """Return each row's text with the largest log-probability / (number of its words + 1) ** `length_penalty`.

    The end of the text is the one. Vertex 0 is the text's beginning and the last vertex its end; they bear no word.

    `token_probs`, `[batch, canvas, words]`, holds the probability of each word of the row's vocabulary at each vertex,
    and `words`, `[batch, words]`, the ids of this vocabulary, each once, padded with -1. `transitions`,
    `[batch, canvas, canvas]`, and `canvas_lengths`, `[batch]`, are as in `textbox_elmer.model.dag`. At every number of
    words the `num_beams` likeliest prefixes go on, up to `max_tokens` words (as many as the canvas has room for if
    None). The probability of a prefix is that of all paths that write it, so none is spread over several beams.
    """
    # Mixed precision would multiply masses in 16 bits.
    with torch.autocast(token_probs.device.type, enabled=False):
        return _search(token_probs, words, transitions, canvas_lengths, num_beams, length_penalty, max_tokens)


def _search(
    token_probs: Tensor,
    words: Tensor,
    transitions: Tensor,
    canvas_lengths: Tensor,
    num_beams: int,
    length_penalty: float,
    max_tokens: int | None,
) -> BeamTexts:
    batch, canvas, _ = token_probs.shape
    vertex = torch.arange(canvas, device=token_probs.device)
    last = canvas_lengths[:, None] - 1
    between = (vertex > 0) & (vertex < last)
    probs = token_probs.float().masked_fill(~(between[..., None] & (words != NO_WORD)[:, None]), 0)
    edges = (vertex > vertex[:, None]) & (vertex <= last[..., None])
    probabilities = transitions.float().masked_fill(~edges, -torch.inf).exp()

    most = canvas - 2 if max_tokens is None else min(max_tokens, canvas - 2)
    beams = _Beams(words.new_zeros(batch, 1, 0), probs.new_zeros(batch, 1), (vertex == 0).to(probs).repeat(batch, 1, 1))
    # On a canvas of one vertex the beginning is the end.
    best_score = torch.where(last[:, 0] == 0, 0.0, -torch.inf)
    best_log_probs, lengths = best_score.clone(), torch.zeros_like(canvas_lengths)
    best_words = words.new_zeros(batch, max(most, 0))
    for tokens in range(max(most, 0) + 1):
        moved = torch.bmm(beams.masses, probabilities)
        ended = beams.log_probs + moved.gather(2, last[:, None].expand(-1, moved.shape[1], 1))[..., 0].log()
        log_prob, which = ended.max(-1)
        score = log_prob / (tokens + 1) ** length_penalty
        better = score > best_score
        best_score, best_log_probs = (
            torch.where(better, score, best_score),
            torch.where(better, log_prob, best_log_probs),
        )
        lengths = torch.where(better, tokens, lengths)
        chosen = beams.words[torch.arange(batch, device=which.device), which]
        best_words[:, :tokens] = torch.where(better[:, None], chosen, best_words[:, :tokens])
        if tokens >= most or _is_settled(best_score, beams.log_probs, length_penalty, most):
            break
        beams = _extended(beams, moved, probs, num_beams)

    best_words = best_words[:, : int(lengths.max())]
    vertices = _vertices(best_words, probs, transitions, lengths, canvas_lengths)
    behind = torch.arange(best_words.shape[1], device=words.device) >= lengths[:, None]
    return BeamTexts(
        words.gather(1, best_words).masked_fill(behind, NO_WORD),
        best_log_probs,
        vertices.masked_fill(behind, NO_VERTEX),
    )


def _is_settled(best_score: Tensor, log_probs: Tensor, length_penalty: float, most: int) -> bool:
    """Say whether no prefix can become better than what has ended: a longer text is not likelier than its beginning."""
    longest = max((most + 1) ** length_penalty, 1.0)
    return bool((log_probs.amax(-1) / longest <= best_score).all())


def _extended(beams: _Beams, moved: Tensor, probs: Tensor, num_beams: int) -> _Beams:
    """Return the likeliest prefixes that are one word longer; `moved` is where their vertices before lead."""
    candidates = beams.log_probs[..., None] + torch.bmm(moved, probs).log()
    log_probs, places = candidates.flatten(1).topk(min(num_beams, candidates[0].numel()))
    before, word = places // probs.shape[2], places % probs.shape[2]
    rows = torch.arange(len(probs), device=probs.device)[:, None]
    masses = moved[rows, before] * probs.transpose(1, 2)[rows, word]
    # Beams without a mass stay at -inf and are nobody's best.
    masses = masses / masses.sum(-1, keepdim=True).clamp(min=torch.finfo(masses.dtype).tiny)
    return _Beams(torch.cat([beams.words[rows, before], word[..., None]], -1), log_probs, masses)


def _vertices(words: Tensor, probs: Tensor, transitions: Tensor, lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return where each text's likeliest path writes its words, `[batch, longest]`."""
    log_probs = probs.gather(2, words[:, None].expand(-1, probs.shape[1], -1)).log().transpose(1, 2)
    # Beginning and end are certain where they are.
    emissions = torch.nn.functional.pad(log_probs, (0, 0, 1, 1))
    token = torch.arange(emissions.shape[1], device=words.device)
    emissions = emissions.masked_fill((token == lengths[:, None] + 1)[..., None], 0)
    tokens = torch.where(canvas_lengths == 1, 1, lengths + 2)
    return best_path(emissions, transitions, tokens, canvas_lengths)[:, 1:-1]
