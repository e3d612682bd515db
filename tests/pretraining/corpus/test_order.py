"""Epochs: every example once, in a new order, dealt to any number of processes; and streams."""

from pathlib import Path

import datasets
import numpy as np
import pyarrow
import pytest
from accelerate import skip_first_batches
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from textbox_elmer.errors import UserError
from textbox_elmer.pretraining.corpus import (
    CorpusBatches,
    CorpusIndex,
    CorpusLoader,
    Packing,
    StreamedCorpus,
    TextCorpus,
    build_index,
    first_texts,
    open_stream,
    stream,
)
from textbox_elmer.pretraining.corpus.index import BLOCK


def index_of(examples: int, block: int) -> CorpusIndex:
    firsts = np.arange(0, examples, block)
    entries = np.zeros(len(firsts), dtype=BLOCK)
    entries["first"], entries["position"] = firsts, firsts
    return CorpusIndex([Path("unread")], entries, examples)


@settings(deadline=None, derandomize=True)
@given(
    st.integers(1, 200), st.integers(1, 9), st.integers(1, 5), st.integers(1, 30), st.integers(0, 3), st.integers(0, 9)
)
def test_every_example_once_an_epoch(
    examples: int, batch_size: int, processes: int, block: int, epoch: int, held_out: int
) -> None:
    corpus = TextCorpus(index_of(examples + held_out, block), start=held_out)
    shares = [CorpusBatches(corpus, batch_size, 1, processes, process) for process in range(processes)]
    whole = CorpusBatches(corpus, batch_size * processes, 1)
    for sampler in (*shares, whole):
        sampler.set_epoch(epoch)
    steps = [list(sampler) for sampler in shares]
    assert {len(batches) for batches in steps} == {len(whole)} == {len(shares[0])}
    for number, batch in enumerate(whole):
        dealt = [key for batches in steps for key in batches[number] if key[0] != -1]
        assert sorted(dealt) == sorted(batch)
        assert all(batches[number] for batches in steps)
        sizes = [len(batches[number]) for batches in steps]
        assert max(sizes) - min(sizes) <= 1, "no process waits for another"
    seen = sorted(example for batch in whole for _, example in batch)
    assert seen == list(range(held_out, held_out + examples))


def order(corpus: TextCorpus, seed: int, epoch: int) -> list[int]:
    sampler = CorpusBatches(corpus, 10, seed)
    sampler.set_epoch(epoch)
    return [example for batch in sampler for _, example in batch]


def test_orders_are_random_and_repeat() -> None:
    corpus = TextCorpus(index_of(5000, 50))
    assert order(corpus, 0, 0) == order(corpus, 0, 0)
    assert order(corpus, 0, 0) != order(corpus, 0, 1) != order(corpus, 1, 1)
    first = order(corpus, 0, 0)
    assert abs(np.corrcoef(first, np.arange(5000))[0, 1]) < 0.2
    # A batch mixes texts from far apart, as its window's blocks lie all over the corpus.
    assert np.median([np.ptp(first[start : start + 10]) for start in range(0, 5000, 10)]) > 2500


def test_validation_keeps_its_order_and_noise() -> None:
    sampler = CorpusBatches(TextCorpus(index_of(25, 10)), 10)
    sampler.set_epoch(3)
    assert [key for batch in sampler for key in batch] == [(0, number) for number in range(25)]


def test_skipped_batches_leave_the_rest_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"Text number {number}.\n" for number in range(95)))
    corpus = TextCorpus(build_index([tmp_path / "a.txt"], cache_dir=tmp_path / "cache"))
    loader = CorpusLoader(corpus, batch_sampler=CorpusBatches(corpus, 10, 0), collate_fn=list)
    loader.set_epoch(2)
    assert list(skip_first_batches(loader, 4)) == list(loader)[4:]


def hub(folder: Path, validation: bool = True, field: str = "text") -> str:
    """Make what `load_dataset` takes for a dataset, and return its name."""
    folder.mkdir()
    texts = [f"Text number {number}." for number in range(40)]
    parquet.write_table(pyarrow.table({field: [*texts, "1 2", None]}), folder / "train.parquet")
    if validation:
        parquet.write_table(pyarrow.table({field: ["Held out text.", "12"]}), folder / "validation.parquet")
    return str(folder)


@pytest.fixture(autouse=True)
def hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "hub_arguments", lambda name: {})
    monkeypatch.setattr(stream, "SHUFFLED", 8)


def epochs(corpus: StreamedCorpus, count: int) -> list[list[tuple[int, str]]]:
    found: list[list[tuple[int, str]]] = [[] for _ in range(count)]
    for example in corpus:
        if example["epoch"] == count:
            return found
        found[example["epoch"]].append((example["index"], example["text"]))
    return found


def test_a_stream_is_endless_and_shuffled(tmp_path: Path) -> None:
    texts, valid = open_stream(hub(tmp_path / "set"))
    assert valid == ["Held out text."]
    first, second = epochs(StreamedCorpus(texts, seed=0), 2)
    assert first != second
    assert sorted(first) == sorted(second) == [(number, f"Text number {number}.") for number in range(40)]
    assert epochs(StreamedCorpus(texts, seed=0), 1) == [first]
    assert epochs(StreamedCorpus(texts, seed=1), 1) != [first]
    assert first_texts(texts, characters=50) == [f"Text number {number}." for number in range(4)]


def test_processes_share_a_stream(tmp_path: Path) -> None:
    texts, _ = open_stream(hub(tmp_path / "set"))
    whole = epochs(StreamedCorpus(texts, 0), 2)
    shares = [epochs(StreamedCorpus(texts, 0, 3, process), 2) for process in range(3)]
    for epoch in range(2):
        dealt = sorted(example for share in shares for example in share[epoch])
        assert dealt == sorted(whole[epoch])


def test_a_stream_is_packed(tmp_path: Path) -> None:
    texts, _ = open_stream(hub(tmp_path / "set"))
    packing = Packing(lambda block: [3] * len(block), 11)
    (packed,) = epochs(StreamedCorpus(texts, 0, packing=packing), 1)
    joined = [text for _, text in sorted(packed)]
    assert "\n".join(joined) == "\n".join(f"Text number {number}." for number in range(40))
    assert joined[0].count("\n") == 2


def test_without_a_validation_split_the_first_texts_are_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HELD_OUT", 5)
    texts, valid = open_stream(hub(tmp_path / "set", validation=False))
    assert valid == [f"Text number {number}." for number in range(5)]
    assert sorted(text for _, text in epochs(StreamedCorpus(texts, 0), 1)[0])[0] == "Text number 10."
    assert "Text number 4." not in {text for _, text in epochs(StreamedCorpus(texts, 0), 1)[0]}


def test_what_no_corpus_can_be_read_from_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = hub(tmp_path / "bodies", field="body")
    with pytest.raises(UserError, match=r"bodies' cannot be read as a corpus .*no field 'text'"):
        open_stream(name)
    with pytest.raises(UserError, match="nowhere' cannot be read as a corpus"):
        open_stream(str(tmp_path / "nowhere"))
    monkeypatch.setattr(stream, "hub_arguments", lambda name: {"local_files_only": True})
    with pytest.raises(UserError, match="There is no folder of the dataset 'a/b', and the hub does not answer"):
        open_stream("a/b")
    empty = datasets.Dataset.from_dict({"text": ["1", "2"]}).to_iterable_dataset()
    with pytest.raises(UserError, match="The streamed corpus is empty"):
        next(iter(StreamedCorpus(empty, 0)))
