"""ELMER as a Hugging Face model: loading and saving, training losses, and decoding."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationConfig, PreTrainedModel
from transformers import initialization as init

from .aligned_loss import AlignedLoss
from .alignment import ALIGNMENTS
from .canvas import IGNORED, Canvases, ignore_padding, lay_canvas
from .compiled import CompiledWriting
from .configuration import ElmerConfig
from .criteria import Criterion, ExitClassifier, ExitLessons, likelihood, similarity
from .dag import NO_VERTEX, STEPWISE
from .decoding import NO_LAYER, pack_left
from .emissions import EmissionHead
from .exits import Passage, leave_at, leave_last, leave_soft, leave_when_sure
from .finite import check_numbers, may_ask
from .generation_options import GenerationOptions
from .glancing import Glance
from .inference import TextEnds, predict
from .layers import CanvasLayer, Decoder, Encoder, additive_mask
from .links import Links
from .loss_head import LossHead
from .off_ramp import EXCLUDED, OffRamp
from .outputs import ElmerGeneration, ElmerOutput
from .packing import Linear
from .pointer import Pointer
from .preparation import Preparation
from .reachable import read_reachable
from .reading import Canvas as ReadCanvas
from .reading import CanvasHead
from .source import Source
from .writing import Writing, write_by_beam, write_in_order, write_path, write_predictions, write_without_blanks


class ConcatHead(Linear):
    """Soft exit's map from `[h ; embed(prediction)]` back to the width. It starts as `[I ; 0]`, which changes nothing.

    A model loaded from a checkpoint without it so computes what that checkpoint did.
    """

    def __init__(self, width: int) -> None:
        super().__init__(2 * width, width, bias=False)


class ElmerModel(nn.Module):
    """The encoder and the decoder around one shared token embedding; the names are BART's."""

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__()
        self.shared = nn.Embedding(config.vocab_size, config.d_model, config.pad_token_id)
        self.encoder = Encoder(config, self.shared)
        self.decoder = Decoder(config, self.shared)


