"""From raw texts to pre-training batches: corrupted sources, whole targets, canvases and exit layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textbox_elmer.model.canvas import IGNORED

from .corruption import EXIT_LAYER, MARGIN, Infilling, permute_sentences, poisson_table
from .encoding import check_tokenizer, encode_texts, ordinary_ids, word_starts
from .noise import Keys, example_keys, uniform
from .ragged import padded, row_of_each, starts_of

CANVAS_STEP = 32
LONGEST_MARGIN = 32
LONGEST_MEAN_SPAN = 1000
NOT_COUNTED = -1  # the epoch of an example that only keeps a process of a distributed run busy


class PretrainingCollator:
    """Makes denoising batches of raw texts, with noise that depends on (seed, epoch, example) alone.

    The source is the text with its sentences permuted and spans of its words hidden, the target the text as it was.
    The same (seed, epoch, example) gives the same source, canvas and exit layers in any batch, process or worker.

    Args:
        tokenizer: a fast byte-level one with a mask token.
        seed: of all noise.
        max_length: most tokens of a source and of a target, special tokens included; longer texts are cut.
        mask_ratio: share of the words that are hidden.
        poisson_lambda: mean length of a hidden span, in words.
        canvas_positions: for a model that fills a canvas, the most positions that it may have: targets lose their bos,
            and each is given a canvas longer than itself by a random margin, rounded up to a multiple of 32, so that
            the canvas does not tell where the text ends. None for a model that writes token by token.
        canvas_scale: positions of the canvas per position of one that holds the target and its margin.
        exit_layers: decoder layers to draw an exit layer from, uniformly, for each canvas position: layer permutation
            language modeling (arXiv 2210.13304, section 3.3). None to draw none.

    Raises:
        ValueError: the tokenizer does not suit, or a number is out of range.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        seed: int,
        max_length: int = 512,
        mask_ratio: float = 0.3,
        poisson_lambda: float = 3.5,
        canvas_positions: int | None = None,
        canvas_scale: float = 1,
        exit_layers: int | None = None,
    ) -> None:
        check_tokenizer(tokenizer)
        if max_length < 3:
            raise ValueError(f"max_length is {max_length}, but a text needs room beside its two special tokens.")
        if not 0 <= mask_ratio <= 1:
            raise ValueError(f"mask_ratio is a share from 0 to 1, not {mask_ratio}.")
        if not 0 < poisson_lambda <= LONGEST_MEAN_SPAN:
            raise ValueError(f"poisson_lambda is above 0 and at most {LONGEST_MEAN_SPAN} words, not {poisson_lambda}.")
        self.tokenizer, self.seed, self.max_length = tokenizer, seed, max_length
        self.canvas_positions, self.canvas_scale, self.exit_layers = canvas_positions, canvas_scale, exit_layers
        self.infill = Infilling(
            word_starts(tokenizer),
            ordinary_ids(tokenizer),
            tokenizer.mask_token_id,
            mask_ratio,
            poisson_table(poisson_lambda),
        )
        self.first = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Corrupt a batch.

        Args:
            examples: each with its `text`, its number `index` in the corpus and the `epoch` that it is seen in; all
                labels of an example of epoch -1 are ignored.

        Returns:
            `input_ids` and `attention_mask` `[batch, source_length]`, `labels` `[batch, target_length]` padded with
            -100, and with a canvas `decoder_attention_mask`, 1 on each text's own canvas, and (if drawn) `exit_layers`,
            both `[batch, canvas]`.
        """
        epochs, indices = (np.array([example[name] for example in examples]) for name in ("epoch", "index"))
        keys = example_keys(self.seed, epochs, indices)
        room = self.max_length - len(self.first) - 1
        texts = encode_texts([example["text"] for example in examples], self.tokenizer, room)
        corrupted, lengths = self.infill(permute_sentences(texts, keys), keys)
        # Masks between words may make a source longer than its text; almost never, but memory is planned for the limit.
        rows, fits = row_of_each(lengths), np.minimum(lengths, room)
        kept = np.arange(len(corrupted)) - starts_of(lengths)[rows] < room
        sources, lengths = self._framed(corrupted[kept], fits, self.first)
        batch = {
            "input_ids": padded(sources, lengths, self.tokenizer.pad_token_id, int(lengths.max())),
            "attention_mask": (np.arange(int(lengths.max())) < lengths[:, None]).astype(np.int64),
        }
        if self.canvas_positions is None:
            targets, lengths = self._framed(texts.ids, texts.lengths, self.first)
            batch["labels"] = padded(targets, lengths, IGNORED, int(lengths.max()))
        else:
            targets, lengths = self._framed(texts.ids, texts.lengths, [])
            batch |= self._canvases(targets, lengths, keys, self.canvas_positions)
        batch["labels"][epochs == NOT_COUNTED] = IGNORED
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def _framed(self, ids: np.ndarray, lengths: np.ndarray, first: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Put `first` before each text and eos after it."""
        starts = starts_of(lengths)
        framed = np.insert(ids, starts + lengths, self.tokenizer.eos_token_id)
        lengths = lengths + 1
        for token in first:
            framed, lengths = np.insert(framed, starts_of(lengths), token), lengths + 1
        return framed, lengths

    def _canvases(self, targets: np.ndarray, lengths: np.ndarray, keys: Keys, positions: int) -> dict[str, np.ndarray]:
        rows = np.arange(len(lengths))
        margins = 1 + (uniform(keys, MARGIN, rows, np.zeros_like(rows)) * LONGEST_MARGIN).astype(np.int64)
        canvases = -(-(lengths + margins) // CANVAS_STEP) * CANVAS_STEP
        canvases = np.minimum(np.ceil(self.canvas_scale * canvases).astype(np.int64), positions)
        longest = int(canvases.max())
        batch = {
            "labels": padded(targets, lengths, IGNORED, longest),
            "decoder_attention_mask": (np.arange(longest) < canvases[:, None]).astype(np.int64),
        }
        if self.exit_layers is not None:
            numbers = np.arange(longest)
            rows, places = np.repeat(rows, longest), np.tile(numbers, len(rows))
            layers = uniform(keys, EXIT_LAYER, rows, places) * self.exit_layers
            batch["exit_layers"] = layers.astype(np.int64).reshape(len(lengths), longest)
        return batch
