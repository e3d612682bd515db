"""Generating texts with any of the host's models, under the options that a configuration gives."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.models.registry import ModelSpec

LENGTHS = ("max_length", "min_length")
EMPTY_OUTPUT = "NULL"  # what TextBox writes for a text of no words


def generate_ids(
    model: PreTrainedModel,
    spec: ModelSpec,
    config: Config,
    input_ids: Tensor,
    attention_mask: Tensor,
    scored: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Generate for sources `[batch, source_length]`, padded on the left for a causal model, else on the right.

    Returns:
        ids `[batch, longest]`, without the source, and, from a parallel model, the layer that each came from (-1 at
        padding) and, if `scored`, its probability there.

    Raises:
        UserError: `generation_kwargs` holds what this model's generate() does not take.
    """
    options: dict[str, Any] = {"max_length": config["tgt_len"], **(config["generation_kwargs"] or {})}
    source_length = input_ids.shape[1] if spec.causal else 0
    # A causal model's generate() counts the source, too; ours are lengths of the text.
    options |= {key: options[key] + source_length for key in LENGTHS if isinstance(options.get(key), int)}
    if spec.parallel:
        options |= {"return_dict_in_generate": True, "output_scores": scored}
    try:
        output = model.generate(input_ids=input_ids, attention_mask=attention_mask, **options)
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"generation_kwargs does not suit {spec.name}: {reason}") from error
    if spec.parallel:
        return output.sequences, output.exit_layers, output.scores
    return output[:, source_length:], None, None


def decode_ids(tokenizer: PreTrainedTokenizerBase, ids: Sequence[Sequence[int]]) -> list[str]:
    """Return the text of each row of generated ids, with whatever line breaks and blanks the model wrote."""
    return tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def decode_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[Sequence[int]]) -> list[str]:
    """Return the text of each row of generated ids, as one line of `generation.txt`."""
    return [" ".join(text.splitlines()).strip() or EMPTY_OUTPUT for text in decode_ids(tokenizer, ids)]
