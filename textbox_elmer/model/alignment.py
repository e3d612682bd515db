"""How a canvas's positions and a text's tokens belong together: likelihoods in training, places for glancing.

Each alignment takes the exits' `Emissions` of its `targets`; transitions are the graph's alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from .canvas import IGNORED
from .ctc import best_alignment, ctc_loss
from .dag import best_path, path_log_likelihood_and_posterior
from .emissions import Emissions
from .glancing import Glance, force


class Alignment(ABC):
    """One batch's texts on their canvases.

    Args:
        labels: `[batch, target_length]`, -100 behind each text's end.
        canvas_lengths: positions of each row's canvas, `[batch]`.
        eos_token_id: what ends a text.

    Attributes:
        targets: what the canvas has to write, `[batch, n]`, 0 at padding.
        lengths: tokens of each row in them, `[batch]`.
    """

    def __init__(self, labels: Tensor, canvas_lengths: Tensor, eos_token_id: int) -> None:
        self.canvas_lengths = canvas_lengths
        self.counted = labels != IGNORED
        self.lengths = self.counted.sum(-1)
        self.targets = labels.masked_fill(~self.counted, 0)

    @abstractmethod
    def likelihood(self, exit_: Emissions, transitions: Tensor | None, glance: Glance | None) -> tuple[Tensor, Tensor]:
        """Return each text's log-likelihood, `[batch]`, and how likely position v writes token t, `[batch, n, canvas]`.

        A text that its canvas cannot write, or whose every way there underflows, counts 0 and gives no gradient.
        """

    @abstractmethod
    def places(self, exit_: Emissions, transitions: Tensor | None) -> Tensor:
        """Return which target token each position writes on the likeliest way, -1 for none, `[batch, canvas]`."""

    def early(self, exit_: Emissions, writes: Tensor, glance: Glance | None) -> Tensor:
        """Return the log-likelihood of all texts at an exit before the last, given how that one aligns them."""
        if glance is not None:
            writes = writes.masked_fill(glance.revealed[:, None], 0.0)
        return weighted(exit_.targets, writes).sum()

    def losses(
        self, exits: Sequence[Emissions], transitions: Tensor | None, glance: Glance | None
    ) -> tuple[Tensor, Tensor]:
        """Return each exit's mean loss per token in nats, `[exits]`, and the last one's `writes`."""
        log_likelihood, writes = self.likelihood(exits[-1], transitions, glance)
        totals = [self.early(exit_, writes, glance) for exit_ in exits[:-1]]
        return -torch.stack([*totals, log_likelihood.sum()]) / self.count(glance), writes

    def count(self, glance: Glance | None) -> Tensor:
        """Return how many tokens the loss is a mean over, at least 1."""
        return self.lengths.sum().clamp(min=1)


class PositionAlignment(Alignment):
    """Position t writes token t (arXiv 2210.13304)."""

    def likelihood(self, exit_: Emissions, transitions: Tensor | None, glance: Glance | None) -> tuple[Tensor, Tensor]:
        """See `Alignment`."""
        counted = self.counted if glance is None else self.counted & ~glance.revealed
        writes = torch.diag_embed(counted.to(exit_.targets.dtype))
        return weighted(exit_.targets, writes).sum((1, 2)), writes

    def places(self, exit_: Emissions, transitions: Tensor | None) -> Tensor:
        """See `Alignment`."""
        return torch.arange(self.counted.shape[1], device=self.counted.device).where(self.counted, -1)

    def count(self, glance: Glance | None) -> Tensor:
        """See `Alignment`: revealed tokens are not learnt from."""
        counted = self.counted if glance is None else self.counted & ~glance.revealed
        return counted.sum().clamp(min=1)


class GraphAlignment(Alignment):
    """A text is a path from bos at the first vertex to eos at the last (arXiv 2205.07459); words lie between.

    Raises:
        ValueError: a text has more words than its graph has vertices between the ends.
    """

    def __init__(self, labels: Tensor, canvas_lengths: Tensor, eos_token_id: int) -> None:
        super().__init__(labels, canvas_lengths, eos_token_id)
        self.tokens = self.lengths.sum()
        last = self.targets.gather(1, (self.lengths - 1).clamp(min=0)[:, None])[:, 0]
        self.lengths = self.lengths - ((last == eos_token_id) & (self.lengths > 0)).long()
        _check_room(self.lengths + 2, canvas_lengths)
        self.targets = self.targets[:, : max(int(self.lengths.max()), 1)]
        # An example that only fills up a batch has a path without words, from which nothing is learnt.
        self.learns = self.counted.any(-1)

    def likelihood(self, exit_: Emissions, transitions: Tensor | None, glance: Glance | None) -> tuple[Tensor, Tensor]:
        """See `Alignment`."""
        assert transitions is not None
        emissions = self._emissions(exit_, glance)
        log_likelihood, posterior = path_log_likelihood_and_posterior(
            emissions, transitions, self.lengths + 2, self.canvas_lengths
        )
        # Not isfinite(): a model whose weights are no numbers shall not look as if it had learnt everything.
        possible = ~log_likelihood.isneginf() & self.learns
        words = torch.arange(self.targets.shape[1], device=posterior.device) < self.lengths[:, None]
        writes = posterior[:, 1:-1] * (words & possible[:, None])[..., None]
        return log_likelihood.where(possible, 0.0), writes

    def places(self, exit_: Emissions, transitions: Tensor | None) -> Tensor:
        """See `Alignment`."""
        assert transitions is not None
        path = best_path(self._emissions(exit_, None), transitions, self.lengths + 2, self.canvas_lengths)[:, 1:-1]
        words = torch.arange(path.shape[1], device=path.device)
        on_path = (words < self.lengths[:, None]) & (path > 0)
        canvas = exit_.targets.shape[-1]
        # A column more takes what lies on no path.
        places = path.new_full((len(path), canvas + 1), -1)
        return places.scatter(1, path.where(on_path, canvas), words.expand_as(path))[:, :canvas]

    def count(self, glance: Glance | None) -> Tensor:
        """See `Alignment`."""
        return self.tokens.clamp(min=1)

    def _emissions(self, exit_: Emissions, glance: Glance | None) -> Tensor:
        """Return log-probabilities with bos and eos at the canvas's ends, `[batch, n + 2, canvas]`."""
        words = exit_.targets if glance is None else force(exit_.targets, glance)
        batch, most, canvas = words.shape
        vertices = torch.arange(canvas, device=words.device)
        last = self.canvas_lengths[:, None] - 1
        between = (vertices > 0) & (vertices < last)
        words = words.masked_fill(~between[:, None], -torch.inf)
        nowhere = words.new_full((batch, 1, canvas), -torch.inf)
        bos = nowhere.masked_fill(vertices == 0, 0.0)
        eos = nowhere.masked_fill((vertices == last)[:, None], 0.0)
        rows = torch.arange(most + 1, device=words.device)[None, :, None]
        behind = torch.cat([words, nowhere], dim=1)
        return torch.cat([bos, torch.where(rows == self.lengths[:, None, None], eos, behind)], dim=1)


