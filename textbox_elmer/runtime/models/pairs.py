"""Models put together out of two of one kind, an encoder and a decoder, such as BERT2BERT."""

from collections.abc import Mapping
from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    PreTrainedConfig,
)

SHARED = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")


def new_config(half: str, fields: Mapping[str, Any]) -> PreTrainedConfig:
    """Return the configuration of a pair whose halves are both of the kind `half` and have these fields."""
    encoder, decoder = (AutoConfig.for_model(half, **fields) for _ in range(2))
    shared = {name: fields[name] for name in SHARED}
    return EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **shared)


def with_fields(config: PreTrainedConfig, fields: Mapping[str, Any]) -> PreTrainedConfig:
    """Set fields in both halves of a pair's configuration, or in that of a checkpoint that is to become both."""
    parts: list[Any] = [config.encoder, config.decoder] if isinstance(config, EncoderDecoderConfig) else [config]
    for part in parts:
        part.update(fields)
    return config


def from_halves(path: str, config: PreTrainedConfig, **loading: Any) -> tuple[EncoderDecoderModel, dict[str, Any]]:
    """Make a pair of twice the same checkpoint; what attends from one to the other starts at random.

    Returns:
        the pair, and what transformers reports of loading the encoder, less the pooler, which no text needs.
    """
    decoder_config = type(config).from_dict(config.to_dict() | {"is_decoder": True, "add_cross_attention": True})
    halves: list[tuple[Any, PreTrainedConfig]] = [(AutoModel, config), (AutoModelForCausalLM, decoder_config)]
    (encoder, report), (decoder, _) = (half.from_pretrained(path, config=fields, **loading) for half, fields in halves)
    needed = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    return EncoderDecoderModel(encoder=encoder, decoder=decoder), report | {
        "missing_keys": needed,
        "unexpected_keys": [],
    }
