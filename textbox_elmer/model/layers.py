"""BART's transformer layers (learned positions; post-norm, or pre-norm), with a bidirectional decoder."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput

from .configuration import ElmerConfig
from .packing import Linear

# BART's learned positions start after two reserved rows.
POSITION_OFFSET = 2

# What is attended to: its keys and values, or for a few queries the states themselves.
Remembered = tuple[Tensor, Tensor] | Tensor
# That of the canvas's own states, and of the source's.
Memory = tuple[tuple[Tensor, Tensor], Remembered]
# How many times the multiplications of keys and values those of `Attention.attend_unmade` may be: they are slower.
WORTH = 0.75


def additive_mask(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a 0/1 `[batch, length]` mask into `[batch, 1, 1, length]` to be added to attention scores.

    Padding gets the type's lowest finite value, not -inf: a row that is all padding then averages instead of
    becoming NaN.
    """
    hidden = (attention_mask == 0)[:, None, None, :]
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill(hidden, torch.finfo(dtype).min)


class PositionalEmbedding(nn.Embedding):
    """Learned absolute positions."""

    def __init__(self, positions: int, width: int) -> None:
        super().__init__(positions + POSITION_OFFSET, width)

    def forward(self, length: int) -> Tensor:  # type: ignore[override]  # of positions, not of ids
        """Return the embeddings of positions 0 … length - 1, `[length, width]`.

        Raises:
            ValueError: the model has fewer positions.
        """
        limit = self.num_embeddings - POSITION_OFFSET
        if length > limit:
            raise ValueError(
                f"{length} positions asked for, but the model has {limit} (max_position_embeddings): shorten the text."
            )
        return self.weight[POSITION_OFFSET : POSITION_OFFSET + length]


class Attention(nn.Module):
    """Multi-head attention over any states, with BART's parameter names."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"d_model {width} is not divisible by {heads} attention heads.")
        self.heads = heads
        self.dropout = dropout
        self.q_proj = Linear(width, width)
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.out_proj = Linear(width, width)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def remember(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of `[batch, n, width]` states, each `[batch, heads, n, width / heads]`."""
        return self._split(self.k_proj(states)), self._split(self.v_proj(states))

    def remember_for(self, states: Tensor, queries: int) -> Remembered:
        """Return what that many queries had best attend to: the states themselves, if they are few, else as `remember`.

        With L states of width d and h heads, keys and values take 2 L d² multiplications; leaving them unmade takes
        2 d² + 2 (h - 1) L d for each query. Measured on CPUs, in float32.
        """
        length, width = states.shape[1:]
        unmade = queries * (width + (self.heads - 1) * length)
        if states.dtype == torch.float32 and states.device.type == "cpu" and unmade < WORTH * length * width:
            return states
        return self.remember(states)

    def forward(self, queries: Tensor, memory: Remembered, mask: Tensor | None) -> Tensor:
        """Attend from `queries` `[batch, m, width]` to remembered states under an additive mask."""
        projected = self._split(self.q_proj(queries))
        if isinstance(memory, Tensor):
            attended = self._attend_unmade(projected, memory, mask)
        else:
            dropout = self.dropout if self.training else 0.0
            attended = F.scaled_dot_product_attention(projected, *memory, attn_mask=mask, dropout_p=dropout)
        return self.out_proj(attended.transpose(1, 2).flatten(2))

    def _attend_unmade(self, queries: Tensor, states: Tensor, mask: Tensor | None) -> Tensor:
        """Attend to `[batch, n, width]` states whose keys and values are not made: the queries meet them half-way.

        q · (W s) is (Wᵀ q) · s, and the mean of values is the value of the mean. What the keys' bias adds is the same
        for all states, which a softmax does not see.
        """
        keys, values = (part.weight.unflatten(0, (self.heads, -1)) for part in (self.k_proj, self.v_proj))
        heads_queries = queries.shape[1:3]
        queries = (queries * queries.shape[-1] ** -0.5) @ keys
        scores = (queries.flatten(1, 2) @ states.transpose(1, 2)).unflatten(1, heads_queries)
        weights = (scores if mask is None else scores + mask).softmax(-1)
        mean = (weights.flatten(1, 2) @ states).unflatten(1, heads_queries)
        return mean @ values.transpose(1, 2) + self.v_proj.bias.unflatten(0, (self.heads, 1, -1))


