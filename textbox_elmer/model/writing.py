"""From what a canvas's positions would write to a text: along a path through the graph, or without blanks."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .beam import beam_search
from .ctc import collapse
from .dag import walk
from .decoding import kept_tokens
from .emissions import EmissionHead
from .inference import Predictions
from .reading import Canvas, CanvasHead

DECODINGS = ("greedy", "lookahead", "viterbi", "beam")
# Words that a vertex offers a beam search for each beam, beside the source's.
WORDS_PER_BEAM = 2


class Writing(NamedTuple):
    """Tokens on their way to sequences, `[batch, n]` each.

    Attributes:
        tokens: ids.
        kept: which of them make the text.
        vertices: the canvas position that each comes from.
        exit_layers, settled_layers: see `Canvas`.
        probabilities: of the tokens where they left; None if they were not asked for.
        copied: whether each comes from the source rather than from the vocabulary.
    """

    tokens: Tensor
    kept: Tensor
    vertices: Tensor
    exit_layers: Tensor
    settled_layers: Tensor
    probabilities: Tensor | None
    copied: Tensor


def write_predictions(found: Predictions, eos_token_id: int, collapse_repeats: bool) -> Writing:
    """Plain parallel decoding's tokens, one a position, up to the first eos."""
    tokens = found.tokens
    return Writing(
        tokens,
        kept_tokens(tokens, eos_token_id, collapse_repeats),
        torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens),
        found.exit_layers,
        found.settled_layers,
        found.probabilities,
        torch.zeros_like(tokens, dtype=torch.bool),
    )


def write_in_order(canvas: Canvas, eos_token_id: int, collapse_repeats: bool) -> Writing:
    """One token a position, up to the first eos."""
    return _all_positions(canvas, kept_tokens(canvas.words.tokens, eos_token_id, collapse_repeats))


def write_without_blanks(canvas: Canvas, blank: int, eos_token_id: int) -> Writing:
    """Repeats collapsed, blanks dropped, up to the first eos (Graves et al. 2006)."""
    tokens = canvas.words.tokens
    kept = collapse(tokens, blank) & kept_tokens(tokens, eos_token_id, collapse_repeats=False)
    return _all_positions(canvas, kept)


def write_path(
    canvas: Canvas, transitions: Tensor, eos_token_id: int, decoding: str, collapse_repeats: bool
) -> Writing:
    """The words along a walk through the graph, then eos at its last vertex (Huang et al. 2022, section 3.3).

    Args:
        transitions: log-probabilities from row to column, `[batch, canvas, canvas]`.
        decoding: "greedy", "lookahead" or "viterbi".
    """
    batch, size = canvas.words.tokens.shape
    lengths = torch.full((batch,), size, device=transitions.device)
    log_probs = canvas.words.log_probs.clone()
    log_probs[:, 0] = log_probs[:, -1] = 0.0  # bos and eos, which nothing else can be
    path = walk(log_probs, transitions, lengths, decoding)[:, 1:]
    return _along(canvas, path, eos_token_id, collapse_repeats)


def write_by_beam(
    canvas: Canvas,
    head: CanvasHead,
    transitions: Tensor,
    eos_token_id: int,
    num_beams: int,
    length_penalty: float,
    max_tokens: int,
) -> Writing:
    """The likeliest text, summed over the paths that write it, of those that a beam search meets.

    Args:
        num_beams: beginnings of texts that are kept at every step.
        length_penalty: texts are compared by log-probability / tokens ** length_penalty.
        max_tokens: of a text, eos not counted.
    """
    if transitions.shape[1] == 2:  # from one end to the other there is one way, without words
        return write_path(canvas, transitions, eos_token_id, "greedy", collapse_repeats=False)
    offered, states = _offered(canvas, head, WORDS_PER_BEAM * num_beams), head.off_ramp.norm(canvas.states)
    known = EmissionHead(head.off_ramp.weight, head.off_ramp.bias, offered.clamp(min=0), head.pointer, blank=None)
    known.exit(states)
    probs = known.exits[0].targets.exp().transpose(1, 2)
    lengths = torch.full_like(offered[:, 0], probs.shape[1])
    text = beam_search(probs, offered, transitions, lengths, num_beams, length_penalty, max_tokens)
    # Behind its last word, which may be the row's last column, a text has its eos.
    ends = (text.words >= 0).sum(-1, keepdim=True)
    tokens = F.pad(text.words, (0, 1), value=-1).scatter(1, ends, eos_token_id)
    path = F.pad(text.vertices, (0, 1), value=-1).scatter(1, ends, probs.shape[1] - 1)
    writing = _along(canvas, path, eos_token_id, collapse_repeats=False)
    # A path's words need not be those that its vertices like best.
    place = (offered[:, :, None] == tokens[:, None]).long().argmax(1)
    chosen = (torch.arange(len(probs), device=probs.device)[:, None], writing.vertices, place)
    ends, likely = tokens == eos_token_id, probs[chosen]
    copied = writing.copied
    if head.pointer is not None:
        copied = (2 * head.pointer.copied_probs(states, offered)[chosen] > likely) & ~ends
    return writing._replace(
        tokens=tokens,
        settled_layers=torch.where(tokens == writing.tokens, writing.settled_layers, writing.exit_layers),
        probabilities=likely.masked_fill(ends, 1.0),
        copied=copied,
    )


def _offered(canvas: Canvas, head: CanvasHead, count: int) -> Tensor:
    """Return the words that beams may choose from, each once a row, -1 at padding, `[batch, words]`."""
    offered = head.off_ramp.top(canvas.states[:, 1:-1], count).flatten(1)
    if head.pointer is not None:
        ids = head.pointer.input_ids
        offered = torch.cat([offered, ids.where(head.pointer.copied, offered[:, :1])], dim=1)
    offered = offered.sort(-1).values
    offered[:, 1:] = offered[:, 1:].masked_fill(offered[:, 1:] == offered[:, :-1], -1)
    offered = offered.sort(-1, descending=True).values
    return offered[:, : int((offered >= 0).sum(-1).max())]


def _all_positions(canvas: Canvas, kept: Tensor) -> Writing:
    vertices = torch.arange(kept.shape[1], device=kept.device).expand_as(kept)
    words = canvas.words
    return Writing(
        words.tokens,
        kept,
        vertices,
        canvas.exit_layers,
        canvas.settled_layers,
        words.log_probs.exp(),
        words.copied,
    )


def _along(canvas: Canvas, path: Tensor, eos_token_id: int, collapse_repeats: bool) -> Writing:
    """Gather what lies on a path `[batch, n]`, -1 behind its end, which is the canvas's last vertex."""
    at, last = path.clamp(min=0), canvas.words.tokens.shape[1] - 1
    ends = path == last
    tokens, log_probs, copied, exit_layers, settled = (
        values.gather(1, at)
        for values in (
            canvas.words.tokens,
            canvas.words.log_probs,
            canvas.words.copied,
            canvas.exit_layers,
            canvas.settled_layers,
        )
    )
    tokens = tokens.masked_fill(ends, eos_token_id)
    # Since when the last vertex has stood by a word that it does not write says nothing of its eos.
    settled = torch.where(ends, exit_layers, settled)
    kept = path >= 0
    if collapse_repeats:
        kept[:, 1:] &= tokens[:, 1:] != tokens[:, :-1]
    probabilities = log_probs.exp().masked_fill(ends, 1.0)
    return Writing(tokens, kept, at, exit_layers, settled, probabilities, copied & ~ends)
