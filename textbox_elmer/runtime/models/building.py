"""A model from nothing but sizes, or from a checkpoint, with a sentence for everything that can be wrong with one."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from textbox_elmer.errors import UserError, as_user_error
from textbox_elmer.hub import hub_arguments
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.loading import check_taken_further, load_weights, read_config
from textbox_elmer.model.sizes import check_counts, check_fits, check_lengths, settle_canvas
from textbox_elmer.runtime.catalogue.model_spec import LANGUAGES, ModelSpec
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.models import pairs
from textbox_elmer.runtime.models.special_ids import SpecialIds, special_ids
from textbox_elmer.terminal import reason_of

logger = logging.getLogger(__name__)


def build_model(config: Config, spec: ModelSpec, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Build the model that a resolved configuration asks for: from `model_path`, else from scratch.

    Raises:
        UserError: sizes that do not fit together, a checkpoint that is missing, damaged, of another kind or with
            weights missing or misfitting, a text length beyond the model's positions, a tokenizer without a token that
            the model's format needs.
    """
    if spec.parallel and tokenizer.mask_token_id is None:
        raise UserError(
            f"The tokenizer {tokenizer.name_or_path or config['tokenizer_path'] or config['model_path']!r} has no mask "
            f"token, which {spec.name} fills its canvas with: give another one by --tokenizer_path."
        )
    special = special_ids(spec, tokenizer, config)
    wanted = config.model_fields() | dict(config["config_kwargs"] or {})
    if config["model_path"] is None:
        model = _from_scratch(spec, wanted, config, tokenizer, special)
    else:
        model = _from_pretrained(spec, wanted, config, tokenizer)
    _check_lengths(model.config, config, spec)
    if not spec.parallel:
        _set_special_ids(model, spec, tokenizer, special)
    return model


def _set_special_ids(
    model: PreTrainedModel, spec: ModelSpec, tokenizer: PreTrainedTokenizerBase, special: SpecialIds
) -> None:
    """Let training and generation begin and end texts as the model's format does."""
    ids = {"eos_token_id": special.end, "pad_token_id": tokenizer.pad_token_id}
    # What else a decoder starts from is for its checkpoint to say.
    if spec.format.start in LANGUAGES or getattr(model.config, "decoder_start_token_id", None) is None:
        ids["decoder_start_token_id"] = special.start
    for name, value in ids.items():
        setattr(model.config, name, value)
        setattr(model.generation_config, name, value)
    if special.forced is not None:
        model.generation_config.forced_bos_token_id = special.forced


def _from_scratch(
    spec: ModelSpec,
    wanted: dict[str, Any],
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    special: SpecialIds,
) -> PreTrainedModel:
    fields = wanted | _token_fields(spec, tokenizer, special) | _canvas_fields(spec, config, tokenizer)
    # Marian counts its decoder's vocabulary apart.
    fields |= {name: len(tokenizer) for name in spec.config_fields() if name.endswith("vocab_size")}
    try:
        check_counts(fields, "the configuration")
        if config["config_path"] is not None:
            model_config = _read_config(spec, config["config_path"], fields)
        elif spec.half:
            model_config = pairs.new_config(spec.half, fields)
        else:
            model_config = AutoConfig.for_model(spec.model_type, **fields)
        _check_layers(model_config)
        build = partial(_auto_class(spec).from_config, model_config)
        check_fits(build, _trains(config))
        return build()
    except UserError:
        raise
    except Exception as error:  # every model has its own ways to say that its sizes are none
        raise UserError(
            f"{spec.name} cannot be built from these sizes: {reason_of(error).removesuffix('.')}."
        ) from error


def _trains(config: Config) -> bool:
    return bool(config["do_train"]) or config.pretrains


def _check_layers(model_config: PreTrainedConfig) -> None:
    """Raise a ValueError for a decoder deeper than T5's kind can generate with."""
    encoder, decoder = (getattr(model_config, name, None) for name in ("num_layers", "num_decoder_layers"))
    if isinstance(encoder, int) and isinstance(decoder, int) and decoder > encoder:
        # In transformers the cache of generate() has as many layers as the encoder.
        raise ValueError(
            f"its decoder has {decoder} layers and its encoder {encoder}, which may not be fewer: give "
            f"num_decoder_layers={encoder} or a larger num_layers"
        )


def _auto_class(spec: ModelSpec) -> type[AutoModelForCausalLM | AutoModelForSeq2SeqLM]:
    return AutoModelForCausalLM if spec.causal else AutoModelForSeq2SeqLM


def _token_fields(spec: ModelSpec, tokenizer: PreTrainedTokenizerBase, special: SpecialIds) -> dict[str, int | None]:
    fields = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": special.end,
    }
    if special.start is not None:
        fields["decoder_start_token_id"] = special.start
    if getattr(AutoConfig.for_model(spec.model_type), "forced_eos_token_id", None) is not None:
        fields["forced_eos_token_id"] = special.end
    return fields


