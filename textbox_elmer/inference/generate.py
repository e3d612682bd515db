"""Answering the texts of files: window by window, so that memory stays and a kill costs a window at most."""

import hashlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
from tqdm import tqdm

from textbox_elmer.errors import UserError
from textbox_elmer.files import held, remove, writing
from textbox_elmer.inference.answering import RowWriter
from textbox_elmer.inference.job import Job, refuse_existing
from textbox_elmer.inference.parts import IDENTITY, Facts, Parts
from textbox_elmer.inference.ranks import Ranks
from textbox_elmer.inference.tables.rows import Answer, Window
from textbox_elmer.inference.writer import TextWriter
from textbox_elmer.runtime.runs.results import library_versions
from textbox_elmer.unfinished import begin_or_continue

ELSEWHERE = "give another --output"
JOINED = "joined"


@dataclass
class Report:
    """What has become of all texts.

    Attributes:
        rows: how many there were.
        failed: how many have an error in place of a text.
        cut: how many were cut to be read.
    """

    rows: int = 0
    failed: int = 0
    cut: int = 0

    def told(self, place: str, src_len: int) -> str:
        """Return it as a sentence about the place that they went to."""
        cut = f", {self.cut:,} cut to src_len={src_len}" if self.cut else ""
        failed = f", {self.failed:,} failed and have an error in place of a text" if self.failed else ""
        return f"{place}: {self.rows - self.failed:,} of {self.rows:,} texts written{cut}{failed}."

    def count(self, facts: Facts) -> None:
        """Add a window's."""
        self.rows, self.failed, self.cut = self.rows + facts.rows, self.failed + facts.failed, self.cut + facts.cut


def generate_to_stdout(job: Job, writer: TextWriter) -> Report:
    """Answer a job's one file on standard output, a window at a time.

    Raises:
        UserError: a file cannot be read any further, or the model cannot write.
    """
    report, (source,), answer = Report(), job.sources, RowWriter(writer)

    def parts() -> Iterator[io.BytesIO]:
        for number, window in enumerate(source.table.windows()):
            answers = answer(window.rows, number, bar.update)
            report.count(_facts(window, answers))
            yield io.BytesIO(source.format.part(window, answers))
            sys.stdout.buffer.flush()

    with _bar(job, Ranks()) as bar:
        source.format.join(parts(), sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return report


def generate_to_files(job: Job, writer: TextWriter, ranks: Ranks) -> Report | None:
    """Answer a job's files into its output, which appears when it is complete, or go on with what was begun there.

    Of several processes each answers its share of the windows, and the first puts all together. Windows, and the
    batches in them, are the same however often the work is broken off and by how many it is done; so are the bytes.

    Returns:
        what has become of all texts; None for a process that only helps.

    Raises:
        UserError: the output is there already or another process works on it, something else was begun there, a file
            cannot be read any further or written, or the model cannot write.
    """
    output = job.output
    assert output is not None
    parts = Parts(output)
    with writing(output, ELSEWHERE):
        if ranks.rank == 0:
            with held(output, ELSEWHERE):
                refuse_existing(output)
                begin_or_continue(parts.folder, IDENTITY, identity_of(job, writer))
                return _publish(job, output, parts, _answer_all(job, writer, ranks, parts))
        if parts.wait_for_beginning(output):
            begin_or_continue(parts.folder, IDENTITY, identity_of(job, writer))
            try:
                _answer_all(job, writer, ranks, parts)
            except FileNotFoundError:
                if not os.path.lexists(output):  # where it is, all parts were there and the first has tidied up
                    raise
    return None


def _answer_all(job: Job, writer: TextWriter, ranks: Ranks, parts: Parts) -> list[range]:
    """Write this process's parts and return which parts each file has."""
    numbers, number, answer = [], 0, RowWriter(writer)
    with _bar(job, ranks) as bar:
        for source in job.sources:
            first = number
            for window in source.table.windows():
                facts = parts.facts(number)
                if facts is not None and facts.texts != _digest(window):
                    raise UserError(
                        f"{source.table.name} is not what it was when {str(parts.folder)!r} was begun: give what it "
                        "was then, or delete that folder to begin anew."
                    )
                if facts is None and ranks.has(number):
                    answers = answer(window.rows, number, bar.update)
                    parts.keep(number, _facts(window, answers), source.format.part(window, answers))
                elif facts is None:  # another process is at it, as fast as this one
                    bar.update(len(window.rows))
                else:
                    _pass(bar, len(window.rows))
                number += 1
            numbers.append(range(first, number))
    return numbers


def _publish(job: Job, output: Path, parts: Parts, numbers: list[range]) -> Report:
    """Join the parts, when all are there, and move the result into place."""
    report, made = Report(), parts.folder / JOINED
    for number in range(numbers[-1].stop):
        report.count(parts.wait_for(number))
    remove(made)  # which a killed process left half-made
    if job.is_folder:
        made.mkdir()
    for source, of_source in zip(job.sources, numbers, strict=True):
        path = made / source.path.name if job.is_folder and source.path is not None else made
        with path.open("xb") as file:
            source.format.join(parts.contents(of_source), file)
            file.flush()
            os.fsync(file.fileno())
    refuse_existing(output)
    made.rename(output)
    remove(parts.folder)
    return report


def _facts(window: Window, answers: list[Answer]) -> Facts:
    failed = sum(answer.fault is not None for answer in answers)
    return Facts(len(answers), failed, sum(answer.cut > 0 for answer in answers), _digest(window))


def _digest(window: Window) -> str:
    digest = hashlib.sha256()
    for row in window.rows:
        digest.update((row.text or row.fault or "").encode() + b"\0")
    return digest.hexdigest()


@contextmanager
def _bar(job: Job, ranks: Ranks) -> Iterator[tqdm]:
    shown = sys.stderr.isatty() and ranks.rank == 0
    counts = [source.table.count() for source in job.sources] if shown else [None]
    known = [count for count in counts if count is not None]
    total = sum(known) if len(known) == len(counts) else None
    # The mean rate of all, for windows begin with their longest texts.
    with tqdm(desc="generate", total=total, unit=" texts", smoothing=0, disable=not shown) as bar:
        yield bar
        bar.total = bar.n  # of a table's rows the lines were counted


def _pass(bar: tqdm, rows: int) -> None:
    """Count rows that are done already, which say nothing of the rate."""
    if not bar.disable:
        bar.initial += rows
    bar.update(rows)


def identity_of(job: Job, writer: TextWriter) -> dict[str, Any]:
    """Return all that decides the output's bytes, by the names that a user knows it by."""
    return {
        "input": [_file_of(source.path) for source in job.sources],
        "column": job.column,
        "output_column": job.new.generated,
        "details": writer.detailed,
        "strict": writer.strict,
        "batch_size": writer.batch_size,
        "device": writer.trained.model.device.type,
        "versions": {**library_versions(), "pyarrow": pyarrow.__version__},
        **writer.trained.identity(),
    }


def _file_of(path: Path | None) -> list[Any]:
    if path is None:
        return ["standard input"]
    facts = path.stat()
    return [str(path.resolve()), facts.st_size, facts.st_mtime_ns]