class ElmerForConditionalGeneration(PreTrainedModel):
    """ELMER: an encoder, a decoder that fills a whole canvas at once, and an off-ramp after every decoder layer.

    `from_pretrained` takes ELMER and BART-format checkpoints alike; `save_pretrained` keeps BART's parameter names.
    """

    config: ElmerConfig
    config_class = ElmerConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _tied_weights_keys = {  # noqa: RUF012 - transformers reads a plain dict
        "lm_head.weight": "model.shared.weight",
        "model.encoder.embed_tokens.weight": "model.shared.weight",
        "model.decoder.embed_tokens.weight": "model.shared.weight",
    }
    _keys_to_ignore_on_load_missing = ["final_logits_bias", "concat_head.weight", r"exit_classifier\."]  # noqa: RUF012
    _no_split_modules = ["EncoderLayer", "DecoderLayer"]  # noqa: RUF012
    # The loss is a mean over this batch's tokens; the Trainer may not scale it by tokens of other batches.
    accepts_loss_kwargs = False
    supports_gradient_checkpointing = True
    final_logits_bias: Tensor

    def __init__(self, config: ElmerConfig) -> None:
        super().__init__(config)
        self.model = ElmerModel(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.concat_head = ConcatHead(config.d_model)
        self.links = Links(config) if config.alignment == "dag" else None
        self.pointer = Pointer(config) if config.copy_source else None
        self.exit_classifier = ExitClassifier(config) if config.exit_criterion == "classifier" else None
        self._preparation: Preparation | None = None
        self.register_buffer("final_logits_bias", torch.zeros(1, config.vocab_size))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, ConcatHead):
            init.copy_(module.weight, torch.eye(module.out_features, module.in_features))
        elif isinstance(module, Links):
            init.copy_(module.decay, module.first_decay())
        elif isinstance(module, ExitClassifier):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
        elif module is self:
            init.zeros_(self.final_logits_bias)
        else:
            super()._init_weights(module)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token embedding that encoder, decoder and off-ramps share."""
        return self.model.shared

    def set_input_embeddings(self, value: nn.Embedding) -> None:  # type: ignore[override]
        """Replace the shared token embedding everywhere."""
        self.model.shared = self.model.encoder.embed_tokens = self.model.decoder.embed_tokens = value

    def get_encoder(self, modality: str | None = None) -> Encoder:
        """Return what turns sources into states: a function of `input_ids` and `attention_mask`."""
        return self.model.encoder

    def get_decoder(self) -> Decoder:
        """Return the canvas's embeddings and layers."""
        return self.model.decoder

    def get_output_embeddings(self) -> nn.Linear:
        """Return the head that all off-ramps share."""
        return self.lm_head

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Change the vocabulary's size, `final_logits_bias` included."""
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        added = embeddings.num_embeddings - self.final_logits_bias.shape[-1]
        self.final_logits_bias = F.pad(self.final_logits_bias, (0, added))
        return embeddings

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode sources `[batch, source_length]`.

        Returns:
            the encoder's states `[batch, source_length, width]` and the additive mask over them that attention takes.
            Without `attention_mask`, what equals `pad_token_id` is padding.
        """
        source = self._read_source(input_ids, attention_mask)
        return source.states, source.mask

    def _read_source(self, input_ids: Tensor, attention_mask: Tensor | None) -> Source:
        if attention_mask is None:
            attention_mask = input_ids != self.config.pad_token_id
        mask = additive_mask(attention_mask, self.model.shared.weight.dtype)
        states = self.model.encoder(input_ids, attention_mask).last_hidden_state
        pointer = None
        if self.pointer is not None:
            words = (attention_mask != 0) & ~self._are_special(input_ids)
            pointer = self.pointer.over_source(input_ids, states, words)
        return Source(states, mask, attention_mask, pointer)

    def _are_special(self, ids: Tensor) -> Tensor:
        """Return which ids are no words: they stand at a graph's ends alone, and nobody copies them.

        Not by isin(), which exporters do not know, nor with a list of ids, which a device would be waited for to get.
        """
        config = self.config
        special = (config.bos_token_id, config.eos_token_id, config.pad_token_id, config.mask_token_id)
        return torch.stack([ids == each for each in special]).any(0)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        exit_layers: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        label_smoothing: float = 0.0,
        glancing: float = 0.0,
        return_logits: bool = True,
        return_dict: bool = True,
    ) -> ElmerOutput | tuple:
        """Predict every position of the canvas and, given labels, the loss.

        Args:
            input_ids: sources, `[batch, source_length]`.
            attention_mask: 1 for tokens, 0 for padding, `[batch, source_length]`.
            labels: targets without their leading bos, ending in eos, `[batch, target_length]`; padding is
                `pad_token_id` or -100, both ignored.
            exit_layers: the layer (from 0) where each canvas position leaves, `[batch, canvas]`: layer permutation
                language modeling, section 3.3 of the paper, whatever `exit_mode` says.
            decoder_input_ids: the canvas, `[batch, canvas]`; by default as many positions as `exit_layers` or
                `decoder_attention_mask` has, else `canvas_scale` for each of the labels (or of
                `config.canvas_length` tokens).
            decoder_attention_mask: 1 on each text's own canvas, 0 beyond it, `[batch, canvas]`, for canvases of
                different lengths in one batch.
            label_smoothing: probability spread evenly over the vocabulary in the loss; for one token a position alone.
            glancing: in training, how many of the tokens that a first pass gets wrong the canvas of the second pass
                shows, as a share (Qian et al. 2021). 0: there is one pass.
            return_logits: False leaves the logits out: the losses do without them, and a training step then never
                holds `[batch, canvas, vocabulary]`.

        Raises:
            ValueError: no source, a text or canvas longer than the model's positions, a text longer than its canvas, an
                exit layer that the decoder does not have.
        """
        if input_ids is None:
            raise ValueError("input_ids is missing: ELMER writes from a source.")
        source = self._read_source(input_ids, attention_mask)
        if decoder_input_ids is None:
            laid = decoder_attention_mask if exit_layers is None else exit_layers
            decoder_input_ids = self._canvas(input_ids.shape[0], self._canvas_length(labels, laid))
        if labels is not None:
            labels = ignore_padding(labels, self.config.pad_token_id)
            self._check_canvas(labels, decoder_input_ids)
        if exit_layers is None and self.config.exit_mode == "hard" and self.training:
            # Training must meet copied states too, at every layer.
            exit_layers = torch.randint_like(decoder_input_ids, self.config.decoder_layers)
        canvas = Canvases(decoder_input_ids, decoder_attention_mask, exit_layers)
        shown = None
        if labels is not None and glancing and self.training:
            shown = self._glance(source, canvas, labels, glancing)
        objective = None if labels is None else self._objective(source, canvas, labels, label_smoothing, shown)
        soft = exit_layers is None and self.config.exit_mode == "soft"
        learner = self.exit_classifier if self.training and soft and objective is not None else None
        lessons = None if learner is None else ExitLessons(learner)
        states, left_at = self._decode(source, canvas, objective, labels, shown, lessons)
        output = ElmerOutput(exit_layers=left_at, encoder_last_hidden_state=source.states)
        if return_logits:
            output.logits = self._logits(states, source)
        if objective is not None:
            words = objective.exit(states, predicts=lessons is not None)
            output.loss = objective.loss()
            if lessons is not None:
                counted = objective.counted if isinstance(objective, LossHead) else canvas.own()
                output.loss = output.loss + lessons.loss(words, counted)
            output.exit_losses = objective.means().detach()
            if exit_layers is not None or self.config.exit_mode == "hard":
                output.exit_losses = objective.means_by_layer(left_at, self.config.decoder_layers)
        return output if return_dict else output.to_tuple()

    def _canvas_length(self, labels: Tensor | None, laid: Tensor | None) -> int:
        if laid is not None:
            return laid.shape[1]
        return self.config.canvas_positions(self.config.canvas_length if labels is None else labels.shape[1])

    def _check_canvas(self, labels: Tensor, canvas: Tensor) -> None:
        """Alignments say themselves if a text does not fit; where each position has its own label, so must all."""
        if self.config.alignment == "position" and labels.shape[1] != canvas.shape[1]:
            raise ValueError(
                f"The labels have {labels.shape[1]} positions, but the canvas has {canvas.shape[1]}: under "
                "alignment=position they are equally long."
            )

    def _canvas(self, batch: int, length: int) -> Tensor:
        return lay_canvas(batch, length, self.config.bos_token_id, self.config.mask_token_id, self.device)

    def _bias(self) -> Tensor:
        """Return the head's bias, `[1, vocabulary]`: a graph's vertices write words alone."""
        if self.links is None:
            return self.final_logits_bias
        ids = torch.arange(self.final_logits_bias.shape[-1], device=self.final_logits_bias.device)
        return self.final_logits_bias.masked_fill(self._are_special(ids), EXCLUDED)

    def _logits(self, states: Tensor, source: Source) -> Tensor:
        logits = self.lm_head(states) + self._bias()
        return logits if source.pointer is None else source.pointer.mixed_log_probs(states, logits)

    def _objective(
        self, source: Source, canvas: Canvases, labels: Tensor, label_smoothing: float, shown: Glance | None
    ) -> "LossHead | AlignedLoss":
        """Return what the exits learn: of plain tokens a position, as `LossHead`, which is faster, else aligned."""
        if self.config.alignment != "position" or source.pointer is not None:
            if label_smoothing:
                raise ValueError("label_smoothing is for alignment=position without copy_source: give 0.")
            return self._aligned_loss(source, canvas, labels, shown)
        if shown is not None:
            labels = labels.masked_fill(shown.revealed, IGNORED)
        exits = self.config.decoder_layers if self.config.exit_mode == "soft" and canvas.exit_layers is None else 1
        return LossHead(self.lm_head.weight, self.final_logits_bias, labels, label_smoothing, exits)

    def _aligned_loss(
        self, source: Source, canvas: Canvases, labels: Tensor, shown: Glance | None = None
    ) -> AlignedLoss:
        config = self.config
        alignment = ALIGNMENTS[config.alignment](labels, canvas.lengths, config.eos_token_id)
        blank = config.mask_token_id if config.alignment == "ctc" else None
        head = EmissionHead(self.lm_head.weight, self._bias().squeeze(0), alignment.targets, source.pointer, blank)
        link = None if self.links is None else partial(self._transitions, self.links, canvas_lengths=canvas.lengths)
        return AlignedLoss(alignment, head, link, shown)

    def _transitions(self, links: Links, states: Tensor, canvas_lengths: Tensor) -> Tensor:
        return links(states, self.model.decoder.embed_positions(states.shape[1]), canvas_lengths)

    @torch.no_grad()
    def _glance(self, source: Source, canvas: Canvases, labels: Tensor, ratio: float) -> Glance:
        """Write once without help, and choose what the second canvas shows."""
        trial = self._aligned_loss(source, canvas, labels)
        states, _ = self._decode(source, canvas, trial, labels)
        trial.exit(states)
        return trial.glance(ratio)

    def _decode(
        self,
        source: Source,
        canvas: Canvases,
        objective: "LossHead | AlignedLoss | None",
        labels: Tensor | None,
        shown: Glance | None = None,
        lessons: ExitLessons | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the decoder over a canvas under one of the exit rules of `exits`.

        Returns:
            each position's normalised state where it left, and the layer where it did. `objective` gets the exits
            before the last.
        """
        decoder, last = self.model.decoder, self.config.decoder_layers - 1
        layers = decoder.over_source(source.states, source.mask, canvas.mask(source.states.dtype))
        hidden = self._embed_canvas(source, canvas, labels, shown)
        exit_layers = canvas.exit_layers
        if exit_layers is not None:
            if exit_layers.min() < 0 or exit_layers.max() > last:
                raise ValueError(f"exit_layers must lie between 0 and {last}, the decoder's last layer.")
            return decoder.layer_norm(leave_at(layers, hidden, exit_layers)), exit_layers
        predict_words = partial(self._predict, source=source) if objective is None else objective.predict

        def read(hidden: Tensor) -> Tensor:
            states = decoder.layer_norm(hidden)
            words = predict_words(states)
            if lessons is not None:
                lessons.note(states, words)
            return words

        # Which token is a position's own is known without looking only where each writes its own.
        embed = partial(self._embed_prediction, labels=labels if self.config.alignment == "position" else None)
        head = CanvasHead(OffRamp(self.lm_head.weight, self._bias(), norm=decoder.layer_norm), source.pointer)
        passage = self._leave(self.config, layers, hidden, head, read, embed)
        return decoder.layer_norm(passage.finish(layers[-1])), passage.exit_layers

    def _leave(
        self,
        options: "ElmerConfig | GenerationOptions",
        layers: Sequence[CanvasLayer],
        hidden: Tensor,
        head: CanvasHead,
        read: Callable[[Tensor], Tensor],
        embed: Callable[[Tensor], Tensor],
        suffices: Callable[[Tensor, Tensor], bool] | None = None,
    ) -> Passage:
        """Take a canvas through all layers but the last, under the exit rule of these options.

        Args:
            head: tells entropies.
            read: predicts, and `embed` embeds, what soft exit hands on.
            suffices: see `leave_when_sure`.
        """
        if options.exit_mode == "soft":
            return leave_soft(layers, hidden, read, embed, self.concat_head)
        if options.exit_mode == "hard":
            return leave_when_sure(layers, hidden, self._criterion(options, head), suffices)
        return leave_last(layers, hidden)

    def _criterion(self, options: "ElmerConfig | GenerationOptions", head: CanvasHead) -> Criterion:
        norm, threshold = self.model.decoder.layer_norm, options.exit_threshold
        if options.exit_criterion == "saturation":
            return lambda step: similarity(step, norm) >= threshold
        if options.exit_criterion == "classifier":
            classifier = self.exit_classifier
            assert classifier is not None
            return lambda step: likelihood(step, norm, classifier) >= threshold
        return lambda step: head.are_sure(step.after, step.real, threshold)

    def _embed_canvas(self, source: Source, canvas: Canvases, labels: Tensor | None, shown: Glance | None) -> Tensor:
        ids, added = canvas.ids, None
        if self.config.canvas_input == "source":
            added = source.spread(canvas.lengths, ids.shape[1])
        if shown is not None and labels is not None:
            ids = torch.where(shown.revealed, labels.gather(1, shown.places.clamp(min=0)), ids)
            added = None if added is None else added.masked_fill(shown.revealed[..., None], 0.0)
        return self.model.decoder.embed(ids, added)

    def _predict(self, states: Tensor, source: Source) -> Tensor:
        """Return the likeliest tokens; the published model's without its bias, as the original implementation does."""
        if self.config.alignment == "position" and source.pointer is None:
            return self.lm_head(states).argmax(-1)
        return self._logits(states, source).argmax(-1)

    def _embed_prediction(self, prediction: Tensor, labels: Tensor | None) -> Tensor:
        """Embed predicted ids `[batch, canvas]`; in training, some gold ids in their place (gold mixing)."""
        if self.training and labels is not None:
            gold = labels.where(labels >= 0, self.config.pad_token_id)
            mixed = torch.rand(labels.shape, device=labels.device) < self.config.gold_mixing
            prediction = torch.where(mixed, gold, prediction)
        return self.model.shared(prediction)

    def prepare_for_inference(self, compiled: bool = False) -> AbstractContextManager:
        """Make `generate` faster until the weights change; it writes the same texts without.

        Linear layers get weights packed for oneDNN, and off-ramps an int8 screen of the vocabulary, each where the
        machine gains by it, beside the weights that stay. A change of a weight, `train()`, moving the model or loading
        into it ends that, and so does the end of the block that this is used for as a context.

            with model.prepare_for_inference():
                for batch in batches:
                    model.generate(**batch)

        Args:
            compiled: have `torch.compile` make code of the whole way to a canvas instead, on a CUDA device with CUDA
                graphs (see `CompiledWriting`): the first batch of each shape takes a minute or so. Prepare the model
                where it will write.
        """
        self.eval()
        before = self._preparation
        if before is not None and before.holds and not (compiled and before.compiled is None):
            return nullcontext()  # whoever prepared the model goes on with it
        if before is not None:
            before.end()
        writing = CompiledWriting(self._write, self.config, self.device) if compiled else None
        self._preparation = Preparation(self, self.lm_head, writing)
        return self._preparation

    def train(self, mode: bool = True) -> "ElmerForConditionalGeneration":
        """Switch to training, which ends what `prepare_for_inference` began, or to evaluation."""
        if mode and self._preparation is not None:
            self._preparation.end()
            self._preparation = None
        return super().train(mode)

    @torch.no_grad()
    def generate(
        self,
        inputs: Tensor | None = None,
        attention_mask: Tensor | None = None,
        max_length: int | None = None,
        *,
        input_ids: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        collapse_repeats: bool = True,
        **options: Any,
    ) -> Tensor | ElmerGeneration:
        """Write a text for every source: one encoder pass, one decoder pass over a canvas for `max_length` tokens.

        Args:
            inputs: sources, `[batch, source_length]`; `input_ids` is another name for it.
            attention_mask: 1 for tokens, 0 for padding, `[batch, source_length]`.
            max_length: most tokens of a text, eos included; by default as many as in training
                (`config.canvas_length`). The canvas has `config.canvas_scale` positions for each. `max_new_tokens` is
                another name for it.
            generation_config: options once more, as transformers' generate() takes them; those given by name win.
            collapse_repeats: drop every token that equals its left neighbour, the usual fault of parallel decoding.
            options:
                exit_mode: `"soft"`, `"hard"` or `"last"`, by default the configuration's.
                exit_criterion, exit_threshold: what `"hard"` is sure by and when (see `ElmerConfig`), by default the
                    configuration's; another criterion than its own has its usual threshold.
                decoding: how a graph is walked: `"lookahead"` (the default: the transition and the word where it leads
                that are likeliest together), `"greedy"` (the likeliest transition), `"viterbi"` (the walk with the
                largest mean log-probability a vertex) or `"beam"` (the text whose paths are likeliest together).
                num_beams: beginnings of texts that `"beam"` keeps, by default 5.
                length_penalty: `"beam"` compares log-probability / tokens ** length_penalty, by default 1.
                return_dict_in_generate: return an `ElmerGeneration`.
                output_scores: let it have scores: they take a pass of their own over the vocabulary.
                Others of transformers' options may have the values that ask for nothing (`do_sample=False`, …).

        Returns:
            token ids `[batch, longest]`, cut at the first eos (which is kept) and padded, or an `ElmerGeneration`.

        Raises:
            ValueError: no source, an unknown mode or decoding, a canvas longer than the model's positions, or an option
                that means nothing to this model or to parallel decoding, which is named.
            NoNumbersError: the weights are no numbers, or too large; told on a CPU alone.
        """
        sources = input_ids if inputs is None else inputs
        if sources is None or (inputs is None) == (input_ids is None):
            raise ValueError("generate() takes the sources once, as inputs or as input_ids.")
        chosen = GenerationOptions(self.config, generation_config, max_length=max_length, **options)
        was_training = self.training
        self.eval()
        try:
            with nullcontext() if self._preparation is None else self._preparation.applied():
                compiled = None if self._preparation is None else self._preparation.compiled
                writing = (compiled or self._write)(sources, attention_mask, chosen, collapse_repeats)
        finally:
            self.train(was_training)
        kept = writing.kept & (writing.kept.cumsum(-1) <= chosen.max_length)
        scores = writing.probabilities if chosen.scored else None
        sequences = pack_left(writing.tokens, kept, self.config.pad_token_id)
        if not chosen.return_dict:
            return sequences
        return ElmerGeneration(
            sequences=sequences,
            exit_layers=pack_left(writing.exit_layers, kept, NO_LAYER),
            settled_layers=pack_left(writing.settled_layers, kept, NO_LAYER),
            vertices=pack_left(writing.vertices, kept, NO_VERTEX),
            copied=pack_left(writing.copied, kept, False),
            scores=None if scores is None else pack_left(scores, kept, 0.0),
        )

    def _write(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        options: GenerationOptions,
        collapse_repeats: bool,
    ) -> Writing:
        source, config = self._read_source(input_ids, attention_mask), self.config
        canvas = self._inference_canvas(source, options.max_length)
        off_ramp = self._off_ramp()
        head = CanvasHead(off_ramp, source.pointer)
        if config.alignment == "position" and source.pointer is None:
            layers = self.model.decoder.over_source(source.states, source.mask)
            hidden, embed = self._embed_canvas(source, canvas, None, None), self.model.shared
            best = partial(off_ramp.best, with_bias=False)
            ends = TextEnds(off_ramp, config.eos_token_id) if options.exit_mode == "hard" else None
            passage = self._leave(options, layers, hidden, head, best, embed, ends)
            found = predict(passage, layers[-1], off_ramp, config.eos_token_id, options.scored)
            return write_predictions(found, config.eos_token_id, collapse_repeats)
        read, transitions = self._read(source, canvas, head, options, options.decoding)
        if config.alignment == "position":
            return write_in_order(read, config.eos_token_id, collapse_repeats)
        if transitions is None:  # alignment=ctc
            return write_without_blanks(read, config.mask_token_id, config.eos_token_id)
        if options.decoding == "beam":
            beam = (options.num_beams, options.length_penalty, options.max_length - 1)
            return write_by_beam(read, head, transitions, config.eos_token_id, *beam)
        return write_path(read, transitions, config.eos_token_id, options.decoding, collapse_repeats)

    @torch.no_grad()
    def read_layers(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what each layer makes of a canvas when all positions leave at the last one.

        Args:
            input_ids: sources, `[batch, source_length]`.
            attention_mask: 1 for tokens, 0 for padding, `[batch, source_length]`.

        Returns:
            the normalised states, `[layers, batch, canvas, width]`, and their likeliest words,
            `[layers, batch, canvas]`.
        """
        source = self._read_source(input_ids, attention_mask)
        head = CanvasHead(self._off_ramp(), source.pointer)
        canvas = self._inference_canvas(source, self.config.canvas_length)
        hidden, states, words = self._embed_canvas(source, canvas, None, None), [], []
        for layer in self.model.decoder.over_source(source.states, source.mask):
            hidden = layer(hidden)
            states.append(check_numbers(self.model.decoder.layer_norm(hidden)))
            words.append(head.best(hidden))
        return torch.stack(states), torch.stack(words)

    def read_canvas(
        self, input_ids: Tensor, attention_mask: Tensor | None, max_length: int, off_ramp: type[OffRamp]
    ) -> tuple[ReadCanvas, Tensor | None]:
        """Return what every position of a canvas would write: what `generate` makes its texts of.

        For those who make texts of it elsewhere, as an export does. Not for one token a position without copying, whose
        logits `forward` returns, and not for hard exit.

        Args:
            input_ids: sources, `[batch, source_length]`.
            attention_mask: 1 for tokens, 0 for padding, `[batch, source_length]`.
            max_length: most tokens of a text, for which the canvas has `config.canvas_positions(max_length)` positions.
            off_ramp: the way to read the head.

        Returns:
            the canvas's words and states, and under a graph its transitions' log-probabilities,
            `[batch, canvas, canvas]`.
        """
        source = self._read_source(input_ids, attention_mask)
        ramp = off_ramp(self.lm_head.weight, self._bias(), norm=self.model.decoder.layer_norm)
        head = CanvasHead(ramp, source.pointer)
        canvas = self._inference_canvas(source, max_length)
        return self._read(source, canvas, head, self.config)

    def _inference_canvas(self, source: Source, max_length: int) -> Canvases:
        positions = self.config.canvas_positions(max_length)
        return Canvases(self._canvas(source.states.shape[0], positions), None, None)

    def _read(
        self,
        source: Source,
        canvas: Canvases,
        head: CanvasHead,
        options: "ElmerConfig | GenerationOptions",
        decoding: str | None = None,
    ) -> tuple[ReadCanvas, Tensor | None]:
        """Return what a canvas's positions write, and a graph's transitions.

        Args:
            decoding: the way a graph will be walked, if it need not be read where that does not come to.
        """
        layers = self.model.decoder.over_source(source.states, source.mask)
        hidden = self._embed_canvas(source, canvas, None, None)
        passage = self._leave(options, layers, hidden, head, head.best, self.model.shared)
        states, transitions = passage.finish(layers[-1]), None
        normalized = check_numbers(head.off_ramp.norm(states))
        if self.links is not None:
            transitions = self._transitions(self.links, normalized, canvas.lengths)
        if transitions is not None and decoding in STEPWISE and may_ask(states):
            words = read_reachable(states, head, transitions, decoding)
        else:
            words = head.read(states)
        read = ReadCanvas(words, states, passage.exit_layers, passage.settled_layers(words.tokens))
        return read, transitions

    def _off_ramp(self) -> OffRamp:
        """Return the head as it is read at inference, through a screen if the model is prepared."""
        screen = None if self._preparation is None else self._preparation.screen
        return OffRamp(self.lm_head.weight, self._bias(), screen, self.model.decoder.layer_norm)
