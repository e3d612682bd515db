"""TextBox's trainer for ELMER: what `get_trainer` finds as `ELMERTrainer`. Import it after `textbox`."""

import math
import os
import shutil
from copy import copy
from pathlib import Path
from typing import Any

from textbox.trainer.trainer import Trainer

from textbox_elmer.errors import UserError
from textbox_elmer.files import put, remove
from textbox_elmer.model.finite import NoNumbersError
from textbox_elmer.termination import Terminated, deferred
from textbox_elmer.textbox_plugin.elmer import ELMER
from textbox_elmer.training_files import check_same_optimizer, damaged, load_training_file

CHECKPOINT, OPTIMIZER = "textbox_configuration.pt", "optimizer.pt"
SAVED = "checkpoint_epoch-"  # what the folder of a validation's model begins with
STOPPED = "checkpoint_stopped"
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

    def fit(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Train as TextBox does, and say so where the training diverges or SIGTERM ends it.

        Raises:
            UserError: the loss or the weights are no numbers.
            Terminated: SIGTERM came; it names where the weights are.
        """
        with deferred(f"the training has ended, and its models are in {self.saved_dir}."):
            try:
                return super().fit(*arguments, **named)
            except NoNumbersError as error:
                saved = sorted(Path(self.saved_dir).glob(f"{SAVED}*"), key=os.path.getmtime)
                kept = f"its last good checkpoint is {str(saved[-1])!r}" if saved else "no checkpoint was saved before"
                raise UserError(
                    f"The training has diverged at step {self.timestamp.train_step} (its loss or weights are no "
                    f"numbers): {kept}; train with a smaller --learning_rate or --grad_clip."
                ) from error
            except Terminated:
                raise Terminated(self._save_weights()) from None

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, Any] | None:
        """Validate or test as TextBox does.

        Raises:
            UserError: in a test, the weights are no numbers.
        """
        try:
            return super().evaluate(*arguments, **named)
        except NoNumbersError as error:
            if named.get("is_valid"):
                raise  # a matter of the training
            raise UserError("The test writes nothing, for the model's weights are no numbers: give others.") from error

    def _save_weights(self) -> str:
        """Save what was learnt since the last validation, and say where it is.

        TextBox goes on with a training only from an epoch's end, so this is a checkpoint of weights alone.
        """
        folder = Path(self.saved_dir) / STOPPED
        aside = folder.with_name(f".{STOPPED}.new")
        remove(aside)
        self.accelerator.unwrap_model(self.model).save_pretrained(aside)
        put(aside, folder)
        return f"the weights of step {self.timestamp.train_step} are saved, train on from --model_path={folder}."

    def resume_checkpoint(self, resume_dir: str) -> None:
        """Go on with the training that saved a checkpoint; one of another training only gives its weights.

        Raises:
            UserError: the checkpoint lacks the record of its training or the optimizer's state, one is damaged or holds
                more than values, or another optimizer is asked for.
        """
        if not self.config["do_train"]:
            return
        checkpoint = Path(resume_dir)
        record = load_training_file(checkpoint / CHECKPOINT)
        try:
            saved = {key: record["config"][key] for key in (*IDENTITY, "optimizer")}
        except Exception as error:  # whatever a record that is none answers
            raise damaged(checkpoint / CHECKPOINT, "it is no record of a training") from error
        if any(saved[key] != self.config[key] for key in IDENTITY):
            self.logger.info(f"{resume_dir} is of another training: taking its weights alone.")
            return
        check_same_optimizer(str(saved["optimizer"]).lower(), self.config["optimizer"], checkpoint)
        load_training_file(checkpoint / OPTIMIZER)
        try:
            super().resume_checkpoint(resume_dir)
        except Exception as error:  # torch and TextBox each raise their own kinds for what does not suit
            raise damaged(checkpoint / OPTIMIZER, "it belongs to another model or optimizer") from error
        # TextBox takes the running time for that of the best, which so would always be the latest.
        self._summary_tracker.best_valid_timestamp = copy(self.timestamp)
        self._keep_as_best(checkpoint.resolve())

    def _keep_as_best(self, checkpoint: Path) -> None:
        """Copy the checkpoint into this run's folder as its best: the test needs one even if no later one is better."""
        best = Path(self.saved_model_filename + "_best")
        if os.path.lexists(best) or not self.accelerator.is_local_main_process:
            return
        kept = best.with_name(f"checkpoint_epoch-{self.timestamp.valid_epoch}").absolute()
        shutil.copytree(checkpoint, kept, dirs_exist_ok=True)
        best.symlink_to(kept)
