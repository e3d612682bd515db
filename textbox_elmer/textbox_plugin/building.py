"""ELMER as a TextBox configuration asks for it: from sizes, or from a checkpoint, whichever host made that."""

from functools import partial
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError, as_user_error
from textbox_elmer.hub import hub_arguments
from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model.loading import check_taken_further, load_weights, read_config
from textbox_elmer.model.sizes import check_counts, check_fits, check_lengths, settle_canvas
from textbox_elmer.terminal import reason_of

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
    with as_user_error():
        check_lengths(model_config, {(key,): "max_position_embeddings" for key in ("src_len", "tgt_len")}, config)
        settle_canvas(model_config, config, config["pretrain_task"] is not None)
    return model_config


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
    with as_user_error():
        if model_config is not None:
            check_taken_further(path, ElmerConfig.from_pretrained(path), model_config, trains)
        load = ElmerForConditionalGeneration.from_pretrained
        return cast(ElmerForConditionalGeneration, load_weights(load, path, model_config))


def _read_config(path: str, fields: dict[str, Any]) -> ElmerConfig:
    with as_user_error():
        kind = read_config(path, **hub_arguments(path)).model_type
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
