"""A model from nothing but sizes, or from a checkpoint, with a sentence for everything that can be wrong with one."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

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

from textbox_elmer.errors import UserError
from textbox_elmer.hub import hub_arguments
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.loading import (
    check_finite,
    check_taken_further,
    few,
    new_weights,
    read_weights,
    weight_problems,
)
from textbox_elmer.model.sizes import check_counts, check_fits
from textbox_elmer.runtime.catalogue.find_model import ModelSpec
from textbox_elmer.runtime.catalogue.formats import LANGUAGES
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


def _auto_class(spec: ModelSpec) -> type:
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
    try:
        check_counts(PreTrainedConfig.get_config_dict(path, **hub_arguments(path))[0], f"the config.json of {path!r}")
        # Said outright: unset, transformers asks on the terminal whether to run a checkpoint's own code.
        return AutoConfig.from_pretrained(path, trust_remote_code=False, **hub_arguments(path))
    except Exception as error:  # each kind of model has its own ways to say that its configuration is none
        raise UserError(
            f"No model configuration can be read from {path!r}: it is no folder with a valid config.json, and the hub "
            f"offers or answers nothing by that name ({reason_of(error)}). Give a local folder, or connect first."
        ) from error


def _read_config(spec: ModelSpec, path: str, fields: Mapping[str, Any]) -> PreTrainedConfig:
    """Read a checkpoint's configuration and set `fields` in it."""
    try:
        check_counts(fields, "the configuration")
    except ValueError as error:
        raise UserError(str(error)) from error
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
    vocabulary = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > vocabulary:
        logger.info("The tokenizer has %d tokens, the checkpoint %d: adding rows.", len(tokenizer), vocabulary)
        for part in (model.encoder, model.decoder) if spec.half else (model,):
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
    if spec.parallel:
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
    try:
        model, report = read_weights(load, path, model_config, **trust, **hub_arguments(path))
        check_finite(path, model)
    except ValueError as error:
        raise UserError(str(error)) from error
    _check_weights(path, report, model)
    for part in filter(_is_sinusoidal, model.modules()):
        part.requires_grad_(False)  # which loading forgets
    return model


def _check_taken_further(path: str, wanted: PreTrainedConfig, trains: bool) -> None:
    try:
        found = AutoConfig.from_pretrained(path, trust_remote_code=False, **hub_arguments(path))
    except (OSError, ValueError):  # the weights' folder needs no configuration beside --config_path's
        return
    try:
        check_taken_further(path, found, wanted, trains)
    except ValueError as error:
        raise UserError(str(error)) from error


def _is_sinusoidal(part: nn.Module) -> bool:
    return "Sinusoidal" in type(part).__name__


def _check_weights(path: str, report: Mapping[str, Any], model: PreTrainedModel) -> None:
    """Raise a UserError if a loading report lists weights that are missing or have another shape."""
    # Positions told by sines are computed: PEGASUS's published checkpoints do without them.
    sines = tuple(f"{name}." for name, part in model.named_modules() if _is_sinusoidal(part))
    new = new_weights(report, model.config)
    missing = [name for name in report["missing_keys"] if not name.startswith(sines) and name not in new]
    if problems := weight_problems({**report, "missing_keys": missing}):
        raise UserError(f"The checkpoint {path!r} {problems}: give one made by this kind of model.")
    if new:
        count = sum(model.get_parameter(name).numel() for name in new)
        logger.info(
            "New beside the checkpoint's weights, and to be learnt: %s (%s numbers).", few(new, 16), f"{count:,}"
        )
    if unexpected := sorted(report["unexpected_keys"]):
        logger.warning("The checkpoint %r also holds %s, which the model has no place for.", path, few(unexpected))


def _check_lengths(model_config: PreTrainedConfig, config: Config, spec: ModelSpec) -> None:
    if spec.causal:
        sizes = {("src_len", "tgt_len"): "max_position_embeddings"}
    elif hasattr(model_config, "max_encoder_position_embeddings"):
        sizes = {("src_len",): "max_encoder_position_embeddings", ("tgt_len",): "max_decoder_position_embeddings"}
    else:
        sizes = {(key,): "max_position_embeddings" for key in ("src_len", "tgt_len")}
    if spec.parallel:
        _check_canvas(model_config, config)
    holder = model_config.decoder if spec.half else model_config
    for keys, field in sizes.items():
        positions = getattr(holder, field, None)
        if positions is None:
            continue
        positions -= spec.reserved_positions
        if sum(config[key] for key in keys) > positions:
            lengths = " and ".join(f"{key} is {config[key]} (set by {config.origin(key)})" for key in keys)
            together = " for both together" if len(keys) > 1 else ""
            room = positions - sum(config[key] for key in keys[1:])
            hint = f"give --{keys[0]}={room} or less" if room > 0 else "give less of either"
            raise UserError(f"{lengths}, but the model has {positions} positions{together} ({field}): {hint}.")


def _check_canvas(model_config: ElmerConfig, config: Config) -> None:
    needed, positions = model_config.canvas_positions(config["tgt_len"]), model_config.max_position_embeddings
    if config.pretrains:  # where canvases that would not fit are cut to fit
        model_config.canvas_length = min(model_config.canvas_length, int(positions / model_config.canvas_scale))
    elif needed > positions and model_config.canvas_scale > 1:
        raise UserError(
            f"tgt_len is {config['tgt_len']} (set by {config.origin('tgt_len')}) and canvas_scale "
            f"{model_config.canvas_scale}, which makes a canvas of {needed} positions, but the model has {positions} "
            f"(max_position_embeddings): give --tgt_len={int(positions / model_config.canvas_scale)} or less, or a "
            "smaller --canvas_scale."
        )
    plain = model_config.alignment == "position" and not model_config.copy_source
    if config["label_smoothing"] and not plain:
        raise UserError(
            f"label_smoothing is {config['label_smoothing']} (set by {config.origin('label_smoothing')}), which is for "
            "alignment=position without copy_source alone: give --label_smoothing=0."
        )
