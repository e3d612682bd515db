"""The exits of `exits` at inference: the same texts, without computing what no text shows.

Nothing here is an approximation. What is left out: logits that are only compared
(`OffRamp`); the last layer's states and predictions beyond the texts' ends, where nothing reads them any more; and, in
hard exit, queries and feed-forward of tokens that have left.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .layers import CanvasLayer
from .off_ramp import OffRamp

# Positions that the last layer computes at first: as far as the exit before it saw the texts go and a little more, or,
# without such an exit, that many.
MARGIN = 2
FIRST_POSITIONS = 32


class Predictions(NamedTuple):
    """A canvas's tokens, at least as far as its texts go, `[batch, computed]` each.

    Attributes:
        tokens: the predicted ids.
        exit_layers: the layer (from 0) that each came from.
        settled_layers: the layer since which each token has been predicted.
        probabilities: of the tokens where they left, if they were asked for.
    """

    tokens: Tensor
    exit_layers: Tensor
    settled_layers: Tensor
    probabilities: Tensor | None


def predict_last(
    layers: Sequence[CanvasLayer], hidden: Tensor, off_ramp: OffRamp, eos_token_id: int, scored: bool
) -> Predictions:
    """Plain NAR: all tokens leave at the last layer."""
    for layer in layers[:-1]:
        hidden = layer(hidden)
    return _at_the_last(layers, hidden, off_ramp, eos_token_id, scored, FIRST_POSITIONS)


def predict_soft(
    layers: Sequence[CanvasLayer],
    hidden: Tensor,
    off_ramp: OffRamp,
    eos_token_id: int,
    scored: bool,
    embed: Callable[[Tensor], Tensor],
    concat_head: Callable[[Tensor], Tensor],
) -> Predictions:
    """Soft exit: every layer predicts all tokens and hands its prediction to the next layer."""
    first, predicted = FIRST_POSITIONS, []
    for layer in layers[:-1]:
        hidden = layer(hidden)
        predicted.append(off_ramp.best(hidden, with_bias=False))
        hidden = concat_head(torch.cat([hidden, embed(predicted[-1])], dim=-1))
    if predicted and _on_cpu(hidden):
        first = MARGIN + int(lengths(predicted[-1], eos_token_id).max())
    found = _at_the_last(layers, hidden, off_ramp, eos_token_id, scored, first)
    return found._replace(settled_layers=settled(predicted, found.tokens))


def settled(predicted: Sequence[Tensor], tokens: Tensor) -> Tensor:
    """Return the layer since which a position has written the same token, `[batch, m]`.

    Args:
        predicted: what each layer before the last predicts, `[batch, m]` or longer each.
        tokens: what the last one does, `[batch, m]`.
    """
    layers, still = torch.full_like(tokens, len(predicted)), torch.ones_like(tokens, dtype=torch.bool)
    for index in range(len(predicted) - 1, -1, -1):
        still = still & (predicted[index][:, : tokens.shape[1]] == tokens)
        layers = torch.where(still, index, layers)
    return layers


def _at_the_last(
    layers: Sequence[CanvasLayer], hidden: Tensor, off_ramp: OffRamp, eos_token_id: int, scored: bool, first: int
) -> Predictions:
    """Compute the last layer from the left until every row has ended; what lies beyond would be cut off."""
    attend, length = layers[-1].over(hidden), hidden.shape[1]
    tokens, probabilities = [], []
    begin, end = 0, min(first, length) if _on_cpu(hidden) else length
    while True:
        states = attend(hidden[:, begin:end])
        if scored:
            reading = off_ramp.read(states.flatten(0, 1), with_entropies=False)
            tokens.append(reading.tokens.unflatten(0, states.shape[:2]))
            probabilities.append(reading.probabilities.unflatten(0, states.shape[:2]))
        else:
            tokens.append(off_ramp.best(states))
        if end == length or _has_ended(torch.cat(tokens, 1), eos_token_id):
            break
        begin, end = end, min(2 * end, length)
    written = torch.cat(tokens, 1)
    exit_layers = torch.full_like(written, len(layers) - 1)
    return Predictions(written, exit_layers, exit_layers, torch.cat(probabilities, 1) if scored else None)


def predict_when_confident(
    layers: Sequence[CanvasLayer],
    hidden: Tensor,
    off_ramp: OffRamp,
    eos_token_id: int,
    scored: bool,
    exit_threshold: float,
) -> Predictions:
    """Hard exit: a token leaves at the first layer whose prediction of it has an entropy below the threshold (nats)."""
    inside = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    tokens, exit_layers = (torch.zeros_like(inside, dtype=torch.long) for _ in range(2))
    probabilities = torch.zeros_like(inside, dtype=torch.float)
    wanted = inside
    for index, layer in enumerate(layers):
        hidden = advance(layer, hidden, inside)
        leaving = inside.clone()
        if index < len(layers) - 1:
            leaving[inside], reading = off_ramp.read_confident(hidden[inside], exit_threshold, scored)
            tokens[leaving], probabilities[leaving] = reading.tokens, reading.probabilities
        else:
            leaving = wanted
            if scored:
                reading = off_ramp.read(hidden[leaving], with_entropies=False)
                tokens[leaving], probabilities[leaving] = reading.tokens, reading.probabilities
            else:
                tokens[leaving] = off_ramp.best(hidden[leaving])
        exit_layers[leaving] = index
        inside &= ~leaving
        # What lies behind an end that is settled is cut off, whatever it would be.
        ends = lengths(tokens.masked_fill(inside, -1), eos_token_id)[:, None]
        places = torch.arange(inside.shape[1], device=inside.device)
        wanted = inside & (places < ends)
        if not wanted.any():
            break
    return Predictions(tokens, exit_layers, exit_layers, probabilities if scored else None)


def advance(layer: CanvasLayer, hidden: Tensor, inside: Tensor) -> Tensor:
    """Return `[batch, target_length, width]` states in which only those inside, `[batch, target_length]`, moved on."""
    attend, counts = layer.over(hidden), inside.sum(-1)
    most = int(counts.max())
    if most == inside.shape[1]:
        return torch.where(inside[..., None], attend(hidden), hidden)
    # Each row's tokens inside, moved to its left end.
    places = (~inside).long().argsort(dim=-1, stable=True)[:, :most, None]
    moved = attend(hidden.gather(1, places.expand(-1, -1, hidden.shape[-1])))
    hidden = hidden.clone()
    hidden[inside] = moved[torch.arange(most, device=hidden.device) < counts[:, None]]
    return hidden


def lengths(tokens: Tensor, eos_token_id: int) -> Tensor:
    """Return each row's number of tokens up to and with its first end of text, or all that there are, `[batch]`."""
    ends = tokens == eos_token_id
    return torch.where(ends.any(-1), ends.int().argmax(-1) + 1, tokens.shape[1])


def _has_ended(tokens: Tensor, eos_token_id: int) -> bool:
    return bool((tokens == eos_token_id).any(-1).all())


def _on_cpu(states: Tensor) -> bool:
    """Tell whether asking for a value costs nothing; elsewhere the host would wait for the device."""
    return states.device.type == "cpu"
