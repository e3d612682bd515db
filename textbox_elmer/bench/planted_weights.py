"""Random weights whose texts end, and whose tokens leave, where a bench wants it, so that all rows do the same work."""

import torch

from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.layers import POSITION_OFFSET

# Lengths beside random embeddings of norm init_std * sqrt(width), about 0.55 at BART-base's size.
POSITION_NORM, END_NORM = 5.0, 0.6
# The logit of a token that a state is sure of; those of random words have a deviation of about 0.5.
SURE = 30.0
# A feed-forward unit that answers to states within some 70 degrees of a direction (cosine 0.3), and how loud.
THRESHOLD, LOUDNESS = 0.3, 20.0
FIRST_PLANTED_TOKEN = 100
# The score of a planted transition in every head; those of others have a deviation of about an eighth of it.
LINKED = 60.0


@torch.no_grad()
def plant(model: ElmerForConditionalGeneration, output_length: int, canvas: int) -> None:
    """Make a randomly initialised model end every text after `output_length` tokens, whatever the source.

    The position of the end carries a direction of its own, which the end-of-text token's embedding answers to. Every
    other position p becomes sure of a token at layer p modulo the number of layers, so that the mean exit is at half
    depth: it carries its layer's direction, and a feed-forward unit there turns that into the token's embedding.
    """
    config, decoder, words = model.config, model.model.decoder, model.model.shared.weight
    drawn = torch.Generator().manual_seed(0)
    directions = torch.randn(len(decoder.layers) + 1, config.d_model, generator=drawn).to(words)
    directions -= directions.mean(-1, keepdim=True)
    *leaving, end = torch.nn.functional.normalize(directions, dim=-1)
    positions = decoder.embed_positions.weight[POSITION_OFFSET:]
    for place in range(canvas):
        positions[place] = POSITION_NORM * leaving[place % len(leaving)]
    positions[output_length - 1] = POSITION_NORM * end
    words[config.eos_token_id] = END_NORM * end
    width = config.d_model**0.5
    for number, (layer, direction) in enumerate(zip(decoder.layers, leaving, strict=True)):
        token = FIRST_PLANTED_TOKEN + number
        words[token] *= SURE / width / words[token].norm()
        layer.fc1.weight[0], layer.fc1.bias[0] = direction, -THRESHOLD * width
        layer.fc2.weight[:, 0] = LOUDNESS * torch.nn.functional.normalize(words[token], dim=0)


@torch.no_grad()
def plant_path(model: ElmerForConditionalGeneration, output_length: int, canvas: int) -> None:
    """Make a randomly initialised graph lead every text over `output_length` vertices behind the first, evenly spread.

    Each of those carries a direction, which is the one before with its numbers moved on by a place; so the queries of
    the links are the directions moved, their keys the directions themselves.
    """
    links, width = model.links, model.config.d_model
    drawn = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(width, generator=drawn), dim=0).to(links.q_proj.weight)
    positions = model.model.decoder.embed_positions.weight[POSITION_OFFSET:]
    for step in range(output_length + 1):
        positions[step * (canvas - 1) // output_length] = POSITION_NORM * direction.roll(step)
    # What a head's query and key have in common is, on average, its share of the whole, over sqrt(width / heads).
    size = (LINKED * links.heads * (width / links.heads) ** 0.5) ** 0.5 / POSITION_NORM
    same = size * torch.eye(width)
    for projection, weight in ((links.q_proj, same.roll(1, 0)), (links.k_proj, same)):
        projection.weight.copy_(torch.cat([torch.zeros_like(weight), weight], dim=1))
