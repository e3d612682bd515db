"""Fitting what hard exit decides by to a model whose weights stay as they are."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .inference import lengths
from .modeling import ElmerForConditionalGeneration

# Positions whose states are enough to tell by a vector of some hundred numbers; 50 MB a layer at BART-base's width.
MOST_POSITIONS = 2**14
PENALTY = 1e-3
STEPS = 100


class Fitted(NamedTuple):
    """What a classifier learnt of one layer.

    Attributes:
        settled: the share of positions where the layer predicts what the last one does.
        told: the share of positions of which the classifier says rightly whether it does, at even odds.
    """

    settled: float
    told: float


def fit_exit_classifier(model: ElmerForConditionalGeneration, sources: Iterable[tuple[Tensor, Tensor]]) -> list[Fitted]:
    """Fit the classifier of a model with `exit_criterion="classifier"`, by logistic regression on positions' states.

    Args:
        sources: ids and mask, `[batch, source_length]` each, of texts like those of the training. They are read until
            there are positions enough.

    Returns:
        what was learnt of each layer but the last.

    Raises:
        ValueError: another criterion, or no sources.
    """
    if model.exit_classifier is None:
        raise ValueError(f"A model with exit_criterion={model.config.exit_criterion} has no classifier to fit.")
    model.eval()
    states, right = _positions(model, sources)
    fitted = []
    for layer, (inputs, labels) in enumerate(zip(states, right, strict=True)):
        weight, bias = _regress(inputs, labels)
        with torch.no_grad():
            model.exit_classifier.weight[layer], model.exit_classifier.bias[layer] = weight, bias
            told = ((inputs @ weight + bias > 0) == (labels > 0)).float().mean()
        fitted.append(Fitted(float(labels.mean()), float(told)))
    return fitted


def _positions(model: ElmerForConditionalGeneration, sources: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return states `[layers - 1, n, width]` and whether they predict what the last layer does, `[layers - 1, n]`."""
    parts, count = [], 0
    for ids, mask in sources:
        states, words = model.read_layers(ids, mask)
        read = torch.ones_like(words[-1], dtype=torch.bool)
        if model.config.alignment == "position":  # nobody reads what lies behind an end
            ends = lengths(words[-1], model.config.eos_token_id)
            read = torch.arange(read.shape[1], device=read.device) < ends[:, None]
        parts.append((states[:-1, read].float(), (words[:-1, read] == words[-1, read]).float()))
        count += int(read.sum())
        if count >= MOST_POSITIONS:
            break
    if not parts:
        raise ValueError("There are no sources to fit the exit classifier on.")
    states, right = (torch.cat(column, 1)[:, :MOST_POSITIONS] for column in zip(*parts, strict=True))
    return states, right


def _regress(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vector and the bias that tell 0 from 1 `[n]` best by `[n, width]` inputs."""
    mean, scale = inputs.mean(0), inputs.std(0, correction=0).clamp(min=1e-6)
    inputs = (inputs - mean) / scale
    weight, bias = (torch.zeros(size, device=inputs.device, requires_grad=True) for size in (inputs.shape[1], ()))
    search = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = F.binary_cross_entropy_with_logits(inputs @ weight + bias, labels) + PENALTY * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        search.step(loss)
    weight, bias = weight.detach() / scale, bias.detach()
    return weight, bias - mean @ weight
