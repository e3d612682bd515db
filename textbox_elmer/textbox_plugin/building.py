"""ELMER as a TextBox configuration asks for it: from sizes, or from a checkpoint, whichever host made that."""

import logging
from functools import partial
from typing import Any

from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
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
from textbox_elmer.terminal import reason_of

logger = logging.getLogger(__name__)

NAME = "ELMER"
# Fields of a model's configuration that say what the file is, not what the model is like.
FILE_FIELDS = ("architectures", "dtype", "model_type", "transformers_version")


def model_fields() -> frozenset[str]:
    """Return the names of ELMER's configuration fields that a TextBox configuration may set, e.g. `d_model`."""
    return frozenset(ElmerConfig().to_dict()).difference(FILE_FIELDS)


def elmer_config(config: Any, tokenizer: PreTrainedTokenizerBase) -> ElmerConfig:
    """Return the model's configuration: that of `config_path` or `model_path`, with what the TextBox one sets.

    Args:
        config: TextBox's configuration, in which a key that nothing set is None.

    Raises:
        UserError: a tokenizer without the special tokens that a canvas needs, an unreadable configuration, one of
            another kind of model, sizes that do not fit together or are below `src_len` or `tgt_len`.
    """
    _check_special_tokens(config, tokenizer)
    fields = {name: config[name] for name in model_fields() if config[name] is not None}
    fields |= dict(config["config_kwargs"] or {})
    fields |= {"mask_token_id": tokenizer.mask_token_id, "canvas_length": config["tgt_len"]}
    path = config["config_path"] or config["model_path"]
    if config["model_path"] is None:
        names = ("pad_token_id", "bos_token_id", "eos_token_id")
        fields |= {name: getattr(tokenizer, name) for name in names} | {"vocab_size": len(tokenizer)}
    else:
        fields.pop("vocab_size", None)  # a checkpoint knows its own
    try:
        check_counts(fields, "the configuration")
        model_config = ElmerConfig(**fields) if path is None else _read_config(str(path), fields)
        check_fits(partial(ElmerForConditionalGeneration, model_config), bool(config["do_train"]))
    except UserError:
        raise
    except Exception as error:  # every layer has its own ways to say that its sizes are none
        raise UserError(f"{NAME} cannot be built from these sizes: {reason_of(error).removesuffix('.')}.") from error
    for key in ("src_len", "tgt_len"):
        if config[key] > model_config.max_position_embeddings:
            positions = model_config.max_position_embeddings
            raise UserError(
                f"{key} is {config[key]}, but the model has {positions} positions (max_position_embeddings): give "
                f"--{key}={positions} or less."
            )
    _check_canvas(config, model_config)
    return model_config


def _check_canvas(config: Any, model_config: ElmerConfig) -> None:
    positions, scale = model_config.max_position_embeddings, model_config.canvas_scale
    most = int(positions / scale)
    if config["pretrain_task"] is not None:
        model_config.canvas_length = min(model_config.canvas_length, most)
    elif config["tgt_len"] > most:
        raise UserError(
            f"tgt_len is {config['tgt_len']} and canvas_scale {scale}, but the model has {positions} positions "
            f"(max_position_embeddings): give --tgt_len={most} or less, or a smaller --canvas_scale."
        )
    plain = model_config.alignment == "position" and not model_config.copy_source
    if config["label_smoothing"] and not plain:
        raise UserError(
            "label_smoothing is for alignment=position without copy_source alone: give --label_smoothing=0."
        )


def build_elmer(config: Any, tokenizer: PreTrainedTokenizerBase) -> ElmerForConditionalGeneration:
    """Build the model that a TextBox configuration asks for, in float32: from `model_path`, else from scratch.

    Raises:
        UserError: as `elmer_config`; a checkpoint that is missing, damaged, or has weights missing or misfitting.
    """
    model_config = elmer_config(config, tokenizer)
    if config["model_path"] is None:
        return ElmerForConditionalGeneration(model_config)
    trains = bool(config["do_train"])
    model = load_elmer(str(config["model_path"]), model_config, trains)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    return model


def load_elmer(
    path: str, model_config: ElmerConfig | None = None, trains: bool = False
) -> ElmerForConditionalGeneration:
    """Load a checkpoint's weights in float32, by its own configuration or another one.

    Args:
        trains: whether the model will be trained, so that it may get parts that the checkpoint lacks.

    Raises:
        UserError: it is missing, damaged, has weights missing, misfitting or no numbers, or has learnt something else
            than it is asked for.
    """
    try:
        if model_config is not None:
            check_taken_further(path, ElmerConfig.from_pretrained(path), model_config, trains)
        model, report = read_weights(ElmerForConditionalGeneration.from_pretrained, path, model_config)
        check_finite(path, model)
    except ValueError as error:
        raise UserError(str(error)) from error
    new = new_weights(report, model.config)
    missing = [name for name in report["missing_keys"] if name not in new]
    if problems := weight_problems({**report, "missing_keys": missing}):
        raise UserError(f"The checkpoint {path!r} {problems}: give one made by {NAME} or BART.")
    if new:
        logger.info("New beside the checkpoint's weights, and to be learnt: %s.", few(new, 16))
    return model


def _read_config(path: str, fields: dict[str, Any]) -> ElmerConfig:
    try:
        check_counts(PreTrainedConfig.get_config_dict(path)[0], f"the config.json of {path!r}")
        # Said outright: unset, transformers asks on the terminal whether to run a checkpoint's own code.
        kind = AutoConfig.from_pretrained(path, trust_remote_code=False).model_type
    except Exception as error:  # each kind of model has its own ways to say that its configuration is none
        raise UserError(f"No model configuration can be read from {path!r}: {reason_of(error)}") from error
    if kind not in ("elmer", "bart"):
        raise UserError(f"{path!r} holds a model of type {kind!r}, but --model={NAME} loads 'elmer' or 'bart'.")
    return ElmerConfig.from_pretrained(path, **fields)


def _check_special_tokens(config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    for kind in ("mask", "bos", "eos", "pad"):
        if getattr(tokenizer, f"{kind}_token_id") is None:
            name = tokenizer.name_or_path or config["tokenizer_path"] or config["model_path"]
            raise UserError(
                f"The tokenizer {name!r} has no {kind} token, which {NAME} needs for its canvas: give another one by "
                "--tokenizer_path."
            )
