"""From the canvas's predictions to sequences: cut at the end of text, collapse repeats, pad."""

import torch
from torch import Tensor

NO_LAYER = -1


def kept_tokens(tokens: Tensor, eos_token_id: int, collapse_repeats: bool) -> Tensor:
    """Say which predicted tokens make the text, as a boolean `[batch, length]`.

    Kept is everything up to and with the first `eos_token_id`, but, with `collapse_repeats`, no token that equals its
    left neighbour.
    """
    ends = (tokens == eos_token_id).long()
    kept = ends.cumsum(-1) - ends == 0
    if collapse_repeats:
        kept[:, 1:] &= tokens[:, 1:] != tokens[:, :-1]
    return kept


def pack_left(values: Tensor, kept: Tensor, padding: int | float) -> Tensor:
    """Move each row's kept values to its left end and fill the rest with `padding`.

    Returns `[batch, longest]`, where `longest` is the largest number of values that a row keeps.
    """
    rows, length = kept.shape
    # What is dropped meets in a last column of its own, so that the host waits for the device once.
    places = torch.where(kept, kept.cumsum(-1) - 1, length)
    packed = values.new_full((rows, length + 1), padding).scatter_(1, places, values)
    return packed[:, : int(kept.sum(-1).max())].contiguous()
