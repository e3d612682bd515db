"""Small models with strong weights, and what they say of every word at every exit, computed the slow way."""

from dataclasses import dataclass

import torch
from torch import Tensor

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model import ElmerOutput

BOS, PAD, EOS, MASK, VOCABULARY = 0, 1, 2, 11, 12
IDS = torch.tensor([[0, 4, 7, 4, 9, 2], [0, 8, 5, 2, 1, 1], [0, 6, 2, 1, 1, 1]])
SIZES = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "max_position_embeddings": 40,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "gold_mixing": 0.0,
    "encoder_layers": 2,
    "decoder_layers": 3,
}
for side in ("encoder", "decoder"):
    SIZES |= {f"{side}_attention_heads": 2, f"{side}_ffn_dim": 24}
GRAPH: dict[str, object] = {"alignment": "dag", "canvas_scale": 2, "canvas_input": "source"}
# What canvases are made and read by, one of each.
MODELS: dict[str, dict[str, object]] = {
    "position": {},
    "position, copying": {"copy_source": True},
    "ctc": {"alignment": "ctc", "canvas_scale": 2},
    "dag": GRAPH,
    "dag, copying, pre-norm": {**GRAPH, "copy_source": True, "normalize_before": True},
}


def small_model(seed: int = 0, bias: float = 0.5, **changes: object) -> ElmerForConditionalGeneration:
    """Return a model without dropout whose positions write different words, at different exits."""
    torch.manual_seed(seed)
    config = ElmerConfig(**SIZES | {"init_std": 0.2} | changes)
    model = ElmerForConditionalGeneration(config).eval()
    torch.nn.init.normal_(model.model.shared.weight, std=0.6)
    torch.nn.init.normal_(model.model.decoder.embed_positions.weight, std=1.0)
    torch.nn.init.normal_(model.concat_head.weight, std=0.3)
    torch.nn.init.normal_(model.final_logits_bias, std=bias)
    return model


def word_log_probs(model: ElmerForConditionalGeneration, states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """The distribution of head and pointer together over the whole vocabulary, `[batch, m, vocabulary]`."""
    logits = states @ model.lm_head.weight.T + model.final_logits_bias
    if model.config.alignment == "dag":
        logits = logits.index_fill(-1, torch.tensor([BOS, PAD, EOS, model.config.mask_token_id]), -1e4)
    if not model.config.copy_source:
        return logits.log_softmax(-1)
    pointer, encoded = model.pointer, model.encode(ids, mask)[0]
    special = torch.isin(ids, torch.tensor([BOS, PAD, EOS, model.config.mask_token_id]))
    rows = []
    for row, (word_ids, shown) in enumerate(zip(ids, (mask != 0) & ~special, strict=True)):
        written = logits[row].softmax(-1)
        if not shown.any():
            rows.append(written.log())
            continue
        scores = pointer.q_proj(states[row]) @ pointer.k_proj(encoded[row, shown]).T / states.shape[-1] ** 0.5
        one_hot = torch.nn.functional.one_hot(word_ids[shown], logits.shape[-1]).to(scores.dtype)
        gate = pointer.gate(states[row]).sigmoid()
        rows.append((gate * written + (1 - gate) * (scores.softmax(-1) @ one_hot)).clamp(min=1e-37).log())
    return torch.stack(rows)


@dataclass
class Dense:
    """A forward pass with everything that its loss must come from.

    Attributes:
        output: what `forward` returned.
        states: what was read, `[batch, canvas, width]` each.
        exits: log-probabilities of all words, `[batch, canvas, vocabulary]`, of each exit that was read.
        transitions: the graph's, `[batch, canvas, canvas]`.
    """

    output: ElmerOutput
    states: list[Tensor]
    exits: list[Tensor]
    transitions: Tensor | None


def dense_forward(model: ElmerForConditionalGeneration, ids: Tensor = IDS, **inputs: object) -> Dense:
    """Run `forward` and read the exits once more, word by word."""
    mask = (ids != PAD).long()
    states: list[Tensor] = []
    hook = model.model.decoder.layer_norm.register_forward_hook(lambda *call: states.append(call[-1]))
    try:
        output = model(ids, mask, **inputs)
    finally:
        hook.remove()
    exits = [word_log_probs(model, exit_, ids, mask) for exit_ in states]
    return Dense(output, states, exits, transitions_of(model, states[-1], inputs.get("decoder_attention_mask")))


def transitions_of(model: ElmerForConditionalGeneration, states: Tensor, own: Tensor | None = None) -> Tensor | None:
    """A graph's transitions, `[batch, canvas, canvas]`, given the last exit's states and its own positions."""
    if model.links is None:
        return None
    batch, length, _ = states.shape
    lengths = torch.full((batch,), length) if own is None else own.sum(-1)
    return model.links(states, model.model.decoder.embed_positions.weight[2 : 2 + length], lengths)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy in nats of the distributions given by `[..., vocabulary]` logits, `[...]`."""
    log_probabilities = logits.float().log_softmax(-1)
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
