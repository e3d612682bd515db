"""`data distill`: a dataset again, its training targets written by a trained model.

Sequence-level knowledge distillation (Kim and Rush, 2016, https://arxiv.org/abs/1606.07947). A teacher words like
sources alike, which is easier to learn than the wordings of many people, above all for a model that writes all tokens
at once.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from textbox_elmer.datasets.distillation.progress import Written, begun_or_continued, keep, staging_of
from textbox_elmer.datasets.distillation.teacher import teacher_config
from textbox_elmer.datasets.folder.new import ELSEWHERE, check_name, refuse_existing
from textbox_elmer.files import held, put, remove, writing
from textbox_elmer.runtime.catalogue.distilled import RECORD
from textbox_elmer.runtime.data import Split, find_dataset, load_split
from textbox_elmer.runtime.data.tokenization import source_lengths
from textbox_elmer.runtime.runs.results import library_versions
from textbox_elmer.runtime.trained import TrainedModel, load_trained
from textbox_elmer.text.decoding import decode_ids
from textbox_elmer.text.lines import format_line, references_of

WINDOW = 64  # batches, within which examples are sorted by length: the bar's rate stays even, little is padding
OF_THE_DATA = tuple(f"{split}.{side}" for split in ("valid", "test") for side in ("src", "tgt"))
REPEATED = re.compile(r"(?<!\S)(\S+)(?:\s+\1)+(?!\S)")


def distill_dataset(
    dataset: str,
    name: str,
    data_path: Path,
    model_path: str,
    model: str | None = None,
    num_beams: int = 1,
    batch_size: int = 64,
) -> str:
    """Write `data_path/name`: the dataset with a teacher's texts as its training targets, the rest as it is.

    A word of a text that equals its left neighbour is dropped, the usual fault of parallel decoding. An empty text
    gives way to the reference. What is written is kept in a hidden folder beside `data_path/name`, which appears when
    it is complete: killed and repeated, the command goes on and ends in the same bytes. Its distill.json says how it
    was made and, by naming `dataset`, whose settings hold for it.

    Args:
        dataset, name: the dataset, and what the new one is called.
        data_path: where both lie.
        model_path, model, num_beams: the teacher, as `teacher_config` takes it.
        batch_size: texts that are written at once.

    Returns:
        what was written, for the user.

    Raises:
        UserError: the name is taken or no name, there is no such dataset or teacher, something else was begun under
            that name, or the files cannot be written.
    """
    folder = data_path / name
    check_name(name)
    refuse_existing(folder)
    origin = find_dataset(data_path, dataset)
    teacher = load_trained(teacher_config(model_path, model, num_beams, dataset, data_path))
    return distill_with(teacher, dataset, origin, folder, batch_size)


def distill_with(teacher: TrainedModel, dataset: str, origin: Path, folder: Path, batch_size: int = 64) -> str:
    """Do what `distill_dataset` does with a teacher that is at hand, whatever kind of model it is.

    Args:
        teacher: whose configuration says by `model_path` what it is called and by `generation_kwargs` how it writes.
        dataset, origin: what it writes for, and where that lies.
        folder: the new dataset's.
        batch_size: texts that are written at once.

    Raises:
        UserError: something else was begun in that folder, or the files cannot be written.
    """
    split = load_split(origin, "train")
    ids = teacher.encode(split)
    teacher.generate(*teacher.sources(ids, [0]))  # options that do not suit it are found before anything is written
    batches = _batches(source_lengths(ids), batch_size)
    identity = _identity(teacher, dataset, origin, batch_size)
    options = teacher.config["generation_kwargs"] or {}
    staging = staging_of(folder)
    with writing(folder, ELSEWHERE), held(folder, ELSEWHERE):
        refuse_existing(folder)
        written = _write_all(teacher, ids, batches, staging, identity)
        texts = _in_order(batches, written)
        counts = _counts(texts, split, written)
        record = {"dataset": dataset, "teacher": teacher.config["model_path"], "model": teacher.spec.name}
        record |= {"num_beams": options.get("num_beams", 1), **counts, "versions": library_versions()}
        _publish(folder, staging / folder.name, origin, _targets(texts, split), record)
        remove(staging)
    return _report(folder, teacher, counts)


def without_repeats(text: str) -> str:
    """Return a text without the words that equal their left neighbour, nor the blanks before them."""
    return REPEATED.sub(r"\1", text)


def _batches(lengths: np.ndarray, size: int) -> list[np.ndarray]:
    """Return the examples of each batch, the longest of a window first: the same ones whenever it is asked."""
    window = size * WINDOW
    starts = range(0, len(lengths), window)
    order = np.concatenate([start + np.argsort(-lengths[start : start + window], kind="stable") for start in starts])
    return [order[start : start + size] for start in range(0, len(order), size)]


def _write_all(
    teacher: TrainedModel, ids: Dataset, batches: Sequence[np.ndarray], staging: Path, identity: Mapping[str, Any]
) -> list[Written]:
    with begun_or_continued(staging, identity, [len(batch) for batch in batches]) as (written, file):
        done = sum(len(batch.texts) for batch in written)
        with tqdm(desc="distill", total=len(ids), initial=done, unit=" texts", disable=None) as bar:
            for examples in batches[len(written) :]:
                written.append(_write(teacher, ids, len(written), examples.tolist()))
                keep(file, written[-1])
                bar.update(len(examples))
        return written


def _write(teacher: TrainedModel, ids: Dataset, number: int, examples: list[int]) -> Written:
    start = time.perf_counter()
    found = teacher.generate(*teacher.sources(ids, examples)).ids
    rows = found.tolist()  # waits for the device
    texts = [without_repeats(text.strip()) for text in decode_ids(teacher.tokenizer, rows)]
    return Written(number, texts, _cut(teacher, found), time.perf_counter() - start)


def _in_order(batches: Sequence[np.ndarray], written: Sequence[Written]) -> list[str]:
    """Return the texts in the order of the dataset's lines."""
    order = np.concatenate(batches)
    texts = [text for batch in written for text in batch.texts]
    return [texts[place] for place in np.argsort(order)]


