"""TextBox's trainer for ELMER: what `get_trainer` finds as `ELMERTrainer`. Import it after `textbox`."""

import math
import os
import shutil
from copy import copy
from pathlib import Path
from typing import Any

import torch
from textbox.trainer.trainer import Trainer

from textbox_elmer.errors import UserError
from textbox_elmer.textbox_plugin.elmer import ELMER

CHECKPOINT = "textbox_configuration.pt"
# What makes two runs the same training.
IDENTITY = ("model", "dataset", "pretrain_task")


class ELMERTrainer(Trainer):
    """TextBox's own trainer, which tells how far it is and takes a checkpoint up only where it belongs."""

    def __init__(self, config: Any, model: ELMER, accelerator: Any) -> None:
        super().__init__(config, model, accelerator)
        model.progress = self._progress

    def _progress(self) -> float:
        return (self.timestamp.train_step - 1) / self._steps  # TextBox counts from 1

    def _train_epoch(self, train_data: Any, epoch_idx: int, valid_data: Any = None) -> dict[str, Any]:
        if hasattr(train_data.collate_fn, "epoch"):
            train_data.collate_fn.epoch = epoch_idx - 1  # TextBox counts from 1
        self._steps = self.config["max_steps"] or self.epochs * math.ceil(len(train_data) / self.accumulation_steps)
        return super()._train_epoch(train_data, epoch_idx, valid_data)

    def resume_checkpoint(self, resume_dir: str) -> None:
        """Go on with the training that saved a checkpoint; one of another training only gives its weights.

        Raises:
            UserError: the checkpoint's record of the training is damaged or holds more than values.
        """
        if not self.config["do_train"]:
            return
        try:
            saved = torch.load(Path(resume_dir) / CHECKPOINT, map_location="cpu", weights_only=True)["config"]
        except Exception as error:  # zip, pickle and torch each raise their own kinds for a damaged file
            raise UserError(
                f"The training cannot be resumed: {str(Path(resume_dir) / CHECKPOINT)!r} is damaged or holds more than "
                "values; give --resume_training=False to take the weights alone."
            ) from error
        if any(saved[key] != self.config[key] for key in IDENTITY):
            self.logger.info(f"{resume_dir} is of another training: taking its weights alone.")
            return
        super().resume_checkpoint(resume_dir)
        # TextBox takes the running time for that of the best, which so would always be the latest.
        self._summary_tracker.best_valid_timestamp = copy(self.timestamp)
        self._keep_as_best(Path(resume_dir).resolve())

    def _keep_as_best(self, checkpoint: Path) -> None:
        """Copy the checkpoint into this run's folder as its best: the test needs one even if no later one is better."""
        best = Path(self.saved_model_filename + "_best")
        if os.path.lexists(best) or not self.accelerator.is_local_main_process:
            return
        kept = best.with_name(f"checkpoint_epoch-{self.timestamp.valid_epoch}").absolute()
        shutil.copytree(checkpoint, kept, dirs_exist_ok=True)
        best.symlink_to(kept)
