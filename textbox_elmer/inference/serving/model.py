"""A model as the server asks it: a text's answer is the same alone and among any others."""

import copy
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from textbox_elmer.errors import UserError
from textbox_elmer.inference.writer import MILLISECONDS, Source, TextWriter, traced
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.models.generation import Generated, canvas_positions
from textbox_elmer.runtime.trained import TrainedModel
from textbox_elmer.text.decoding import decode_ids, one_line

SHORTEST = 16  # tokens, of which a text's padded length is a multiple
TRIAL = "a"
MKL = "MKL_CBWR"
# By what PyTorch calls the processor: how MKL sums a row's products alike, however many rows there are beside it.
STEADY = {"AVX512": "AVX512,STRICT", "AVX2": "AVX2,STRICT"}


@dataclass(frozen=True)
class Asked:
    """A text that waits for its answer.

    Attributes:
        source: the text, as the model reads it.
        count: how many texts are wanted for it.
        max_tokens: how many tokens of each, None for all.
        detailed: whether it shall be told how they came about.
    """

    source: Source
    count: int = 1
    max_tokens: int | None = None
    detailed: bool = False


@dataclass(frozen=True)
class Written:
    """A text that a model wrote.

    Attributes:
        text: in one line.
        tokens: how many it has, special ones not counted.
        complete: whether the model ended it, within the tokens that were asked for.
        details: how it came about, if that was asked for.
    """

    text: str
    tokens: int
    complete: bool
    details: Mapping[str, Any] = field(default_factory=dict)


class ServedModel:
    """One model, under a name.

    Texts are padded to a length that is their own and written with others of that length alone: nothing of a neighbour
    enters a text's numbers, and their rounding is that of a row by itself.

    Args:
        name: what requests call it.
        writer: what reads its texts, and whether too long ones are faults.

    Attributes:
        most: how many texts it can write for one.

    Raises:
        UserError: it draws its texts at random, or cannot write one.
    """

    def __init__(self, name: str, writer: TextWriter) -> None:
        self.name, self._trained = name, writer.trained
        if _option(writer.trained, "do_sample"):
            raise UserError(
                f"{name} draws its texts at random, so that an answer would depend on what is asked beside it: give "
                "--generation_kwargs='{do_sample: false}'."
            )
        # Tokenizers are not for two threads at once: one reads here, another writes.
        self._reader = TextWriter(
            replace(writer.trained, tokenizer=copy.deepcopy(writer.trained.tokenizer)), strict=writer.strict
        )
        self._longest = writer.trained.config["src_len"]
        self._special = frozenset(writer.trained.tokenizer.all_special_ids)
        self._ends = _ends(writer.trained)
        self._sizes = _sizes(writer.trained)
        self.most = 1 if writer.trained.spec.parallel else _option(writer.trained, "num_beams") or 1
        writer([TRIAL])  # options that do not suit the model are found before anybody asks

    def read(self, texts: Sequence[str]) -> list[Source]:
        """Make ids of texts; for one thread at a time."""
        return self._reader.read(texts)

    def padded_length(self, source: Source) -> int:
        """Return how many tokens a text has with its padding: multiples of 16, above 128 of an eighth to a quarter."""
        length = len(source.ids)
        step = max(SHORTEST, 2 ** ((length - 1).bit_length() - 3))
        return max(min(-(-length // step) * step, self._longest), length)

    def write(self, asked: Sequence[Asked]) -> list[list[Written]]:
        """Answer texts of one padded length and count; for one thread at a time.

        Raises:
            UserError: the model writes no numbers.
        """
        start, count = time.perf_counter(), asked[0].count
        trained = _with_count(self._trained, count)
        rows = [one.source.ids for one in asked]
        found = trained.generate(*trained.batch(rows, self.padded_length(asked[0].source)))
        ids = found.ids.tolist()  # waits for the device
        milliseconds = round(1000 * (time.perf_counter() - start) / len(asked), 3)
        written = list(self._written([one for one in asked for _ in range(count)], ids, found, milliseconds))
        return [written[first : first + count] for first in range(0, len(written), count)]

    def longest(self, max_tokens: int) -> list[Asked]:
        """Return the largest batch that may be asked for: of as many texts of the model's length as have room."""
        (source,) = self._reader.read([" ".join([TRIAL] * self._longest)])
        return [Asked(source, self.most)] * max(1, max_tokens // self._longest)

    def _written(
        self, asked: Sequence[Asked], ids: list[list[int]], found: Generated, milliseconds: float
    ) -> Iterator[Written]:
        cuts = [self._cut(one, row) for one, row in zip(asked, ids, strict=True)]
        texts = decode_ids(self._trained.tokenizer, [row[:end] for row, (end, _, _) in zip(ids, cuts, strict=True)])
        told = iter(self._told(asked, found))
        for one, text, (end, tokens, complete) in zip(asked, texts, cuts, strict=True):
            details = {}
            if one.detailed:
                by_token = {name: values[:end] for name, values in next(told).items() if values is not None}
                details = by_token | self._sizes | {MILLISECONDS: milliseconds}
            yield Written(one_line(text), tokens, complete, details)

    def _told(self, asked: Sequence[Asked], found: Generated) -> list[dict[str, Any]]:
        places = [place for place, one in enumerate(asked) if one.detailed]
        if not places or found.exit_layers is None:
            return [{}] * len(places)
        some = found._replace(scores=torch.full_like(found.ids, torch.nan, dtype=torch.float))
        return traced(self._trained.tokenizer, Generated(*(values[places] for values in some if values is not None)))

    def _cut(self, one: Asked, row: Sequence[int]) -> tuple[int, int, bool]:
        """Return where a row of ids ends, how many tokens of text it has until there, and whether that is all."""
        text = [place for place, token in enumerate(row) if token not in self._special]
        if one.max_tokens is not None and len(text) > one.max_tokens:
            return text[one.max_tokens], one.max_tokens, False
        first = 0 if self._trained.spec.parallel or self._trained.spec.causal else 1  # others start with a special one
        return len(row), len(text), any(token in self._ends for token in row[first:])


def sum_steadily() -> None:
    """Let MKL round a row's products alike in any batch; to be called before anything is multiplied.

    It then costs a row that is alone a little, and nothing otherwise. A choice of the user's stays.
    """
    if (steady := STEADY.get(torch.backends.cpu.get_cpu_capability())) is not None:
        os.environ.setdefault(MKL, steady)


def _ends(trained: TrainedModel) -> frozenset[int]:
    found = (trained.model.config if trained.spec.parallel else trained.model.generation_config).eos_token_id
    return frozenset(found if isinstance(found, list) else [found])


def _sizes(trained: TrainedModel) -> dict[str, int]:
    """Return what a parallel model's details count up to: its decoder's layers and its canvas's positions."""
    canvas = canvas_positions(trained.model, trained.spec, trained.config)
    return {} if canvas is None else {"layers": trained.model.config.decoder_layers, "canvas": canvas}


def _option(trained: TrainedModel, name: str) -> Any:
    """Return an option of a model's generate(), as it was given or as the model has it."""
    given = trained.config["generation_kwargs"] or {}
    return given.get(name, getattr(getattr(trained.model, "generation_config", None), name, None))


def _with_count(trained: TrainedModel, count: int) -> TrainedModel:
    options = {**(trained.config["generation_kwargs"] or {}), "num_return_sequences": count}
    return replace(trained, config=Config({**trained.config, "generation_kwargs": options}))