def _cut(teacher: TrainedModel, ids: Tensor) -> int:
    """Count the texts that do not end before the last place of the longest length."""
    longest = (teacher.config["generation_kwargs"] or {}).get("max_length", teacher.config["tgt_len"])
    # Where there is a start token, it may be the very token that ends a text.
    first = 0 if teacher.spec.parallel or teacher.spec.causal else 1
    return int((ids[:, first : longest - 1] != teacher.special.end).all(-1).sum())


def _identity(teacher: TrainedModel, dataset: str, origin: Path, batch_size: int) -> dict[str, Any]:
    """Return all that decides the texts, by the name that a user knows it by."""
    data = hashlib.sha256()
    for side in ("src", "tgt"):
        data.update((origin / f"train.{side}").read_bytes() + b"\0")
    identity = teacher.identity()
    options = identity.pop("generation_kwargs")
    return {
        "dataset": f"{dataset}, {data.hexdigest()}",
        **identity,
        "batch_size": batch_size,
        "num_beams": options.pop("num_beams", 1),
        "generation_kwargs": options,
    }


def _counts(texts: Sequence[str], split: Split, written: Sequence[Written]) -> dict[str, Any]:
    pairs = zip(texts, split.target, strict=True)
    return {
        "texts": len(texts),
        "equal_to_reference": sum(bool(text) and text in references_of(target) for text, target in pairs),
        "empty": sum(not text for text in texts),
        "cut": sum(batch.cut for batch in written),
        "seconds": sum(batch.seconds for batch in written),
    }


def _targets(texts: Sequence[str], split: Split) -> list[str | list[str]]:
    return [text or target for text, target in zip(texts, split.target, strict=True)]


def _publish(
    folder: Path, made: Path, origin: Path, targets: Sequence[str | list[str]], record: Mapping[str, Any]
) -> None:
    """Make the dataset in the hidden folder and move it into place."""
    remove(made)  # which a killed process left half-made
    made.mkdir()
    for file in ("train.src", *OF_THE_DATA):
        if file == "train.src" or (origin / file).exists():  # not every dataset has a test split
            shutil.copyfile(origin / file, made / file)
    lines = "".join(f"{format_line(target)}\n" for target in targets)
    (made / "train.tgt").write_text(lines, encoding="utf-8", newline="\n")
    (made / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    put(made, folder)


def _report(folder: Path, teacher: TrainedModel, counts: Mapping[str, Any]) -> str:
    empty = " (the reference stands in their place)" if counts["empty"] else ""
    return (
        f"{folder}: {counts['texts']:,} texts by {teacher.spec.name} ({teacher.config['model_path']}), "
        f"{counts['equal_to_reference'] / counts['texts']:.1%} equal to the reference, "
        f"{counts['empty']:,} empty{empty}, {counts['cut']:,} cut, written in {counts['seconds']:.1f} seconds. "
        f"Train on them with --dataset={folder.name}."
    )
