"""The loss of exits whose positions and tokens belong together by an `Alignment`."""

from collections.abc import Callable

import torch
from torch import Tensor

from .alignment import Alignment, weighted
from .emissions import EmissionHead
from .glancing import Glance, glance


class AlignedLoss:
    """The mean over exits of their losses per token, in nats.

    The last exit's loss is the texts' negative log-likelihood. Under a graph, an exit before it learns each token at
    the vertices that write it there, weighted by how likely they do.

    Call `predict` for each exit before the last, then `exit` once.

    Args:
        alignment: of the batch's texts.
        head: reads the exits for the alignment's targets.
        link: returns the graph's transitions from the last states; None without a graph.
        shown: what the canvas shows of the texts.
    """

    def __init__(
        self,
        alignment: Alignment,
        head: EmissionHead,
        link: Callable[[Tensor], Tensor] | None,
        shown: Glance | None = None,
    ) -> None:
        self.alignment, self.head, self.link, self.shown = alignment, head, link, shown
        self.transitions: Tensor | None = None
        self._known: tuple[Tensor, Tensor] | None = None

    def predict(self, states: Tensor) -> Tensor:
        """Count an exit of `[batch, canvas, width]` states and return its likeliest words, `[batch, canvas]`."""
        return self.head.exit(states)

    def exit(self, states: Tensor, predicts: bool = False) -> Tensor:
        """Count the last exit; return its likeliest words row by row, `[batch * canvas]`, if it `predicts`."""
        words = self.head.exit(states)
        if self.link is not None:
            self.transitions = self.link(states)
        return words.flatten() if predicts else words[:0]

    def means(self) -> Tensor:
        """Return each exit's mean loss, `[exits]`."""
        return self._losses()[0]

    def means_by_layer(self, exit_layers: Tensor, layers: int) -> Tensor:
        """Return the mean loss of the tokens that left at each layer, `[layers]`; NaN where none did.

        Args:
            exit_layers: the layer where each position left, `[batch, canvas]`.
        """
        with torch.no_grad():
            writes = self._losses()[1]
            losses, weights = -weighted(self.head.exits[-1].targets, writes).sum(1), writes.sum(1)
            totals = torch.zeros(2, layers, device=losses.device)
            flat = exit_layers.flatten()
            totals[0].index_add_(0, flat, losses.flatten().float())
            totals[1].index_add_(0, flat, weights.flatten().float())
            return totals[0] / totals[1]

    def loss(self) -> Tensor:
        """Return the mean over the exits."""
        return self.means().mean()

    def glance(self, ratio: float) -> Glance:
        """Choose what to show of the texts, given what these exits would write."""
        last = self.head.exits[-1]
        places = self.alignment.places(last, self.transitions)
        return glance(places, last.tokens, self.alignment.targets, ratio)

    def _losses(self) -> tuple[Tensor, Tensor]:
        if self._known is None:
            self._known = self.alignment.losses(self.head.exits, self.transitions, self.shown)
        return self._known
