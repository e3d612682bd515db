"""One trained model that answers texts with texts: what a local run, a worker of a cluster and a server call."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.inference.tables.rows import Answer
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.find_trained import locate
from textbox_elmer.runtime.models.generation import Generated
from textbox_elmer.runtime.runs.traces import make_traces
from textbox_elmer.runtime.trained import TrainedModel, load_trained
from textbox_elmer.text.decoding import decode_ids, one_line

NO_DATASET = ""  # whose settings a checkpoint writes under that is no run's
# A parallel model's details, and what a trace calls them.
TRACED = {"tokens": "pieces"} | {
    name: name for name in ("scores", "exit_layers", "settled_layers", "vertices", "copied")
}
MILLISECONDS = "ms"  # a text's share of its batch's time
# Characters that are tokenized at once: ids of long documents, before they are cut, would fill the memory.
TOKENIZED_AT_ONCE = 2**21


class Source(NamedTuple):
    """One text as the model reads it.

    Attributes:
        ids: its tokens', with the special ones around them.
        cut: how many of its own were left out, for want of room.
        fault: why the model cannot be asked, or None.
    """

    ids: list[int]
    cut: int
    fault: str | None


def unheard(count: int) -> None:
    """Tell nobody."""


class TextWriter:
    """Answers texts, in batches of similar lengths.

    Args:
        trained: the model.
        batch_size: texts that are written at once.
        detailed: whether answers have details.
        strict: whether a text that would have to be cut is a fault.
    """

    def __init__(
        self, trained: TrainedModel, batch_size: int = 64, detailed: bool = False, strict: bool = False
    ) -> None:
        self.trained, self.batch_size, self.detailed, self.strict = trained, batch_size, detailed, strict
        self._encoder = trained.text_encoder()

    def __call__(self, texts: Sequence[str], progress: Callable[[int], object] = unheard) -> list[Answer]:
        """Answer texts, in their order.

        Args:
            texts: any number that fits into memory; none but blanks.
            progress: told how many more are answered, now and then.

        Raises:
            UserError: the generation options do not suit the model, or a batch does not fit into the GPU's memory.
        """
        sources = self.read(texts)
        answers = {place: Answer(None, source.fault) for place, source in enumerate(sources) if source.fault}
        waiting = [place for place in range(len(texts)) if place not in answers]
        progress(len(texts) - len(waiting))
        # The longest first: if a batch does not fit into memory, that shows at once.
        waiting.sort(key=lambda place: -len(sources[place].ids))
        for start in range(0, len(waiting), self.batch_size):
            places = waiting[start : start + self.batch_size]
            written = self._write([sources[place].ids for place in places])
            for place, (text, details) in zip(places, written, strict=True):
                answers[place] = Answer(text, cut=sources[place].cut, details=details)
            progress(len(places))
        return [answers[place] for place in range(len(texts))]

    def read(self, texts: Sequence[str]) -> list[Source]:
        """Make ids of texts, as the model reads them."""
        encoded = [self._encoder.sources(some) for some in _groups(texts)]
        rows = [pair for some in encoded for pair in zip(some.ids, some.cut, strict=True)]
        return [Source(row, cut, self._fault(row, cut)) for row, cut in rows]

    def _fault(self, row: Sequence[int], missing: int) -> str | None:
        if not row:
            return "no text: none of its characters is known to the model"
        if missing and self.strict:
            return f"too long: {missing:,} tokens more than src_len={self.trained.config['src_len']} has room for"
        return None

    def _write(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        start = time.perf_counter()
        try:
            found = self.trained.generate(*self.trained.batch(rows), scored=self.detailed)
            ids = found.ids.tolist()  # waits for the device
        except torch.OutOfMemoryError:
            raise UserError(
                f"{len(rows)} texts of {len(rows[0])} tokens do not fit into the GPU's memory at once: give a smaller "
                "--batch_size."
            ) from None
        texts = [one_line(text) for text in decode_ids(self.trained.tokenizer, ids)]
        if not self.detailed:
            return zip(texts, [{}] * len(texts), strict=True)
        milliseconds = round(1000 * (time.perf_counter() - start) / len(rows), 3)
        details = traced(self.trained.tokenizer, found)
        return zip(texts, [{**told, MILLISECONDS: milliseconds} for told in details], strict=True)


def writer_config(model_path: str, model: str | None = None, **changes: Any) -> Config:
    """Return the configuration that a model writes under.

    A run's model keeps its run's lengths, prompts and generation options; any other has those of its kind, and an
    ELMER the canvas that it was trained with.

    Args:
        model_path: a run's folder, a checkpoint's, or a name on the hub.
        model: what `--model` calls it, where nothing else says so.
        changes: values of the configuration instead of those, e.g. `src_len=256`.

    Raises:
        UserError: no such checkpoint, or values that do not suit it.
    """
    located = locate(model_path)
    canvas = getattr(located.found, "canvas_length", None)
    return located.config(model, NO_DATASET, {} if canvas is None else {"tgt_len": canvas}, changes)


def load_writer(model_path: str, model: str | None = None, batch_size: int = 64, **changes: Any) -> TextWriter:
    """Load a model to write with.

    Args:
        model_path, model, changes: as `writer_config` takes them.
        batch_size: texts that are written at once.

    Raises:
        UserError: no such checkpoint, one that is damaged, or values that do not suit it.
    """
    return TextWriter(load_trained(writer_config(model_path, model, **changes)), batch_size)


def traced(tokenizer: PreTrainedTokenizerBase, found: Generated) -> list[dict[str, Any]]:
    """Return how each text came about, by the names of `TRACED`; nothing of texts that were not written in parallel."""
    if found.exit_layers is None:
        return [{}] * len(found.ids)
    arrays = (np.asarray(values.cpu()) for values in found if values is not None)
    return [
        {name: getattr(trace, theirs) for name, theirs in TRACED.items()} for trace in make_traces(tokenizer, *arrays)
    ]


def details_of(spec: ModelSpec) -> tuple[str, ...]:
    """Return what the details of a model's answers are called; of all but a parallel one the time alone is known."""
    return (*TRACED, MILLISECONDS) if spec.parallel else (MILLISECONDS,)


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for end, text in enumerate(texts):
        if size and size + len(text) > TOKENIZED_AT_ONCE:
            yield texts[start:end]
            start, size = end, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
