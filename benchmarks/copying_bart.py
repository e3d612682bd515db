"""BART that copies from the source as ELMER's exits do: the autoregressive peer with the same pointer."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BartForConditionalGeneration
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.bart.modeling_bart import shift_tokens_right

from textbox_elmer.model.canvas import IGNORED
from textbox_elmer.model.pointer import TINY, Pointer, SourcePointer


class CopyingBart(BartForConditionalGeneration):
    """BART with a pointer-generator (See et al. 2017, arXiv 1704.04368) behind its decoder.

    Its `logits` are the log-probabilities of head and pointer together, so that transformers' own searches, cached and
    with beams, write with both.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.pointer = Pointer(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: Any = None,
        labels: Tensor | None = None,
        source_ids: Tensor | None = None,
        source_keys: Tensor | None = None,
        **options: Any,
    ) -> Seq2SeqLMOutput:
        """Return the log-probabilities of all words, `[batch, m, vocabulary]`, or, given labels, the mean loss alone.

        Args:
            input_ids: sources, `[batch, source_length]`.
            attention_mask: 1 for tokens, 0 for padding, `[batch, source_length]`.
            decoder_input_ids: what is written so far, `[batch, m]`; by default the labels, moved to the right.
            encoder_outputs, source_ids, source_keys: the encoder's states, the sources and the pointer's keys over
                them, in place of `input_ids` where the encoder has run already.
            labels: targets, -100 behind their ends, `[batch, m]`.
            options: those of `BartModel`.
        """
        if labels is not None:
            config = self.config
            decoder_input_ids = shift_tokens_right(labels, config.pad_token_id, config.decoder_start_token_id)
            options["use_cache"] = False
        outputs = self.model(
            input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            encoder_outputs=encoder_outputs,
            **options | {"return_dict": True},
        )
        ids, states = input_ids if source_ids is None else source_ids, outputs.last_hidden_state
        keys = self.pointer.k_proj(outputs.encoder_last_hidden_state) if source_keys is None else source_keys
        assert ids is not None
        pointer = self._over_source(ids, attention_mask, keys)
        logits = self.lm_head(states) + self.final_logits_bias
        if labels is not None:
            return Seq2SeqLMOutput(loss=_loss(pointer, states, logits, labels))
        return Seq2SeqLMOutput(
            logits=pointer.mixed_log_probs(states, logits),
            past_key_values=outputs.past_key_values,
            encoder_last_hidden_state=outputs.encoder_last_hidden_state,
        )

    @torch.no_grad()
    def generate(self, input_ids: Tensor, attention_mask: Tensor, **options: Any) -> Any:
        """Write by transformers' `generate`, for sources `[batch, source_length]`; encoder and keys are run once."""
        encoded = self.get_encoder()(input_ids, attention_mask=attention_mask, return_dict=True)
        return super().generate(
            input_ids,
            attention_mask=attention_mask,
            encoder_outputs=encoded,
            source_ids=input_ids,
            source_keys=self.pointer.k_proj(encoded.last_hidden_state),
            **options,
        )

    def _over_source(self, ids: Tensor, attention_mask: Tensor | None, keys: Tensor) -> SourcePointer:
        config = self.config
        special = ids.new_tensor([config.bos_token_id, config.eos_token_id, config.pad_token_id])
        words = ~torch.isin(ids, special)
        if attention_mask is not None:
            words &= attention_mask != 0
        hidden = torch.zeros(ids.shape, device=ids.device).masked_fill(~words, torch.finfo(torch.float32).min)
        return SourcePointer(self.pointer, ids, keys, hidden, words)


def _loss(pointer: SourcePointer, states: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of the labels, which needs no other word's share of the copying."""
    counted = labels != IGNORED
    targets = labels.masked_fill(~counted, 0)
    log_write, log_copy, attention = pointer(states)
    written = -F.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    same = (pointer.input_ids[:, None] == targets[..., None]) & pointer.copied[:, None]
    copied = (attention * same).sum(-1).clamp(min=TINY).log()
    log_probs = torch.logaddexp(log_write + written, log_copy + copied)
    return -log_probs[counted].mean()
