"""One experiment from configuration to results: data, tokenizer, model, training, test."""

import logging
import os
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed
from transformers.integrations import WandbCallback

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import check_metrics, metric_names
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config, format_config
from textbox_elmer.runtime.hard_exit import ExitWork, make_ready
from textbox_elmer.runtime.job import Job, prepare_fine_tuning
from textbox_elmer.runtime.models.generation import canvas_positions
from textbox_elmer.runtime.models.special_ids import check_languages
from textbox_elmer.runtime.pretraining_run import check_pretraining, prepare_pretraining
from textbox_elmer.runtime.runs.card import write_card
from textbox_elmer.runtime.runs.curves import Curves
from textbox_elmer.runtime.runs.folder import run_folder
from textbox_elmer.runtime.runs.logs import log_to_file, show_messages
from textbox_elmer.runtime.runs.results import library_versions, save_results, show_results, source_commit
from textbox_elmer.runtime.runs.summary import summarize
from textbox_elmer.runtime.training import HostTrainer, checkpoints
from textbox_elmer.runtime.training.corpus_trainer import PretrainingTrainer
from textbox_elmer.runtime.training.optimizers import optimizer_and_arguments
from textbox_elmer.runtime.training.processes import Processes
from textbox_elmer.runtime.training.resuming import check_resumable
from textbox_elmer.runtime.training.schedule import check_schedule
from textbox_elmer.runtime.training.selection import check_selection
from textbox_elmer.termination import deferred, saying

logger = logging.getLogger(__name__)


def run_experiment(config: Config, command: str) -> dict[str, Any]:
    """Train, validate and test as configured; return what is also written to results.json.

    Nothing is written before data, tokenizer and model have proved sound. Of several processes (torchrun, accelerate)
    each trains on its share and the main one writes.

    Args:
        config: a resolved configuration.
        command: how the run was started, for the record.

    Raises:
        UserError: whatever the user can put right.
    """
    _choose_device(config)
    processes = Processes(config["use_gpu"])
    show_messages(config["state"] if processes.is_main else "error")
    spec = find_model(config.model)
    _check(config, spec)
    set_seed(config["seed"])
    if config["reproducibility"]:
        torch.backends.cudnn.deterministic = True
    job = (prepare_pretraining if config.pretrains else prepare_fine_tuning)(config, spec, processes)
    resumed = _resumed_checkpoint(config, processes)
    with ExitStack() as stack:
        run = processes.from_main(stack.enter_context(run_folder(config)) if processes.is_main else None)
        return _run_in(run, config, command, spec, job, processes, resumed)


def _run_in(
    run: Path,
    config: Config,
    command: str,
    spec: ModelSpec,
    job: Job,
    processes: Processes,
    resumed: Path | None,
) -> dict[str, Any]:
    """Train, validate and test into the run's folder."""
    if processes.is_main:
        checkpoints.sweep(run)
        log_to_file(run / "run.log")
        config.save(run / checkpoints.SAVED_CONFIG)
        logger.info("%s\n%s", command, format_config(config))
        logger.info("%s with %s parameters, run folder %s", spec.name, f"{job.model.num_parameters():,}", run)
    trainer = (PretrainingTrainer if config.pretrains else HostTrainer)(
        config,
        spec,
        run,
        job.model,
        job.tokenizer,
        job.collator,
        train_dataset=job.train,
        eval_dataset=job.valid,
        references=job.references("valid"),
        callbacks=_trackers(config, run) if processes.is_main else (),
    )
    results: dict[str, Any] = {"model": config.model, "dataset": config.dataset, "run": str(run), "command": command}
    results |= {"commit": source_commit(), "seed": config["seed"], "versions": library_versions()}
    results["parameters"] = job.model.num_parameters()
    if config.pretrains:
        results["pretrain_task"] = config["pretrain_task"]
    if config["do_train"]:
        results["training"] = _train(trainer, resumed, run)
    if job.exits is not None:
        results |= _make_exits_ready(trainer, job.exits, run)
    if config["do_test"]:
        weights = run / checkpoints.BEST if config["do_train"] else config["model_path"]
        with saying(f"the test is not done, repeat it with --do_train=False --model_path={weights}."):
            results |= _test(trainer, config, job)
    if processes.is_main:
        with deferred(f"the run had just ended, its results are in {run}."):
            _write(results, trainer, job, run, config)
    return results