def _canvas_fields(spec: ModelSpec, config: Config, tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    if not spec.parallel:
        return {}
    return {"mask_token_id": tokenizer.mask_token_id, "canvas_length": config["tgt_len"]}


def checkpoint_config(path: str) -> PreTrainedConfig:
    """Return the configuration that a checkpoint, a folder or a name on the hub, came with.

    Raises:
        UserError: there is none, or it is damaged.
    """
    with as_user_error():
        return read_config(path, **hub_arguments(path))


def _read_config(spec: ModelSpec, path: str, fields: Mapping[str, Any]) -> PreTrainedConfig:
    """Read a checkpoint's configuration and set `fields` in it."""
    with as_user_error():
        check_counts(fields, "the configuration")
    found = checkpoint_config(path)
    accepted = (spec.model_type, "bart") if spec.parallel else (spec.model_type, *filter(None, [spec.half]))
    if found.model_type not in accepted:
        raise UserError(
            f"{path!r} holds a model of type {found.model_type!r}, but --model={spec.name} loads "
            f"{' or '.join(repr(kind) for kind in accepted)}."
        )
    if spec.half:
        return pairs.with_fields(found, fields)
    config_class = ElmerConfig if spec.parallel else type(found)
    try:
        return config_class.from_pretrained(path, **fields, **hub_arguments(path))
    except Exception as error:  # as above
        raise UserError(f"The configuration of {path!r} does not take these values: {reason_of(error)}") from error


def _from_pretrained(
    spec: ModelSpec, wanted: dict[str, Any], config: Config, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    path = str(config["model_path"])
    fields = wanted | _canvas_fields(spec, config, tokenizer)
    # A saved configuration names the vocabulary that was asked for; the checkpoint knows the one that it got.
    fields.pop("vocab_size", None)
    model = load_pretrained(spec, path, config["config_path"] or path, fields, _trains(config))
    vocabulary = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
    if len(tokenizer) > vocabulary:
        logger.info("The tokenizer has %d tokens, the checkpoint %d: adding rows.", len(tokenizer), vocabulary)
        parts: list[Any] = [model.encoder, model.decoder] if spec.half else [model]
        for part in parts:
            part.resize_token_embeddings(len(tokenizer))
    return model


def load_pretrained(
    spec: ModelSpec, path: str, config_path: str, fields: Mapping[str, Any], trains: bool = False
) -> PreTrainedModel:
    """Load a checkpoint's weights in float32.

    Args:
        path: a folder, or a name on the hub.
        config_path: where its configuration lies, mostly the same.
        fields: values that replace the configuration's.
        trains: whether the model will be trained, so that it may get parts that the checkpoint lacks.

    Raises:
        UserError: a checkpoint that is missing, damaged, of another kind or with weights missing, misfitting or no
            numbers, or that has learnt something else than it is asked for.
    """
    model_config = _read_config(spec, config_path, fields)
    if isinstance(model_config, ElmerConfig):
        _check_taken_further(path, model_config, trains)
    model_class = ElmerForConditionalGeneration if spec.parallel else _auto_class(spec)
    auto = AutoModel if model_config.model_type == spec.half else _auto_class(spec)
    try:
        _check_layers(model_config)
        check_fits(partial(auto.from_config, model_config), trains)
    except Exception as error:
        raise UserError(
            f"{path!r} cannot be loaded by its configuration: {reason_of(error).removesuffix('.')}."
        ) from error
    load = pairs.from_halves if model_config.model_type == spec.half else model_class.from_pretrained
    trust = {} if spec.parallel else {"trust_remote_code": False}
    with as_user_error():
        return load_weights(load, path, model_config, **trust, **hub_arguments(path))


def _check_taken_further(path: str, wanted: ElmerConfig, trains: bool) -> None:
    try:
        found = AutoConfig.from_pretrained(path, trust_remote_code=False, **hub_arguments(path))
    except (OSError, ValueError):  # the weights' folder needs no configuration beside --config_path's
        return
    with as_user_error():
        check_taken_further(path, found, wanted, trains)


def _check_lengths(model_config: PreTrainedConfig, config: Config, spec: ModelSpec) -> None:
    sizes: dict[tuple[str, ...], str]
    if spec.causal:
        sizes = {("src_len", "tgt_len"): "max_position_embeddings"}
    elif hasattr(model_config, "max_encoder_position_embeddings"):
        sizes = {("src_len",): "max_encoder_position_embeddings", ("tgt_len",): "max_decoder_position_embeddings"}
    else:
        sizes = {(key,): "max_position_embeddings" for key in ("src_len", "tgt_len")}
    holder = model_config.decoder if spec.half else model_config

    def origin(key: str) -> str:
        return f" (set by {config.origin(key)})"

    with as_user_error():
        if isinstance(model_config, ElmerConfig):
            settle_canvas(model_config, config, config.pretrains, origin)
        check_lengths(holder, sizes, config, spec.reserved_positions, origin)
