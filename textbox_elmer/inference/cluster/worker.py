"""What each process of a cluster does: it loads the model once and answers batches of rows."""

import pyarrow

from textbox_elmer.inference.answering import RowWriter
from textbox_elmer.inference.cluster.job import CUT, ROW_HASH
from textbox_elmer.inference.tables.columnar import added_columns, rows_of_texts
from textbox_elmer.inference.tables.rows import NewColumns
from textbox_elmer.inference.writer import TextWriter
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.trained import load_trained


class Worker:
    """Answers batches of rows; Ray Data keeps one in each of its actors.

    Args:
        config: what the model writes under.
        column, new: the column of the texts, and those that are added.
        batch_size, strict: as `TextWriter` takes them.
    """

    def __init__(self, config: Config, column: str, new: NewColumns, batch_size: int, strict: bool) -> None:
        self._answer = RowWriter(TextWriter(load_trained(config), batch_size, bool(new.details), strict))
        self._column, self._new = column, new

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Return the batch's rows with their answers.

        Raises:
            UserError: a batch does not fit into the GPU's memory.
        """
        seed = batch.column(ROW_HASH)[0].as_py()
        answers = self._answer(rows_of_texts(batch.column(self._column)), seed)
        for field, values in added_columns(self._new, answers):
            batch = batch.append_column(field, values)
        cut = pyarrow.array([answer.cut for answer in answers], pyarrow.int32())
        return batch.append_column(CUT, cut)
