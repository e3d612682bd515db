"""Transitions of the graph: where a path goes from each vertex (Huang et al. 2022, arXiv 2205.07459, section 3.1)."""

import math

import torch
from torch import Tensor, nn

from .configuration import ElmerConfig
from .packing import Linear


class Links(nn.Module):
    """Several heads of attention from a vertex to those behind it, mixed by a gate.

    Vertices are told by their states and positions together, and each head prefers those nearby: a learned decay is
    subtracted for every vertex further on (as in ALiBi, Press et al. 2022, arXiv 2108.12409). It starts so that a path
    takes steps of about `canvas_scale` vertices, as many as a full canvas needs. From even transitions, which lead a
    path to the end in a few leaps, training first had to find out how long texts are, and the graph often shrank to a
    single chain over it.
    """

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__()
        width = config.d_model
        self.heads = config.decoder_attention_heads
        self.q_proj = Linear(2 * width, width)
        self.k_proj = Linear(2 * width, width)
        self.gate = Linear(2 * width, self.heads)
        self.scale = config.canvas_scale
        self.decay = nn.Parameter(self.first_decay())

    def first_decay(self) -> Tensor:
        """Return what each head starts with, in nats per vertex, `[heads]`: from steep to flat."""
        return 2.0 ** (-4 * torch.arange(self.heads) / self.heads) / self.scale

    def forward(self, states: Tensor, positions: Tensor, canvas_lengths: Tensor) -> Tensor:
        """Return log-probabilities of going from row to column, -inf where impossible, `[batch, canvas, canvas]`.

        Args:
            states: `[batch, canvas, width]`.
            positions: their position embeddings, `[canvas, width]`.
            canvas_lengths: vertices of each graph, `[batch]`; the last one leads nowhere.
        """
        batch, canvas, width = states.shape
        vertices = torch.cat([states, positions.to(states.dtype).expand(batch, -1, -1)], dim=-1)
        queries, keys = (
            projection(vertices).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj)
        )
        scores = (queries / math.sqrt(width / self.heads)) @ keys.transpose(2, 3)
        places = torch.arange(canvas, device=states.device)
        behind = (places[:, None] < places) & (places < canvas_lengths[:, None, None])
        scores = scores.float() - self.decay.float()[:, None, None] * (places - places[:, None]).clamp(min=0)
        scores = scores.masked_fill(~behind[:, None], torch.finfo(torch.float32).min)
        gate = self.gate(vertices).float().softmax(-1).transpose(1, 2)[..., None]
        mixed = (scores.softmax(-1) * gate).sum(1)
        return mixed.clamp(min=torch.finfo(torch.float32).tiny).log().masked_fill(~behind, -torch.inf)
