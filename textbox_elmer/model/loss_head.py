"""Losses of exits without their logits: a few tokens' at a time, the gradient formed at once.

Six exits' logits of 16 x 64 tokens over 50,265 words are 1.2 GB in float32, and a plain cross-entropy holds several
copies. Here a chunk's logits become its losses, its gradients and, where the next layer asks, its predictions, and are
forgotten.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .canvas import IGNORED
from .losses import losses_by_exit_layer
from .off_ramp import OffRamp

LOGITS_AT_A_TIME = 2**22  # 16 MB in float32


class LossHead:
    """The mean cross-entropy of some exits over the labels of one batch.

    Call `exit` (or `predict`) for each exit's states, then `loss` once.

    Args:
        weight: the head's `[vocabulary, width]`.
        bias: `[1, vocabulary]`; it gets no gradient.
        labels: `[batch, target_length]`, -100 where nothing is to be learnt.
        label_smoothing: probability spread evenly over the vocabulary.
        exits: number of exits that there will be; the loss is their mean.
    """

    def __init__(self, weight: Tensor, bias: Tensor, labels: Tensor, label_smoothing: float, exits: int = 1) -> None:
        self.weight, self.bias, self.smoothing = weight, bias.squeeze(0), label_smoothing
        self.counted = labels != IGNORED
        self.labels = labels[self.counted]
        # No label at all: the loss is 0, as is its gradient.
        self.share = 1 / (exits * max(len(self.labels), 1))
        self.learns = torch.is_grad_enabled()
        self.weight_gradient: Tensor | None = None
        self.losses: list[Tensor] = []
        self._states: list[Tensor] = []
        self._gradients: list[Tensor] = []

    def predict(self, states: Tensor) -> Tensor:
        """Count an exit and return the likeliest tokens, without the bias, `[batch, target_length]`."""
        predictions = torch.empty(states.shape[:-1], dtype=torch.long, device=states.device)
        predictions[self.counted] = self.exit(states, predicts=True)
        with torch.no_grad():
            rest = states[~self.counted]
            predictions[~self.counted] = OffRamp(self.weight, self.bias[None]).best(rest, with_bias=False)
        return predictions

    def exit(self, states: Tensor, predicts: bool = False) -> Tensor:
        """Count an exit of `[batch, target_length, width]` states; `losses` gets those of its labelled tokens.

        Returns:
            the likeliest tokens where there are labels, `[n]`, if it `predicts`; else none, `[0]`.
        """
        learnt = states[self.counted]
        with torch.no_grad():
            size = max(LOGITS_AT_A_TIME // len(self.weight), 1)
            chunks = zip(learnt.detach().split(size), self.labels.split(size), strict=True)
            parts = [self._chunk(part, labels, predicts) for part, labels in chunks]
            losses, gradients, predictions = (torch.cat(column) for column in zip(*parts, strict=True))
        self.losses.append(losses)
        self._states.append(learnt)
        self._gradients.append(gradients)
        return predictions

    def _chunk(self, states: Tensor, labels: Tensor, predicts: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses `[n]`, gradients `[n, width]` and predictions `[n]`, the latter two empty if not needed."""
        logits = F.linear(states, self.weight)
        predictions = logits.argmax(-1) if predicts else labels[:0]
        multiplied = logits.dtype  # lower than the states' under autocast
        logits = logits.to(_at_least_float32(multiplied)).add_(self.bias)
        total = logits.logsumexp(-1, keepdim=True)
        gold = logits.gather(-1, labels[:, None])
        losses = total - (1 - self.smoothing) * gold
        if self.smoothing:
            losses -= self.smoothing * logits.mean(-1, keepdim=True)
        if not self.learns:
            return losses[:, 0], states[:0], predictions
        # The loss's gradient: the prediction minus what should have been predicted.
        wrong = logits.sub_(total).exp_()
        if self.smoothing:
            wrong -= self.smoothing / wrong.shape[-1]
        wrong.scatter_add_(-1, labels[:, None], torch.full_like(gold, self.smoothing - 1))
        wrong = wrong.mul_(self.share).to(multiplied)
        if self.weight.requires_grad:
            self._add_to_weight(wrong, states.to(multiplied))
        return losses[:, 0], (wrong @ self.weight.to(multiplied)).to(states.dtype), predictions

    def _add_to_weight(self, wrong: Tensor, states: Tensor) -> None:
        if self.weight_gradient is None:
            # Sums of many chunks: in float32, whatever the weight's own type.
            self.weight_gradient = torch.zeros_like(self.weight, dtype=_at_least_float32(self.weight.dtype))
        if wrong.dtype == self.weight_gradient.dtype:
            self.weight_gradient.addmm_(wrong.T, states)
        else:
            self.weight_gradient += wrong.T @ states

    def means(self) -> Tensor:
        """Return each exit's mean loss over the labels, in nats, `[exits]`; 0 where there are none."""
        return torch.stack([losses.sum() for losses in self.losses]) / max(len(self.labels), 1)

    def means_by_layer(self, exit_layers: Tensor, layers: int) -> Tensor:
        """Return the mean loss of the tokens that left at each layer, `[layers]`; NaN where none did.

        Args:
            exit_layers: the layer where each token left, `[batch, target_length]`.
        """
        return losses_by_exit_layer(self.losses[0], exit_layers[self.counted], layers)

    def loss(self) -> Tensor:
        """Return the mean over exits and labelled tokens, in nats, with the gradient that has been formed."""
        value = self.means().mean()
        if not self.learns:
            return value
        gradient = None if self.weight_gradient is None else self.weight_gradient.to(self.weight.dtype)
        self.weight_gradient = None
        return _WithGradient.apply(value, self.weight, gradient, len(self._states), *self._states, *self._gradients)


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


class _WithGradient(Function):
    """A loss whose gradients are known already."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, weight: Tensor, gradient: Tensor | None, exits: int, *tensors: Tensor
    ) -> Tensor:
        ctx.gradients = gradient, tensors[exits:]
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError(
                "This loss's gradient has been used up: backward() works once for each forward pass of an ELMER."
            )
        # Scaled in place and given away: a copy would be as large as the vocabulary's weight.
        (of_weight, of_states), ctx.gradients = ctx.gradients, None
        if of_weight is not None:
            of_weight.mul_(scale)
        return None, of_weight, None, None, *(each.mul_(scale) for each in of_states), *(None for _ in of_states)
