"""TextBox's training keys as transformers' training arguments."""

import logging
import sys
from pathlib import Path

import torch
from transformers import PreTrainedModel, Seq2SeqTrainingArguments

from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.training.selection import selects_by_loss

logger = logging.getLogger(__name__)

MOST_STEPS_BETWEEN_LOGS = 50
LOGS_PER_EPOCH = 10


def training_arguments(
    config: Config, spec: ModelSpec, model: PreTrainedModel, run: Path, examples: int, validates: bool
) -> Seq2SeqTrainingArguments:
    """Translate a resolved configuration; `examples` is the number of training examples, 0 if none or unknown."""
    strategy = {"epoch": "epoch", "step": "steps"}[config["valid_strategy"]]
    by_loss = selects_by_loss(config)
    # ELMER's concat_head serves soft exit alone.
    idle = spec.idle_weights or (
        spec.parallel and (config["pretrain_task"] == "lplm" or model.config.exit_mode != "soft")
    )
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(run),
        per_device_train_batch_size=config["train_batch_size"],
        per_device_eval_batch_size=config["eval_batch_size"],
        gradient_accumulation_steps=config["accumulation_steps"],
        num_train_epochs=config["epochs"],
        max_steps=config["max_steps"] or -1,
        learning_rate=config["learning_rate"],
        # Adafactor bounds its own updates; like TextBox, leave its gradients alone.
        max_grad_norm=0.0 if config["optimizer"] == "adafactor" else config["grad_clip"] or 0.0,
        eval_strategy=strategy if validates else "no",
        eval_steps=config["valid_steps"],
        save_strategy=strategy,
        save_steps=config["valid_steps"],
        metric_for_best_model=("loss" if by_loss else "score") if validates else None,
        greater_is_better=not by_loss if validates else None,
        disable_tqdm=config["disable_tqdm"] or not sys.stderr.isatty(),
        report_to="none",
        seed=config["seed"],
        # Said outright where there is none: accelerate would otherwise not join the processes of a launcher.
        use_cpu=not (config["use_gpu"] and torch.accelerator.is_available()),
        remove_unused_columns=False,
        label_names=["labels"],
        bf16_full_eval=config["bf16_full_eval"],
        dataloader_num_workers=config["dataloader_num_workers"],
        dataloader_pin_memory=config["use_gpu"] and torch.cuda.is_available(),
        ddp_find_unused_parameters=config["find_unused_parameters"] or idle,
    )
    if arguments.n_gpu > 1:
        logger.warning(
            "Training on one of the %d GPUs: torchrun --nproc_per_node=%d run_textbox.py … uses them all.",
            arguments.n_gpu,
            arguments.n_gpu,
        )
        # Trainer would copy the model to all of them at each step (torch.nn.DataParallel).
        arguments._n_gpu = 1
    batch_size = arguments.train_batch_size * arguments.world_size * arguments.gradient_accumulation_steps
    epoch_steps = -(-examples // batch_size)
    arguments.logging_steps = max(1, min(MOST_STEPS_BETWEEN_LOGS, epoch_steps // LOGS_PER_EPOCH))
    return arguments
