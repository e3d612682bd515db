"""Soft exit that stops working on what lies behind a text's predicted end: an approximation, off by default.

Positions behind the end are cut off, but others attend to them, and the end that an early layer predicts may be wrong.
Here such positions stop moving; their states still serve as keys and values, which changes far fewer texts than taking
them away (`bench trimming` counts them).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .inference import Predictions, advance, lengths
from .layers import CanvasLayer
from .off_ramp import OffRamp


def predict_soft_trimmed(
    layers: Sequence[CanvasLayer],
    hidden: Tensor,
    off_ramp: OffRamp,
    eos_token_id: int,
    scored: bool,
    embed: Callable[[Tensor], Tensor],
    concat_head: Callable[[Tensor], Tensor],
    trim_margin: int,
) -> Predictions:
    """Soft exit, in which `trim_margin` positions behind the end that a layer predicts, all others stop.

    A text that has no end within the positions left ends there.
    """
    places = torch.arange(hidden.shape[1], device=hidden.device)
    inside = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    for layer in layers[:-1]:
        hidden = advance(layer, hidden, inside)
        moved = hidden[inside]
        found = off_ramp.best(moved, with_bias=False)
        handed_on = concat_head(torch.cat([moved, embed(found)], dim=-1))
        hidden = hidden.masked_scatter(inside[..., None], handed_on.to(hidden.dtype))
        ends = lengths(_spread(found, inside, -1), eos_token_id)[:, None]
        inside = inside & (places < ends + trim_margin)
    states = advance(layers[-1], hidden, inside)[inside]
    probabilities = None
    if scored:
        reading = off_ramp.read(states, with_entropies=False)
        found, probabilities = reading.tokens, _spread(reading.probabilities, inside, 0.0)
    else:
        found = off_ramp.best(states)
    tokens = _spread(found, inside, eos_token_id)
    exit_layers = torch.full_like(tokens, len(layers) - 1)
    return Predictions(tokens, exit_layers, exit_layers, probabilities)


def _spread(values: Tensor, inside: Tensor, elsewhere: int | float) -> Tensor:
    """Lay one value per position inside, `[n]`, out as `[batch, target_length]`."""
    whole = values.new_full(inside.shape, elsewhere)
    whole[inside] = values
    return whole
