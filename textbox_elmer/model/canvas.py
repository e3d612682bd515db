"""The canvas (what the decoder reads) and the labels (what it should write)."""

import torch
from torch import Tensor

from .layers import additive_mask

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


class Canvases:
    """A batch's canvases: ids `[batch, canvas]`, each one's length `[batch]`, and where positions leave, if drawn."""

    def __init__(self, ids: Tensor, attention_mask: Tensor | None, exit_layers: Tensor | None) -> None:
        self.ids, self.attention_mask, self.exit_layers = ids, attention_mask, exit_layers
        # Not len(ids): an exporter would take it for a constant.
        whole = ids.new_full((ids.shape[0],), ids.shape[1])
        self.lengths = whole if attention_mask is None else (attention_mask != 0).sum(-1)

    def own(self) -> Tensor:
        """Return which positions belong to each one's own canvas, boolean, `[batch, canvas]`."""
        return torch.ones_like(self.ids, dtype=torch.bool) if self.attention_mask is None else self.attention_mask != 0

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """Return the additive mask that lets no position read beyond its own canvas."""
        return None if self.attention_mask is None else additive_mask(self.attention_mask, dtype)