def _write(results: dict[str, Any], trainer: HostTrainer, job: Job, run: Path, config: Config) -> None:
    tested = config["do_test"]
    save_results(run, results, trainer.texts if tested else [], trainer.traces if tested else [])
    if config["max_save"] == 0:
        for path in (*checkpoints.checkpoints(run), run / checkpoints.BEST):
            checkpoints.remove(path)
    best = run / checkpoints.BEST
    if best.is_dir() and config["do_train"]:
        write_card(best, results, config, job.model.config.to_dict())
    if tested:
        show_results(results, job.texts["test"].source, job.references("test"), trainer.texts)
    logger.info("Results are in %s", run)


def _choose_device(config: Config) -> None:
    """Let torch see the asked-for GPU alone, as TextBox does, unless a launcher or the user already chose."""
    launched = "LOCAL_RANK" in os.environ or "CUDA_VISIBLE_DEVICES" in os.environ
    if config["use_gpu"] and config["gpu_id"] is not None and not launched:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(config["gpu_id"])


def _check(config: Config, spec: ModelSpec) -> None:
    """Find what can be found wrong with a configuration alone, before anything is read or made."""
    if config.pretrains:
        check_pretraining(config, spec)
    elif not (config["do_train"] or config["do_test"]):
        raise UserError("Nothing to do: both do_train and do_test are False.")
    check_languages(config, spec)
    check_metrics(config)
    check_selection(config)
    check_schedule(config["scheduler_kwargs"] or {})
    optimizer_and_arguments(config)
    if config["wandb"] not in (None, "disabled") and find_spec("wandb") is None:
        raise UserError(f"wandb={config['wandb']} needs the package wandb: pip install wandb.")


def _make_exits_ready(trainer: HostTrainer, work: ExitWork, run: Path) -> dict[str, Any]:
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return make_ready(work, run, trainer.is_world_process_zero())
    logger.warning(
        "Hard exit is not made ready, for this process holds but a part of the weights: repeat the test in one "
        "process, with --do_train=False --model_path=%s.",
        run / checkpoints.BEST,
    )
    return {}


def _trackers(config: Config, run: Path) -> list[TrainerCallback]:
    trackers: list[TrainerCallback] = [Curves(run / "tensorboard")]
    if config["wandb"] not in (None, "disabled"):
        os.environ["WANDB_MODE"] = config["wandb"]
        trackers.append(WandbCallback())
    return trackers


def _train(trainer: HostTrainer, resumed: Path | None, run: Path) -> dict[str, Any]:
    """Train, or go on with a stopped training, and leave the best weights in the model."""
    if resumed is not None:
        logger.info("Continuing the training of %s", resumed)
        best = checkpoints.best_of_stopped_run(resumed)
        if best is not None and resumed.parent.resolve() != run.resolve() and trainer.is_world_process_zero():
            checkpoints.publish_best(best, run)
    start = time.monotonic()
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    seconds = time.monotonic() - start
    trainer.accelerator.wait_for_everyone()
    trainer.use_best()
    return {
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "seconds": seconds,
        "best_step": trainer.state.best_global_step,
        "best_score": trainer.state.best_metric,
        "best_metrics": _best_validation(trainer),
    }


def _best_validation(trainer: HostTrainer) -> dict[str, Any]:
    """Return the scores of the validation that chose the weights; nothing where there was none."""
    wanted = {*metric_names(trainer.config), "loss"}
    for entry in trainer.state.log_history:
        scores = {key.removeprefix("eval_"): value for key, value in entry.items() if key.startswith("eval_")}
        if scores and entry["step"] == trainer.state.best_global_step:
            return {name: value for name, value in scores.items() if name in wanted}
    return {}


def _resumed_checkpoint(config: Config, processes: Processes) -> Path | None:
    """Return the checkpoint of this same training that `model_path` names, proved sound, if it names one."""
    path = config["model_path"]
    if not config["do_train"] or path is None or not os.path.isdir(path):
        return None
    saved = checkpoints.saved_training(Path(path), config)
    if saved is None:
        return None
    check_resumable(Path(path), saved, config, processes)
    return Path(path)


def _test(trainer: HostTrainer, config: Config, job: Job) -> dict[str, Any]:
    references = job.references("test")
    scores = trainer.test(job.test, references)
    return {
        "metrics": {name: scores[name] for name in metric_names(config)},
        "loss": scores["loss"],
        "decoding": {
            "ms_per_example": 1000 * trainer.decoding_seconds / trainer.decoded,
            "examples": len(references),
            "batch_size": config["eval_batch_size"],
            "canvas_positions": canvas_positions(job.model, trainer.spec, config),
        },
        **summarize(trainer.texts, trainer.traces),
    }
