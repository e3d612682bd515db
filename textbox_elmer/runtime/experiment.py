"""One experiment from configuration to results: data, tokenizer, model, training, test."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file
from torch.utils.tensorboard import SummaryWriter
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, set_seed
from transformers.integrations import TensorBoardCallback, WandbCallback

from textbox_elmer.runtime.config import Config, format_config
from textbox_elmer.runtime.data import (
    CanvasCollator,
    Seq2SeqCollator,
    Split,
    encode_split,
    find_dataset,
    load_split,
    load_tokenizer,
    train_tokenizer,
)
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.generation import generate_ids
from textbox_elmer.runtime.logs import log_to_console, log_to_file
from textbox_elmer.runtime.metrics import check_metrics, metric_names
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.registry import ModelSpec, find_model
from textbox_elmer.runtime.results import library_versions, save_results, show_results
from textbox_elmer.runtime.run_folder import make_run_folder
from textbox_elmer.runtime.training import HostTrainer, checkpoints
from textbox_elmer.runtime.training.optimizers import optimizer_and_arguments
from textbox_elmer.runtime.training.schedule import check_schedule
from textbox_elmer.runtime.training.selection import check_selection

logger = logging.getLogger(__name__)

QUICK_TEST_EXAMPLES = 32


@dataclass
class Data:
    """The splits that a run needs, as text and as ids; None for those that it does not."""

    texts: dict[str, Split]
    ids: dict[str, Dataset]

    def references(self, split: str) -> list[str | list[str]]:
        """Return a split's references, none if the run does without the split."""
        return self.texts[split].target if split in self.texts else []


def run_experiment(config: Config, command: str) -> dict[str, Any]:
    """Train, validate and test as configured; return what is also written to results.json.

    Nothing is written before data, tokenizer and model have proved sound.

    Args:
        config: a resolved configuration.
        command: how the run was started, for the record.

    Raises:
        UserError: whatever the user can put right.
    """
    log_to_console(config["state"])
    _choose_device(config)
    spec = find_model(config.model)
    _check(config)
    set_seed(config["seed"])
    if config["reproducibility"]:
        torch.backends.cudnn.deterministic = True
    data, tokenizer = _load_data(config)
    model = build_model(config, spec, tokenizer)
    for name, split in data.texts.items():
        data.ids[name] = encode_split(split, tokenizer, config)
    _try_generation(model, spec, config, data)
    run = make_run_folder(config)
    log_to_file(run / "run.log")
    config.save(run / checkpoints.SAVED_CONFIG)
    logger.info("%s\n%s", command, format_config(config))
    logger.info("%s with %s parameters, run folder %s", spec.name, f"{model.num_parameters():,}", run)
    trainer = HostTrainer(
        config,
        spec,
        run,
        model,
        tokenizer,
        _collator(config, spec, tokenizer),
        train_dataset=data.ids.get("train"),
        eval_dataset=data.ids.get("valid"),
        references=data.references("valid"),
        callbacks=_trackers(config, run),
    )
    results = {"model": config.model, "dataset": config.dataset, "run": str(run), "command": command}
    results |= {"seed": config["seed"], "versions": library_versions()}
    if config["do_train"]:
        results["training"] = _train(trainer, config, run)
    texts: list[str] = []
    if config["do_test"]:
        results |= _test(trainer, config, data)
        texts = trainer.texts
    save_results(run, results, texts)
    if config["max_save"] == 0:
        for path in (*checkpoints.checkpoints(run), run / checkpoints.BEST):
            shutil.rmtree(path, ignore_errors=True)
    if texts:
        show_results(results, data.texts["test"].source, data.references("test"), texts)
    logger.info("Results are in %s", run)
    return results


def _choose_device(config: Config) -> None:
    """Let torch see the asked-for GPU alone, as TextBox does, unless a launcher or the user already chose."""
    launched = "LOCAL_RANK" in os.environ or "CUDA_VISIBLE_DEVICES" in os.environ
    if config["use_gpu"] and config["gpu_id"] is not None and not launched:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(config["gpu_id"])


