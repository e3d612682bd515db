"""Generating texts with any of the host's models, under the options that a configuration gives."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from textbox_elmer.errors import UserError
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.model.finite import NoNumbersError
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.config import Config
from textbox_elmer.terminal import reason_of

LENGTHS = ("max_length", "min_length")


class DivergedError(UserError):
    """A model predicts no numbers."""


class Generated(NamedTuple):
    """Generated texts, `[batch, longest]` each; all but the ids is known of a parallel model's alone, else None.

    Attributes:
        ids: of the tokens, without the source.
        exit_layers: the layer (from 0) that each came from, -1 at padding.
        settled_layers: the layer since which its position has predicted each; -1 at padding.
        vertices: the canvas position that each came from, -1 at padding.
        copied: whether each came from the source rather than from the vocabulary.
        scores: the probability of each at its exit, if it was asked for.
    """

    ids: Tensor
    exit_layers: Tensor | None = None
    settled_layers: Tensor | None = None
    vertices: Tensor | None = None
    copied: Tensor | None = None
    scores: Tensor | None = None


def generate_ids(
    model: PreTrainedModel,
    spec: ModelSpec,
    config: Config,
    input_ids: Tensor,
    attention_mask: Tensor,
    scored: bool = False,
) -> Generated:
    """Generate for sources `[batch, source_length]`, padded on the left for a causal model, else on the right.

    Args:
        scored: whether the tokens' probabilities are wanted, if the model is a parallel one.

    Raises:
        UserError: `generation_kwargs` holds what this model's generate() does not take.
        DivergedError: the model's predictions are no numbers.
    """
    options = _options(config)
    source_length = input_ids.shape[1] if spec.causal else 0
    # A causal model's generate() counts the source, too; ours are lengths of the text.
    options |= {key: options[key] + source_length for key in LENGTHS if isinstance(options.get(key), int)}
    if spec.parallel:
        options |= {"return_dict_in_generate": True, "output_scores": scored}
    generate: Any = model.generate
    try:
        output = generate(input_ids=input_ids, attention_mask=attention_mask, **options)
    except NoNumbersError as error:
        weights = "its weights" if config["model_path"] is None else f"the weights in {str(config['model_path'])!r}"
        raise DivergedError(
            f"{spec.name} writes no texts, for its predictions are no numbers: {weights} have diverged; give others, "
            "trained with a smaller --learning_rate or --grad_clip."
        ) from error
    except (ValueError, TypeError) as error:
        reason = reason_of(error)
        raise UserError(f"generation_kwargs does not suit {spec.name}: {reason}") from error
    if spec.parallel:
        return Generated(
            output.sequences,
            output.exit_layers,
            output.settled_layers,
            output.vertices,
            output.copied,
            output.scores,
        )
    return Generated(output[:, source_length:])


def prepared(model: PreTrainedModel) -> AbstractContextManager:
    """Return a block in which a model that can be prepared for writing is (`prepare_for_inference`)."""
    return model.prepare_for_inference() if isinstance(model, ElmerForConditionalGeneration) else nullcontext()


def wait_for(device: torch.device) -> None:
    """Wait until a device has done all that it was given, so that time can be taken."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def canvas_positions(model: PreTrainedModel, spec: ModelSpec, config: Config) -> int | None:
    """Return how many positions the canvas of each text has that `generate_ids` writes; None without a canvas."""
    return model.config.canvas_positions(_options(config)["max_length"]) if spec.parallel else None


def _options(config: Config) -> dict[str, Any]:
    return {"max_length": config["tgt_len"], **(config["generation_kwargs"] or {})}