class CtcAlignment(Alignment):
    """Positions write tokens in their order, or blanks (Graves et al. 2006); eos is a token like others.

    Raises:
        ValueError: a text has more tokens than its canvas has positions.
    """

    def __init__(self, labels: Tensor, canvas_lengths: Tensor, eos_token_id: int) -> None:
        super().__init__(labels, canvas_lengths, eos_token_id)
        _check_room(self.lengths, canvas_lengths)
        self.targets = self.targets[:, : max(int(self.lengths.max()), 1)]

    def likelihood(self, exit_: Emissions, transitions: Tensor | None, glance: Glance | None) -> tuple[Tensor, Tensor]:
        """See `Alignment`; the likeliest way stands for all."""
        places = self.places(exit_, transitions)
        steps = torch.arange(self.targets.shape[1], device=places.device)
        return self._log_likelihood(exit_, glance), (places[:, None] == steps[:, None]).to(exit_.targets.dtype)

    def early(self, exit_: Emissions, writes: Tensor, glance: Glance | None) -> Tensor:
        """See `Alignment`: an exit has a likelihood of its own."""
        return self._log_likelihood(exit_, glance).sum()

    def places(self, exit_: Emissions, transitions: Tensor | None) -> Tensor:
        """See `Alignment`."""
        with torch.no_grad():
            return best_alignment(*self._arguments(exit_, None))

    def _log_likelihood(self, exit_: Emissions, glance: Glance | None) -> Tensor:
        losses = ctc_loss(*self._arguments(exit_, glance))
        # An example that only fills up a batch teaches nothing, not even to write blanks.
        return -losses.where(~losses.isposinf() & (self.lengths > 0), 0.0)

    def _arguments(self, exit_: Emissions, glance: Glance | None) -> tuple[Tensor, ...]:
        targets, blanks = exit_.targets, exit_.blanks
        assert blanks is not None
        if glance is not None:
            targets, blanks = force(targets, glance), blanks.masked_fill(glance.revealed, -torch.inf)
        return targets.transpose(1, 2), blanks, self.targets, self.lengths, self.canvas_lengths


ALIGNMENTS: dict[str, type[Alignment]] = {"position": PositionAlignment, "dag": GraphAlignment, "ctc": CtcAlignment}


def weighted(log_probs: Tensor, writes: Tensor) -> Tensor:
    """Return log-probabilities times how likely they are needed; 0, not NaN, where an impossible word is not."""
    return writes * log_probs.masked_fill(writes == 0, 0.0)


def _check_room(needed: Tensor, canvas_lengths: Tensor) -> None:
    short = needed > canvas_lengths
    if short.any():
        row = int(short.nonzero()[0])
        raise ValueError(
            f"A target needs {int(needed[row])} canvas positions, but its canvas has {int(canvas_lengths[row])}: give "
            "a larger canvas_scale, or a tgt_len that cuts targets shorter."
        )
