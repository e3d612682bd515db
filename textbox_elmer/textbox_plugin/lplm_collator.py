"""`pretrain_task=lplm`: the embedded host's corruption, in the shape of TextBox's collators."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch

from textbox_elmer.errors import UserError, as_user_error
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.textbox_plugin.building import NAME, elmer_config

OPTIONS = ("mask_ratio", "poisson_lambda")


class LplmCollate:
    """Corrupts a batch's texts and draws an exit layer for each target position.

    The noise of a text is a function of the seed, the epoch and the text's number in its file, as in the embedded host.

    Attributes:
        epoch: the epoch of the training, from 0; the trainer sets it.
    """

    def __init__(self, config: Any, tokenizer: Any, set: str) -> None:
        if config["model"] != NAME:
            raise UserError(
                f"pretrain_task=lplm permutes exit layers, and {config['model']} has none: give "
                f"--pretrain_task=denoising, or --model={NAME}."
            )
        model = elmer_config(config, tokenizer)
        self.epoch = 0
        self.bos_token_id = tokenizer.bos_token_id
        with as_user_error():
            self.corrupt = PretrainingCollator(
                tokenizer,
                config["seed"],
                config["src_len"],
                canvas_positions=model.max_position_embeddings,
                canvas_scale=model.canvas_scale,
                exit_layers=model.decoder_layers,
                **{option: config[option] for option in OPTIONS if config[option] is not None},
            )

    @classmethod
    def get_type(cls) -> str:
        """Return the name that TextBox logs."""
        return "lplm (ELMER)"

    def __call__(self, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Corrupt samples, each with its `source_text` and, in a dataset, its `index`.

        Returns:
            `source_text`; `source_ids`, `source_mask` `[batch, source_length]`; `target_ids` `[batch, target_length]`
            with bos and eos, padded with -100; `canvas_mask` and `exit_layers` `[batch, target_length - 1]`.
        """
        texts = [sample["source_text"] for sample in samples]
        batch = self.corrupt(
            [
                {"text": text, "index": sample.get("index", number), "epoch": self.epoch}
                for number, (text, sample) in enumerate(zip(texts, samples, strict=True))
            ]
        )
        first = torch.full((len(texts), 1), self.bos_token_id)
        return {
            "source_text": texts,
            "source_ids": batch["input_ids"],
            "source_mask": batch["attention_mask"],
            "target_ids": torch.cat([first, batch["labels"]], dim=1),
            "canvas_mask": batch["decoder_attention_mask"],
            "exit_layers": batch["exit_layers"],
        }


def number_samples(dataset_class: Any) -> None:
    """Let TextBox's datasets tell each sample's number, `index`, which no collator of theirs could find out."""
    theirs: Callable[[Any, int], dict[str, Any]] = dataset_class.__getitem__
    if hasattr(theirs, "__wrapped__"):
        return

    @wraps(theirs)
    def numbered(dataset: Any, index: int) -> dict[str, Any]:
        return theirs(dataset, index) | {"index": index}

    dataset_class.__getitem__ = numbered
