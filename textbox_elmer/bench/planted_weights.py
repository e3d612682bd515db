"""Random weights whose texts end, and whose tokens leave, where a bench wants it, so that all rows do the same work."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.layers import POSITION_OFFSET

# Lengths beside random embeddings of norm init_std * sqrt(width), about 0.55 at BART-base's size.
POSITION_NORM, END_NORM = 5.0, 0.6
# The logit of a token that a state is sure of; those of random words have a deviation of about 0.5.
SURE = 30.0
# A feed-forward unit that answers to states within some 70 degrees of a direction (cosine 0.3), and how loud.
THRESHOLD, LOUDNESS = 0.3, 20.0
FIRST_PLANTED_TOKEN = 100
# What a layer of a planted saturation adds to a state that is to change, as a share of the state's norm.
CHANGE = 0.7
# Where planted decisions are taken, by each criterion.
THRESHOLDS = {"saturation": 0.86, "classifier": 0.9}
# Log-odds of a planted classifier for each unit of cosine with its layer's direction, and the cosine where it wavers.
SLOPE, WORTH = 60.0, 0.15
# The score of a planted transition in every head; those of others have a deviation of about an eighth of it.
LINKED = 60.0


@torch.no_grad()
def plant(model: ElmerForConditionalGeneration, output_length: int, canvas: int) -> None:
    """Make a randomly initialised model end every text after `output_length` tokens, whatever the source.

    The position of the end carries a direction of its own, which the end-of-text token's embedding answers to. Every
    other position p becomes sure of a token at layer p modulo the number of layers, so that the mean exit is at half
    depth: it carries its layer's direction, and a feed-forward unit there turns that into the token's embedding.
    """
    leaving = _plant_positions(model, output_length, canvas, range(model.config.decoder_layers))[:-1]
    decoder, words, width = model.model.decoder, model.model.shared.weight, model.config.d_model**0.5
    for number, (layer, direction) in enumerate(zip(decoder.layers, leaving, strict=True)):
        token = FIRST_PLANTED_TOKEN + number
        words[token] *= SURE / width / words[token].norm()
        layer.fc1.weight[0], layer.fc1.bias[0] = direction, -THRESHOLD * width
        layer.fc2.weight[:, 0] = LOUDNESS * normalize(words[token], dim=0)


@torch.no_grad()
def plant_decisions(
    model: ElmerForConditionalGeneration, output_length: int, canvas: int, exits: Sequence[int]
) -> None:
    """Make a randomly initialised model end every text as `plant` does, and be sure of position p at `exits`' layer p.

    From there on its state changes no more. Below, two feed-forward units a layer answer to the directions of positions
    that are to leave higher up: together they are a step, which adds the same to all of their states, whatever is left
    of the direction. The layer's exit classifier answers to the directions of those that leave there. The end leaves at
    half depth.

    Args:
        exits: layers, of which the positions take turns.
    """
    *leaving, end = _plant_positions(model, output_length, canvas, exits)
    layers, width = model.model.decoder.layers, model.config.d_model**0.5
    leaving[(len(layers) - 1) // 2] = leaving[(len(layers) - 1) // 2] + end
    drawn = torch.Generator().manual_seed(1)
    for number, layer in enumerate(layers):
        higher, added = (
            sum(leaving[number + 1 :], torch.zeros_like(end)),
            torch.randn(len(end), generator=drawn).to(end),
        )
        added = CHANGE * width * normalize(added - added.mean(), dim=0)
        for unit, sign in ((0, 1), (1, -1)):
            layer.fc1.weight[unit], layer.fc1.bias[unit] = higher, -THRESHOLD * width - unit
            layer.fc2.weight[:, unit] = sign * added
    classifier = model.exit_classifier
    assert classifier is not None
    classifier.weight.copy_(SLOPE / width * torch.stack(leaving[: len(classifier.weight)]))
    classifier.bias.fill_(-SLOPE * WORTH)


def _plant_positions(
    model: ElmerForConditionalGeneration, output_length: int, canvas: int, exits: Sequence[int]
) -> Tensor:
    """Give positions the direction of the layer where each is to leave, and the end its own; return all of these."""
    config, words = model.config, model.model.shared.weight
    drawn = torch.Generator().manual_seed(0)
    directions = torch.randn(config.decoder_layers + 1, config.d_model, generator=drawn).to(words)
    directions -= directions.mean(-1, keepdim=True)
    *leaving, end = directions = torch.linalg.qr(directions.T).Q.T
    positions = model.model.decoder.embed_positions.weight[POSITION_OFFSET:]
    for place in range(canvas):
        positions[place] = POSITION_NORM * leaving[exits[place % len(exits)]]
    positions[output_length - 1] = POSITION_NORM * end
    words[config.eos_token_id] = END_NORM * end
    return directions


@torch.no_grad()
def plant_path(model: ElmerForConditionalGeneration, output_length: int, canvas: int) -> None:
    """Make a randomly initialised graph lead every text over `output_length` vertices behind the first, evenly spread.

    Each of those carries a direction, which is the one before with its numbers moved on by a place; so the queries of
    the links are the directions moved, their keys the directions themselves.
    """
    links, width = model.links, model.config.d_model
    assert links is not None
    drawn = torch.Generator().manual_seed(0)
    direction = normalize(torch.randn(width, generator=drawn), dim=0).to(links.q_proj.weight)
    positions = model.model.decoder.embed_positions.weight[POSITION_OFFSET:]
    for step in range(output_length + 1):
        positions[step * (canvas - 1) // output_length] = POSITION_NORM * direction.roll(step)
    # What a head's query and key have in common is, on average, its share of the whole, over sqrt(width / heads).
    size = (LINKED * links.heads * (width / links.heads) ** 0.5) ** 0.5 / POSITION_NORM
    same = size * torch.eye(width)
    for projection, weight in ((links.q_proj, same.roll(1, 0)), (links.k_proj, same)):
        projection.weight.copy_(torch.cat([torch.zeros_like(weight), weight], dim=1))