def _check(config: Config) -> None:
    """Find what can be found wrong with a configuration alone, before anything is read or made."""
    if not (config["do_train"] or config["do_test"]):
        raise UserError("Nothing to do: both do_train and do_test are False.")
    check_metrics(config)
    check_selection(config)
    check_schedule(config["scheduler_kwargs"] or {})
    optimizer_and_arguments(config)
    if config["wandb"] not in (None, "disabled") and find_spec("wandb") is None:
        raise UserError(f"wandb={config['wandb']} needs the package wandb: pip install wandb.")


def _load_data(config: Config) -> tuple[Data, PreTrainedTokenizerBase]:
    folder = find_dataset(config["data_path"], config.dataset)
    wanted = {
        "train": config["do_train"],
        "valid": config["do_train"] and config["do_valid"],
        "test": config["do_test"],
    }
    quick = config["quick_test"]
    limit = QUICK_TEST_EXAMPLES if quick is True else int(quick or 0)
    texts = {name: load_split(folder, name, limit) for name, needed in wanted.items() if needed}
    path = config["tokenizer_path"] or config["model_path"]
    if path is not None:
        tokenizer = load_tokenizer(str(path), **(config["tokenizer_kwargs"] or {}))
    else:
        logger.info("Training a tokenizer on %s", folder)
        tokenizer = train_tokenizer(folder, config["vocab_size"])
    return Data(texts, {}), tokenizer


def _try_generation(model: PreTrainedModel, spec: ModelSpec, config: Config, data: Data) -> None:
    """Generate for one source, so that unsuitable options are found before the training and not after it."""
    source = next(iter(data.ids.values()))[:1]["source_ids"]
    input_ids = torch.tensor(source)
    generate_ids(model.eval(), spec, config, input_ids, torch.ones_like(input_ids))


def _collator(config: Config, spec: ModelSpec, tokenizer: PreTrainedTokenizerBase) -> Callable:
    if spec.parallel:
        return CanvasCollator(tokenizer.pad_token_id, tokenizer.bos_token_id, canvas_length=config["tgt_len"])
    return Seq2SeqCollator(tokenizer.pad_token_id)


def _trackers(config: Config, run: Path) -> list[TrainerCallback]:
    trackers: list[TrainerCallback] = [TensorBoardCallback(SummaryWriter(log_dir=str(run / "tensorboard")))]
    if config["wandb"] not in (None, "disabled"):
        os.environ["WANDB_MODE"] = config["wandb"]
        trackers.append(WandbCallback())
    return trackers


def _train(trainer: HostTrainer, config: Config, run: Path) -> dict[str, Any]:
    """Train, or go on with a stopped training, and leave the best weights in the model."""
    resumed = _resumed_checkpoint(config)
    if resumed is not None:
        logger.info("Continuing the training of %s", resumed)
        best = checkpoints.best_of_stopped_run(resumed)
        if best is not None and resumed.parent.resolve() != run.resolve():
            checkpoints.publish_best(best, run)
    start = time.monotonic()
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    seconds = time.monotonic() - start
    best = run / checkpoints.BEST / "model.safetensors"
    if best.is_file():
        trainer.model.load_state_dict(load_file(best), strict=False)
    return {
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "seconds": seconds,
        "best_step": trainer.state.best_global_step,
        "best_score": trainer.state.best_metric,
    }


def _resumed_checkpoint(config: Config) -> Path | None:
    path = config["model_path"]
    if path is None or not Path(path).is_dir() or not checkpoints.continues_run(Path(path), config):
        return None
    return Path(path)


def _test(trainer: HostTrainer, config: Config, data: Data) -> dict[str, Any]:
    scores = trainer.test(data.ids["test"], data.references("test"))
    layers = torch.cat(trainer.exit_layers) if trainer.exit_layers else torch.empty(0)
    return {
        "metrics": {name: scores[name] for name in metric_names(config)},
        "loss": scores["loss"],
        "decoding": {
            "ms_per_example": 1000 * trainer.decoding_seconds / len(data.ids["test"]),
            "examples": len(data.ids["test"]),
            "batch_size": config["eval_batch_size"],
        },
        "mean_exit_layer": layers.float().mean().item() if layers.numel() else None,
    }
