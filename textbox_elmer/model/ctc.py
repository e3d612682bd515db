"""Texts as alignments with blanks: their likelihood and their best alignment (Graves et al., 2006, sections 3 and 4).

Each position of the canvas emits a token of the text or a blank. Equal neighbours count as one token, then blanks go;
so a token that follows its like needs a blank between them. The probability of a text is the sum over all alignments.

The functions take natural logarithms, -inf where something is impossible, and share these arguments:

- `gathered`, `[batch, canvas, target_length]`: the log-probability of target token t at position v;
- `blank`, `[batch, canvas]`: that of the blank;
- `labels`, `[batch, target_length]`: the text's tokens. They only say which neighbours are equal;
- `target_lengths` and `canvas_lengths`, `[batch]`: how many tokens (0 or more) and positions (1 or more) of each row
  count. What lies behind them is padding and is never looked at, so it may be NaN.

All is computed in double precision: the log-probabilities of hundreds of positions add up. Losses are float32 for
16-bit inputs.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

IMPOSSIBLE = -torch.inf
NO_TOKEN = -1


def ctc_loss(gathered: Tensor, blank: Tensor, labels: Tensor, target_lengths: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Return each text's negative log-likelihood in nats, summed over its alignments, `[batch]`.

    It is differentiable with respect to `gathered` and `blank`, which need not be normalized. A text without a possible
    alignment, as on a canvas that is too short, has infinity and no gradient.
    """
    return _CtcLoss.apply(gathered, blank, labels, target_lengths, canvas_lengths)


