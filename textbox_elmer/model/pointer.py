"""Copying (See et al. 2017, arXiv 1704.04368): every exit may take a word from the source instead of the vocabulary."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .configuration import ElmerConfig
from .packing import Linear

# Copied by nobody: its logarithm is finite, and far below anything that a text's probability notices.
TINY = torch.finfo(torch.float32).tiny


class Pointer(nn.Module):
    """Attention from exits' states to the source's tokens, and the gate between writing and copying.

    All exits share it, as they share the head.
    """

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__()
        self.q_proj = Linear(config.d_model, config.d_model)
        self.k_proj = Linear(config.d_model, config.d_model)
        self.gate = Linear(config.d_model, 1)

    def over_source(self, input_ids: Tensor, encoder_states: Tensor, copied: Tensor) -> "SourcePointer":
        """Return the pointer over one batch's sources.

        Args:
            input_ids: `[batch, source_length]`.
            encoder_states: `[batch, source_length, width]`.
            copied: which tokens may be copied, boolean, `[batch, source_length]`.
        """
        hidden = torch.zeros(copied.shape, device=copied.device).masked_fill(~copied, torch.finfo(torch.float32).min)
        return SourcePointer(self, input_ids, self.k_proj(encoder_states), hidden, copied)


@dataclass(frozen=True)
class SourcePointer:
    """A pointer that knows its sources."""

    pointer: Pointer
    input_ids: Tensor
    keys: Tensor
    hidden: Tensor
    copied: Tensor

    def __call__(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Point from `[batch, m, width]` states.

        Returns:
            log-probabilities of writing and of copying, `[batch, m]` each, and the attention to the source's tokens,
            `[batch, m, source_length]`, in float32.
        """
        queries = self.pointer.q_proj(states) * states.shape[-1] ** -0.5
        scores = queries @ self.keys.transpose(1, 2)
        attention = (scores.float() + self.hidden[:, None]).softmax(-1)
        gate = self.pointer.gate(states).squeeze(-1).float()
        # A source of which nothing may be copied leaves only writing.
        gate = torch.where(self.copied.any(-1)[:, None], gate, torch.inf)
        return F.logsigmoid(gate), F.logsigmoid(-gate), attention

    def mixed_log_probs(self, states: Tensor, logits: Tensor) -> Tensor:
        """Return the log-probabilities of all words from head and pointer together, `[batch, m, vocabulary]`."""
        log_write, log_copy, attention = self(states)
        copied = torch.zeros_like(logits, dtype=torch.float32)
        ids = self.input_ids[:, None].expand_as(attention)
        copied.scatter_add_(-1, ids, attention * self.copied[:, None])
        written = log_write[..., None] + logits.float().log_softmax(-1)
        return torch.logaddexp(written, log_copy[..., None] + copied.clamp(min=TINY).log())

    def copied_probs(self, states: Tensor, words: Tensor) -> Tensor:
        """Return the part that copying has in the probabilities of words `[batch, n]`, `[batch, m, n]`."""
        _, log_copy, attention = self(states)
        return log_copy.exp()[..., None] * (attention @ self.matches(words))

    def matches(self, targets: Tensor) -> Tensor:
        """Tell which source tokens are which targets `[batch, n]`: 0 or 1, `[batch, source_length, n]`."""
        same = self.input_ids[:, :, None] == targets[:, None, :]
        return (same & self.copied[:, :, None]).float()


def log_copied(attention: Tensor, matches: Tensor) -> Tensor:
    """Return the log-probability that copying writes each target, `[batch, m, n]`, finite everywhere."""
    return (attention @ matches).clamp(min=TINY).log()


class Mixed(NamedTuple):
    """The likeliest words of head and pointer together, `[batch, m]` each.

    Attributes:
        tokens: their ids.
        log_probs: their log-probabilities.
        copied: whether the greater part of that comes from the source.
    """

    tokens: Tensor
    log_probs: Tensor
    copied: Tensor


class Mixture:
    """Head and pointer at `[batch, m]` positions: the words of the source, which alone get something from both.

    Args:
        pointer: over the batch's sources.
        states: `[batch, m, width]`.
        weight, bias: the head's, `[vocabulary, width]` and `[vocabulary]`.
        log_total: the head's normalizer, `[batch, m]`.
    """

    def __init__(self, pointer: SourcePointer, states: Tensor, weight: Tensor, bias: Tensor, log_total: Tensor) -> None:
        ids = pointer.input_ids
        self.pointer = pointer
        self.log_write, log_copy, attention = pointer(states)
        # As an embedding, which an export's int8 weights know how to be; weight[ids] would get a float32 copy of them.
        words = F.embedding(ids, weight).transpose(1, 2).to(states.dtype)
        logits = (states @ words).float() + bias[ids][:, None]
        self.written = self.log_write[..., None] + logits - log_total[..., None]
        self.copied = log_copy[..., None] + log_copied(attention, pointer.matches(ids))
        self.both = torch.logaddexp(self.written, self.copied).masked_fill(~pointer.copied[:, None], -torch.inf)

    def best(self, tokens: Tensor, log_probs: Tensor) -> Mixed:
        """Return the likeliest words, given the head's and their log-probabilities under it, `[batch, m]` each."""
        of_source, place = self.both.max(-1)
        of_head = self.log_write + log_probs
        ids = self.pointer.input_ids[:, None].expand_as(self.both).gather(-1, place[..., None]).squeeze(-1)
        in_source = of_source > of_head
        mostly_copied = (self.copied > self.written).gather(-1, place[..., None]).squeeze(-1)
        return Mixed(torch.where(in_source, ids, tokens), torch.maximum(of_source, of_head), in_source & mostly_copied)

    def entropies(self, of_head: Tensor) -> Tensor:
        """Return the mixture's entropies in nats, given the head's, `[batch, m]`."""
        write = self.log_write.exp()
        # What all words have from the head alone; then the source's words, once each, get what they really have.
        alone = write * of_head - write * self.log_write
        copied = self.pointer.copied[:, None]
        change = torch.special.entr(self.both.exp()) - torch.special.entr(self.written.exp())
        ids = self.pointer.input_ids
        times = self.pointer.matches(ids).sum(1).clamp(min=1)[:, None]
        return alone + (change.masked_fill(~copied, 0.0) / times).sum(-1)
