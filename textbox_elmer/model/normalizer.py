"""The softmax's normalizer without its logits: a few positions' at a time, and again in the backward pass.

A graph has several times as many vertices as a text has tokens. Their logits over 50,265 words would be 0.8 GB for 16
canvases of 256, several times over; all that a loss needs of them is one number a vertex.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LOGITS_AT_A_TIME = 2**21  # 8 MB in float32
# Gradients this far below the largest are lost in its rounding: their positions are left out.
NEGLIGIBLE = 1e-7


class Normalizer(NamedTuple):
    """What a pass over the vocabulary tells of `[..., width]` states, each `[...]`.

    Attributes:
        log_total: logarithm of the sum of all words' exp(logit), differentiable.
        tokens: the likeliest word.
        best: its logit, without gradient.
    """

    log_total: Tensor
    tokens: Tensor
    best: Tensor


def normalize(states: Tensor, weight: Tensor, bias: Tensor) -> Normalizer:
    """Pass states `[..., width]` over the vocabulary's weight `[vocabulary, width]` and bias `[vocabulary]`.

    The bias gets no gradient; it may be -inf for words that are out of the question.
    """
    outcome = _Normalize.apply(states.flatten(0, -2), weight, bias)
    return Normalizer(*(part.unflatten(0, states.shape[:-1]) for part in outcome))


class _Normalize(Function):
    """The pass, whose gradient is formed from the logits anew."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = []
        for part in states.split(_rows(weight)):
            logits = _logits(part, weight, bias)
            best, tokens = logits.max(-1)
            # exp() in place of logsumexp(), which would look for the maximum again.
            parts.append((logits.sub_(best[:, None]).exp_().sum(-1).log() + best, tokens, best))
        log_total, tokens, best = (torch.cat(column) for column in zip(*parts, strict=True))
        ctx.save_for_backward(states, weight, bias, log_total)
        ctx.lowered = F.linear(states[:1], weight[:1]).dtype  # what autocast makes of the product
        ctx.mark_non_differentiable(tokens, best)
        return log_total, tokens, best

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, None]:
        states, weight, bias, log_total = ctx.saved_tensors
        size = gradient.abs()
        learns = size > NEGLIGIBLE * size.amax()
        learnt = states[learns].to(ctx.lowered)
        lowered, of_weight = weight.to(ctx.lowered), None
        if ctx.needs_input_grad[1]:
            of_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        parts = []
        columns = (learnt, log_total[learns], gradient[learns])
        for part, total, share in zip(*(column.split(_rows(weight)) for column in columns), strict=True):
            wrong = _logits(part, lowered, bias).sub_(total[:, None]).exp_().mul_(share[:, None]).to(ctx.lowered)
            parts.append(wrong @ lowered)
            if of_weight is None:
                continue
            if of_weight.dtype == ctx.lowered:
                of_weight.addmm_(wrong.T, part)
            else:
                of_weight += wrong.T @ part
        of_states = torch.zeros_like(states)
        of_states[learns] = torch.cat(parts).to(states.dtype)
        return of_states, None if of_weight is None else of_weight.to(weight.dtype), None


def _rows(weight: Tensor) -> int:
    return max(LOGITS_AT_A_TIME // len(weight), 1)


def _logits(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    logits = F.linear(states, weight)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).add_(bias)
