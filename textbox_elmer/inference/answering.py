"""Rows in, answers out: what the local engine calls for a window, and a cluster's worker for a batch."""

from collections.abc import Callable, Sequence

import torch

from textbox_elmer.inference.tables.rows import Answer, Row
from textbox_elmer.inference.writer import TextWriter, unheard


class RowWriter:
    """Answers rows: those with a text by what the model writes, the others by their fault.

    Args:
        writer: what writes the texts.
    """

    def __init__(self, writer: TextWriter) -> None:
        self._writer = writer

    def __call__(self, rows: Sequence[Row], seed: int, progress: Callable[[int], object] = unheard) -> list[Answer]:
        """Answer rows, in their order.

        Args:
            rows: any number that fits into memory.
            seed: where texts are drawn, what the same ones are drawn by, whoever does it.
            progress: told how many more are answered, now and then.

        Raises:
            UserError: the generation options do not suit the model, or a batch does not fit into the GPU's memory.
        """
        torch.manual_seed(seed)
        texts = [row.text for row in rows if row.text is not None]
        written = iter(self._writer(texts, progress))
        answers = [Answer(None, row.fault) if row.text is None else next(written) for row in rows]
        progress(len(rows) - len(texts))
        return answers
