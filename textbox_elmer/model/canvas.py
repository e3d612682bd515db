"""The canvas (what the decoder reads) and the labels (what it should write)."""

import torch
from torch import Tensor

IGNORED = -100


def lay_canvas(batch: int, length: int, bos_token_id: int, mask_token_id: int, device: torch.device) -> Tensor:
    """Return the decoder's input `[bos] + [mask] * (length - 1)` for every row, `[batch, length]`.

    Its length is chosen by the caller, in training as at inference: a canvas sized by the reference would tell the
    model where the text ends.
    """
    canvas = torch.full((batch, length), mask_token_id, dtype=torch.long, device=device)
    canvas[:, 0] = bos_token_id
    return canvas


def ignore_padding(labels: Tensor, pad_token_id: int) -> Tensor:
    """Mark padding, given as `pad_token_id` or -100, with -100, which the losses leave out; `[batch, length]`."""
    return labels.masked_fill(labels == pad_token_id, IGNORED)
