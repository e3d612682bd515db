"""The source as decoder, pointer and canvas know it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .pointer import SourcePointer


@dataclass(frozen=True)
class Source:
    """A batch of encoded sources.

    Attributes:
        states: the encoder's, `[batch, source_length, width]`.
        mask: additive, over them, `[batch, 1, 1, source_length]`.
        attention_mask: 1 for tokens, 0 for padding, `[batch, source_length]`.
        pointer: for a model that copies.
    """

    states: Tensor
    mask: Tensor
    attention_mask: Tensor
    pointer: SourcePointer | None

    def spread(self, canvas_lengths: Tensor, canvas: int) -> Tensor:
        """Spread the states evenly over the canvas (uniform copy, Gu et al. 2018, arXiv 1711.02281).

        Args:
            canvas_lengths: positions of each row's own canvas, `[batch]`.
            canvas: positions of the longest.

        Returns:
            `[batch, canvas, width]`: the first position reads the first token, the last one of its canvas the last.
            Tokens are taken to stand at the source's left end.
        """
        last_token = (self.attention_mask != 0).sum(-1, keepdim=True).clamp(min=1) - 1
        last_place = (canvas_lengths[:, None] - 1).clamp(min=1)
        places = torch.arange(canvas, device=self.states.device).expand(self.states.shape[0], -1).minimum(last_place)
        # Rounded to the nearest token, in whole numbers, so that every device rounds alike.
        read = (2 * places * last_token + last_place) // (2 * last_place)
        return self.states.gather(1, read[..., None].expand(-1, -1, self.states.shape[-1]))
