"""Running an exported ELMER under onnxruntime."""

from pathlib import Path

import torch
from torch import Tensor

from textbox_elmer.errors import UserError
from textbox_elmer.inference.export.files import graph_name
from textbox_elmer.inference.export.requirements import check_packages
from textbox_elmer.inference.export.texts import along_walk, in_order, output_names, pack, without_blanks
from textbox_elmer.model import ElmerConfig
from textbox_elmer.model.generation_options import GenerationOptions


class OnnxElmer:
    """An export's graph of one canvas, with the model's `generate`.

    Args:
        folder: what `textbox-elmer export` has written.
        canvas: the graph's by its number of tokens, `elmer-<canvas>.onnx`, by default as many as the model was trained
            with. No text gets longer; positions there are `config.canvas_positions(canvas)`.
        int8: whether to run the int8 graph.
        threads: of onnxruntime, by default as many as PyTorch has.

    Raises:
        UserError: onnxruntime is missing, or the folder has no such graph.
    """

    def __init__(
        self, folder: str | Path, canvas: int | None = None, int8: bool = False, threads: int | None = None
    ) -> None:
        check_packages("onnxruntime")
        import onnxruntime

        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise UserError(f"{str(folder)!r} holds no export: make one with `textbox-elmer export`.")
        self.config = ElmerConfig.from_pretrained(folder)
        self.canvas = self.config.canvas_length if canvas is None else canvas
        path = folder / graph_name(self.canvas, int8)
        if not path.is_file():
            present = ", ".join(sorted(found.name for found in folder.glob("elmer-*.onnx"))) or "none"
            raise UserError(f"{str(folder)!r} holds no graph {path.name!r} (there: {present}): export with --canvas.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3  # errors alone
        # Its threads would otherwise keep the cores busy for a while after each call, at the next one's cost.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        collapse_repeats: bool = True,
        decoding: str | None = None,
    ) -> Tensor:
        """Write a text for every source, as the model's own `generate` does.

        Args:
            input_ids: sources, `[batch, source_length]`.
            attention_mask: 1 for tokens, 0 for padding; by default what equals `pad_token_id` is padding.
            collapse_repeats: drop every token that equals its left neighbour.
            decoding: how a graph is walked: "lookahead" (the default), "greedy" or "viterbi".

        Returns:
            token ids `[batch, longest]`, cut at the first eos (which is kept) and padded.

        Raises:
            ValueError: a source longer than the model's positions, a decoding that is unknown, not exported ("beam")
                or given for a model that is no graph.
        """
        decoding = self._decoding(decoding)
        limit = self.config.max_position_embeddings
        if input_ids.shape[1] > limit:
            raise ValueError(
                f"{input_ids.shape[1]} positions asked for, but the model has {limit} (max_position_embeddings): "
                "shorten the text."
            )
        if attention_mask is None:
            attention_mask = input_ids != self.config.pad_token_id
        inputs = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.long().numpy()}
        tokens, *graph = self._session.run(output_names(self.config), inputs)
        ends = self.config.eos_token_id
        if self.config.alignment == "dag":
            log_probs, transitions = graph
            tokens, kept = along_walk(tokens, log_probs, transitions, decoding, ends, collapse_repeats)
        elif self.config.alignment == "ctc":
            kept = without_blanks(tokens, self.config.mask_token_id, ends)
        else:
            kept = in_order(tokens, ends, collapse_repeats)
        return torch.from_numpy(pack(tokens, kept, self.canvas, self.config.pad_token_id))

    def _decoding(self, decoding: str | None) -> str:
        options = GenerationOptions(self.config, max_length=self.canvas, decoding=decoding)
        if options.decoding == "beam":
            raise ValueError(
                "decoding=beam is not exported, since it asks for more than each vertex's likeliest word: give "
                "lookahead, greedy or viterbi, or let the PyTorch checkpoint write."
            )
        return options.decoding