class TransformerLayer(GradientCheckpointingLayer):
    """What encoder and decoder layers share: self-attention and feed-forward, each added to what it reads.

    The sum is normalised (BART's order), or with `normalize_before` what they read is. With gradient checkpointing a
    layer's activations are computed again in the backward pass.
    """

    def __init__(self, config: ElmerConfig, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = Attention(config.d_model, heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = Linear(config.d_model, inner)
        self.fc2 = Linear(inner, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.activation = ACT2FN[config.activation_function]
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        self.normalize_before = config.normalize_before

    def add(self, hidden: Tensor, norm: nn.LayerNorm, part: Callable[[Tensor], Tensor]) -> Tensor:
        """Add what a part of the layer makes of the states, with its norm where the configuration has it."""
        if self.normalize_before:
            return hidden + self.dropout(part(norm(hidden)))
        return norm(hidden + self.dropout(part(hidden)))

    def remember_self(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states' own keys and values, each `[batch, heads, length, width / heads]`."""
        return self.self_attn.remember(self.self_attn_layer_norm(hidden) if self.normalize_before else hidden)

    def attend_self(self, queries: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """Let states `[batch, length, width]`, or some of them, attend to all, in both directions."""
        return self.add(queries, self.self_attn_layer_norm, lambda states: self.self_attn(states, memory, mask))

    def feed_forward(self, hidden: Tensor) -> Tensor:
        """Map each state `[..., width]` by itself."""
        return self.add(hidden, self.final_layer_norm, self._inner)

    def _inner(self, hidden: Tensor) -> Tensor:
        return self.fc2(self.activation_dropout(self.activation(self.fc1(hidden))))


class EncoderLayer(TransformerLayer):
    """Self-attention and feed-forward."""

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__(config, config.encoder_attention_heads, config.encoder_ffn_dim)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Map states `[batch, source_length, width]` to the next layer's."""
        return self.feed_forward(self.attend_self(hidden, self.remember_self(hidden), mask))


class DecoderLayer(TransformerLayer):
    """Self-attention over the whole canvas (no causal mask), attention to the source, feed-forward."""

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__(config, config.decoder_attention_heads, config.decoder_ffn_dim)
        self.encoder_attn = Attention(config.d_model, config.decoder_attention_heads, config.attention_dropout)
        self.encoder_attn_layer_norm = nn.LayerNorm(config.d_model)

    def remember(self, hidden: Tensor, encoder_states: Tensor, queries: int | None) -> Memory:
        """Return the canvas's keys and values, and what so many queries need of the source (None: those as well)."""
        if queries is None:
            return self.remember_self(hidden), self.encoder_attn.remember(encoder_states)
        return self.remember_self(hidden), self.encoder_attn.remember_for(encoder_states, queries)

    def forward(
        self,
        hidden: Tensor,
        encoder_states: Tensor,
        encoder_mask: Tensor | None,
        canvas_mask: Tensor | None = None,
    ) -> Tensor:
        """Map the canvas's states `[batch, canvas, width]` to the next layer's.

        All that training computes of a layer is computed in here: gradient checkpointing and FSDP, which gathers a
        layer's weights for this call alone, know no other entrance.
        """
        return self.attend(hidden, self.remember(hidden, encoder_states, None), encoder_mask, canvas_mask)

    def attend(
        self, queries: Tensor, memory: Memory, encoder_mask: Tensor | None, canvas_mask: Tensor | None = None
    ) -> Tensor:
        """Map some of the canvas's states, `[batch, m, width]`, to the next layer's; `memory` is of all of them."""
        canvas, source = memory
        queries = self.attend_self(queries, canvas, canvas_mask)
        queries = self.add(
            queries, self.encoder_attn_layer_norm, lambda states: self.encoder_attn(states, source, encoder_mask)
        )
        return self.feed_forward(queries)


class Stack(nn.Module):
    """Where a stack of layers begins and ends: token and position embeddings, normalised, and the last norm."""

    def __init__(self, config: ElmerConfig, embed_tokens: nn.Embedding) -> None:
        super().__init__()
        self.embed_tokens = embed_tokens
        self.embed_positions = PositionalEmbedding(config.max_position_embeddings, config.d_model)
        self.layernorm_embedding = nn.LayerNorm(config.d_model)
        self.embedding_dropout = nn.Dropout(config.dropout)
        self.embed_scale = math.sqrt(config.d_model) if config.scale_embedding else 1.0
        # Pre-norm layers hand on sums that grow; BART's are normalised already.
        self.layer_norm = nn.LayerNorm(config.d_model) if config.normalize_before else nn.Identity()

    def embed(self, ids: Tensor, added: Tensor | None = None) -> Tensor:
        """Embed ids `[batch, length]` into `[batch, length, width]`, with more of that shape `added` to them."""
        hidden = self.embed_tokens(ids) * self.embed_scale + self.embed_positions(ids.shape[1])
        if added is not None:
            hidden = hidden + added
        return self.embedding_dropout(self.layernorm_embedding(hidden))


class Encoder(Stack):
    """The bidirectional encoder, BART's."""

    def __init__(self, config: ElmerConfig, embed_tokens: nn.Embedding) -> None:
        super().__init__(config, embed_tokens)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """Encode `[batch, source_length]` ids into `last_hidden_state`, `[batch, source_length, width]`.

        Args:
            attention_mask: 1 for tokens, 0 for padding, of the ids' shape; without it nothing is padding.
        """
        hidden = self.embed(input_ids)
        mask = None if attention_mask is None else additive_mask(attention_mask, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return BaseModelOutput(last_hidden_state=self.layer_norm(hidden))


@dataclass(frozen=True)
class CanvasLayer:
    """A decoder layer that knows the source: a function from the canvas's states to the next layer's."""

    layer: DecoderLayer
    encoder_states: Tensor
    encoder_mask: Tensor | None
    canvas_mask: Tensor | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Map `[batch, target_length, width]` states to the next layer's."""
        return self.layer(hidden, self.encoder_states, self.encoder_mask, self.canvas_mask)

    def over(self, hidden: Tensor, queries: int | None = None) -> Callable[[Tensor], Tensor]:
        """Return a function from any of the states, `[batch, m, width]`, to the next layer's; all serve as keys.

        Args:
            queries: about how many of a row's states it will be asked for, where that depends on the texts.
        """
        memory = self.layer.remember(hidden, self.encoder_states, queries)
        return lambda queries: self.layer.attend(queries, memory, self.encoder_mask, self.canvas_mask)


class Decoder(Stack):
    """The canvas's embeddings and layers. Which layer predicts what is decided in `exits`."""

    def __init__(self, config: ElmerConfig, embed_tokens: nn.Embedding) -> None:
        super().__init__(config, embed_tokens)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))

    def over_source(
        self, encoder_states: Tensor, encoder_mask: Tensor | None, canvas_mask: Tensor | None = None
    ) -> list[CanvasLayer]:
        """Return the layers as functions of the canvas's states alone."""
        layers = cast(Iterable[DecoderLayer], self.layers)
        return [CanvasLayer(layer, encoder_states, encoder_mask, canvas_mask) for layer in layers]
