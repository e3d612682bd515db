"""ELMER as TextBox's models are: what the checkout finds as `textbox.model.elmer`. Import it after `textbox`."""

import os
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from textbox.model.abstract_model import AbstractModel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.model.finite import NoNumbersError
from textbox_elmer.model.glancing import glancing_ratio
from textbox_elmer.terminal import reason_of
from textbox_elmer.termination import Terminated, is_terminated
from textbox_elmer.text.decoding import decode_texts
from textbox_elmer.textbox_plugin.batches import source_inputs, training_inputs
from textbox_elmer.textbox_plugin.building import NAME, build_elmer, load_elmer


class ELMER(AbstractModel):
    """A thin shell around `ElmerForConditionalGeneration`; its checkpoints are that model's, for any host.

    Raises:
        UserError: whatever the user can put right in the configuration, the checkpoint or the tokenizer.
    """

    def __init__(self, config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
        if config["efficient_methods"]:
            raise UserError(f"{NAME} knows no efficient_methods: leave {config['efficient_methods']!r} out.")
        super().__init__(config, tokenizer)
        self.model = build_elmer(config, tokenizer)
        self.configuration = self.model.config
        self.generation_kwargs = {"max_length": config["tgt_len"], **(config["generation_kwargs"] or {})}
        self.progress: Callable[[], float] = float  # how far the training is, from 0 to 1; the trainer tells
        self._try_generation()

    def forward(self, batch: dict[str, Any], epoch_idx: int = -1) -> Tensor:
        """Return a batch's mean loss per token in nats, smoothed by `label_smoothing` in training only.

        Raises:
            NoNumbersError: the loss is no number; TextBox itself reads it at once, so that asking costs nothing.
            Terminated: SIGTERM has come.
        """
        self._leave_if_terminated()
        inputs = training_inputs(batch, self.configuration.bos_token_id, self.configuration.canvas_length, self._where)
        learning: dict[str, float] = {}
        if self.training:
            ratio = glancing_ratio(self.progress(), self.config["glancing"], self.config["glancing_end"])
            learning = {"label_smoothing": self.label_smoothing, "glancing": ratio}
        loss = self.model(**inputs, **learning, return_logits=False).loss
        if not loss.isfinite():
            raise NoNumbersError("The model's loss is no number.")
        return loss

    @torch.no_grad()
    def generate(self, batch: dict[str, Any], accelerator: Accelerator) -> list[str]:
        """Return a text of one line for every source of a batch, those of all processes together."""
        self._leave_if_terminated()
        self.model.prepare_for_inference()  # until the trainer calls train() again
        inputs = source_inputs(batch, self._where)
        ids = self.model.generate(inputs["input_ids"], inputs["attention_mask"], **self.generation_kwargs)
        ids = accelerator.pad_across_processes(ids, dim=1, pad_index=self.tokenizer.pad_token_id)
        return decode_texts(self.tokenizer, accelerator.gather(ids))

    def from_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Load the weights of a checkpoint's folder into this model."""
        self.model.load_state_dict(load_elmer(str(save_directory)).state_dict())

    def save_pretrained(self, save_directory: str | os.PathLike[str], is_main_process: bool = True) -> None:
        """Save a folder that any host, and `ElmerForConditionalGeneration` alone, loads: weights and tokenizer."""
        self.model.save_pretrained(save_directory, is_main_process=is_main_process)
        self.tokenizer.save_pretrained(save_directory)

    @property
    def _where(self) -> torch.device:
        return self.model.device

    def _leave_if_terminated(self) -> None:
        """Raise between two steps or batches what SIGTERM asks for, unless other processes would wait for this one."""
        if is_terminated() and PartialState().num_processes == 1:
            raise Terminated

    def _try_generation(self) -> None:
        """Generate for one source, so that unsuitable options are found before the training and not after it."""
        try:
            self.model.generate(torch.tensor([[self.configuration.eos_token_id]]), **self.generation_kwargs)
        except NoNumbersError as error:
            raise UserError(f"{str(error).removesuffix('.')}: give other sizes or another --model_path.") from error
        except (ValueError, TypeError) as error:
            reason = reason_of(error)
            raise UserError(f"generation_kwargs does not suit {NAME}: {reason}") from error
