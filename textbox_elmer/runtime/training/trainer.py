"""transformers' `Seq2SeqTrainer` with TextBox's losses, schedules, validation and safe checkpoints."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import EvalPrediction, PreTrainedModel, PreTrainedTokenizerBase, Seq2SeqTrainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import EvalLoopOutput

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import evaluate
from textbox_elmer.model.finite import NoNumbersError, are_numbers
from textbox_elmer.model.glancing import glancing_ratio
from textbox_elmer.model.losses import mean_loss, token_count, token_losses
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.data.collators import prompts
from textbox_elmer.runtime.data.tokenization import source_lengths
from textbox_elmer.runtime.models.generation import DivergedError, Generated, generate_ids, prepared, wait_for
from textbox_elmer.runtime.runs.traces import make_traces
from textbox_elmer.runtime.training import checkpoints
from textbox_elmer.runtime.training.arguments import training_arguments
from textbox_elmer.runtime.training.callbacks import (
    EveryNthEpoch,
    Finished,
    FinishFirst,
    LeaveWhenTerminated,
    PlainProgress,
    ProgressBars,
    SaveBetweenValidations,
    StopWhenWorse,
)
from textbox_elmer.runtime.training.optimizers import optimizer_and_arguments
from textbox_elmer.runtime.training.resuming import OPTIMIZER, SCHEDULER, alike, check_loaded, read_state
from textbox_elmer.runtime.training.schedule import build_schedule
from textbox_elmer.runtime.training.selection import selects_by_loss, validation_score
from textbox_elmer.runtime.training.sharding import (
    check_deepspeed,
    is_sharded,
    load_whole,
    own_part,
    save_whole,
    unlearnt,
    whole_copy,
)
from textbox_elmer.terminal import reason_of
from textbox_elmer.termination import Terminated, deferred
from textbox_elmer.text.decoding import decode_texts
from textbox_elmer.training_files import damaged

logger = logging.getLogger(__name__)

# Of a test with more examples, so many tell their tokens' probabilities, taken evenly from all batches.
SCORED_EXAMPLES = 1024


class HostTrainer(Seq2SeqTrainer):
    """Trains, validates and tests one model under a resolved configuration.

    Args:
        config: the run's configuration.
        spec: the model's entry in the registry.
        run: the run's folder, where checkpoints go.
        collator: makes batches of the datasets' examples.
        train_dataset, eval_dataset: tokenized splits, or None for what is not done.
        references: the validation split's references, one or several per example.
    """

    # What Trainer may do without.
    model: PreTrainedModel
    processing_class: PreTrainedTokenizerBase
    optimizer: torch.optim.Optimizer
    optimizer_cls_and_kwargs: tuple[type[torch.optim.Optimizer], dict[str, Any]]
    lr_scheduler: torch.optim.lr_scheduler.LambdaLR

    def __init__(
        self,
        config: Config,
        spec: ModelSpec,
        run: Path,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        collator: Callable,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        references: Sequence[str | list[str]] = (),
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.config, self.spec, self.run = config, spec, run
        self.references, self.generates, self.scored_share = references, not selects_by_loss(config), 0.0
        self._start_decoding()
        examples = len(train_dataset) if isinstance(train_dataset, Sized) else 0
        super().__init__(
            model=model,
            args=training_arguments(config, spec, model, run, examples, validates=eval_dataset is not None),
            data_collator=collator,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=tokenizer,
            compute_metrics=self._score,
            callbacks=list(callbacks),
        )
        if self.is_deepspeed_enabled:
            check_deepspeed(self.accelerator.state.deepspeed_plugin, spec.parallel)
        if self.is_fsdp_enabled and train_dataset is None:
            self.is_fsdp_enabled = False  # FSDP2 knows no model without an optimizer
            self.model.to(self.args.device)  # type: ignore[arg-type]
        elif self.is_fsdp_enabled:
            save_whole(self.accelerator.state.fsdp_plugin)
        # So that Trainer counts the tokens that `compute_loss` divides by, whatever the model's own forward takes.
        self.model_accepts_loss_kwargs = True
        self.optimizer_cls_and_kwargs = optimizer_and_arguments(config)
        self.args.weight_decay = self.optimizer_cls_and_kwargs[1]["weight_decay"]
        self.remove_callback(PrinterCallback)
        if not self.args.disable_tqdm:
            self.remove_callback(ProgressCallback)
            self.add_callback(ProgressBars())
        self.add_callback(PlainProgress())
        self.add_callback(SaveBetweenValidations())
        if config["valid_strategy"] == "epoch" and config["valid_steps"] > 1:
            self.add_callback(EveryNthEpoch(config["valid_steps"]))
        if config["stopping_steps"] and eval_dataset is not None:
            self.add_callback(StopWhenWorse(config["stopping_steps"]))
        self.add_callback(FinishFirst(self._make_up_validation))
        self.add_callback(LeaveWhenTerminated())

    def train(self, resume_from_checkpoint: str | None = None) -> None:  # type: ignore[override]
        """Train, from a checkpoint on if there is one.

        Raises:
            UserError: the training diverged, the checkpoint does not suit, or none can be saved.
            Terminated: SIGTERM came; all that was learnt is in the checkpoint that it names.
        """
        self._resumed = None if resume_from_checkpoint is None else Path(resume_from_checkpoint)
        best = self.run / checkpoints.BEST
        with deferred(f"the training has ended: test with --do_train=False --model_path={best}."):
            try:
                super().train(resume_from_checkpoint=resume_from_checkpoint)
            except Finished:
                self.is_in_train = False
            except Terminated:
                raise Terminated(self._save_before_leaving()) from None

    def use_best(self) -> None:
        """Put the best weights of the training that has ended, if any were saved, into the model."""
        best = self.run / checkpoints.BEST / checkpoints.WEIGHTS
        if not best.is_file():
            return
        if is_sharded(self.model):
            model = unlearnt(self.accelerator.unwrap_model(self.model))
            self.model = model.to(self.args.device)  # type: ignore[arg-type]
        self.model.load_state_dict(load_file(best), strict=False)

    def _save_before_leaving(self) -> str:
        """Save a checkpoint, and say what is kept."""
        kept, begun = self.run / f"checkpoint-{self.state.global_step}", self._resumed
        if begun is not None and read_state(begun).global_step == self.state.global_step:
            return f"no step was made, go on with --model_path={begun}."
        try:
            self._save_checkpoint(self.model_wrapped, None)
        except UserError as error:
            return str(error)
        return f"step {self.state.global_step} is saved, go on with --model_path={kept}."

    def _make_up_validation(self) -> bool:
        metrics = self.evaluate()
        if self._determine_best_metric(metrics, None) and self.args.should_save and self._resumed is not None:
            checkpoints.publish_best(self._resumed, self.run)
        return self.control.should_training_stop

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Build TextBox's schedule over the run's steps."""
        if self.lr_scheduler is None:
            self.lr_scheduler = build_schedule(
                optimizer or self.optimizer,
                self.config["scheduler"],
                self.config["scheduler_kwargs"] or {},
                self.optimizer_cls_and_kwargs[1]["lr"],
                num_training_steps,
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Load weights as Trainer does, but from the same file where processes hold parts of them."""
        if self.is_fsdp_enabled:
            load_whole(self.model, load_file(Path(resume_from_checkpoint) / checkpoints.WEIGHTS))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load them as Trainer does, and see at once whether they can go on."""
        if checkpoint is None:
            return
        folder, fresh = Path(checkpoint), self.lr_scheduler.state_dict()
        try:
            super()._load_optimizer_and_scheduler(checkpoint)
        except Exception as error:  # each part of torch raises its own kinds
            raise damaged(folder / OPTIMIZER, "it belongs to another model or optimizer") from error
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            check_loaded(self.optimizer, *self.optimizer_cls_and_kwargs, folder)
        if not alike(self.lr_scheduler.state_dict(), fresh):
            raise damaged(folder / SCHEDULER, "it is no schedule's")

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the batch's mean loss per token in nats, smoothed by `label_smoothing` in training only.

        In training it is the batch's share of the mean over all tokens of an optimizer step, those of other devices and
        of other accumulated batches included, so that neither changes what is learnt.
        """
        try:
            outputs, loss = self._run(model, inputs)
        except NoNumbersError as error:
            raise UserError(self._diverged(model.training)) from error
        self._check_loss(loss, model.training)
        if model.training and num_items_in_batch is not None:
            # Processes average their gradients, so each multiplies by their number first.
            share = token_count(inputs["labels"]) * self.accelerator.num_processes / num_items_in_batch
            loss = loss * share
        return (loss, outputs) if return_outputs else loss

    def _run(self, model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Any, Tensor]:
        """Return what a model makes of a batch, and its mean loss per token."""
        smoothing = (self.config["label_smoothing"] or 0.0) if model.training else 0.0
        if self.spec.parallel:
            shown = self._glancing() if model.training else 0.0
            outputs = model(**inputs, label_smoothing=smoothing, glancing=shown, return_logits=False)
            return outputs, outputs.loss
        if self.spec.causal:
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            labels = inputs["labels"][:, 1:]  # each token predicts the next
            return outputs, mean_loss(token_losses(outputs.logits[:, :-1], labels, smoothing), labels)
        outputs = model(**inputs)
        return outputs, mean_loss(token_losses(outputs.logits, inputs["labels"], smoothing), inputs["labels"])

    def _glancing(self) -> float:
        """Return the share of its wrong tokens that a parallel model is shown at this step."""
        progress = self.state.global_step / max(self.state.max_steps, 1)
        return glancing_ratio(progress, self.config["glancing"], self.config["glancing_end"])

    def _check_loss(self, loss: Tensor, learns: bool) -> None:
        """Stop where a loss is no number; a GPU, which would have to wait, is asked at logging steps and in tests."""
        asks = not learns or loss.device.type == "cpu" or self.state.global_step % self.args.logging_steps == 0
        if asks and not loss.isfinite():
            raise UserError(self._diverged(learns))

    def _diverged(self, learns: bool) -> str:
        """Say that the loss or the weights are no numbers, at the step that is being made or after the last one."""
        if not self.is_in_train:
            tested = self.config["model_path"] or self.run / checkpoints.BEST
            return f"The test has a loss that is no number: the weights in {str(tested)!r} have diverged; give others."
        last = checkpoints.checkpoints(self.run)
        kept = f"its last good checkpoint is {str(last[-1])!r}" if last else "no checkpoint was saved before"
        step = self.state.global_step + learns
        return (
            f"The training has diverged at step {step} (its loss or weights are no numbers): "
            f"{kept}; train with a smaller --learning_rate or --grad_clip."
        )

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, Any, Tensor | None]:
        """Return a batch's loss, its generated ids `[batch, longest]` and its labels, timing the generation alone.

        In a test of a parallel model, all fields of `Generated` take the ids' place.
        """
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs).detach()
        if prediction_loss_only or not self.generates:
            return loss, None, None
        source, mask = inputs["input_ids"], inputs["attention_mask"]
        if self.spec.causal:
            source, mask = prompts(inputs, self.processing_class.pad_token_id)
        generated = self._generate(source, mask)
        if generated.copied is None or not self.scored_share:
            return loss, generated.ids, inputs["labels"]
        # Trainer takes plain tuples apart, and pads with -100, which no boolean can be.
        generated = generated._replace(copied=generated.copied.long(), scores=self._scores(source, mask, generated.ids))
        return loss, tuple(generated), inputs["labels"]

    def _generate(self, input_ids: Tensor, attention_mask: Tensor) -> Generated:
        model = self.accelerator.unwrap_model(self.model)
        wait_for(input_ids.device)
        start = time.perf_counter()
        generated = generate_ids(model, self.spec, self.config, input_ids, attention_mask)
        wait_for(input_ids.device)
        self.decoding_seconds += time.perf_counter() - start
        self.decoded += len(input_ids)
        return generated

    def _scores(self, input_ids: Tensor, attention_mask: Tensor, sequences: Tensor) -> Tensor:
        """Return the probability of each token of `sequences`, `[batch, longest]`; NaN in texts that are not scored.

        A generation of its own, for the pass over the vocabulary that it takes would lengthen the one that is timed.
        """
        rows = math.ceil(len(input_ids) * self.scored_share)
        model = self.accelerator.unwrap_model(self.model)
        sources = input_ids[:rows], attention_mask[:rows]
        generated = generate_ids(model, self.spec, self.config, *sources, scored=True)
        missing = sequences.shape[1] - generated.ids.shape[1]
        again = nn.functional.pad(generated.ids, (0, missing), value=model.config.pad_token_id)
        assert generated.scores is not None
        scores = nn.functional.pad(generated.scores.float(), (0, missing))
        # Rounding may differ between batches of different sizes: what is no score of this very text is none.
        scores = scores.masked_fill((again != sequences[:rows]).any(-1, keepdim=True), torch.nan)
        return nn.functional.pad(scores, (0, 0, 0, len(input_ids) - rows), value=torch.nan)

    def _score(self, prediction: EvalPrediction) -> dict[str, float | str]:
        """Turn generated ids into texts, kept in `texts`, and those into metrics and the score that sums them up."""
        found: Any = prediction.predictions
        written, *told = found if isinstance(found, tuple) else (found,)
        ids = np.where(written < 0, self.processing_class.pad_token_id, written)
        self.texts = decode_texts(self.processing_class, ids)
        self.traces = make_traces(self.processing_class, ids, *told) if told else []
        metrics = evaluate(self.texts, self.references, self.config)
        return metrics | {"score": validation_score(metrics, self.config)}

    def _start_decoding(self) -> None:
        self.decoding_seconds, self.decoded, self.texts, self.traces = 0.0, 0, [], []

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validate: the loss always, and the metrics too unless the loss alone selects the best checkpoint."""
        self._start_decoding()
        return super().evaluate(*args, **kwargs)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Gather what several processes generated, without the examples that only filled up their last batch."""
        self.gather_function = self.accelerator.gather_for_metrics
        try:
            with self._whole(), prepared(self.accelerator.unwrap_model(self.model)):
                return super().evaluation_loop(*args, **kwargs)
        except (NoNumbersError, DivergedError) as error:
            raise UserError(self._diverged(learns=False)) from error

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Validate within the block by a copy of all weights, where each process holds a part of them."""
        model = self.model
        if is_sharded(model):
            self.model = whole_copy(model, self.accelerator.unwrap_model(model), self.args.device)
        try:
            yield
        finally:
            self.model = model

    def test(self, dataset: Any, references: Sequence[str | list[str]]) -> dict[str, float | str]:
        """Generate for a tokenized test split and return its metrics and loss.

        The texts, in its order, are in `texts`, and a parallel model's `traces` beside them. Batches hold sources of
        similar lengths, so that little of them is padding.
        """
        order = np.argsort(-source_lengths(dataset), kind="stable")
        self.references, self.generates = [references[number] for number in order], True
        self.scored_share = min(1.0, SCORED_EXAMPLES / len(order))
        self._start_decoding()
        metrics = super().predict(dataset.select(order), metric_key_prefix="test").metrics or {}
        self.texts = [self.texts[place] for place in np.argsort(order)]
        self.traces = [self.traces[place] for place in np.argsort(order)] if self.traces else []
        return {name.removeprefix("test_"): value for name, value in metrics.items()}

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save into a hidden folder, then move the complete checkpoint into place and delete old ones."""
        staging = self.run / checkpoints.STAGING
        if not are_numbers(map(own_part, model.parameters())):
            raise UserError(self._diverged(learns=False))
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each process writes its own random state
            if self.args.should_save:
                self._publish(staging / f"checkpoint-{self.state.global_step}")
        except Exception as error:  # a full disk surfaces as OSError, RuntimeError, SafetensorError or a Rust error
            raise UserError(
                f"Checkpoint {self.state.global_step} cannot be saved into {str(self.run)!r} "
                f"({reason_of(error)}): earlier checkpoints are untouched; make room, then continue "
                "with --model_path=<the last checkpoint>."
            ) from error
        finally:
            if self.args.should_save:
                shutil.rmtree(staging, ignore_errors=True)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Save the model; of weights that were gathered name by name, those of several names once."""
        if state_dict is not None:
            others = self.accelerator.unwrap_model(self.model).all_tied_weights_keys
            state_dict = {name: weight for name, weight in state_dict.items() if name not in others}
        super()._save(output_dir, state_dict)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.run / checkpoints.STAGING)

    def _publish(self, written: Path) -> None:
        best_step = self.state.best_global_step
        if best_step is not None:
            self.state.best_model_checkpoint = str(self.run / f"checkpoint-{best_step}")
            self.state.save_to_json(str(written / "trainer_state.json"))
        self.config.save(written / checkpoints.SAVED_CONFIG)
        (written / checkpoints.FSDP_WEIGHTS).unlink(missing_ok=True)
        # Without validation there is no best step, and the latest weights are what a test should use.
        if best_step in (None, self.state.global_step):
            checkpoints.publish_best(written, self.run)
        final = self.run / written.name
        checkpoints.remove(final)
        written.rename(final)
        keep = 2 if self.config["max_save"] is None else self.config["max_save"]
        # checkpoint_best counts as one; the latest stays in any case, for a kill may follow.
        checkpoints.remove_old(self.run, keep if keep < 0 else max(keep - 1, 1))
