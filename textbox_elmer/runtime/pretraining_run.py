"""What a pre-training run needs: a corpus, a tokenizer, a model, and the collator that corrupts texts."""

import logging
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from textbox_elmer.cache import content_key
from textbox_elmer.errors import UserError, as_user_error
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.pretraining.corpus import (
    HeldOutTexts,
    Packing,
    StreamedCorpus,
    TextCorpus,
    build_index,
    find_files,
    first_texts,
    open_stream,
    sample_texts,
)
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import MODELS
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.data import (
    find_dataset,
    fingerprint,
    quick_test_limit,
)
from textbox_elmer.runtime.data.tokenizer import build_tokenizer
from textbox_elmer.runtime.job import Job
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.training.processes import Processes

logger = logging.getLogger(__name__)

HELD_OUT_SHARE, HELD_OUT_MOST = 100, 1000  # one in a hundred examples, at most a thousand


def check_pretraining(config: Config, spec: ModelSpec) -> None:
    """Raise a UserError for what is wrong with a pre-training's configuration alone."""
    if config["pretrain_task"] == "lplm" and not spec.parallel:
        able = ", ".join(spec.name for spec in MODELS.values() if spec.parallel)
        raise UserError(
            f"pretrain_task=lplm permutes exit layers, and {spec.name} has none: give --pretrain_task=denoising, or a "
            f"model that has them ({able})."
        )
    if spec.causal:
        raise UserError(
            f"pretrain_task={config['pretrain_task']} restores a corrupted text, and {spec.name} has no encoder to "
            "read it with: give an encoder-decoder model, e.g. --model=BART."
        )
    if not config["do_train"]:
        raise UserError("Nothing to do: pre-training has no test, and do_train is False.")
    if config["exit_target"] is not None:
        raise UserError("exit_target compares texts of a validation split, and pre-training writes none: leave it out.")


def prepare_pretraining(config: Config, spec: ModelSpec, processes: Processes) -> Job:
    """Open the corpus and build what trains on it; nothing is written but caches.

    Raises:
        UserError: whatever the user can put right.
    """
    train: TextCorpus | StreamedCorpus
    valid: TextCorpus | HeldOutTexts
    if "/" in config.dataset and not (Path(config["data_path"]) / config.dataset).is_dir():
        tokenizer, train, valid = _streamed(config, spec, processes)
    else:
        tokenizer, train, valid = _from_files(config, spec, processes)
    model = build_model(config, spec, tokenizer)
    with as_user_error():
        collator = PretrainingCollator(
            tokenizer,
            config["seed"],
            config["src_len"],
            config["mask_ratio"],
            config["poisson_lambda"],
            canvas_positions=model.config.max_position_embeddings if spec.parallel else None,
            canvas_scale=model.config.canvas_scale if spec.parallel else 1,
            exit_layers=model.config.decoder_layers if config["pretrain_task"] == "lplm" else None,
        )
    return Job(tokenizer, model, collator, train, valid if config["do_valid"] else None)


def _from_files(
    config: Config, spec: ModelSpec, processes: Processes
) -> tuple[PreTrainedTokenizerBase, TextCorpus, TextCorpus]:
    files = find_files(find_dataset(config["data_path"], config.dataset))
    skip = config["skip_bad_files"]
    with processes.main_first():  # the others find its work in the cache
        index = build_index(files.train, skip)
        tokenizer = build_tokenizer(config, spec, lambda: sample_texts(index))
        packing = _packing(config, tokenizer)
        train = build_index(files.train, skip, packing) if packing else index
        valid = build_index(files.valid, skip, packing) if files.valid else None
    limit = quick_test_limit(config["quick_test"])
    if valid is not None:
        return tokenizer, TextCorpus(train, stop=limit), TextCorpus(valid, stop=limit)
    held_out = min(HELD_OUT_MOST, -(-train.examples // HELD_OUT_SHARE)) if config["do_valid"] else 0
    if held_out == train.examples:
        raise UserError(f"{config.dataset!r} has one text and nothing to validate on: give --do_valid=False.")
    if held_out:
        logger.info("There are no validation files: validating on the first %d examples instead.", held_out)
    stop = None if limit is None else held_out + limit
    return tokenizer, TextCorpus(train, held_out, stop), TextCorpus(train, 0, held_out)


def _streamed(
    config: Config, spec: ModelSpec, processes: Processes
) -> tuple[PreTrainedTokenizerBase, StreamedCorpus, HeldOutTexts]:
    if not config["max_steps"]:
        raise UserError(f"{config.dataset!r} is streamed from the hub and has no known length: give --max_steps.")
    texts, held_out = open_stream(config.dataset)
    with processes.main_first():
        tokenizer = build_tokenizer(config, spec, lambda: first_texts(texts))
    packing = _packing(config, tokenizer)
    train = StreamedCorpus(texts, config["seed"], processes.count, processes.index, packing)
    return tokenizer, train, HeldOutTexts(held_out)


def _packing(config: Config, tokenizer: PreTrainedTokenizerBase) -> Packing | None:
    if not config["pack_texts"]:
        return None

    def count(texts: list[str]) -> list[int]:
        ids = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        return [len(row) for row in ids]

    room = config["src_len"] - tokenizer.num_special_tokens_to_add()
    return Packing(count, room, content_key(fingerprint(tokenizer)))