def best_alignment(
    gathered: Tensor, blank: Tensor, labels: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> Tensor:
    """Return, for every position, the index of the target token that it emits in the likeliest alignment.

    The result is `[batch, canvas]`, -1 for blanks, in the padding, and everywhere for a text without an alignment.
    """
    emissions, skips, ends = _states(gathered.detach(), blank.detach(), labels, target_lengths, canvas_lengths)
    inside = _inside(emissions, canvas_lengths)
    score = _starts(emissions)
    choices = []
    for emission, here in zip(emissions[1:], inside[1:], strict=True):
        best, choice = torch.stack([score, *_sources(score, skips)]).max(0)
        score = torch.where(here, best + emission, score)
        choices.append(torch.where(here, choice, 0))
    best, state = score.masked_fill(~ends, IMPOSSIBLE).max(-1, keepdim=True)
    trace = [state]
    for choice in reversed(choices):
        state = state - choice.gather(1, state)
        trace.append(state)
    states = torch.cat(trace[::-1], 1)
    emits = (states % 2 == 1) & inside[..., 0].T & (best > IMPOSSIBLE)
    return torch.where(emits, states // 2, NO_TOKEN)


def collapse(tokens: Tensor, blank_id: int) -> Tensor:
    """Say which tokens of an alignment make its text, as a boolean `[batch, canvas]`.

    Kept is every token but blanks and those that equal their left neighbour.
    """
    kept = tokens != blank_id
    kept[:, 1:] &= tokens[:, 1:] != tokens[:, :-1]
    return kept


class _CtcLoss(torch.autograd.Function):
    """The forward and backward recursions; the gradient is how often each emission is expected.

    torch's own loss assumes that all words' log-probabilities are at hand and normalized, and its gradient holds for
    nothing else.
    """

    @staticmethod
    def forward(
        ctx: Any, gathered: Tensor, blank: Tensor, labels: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
    ) -> Tensor:
        emissions, skips, ends = _states(gathered, blank, labels, target_lengths, canvas_lengths)
        inside = _inside(emissions, canvas_lengths)
        before = [_starts(emissions)]
        for emission, here in zip(emissions[1:], inside[1:], strict=True):
            score = before[-1]
            for source in _sources(before[-1], skips):
                score = torch.logaddexp(score, source)
            before.append(torch.where(here, score + emission, before[-1]))
        log_likelihood = before[-1].masked_fill(~ends, IMPOSSIBLE).logsumexp(-1)
        possible = log_likelihood != IMPOSSIBLE
        ctx.types = gathered.dtype, blank.dtype
        if any(ctx.needs_input_grad):
            expected = _posterior(torch.stack(before), emissions, skips, ends, inside, log_likelihood)
            ctx.save_for_backward(expected.masked_fill_(~(inside & possible[:, None]), 0).transpose(0, 1), possible)
        return -log_likelihood.to(torch.promote_types(gathered.dtype, torch.float32))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        expected, possible = ctx.saved_tensors
        # A text without an alignment has no gradient even where its infinite loss makes the incoming one NaN.
        gradient = gradient.masked_fill(~possible, 0).to(expected.dtype)[:, None, None]
        of_gathered = (-gradient * expected[..., 1::2]).to(ctx.types[0])
        of_blank = (-gradient * expected[..., ::2]).sum(-1).to(ctx.types[1])
        return of_gathered, of_blank, None, None, None


def _posterior(
    before: Tensor, emissions: Tensor, skips: Tensor, ends: Tensor, inside: Tensor, log_likelihood: Tensor
) -> Tensor:
    """Return the probability of each state at each position given the text, `[canvas, batch, states]`."""
    behind = torch.zeros_like(emissions[0]).masked_fill_(~ends, IMPOSSIBLE)
    all_behind = [behind]
    for emission, here in zip(emissions[1:].flip(0), inside[1:].flip(0), strict=True):
        arriving = behind + emission
        score = torch.logaddexp(arriving, _shifted(arriving, -1))
        # A skip leads to the state that allows it.
        score = torch.logaddexp(score, _shifted(arriving.masked_fill(~skips, IMPOSSIBLE), -2))
        behind = torch.where(here, score, behind)
        all_behind.append(behind)
    total = log_likelihood.masked_fill(log_likelihood == IMPOSSIBLE, 0)[:, None]
    return (before + torch.stack(all_behind[::-1]) - total).exp_()


def _states(
    gathered: Tensor, blank: Tensor, labels: Tensor, target_lengths: Tensor, canvas_lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the emissions of blank, token 0, blank, token 1, ..., blank, `[canvas, batch, states]`; and two masks.

    The masks are `[batch, states]`. They say which states may follow the last but one, without the blank between, and
    which ones may be the last.
    """
    batch, _, target_length = gathered.shape
    state = torch.arange(2 * target_length + 1, device=gathered.device)
    emissions = blank.double()[..., None].repeat(1, 1, len(state))
    emissions[..., 1::2] = gathered.double()
    emissions = emissions.transpose(0, 1)
    last = 2 * target_lengths[:, None]
    padding = (state > last) | ~_inside(emissions, canvas_lengths)
    skips = torch.zeros(batch, len(state), dtype=torch.bool, device=gathered.device)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return emissions.masked_fill(padding, IMPOSSIBLE), skips, (state == last) | (state == last - 1)


def _inside(emissions: Tensor, canvas_lengths: Tensor) -> Tensor:
    """Say which positions are none of the padding, `[canvas, batch, 1]`."""
    position = torch.arange(len(emissions), device=emissions.device)[:, None]
    return (position < canvas_lengths)[..., None]


def _starts(emissions: Tensor) -> Tensor:
    """Return the scores at the first position: only a blank or the first token can be there."""
    scores = torch.full_like(emissions[0], IMPOSSIBLE)
    scores[:, :2] = emissions[0, :, :2]
    return scores


def _sources(scores: Tensor, skips: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for each state, the score of the state before it, and of the last but one where it may be skipped to."""
    return _shifted(scores, 1), _shifted(scores, 2).masked_fill(~skips, IMPOSSIBLE)


def _shifted(scores: Tensor, steps: int) -> Tensor:
    """Move scores so many states to the right, or to the left if negative, and put -inf into the gap."""
    pad = torch.nn.functional.pad
    if steps > 0:
        return pad(scores, (steps, 0), value=IMPOSSIBLE)[:, : scores.shape[1]]
    return pad(scores, (0, -steps), value=IMPOSSIBLE)[:, -scores.shape[1] :]
