"""What happens between steps: validating every n epochs, stopping early, writing progress into the log."""

import logging
import time
from collections.abc import Callable
from typing import Any

from accelerate.utils import broadcast_object_list, gather_object
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from textbox_elmer.termination import Terminated, is_terminated

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_SAVES = 300
STEPS_BETWEEN_QUESTIONS = 20


class EveryNthEpoch(TrainerCallback):
    """Validate and save after every `epochs`-th epoch, and after the last, instead of after each."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if round(state.epoch or 0) % self.epochs and state.global_step < state.max_steps:
            control.should_evaluate = control.should_save = False


class StopWhenWorse(TrainerCallback):
    """Stop after more than `patience` validations in a row that did not beat the best one (`stopping_steps`).

    The count is read off the training's history, so that it survives a resume.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        key = f"eval_{args.metric_for_best_model}"
        values = [entry[key] for entry in state.log_history if key in entry]
        best = max(values) if args.greater_is_better else min(values)
        since_best = len(values) - 1 - values.index(best)
        if since_best > self.patience:
            logger.info("Stopping early: %d validations since the best one.", since_best)
            control.should_training_stop = True


class SaveBetweenValidations(TrainerCallback):
    """Save a checkpoint when the last one is `SECONDS_BETWEEN_SAVES` old, so that a kill never costs a long epoch."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.saved_at = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # At an epoch's end the validation comes first: a checkpoint from before it would resume without it.
        due = (state.epoch or 0) % 1 > 0 and time.monotonic() - self.saved_at >= SECONDS_BETWEEN_SAVES
        if args.world_size > 1:
            # Processes have clocks of their own and must not disagree about a save: the main one decides, now and then.
            due = state.global_step % STEPS_BETWEEN_QUESTIONS == 0 and broadcast_object_list([due])[0]
        if due:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.saved_at = time.monotonic()


class LeaveWhenTerminated(TrainerCallback):
    """Leave the training after SIGTERM, where a checkpoint continues to the same weights; add it after all others.

    That is between two steps, or amid a validation: one that is due is begun, and made up for on going on
    (`FinishFirst`).
    """

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # What an epoch's end asks for is said only there, and at the training's end nothing is left to save.
        if (state.epoch or 0) % 1 > 0 and not control.should_training_stop:
            self._leave_unless_validated(args, state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._leave_unless_validated(args, state, control)

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.world_size == 1 and is_terminated():
            raise Terminated

    def _leave_unless_validated(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        if control.should_evaluate:
            return
        ends = is_terminated()
        if args.world_size > 1:  # none may leave alone
            ends = state.global_step % STEPS_BETWEEN_QUESTIONS == 0 and any(gather_object([ends]))
        if ends:
            raise Terminated


class Finished(Exception):
    """A training that is resumed has no step left."""


class FinishFirst(TrainerCallback):
    """Make up for a validation that was left, before a training goes on, and do no step beyond the last.

    Args:
        validate: validates, and keeps the weights if they are the best; tells whether they are the last, too.
    """

    def __init__(self, validate: Callable[[], bool]) -> None:
        self.validate = validate

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Trainer saves its switches and does not set them again. Saved after a validation, they ask for none.
        saved: Any = state.stateful_callbacks  # by name: it is no list once Trainer has begun
        asked = saved.get("TrainerControl", {}).get("args", {}).get("should_evaluate", False)
        stops = asked and args.eval_strategy != "no" and self.validate()
        if stops or state.global_step >= state.max_steps:
            raise Finished


class ProgressBars(ProgressCallback):
    """transformers' bars for steps and batches, without its own printing of what `PlainProgress` says better."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        """Print nothing."""


class PlainProgress(TrainerCallback):
    """Write each log entry of the training as one line, with the time that is left."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.start, self.start_step = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        if "loss" not in logs:
            scores = {name.removeprefix("eval_"): value for name, value in logs.items() if name.startswith("eval_")}
            shown = {name: value for name, value in scores.items() if not name.endswith(("runtime", "_per_second"))}
            logger.info("valid %s", _line(shown))
            return
        done = max(state.global_step - self.start_step, 1)
        left = (time.monotonic() - self.start) / done * (state.max_steps - state.global_step)
        logger.info(
            "step %d/%d epoch %.2f loss %.4f learning rate %.3g, %d:%02d left",
            state.global_step,
            state.max_steps,
            state.epoch or 0,
            logs["loss"],
            logs["learning_rate"],
            *divmod(round(left), 60),
        )


def _line(values: dict[str, Any]) -> str:
    shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in values.items()}
    return "  ".join(f"{name} {value}" for name, value in shown.items())
