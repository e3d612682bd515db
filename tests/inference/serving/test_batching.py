"""The queue: who is written together, in which order, and what happens when it is full, given up or closed."""

# ruff: noqa: E402 - the server's packages may be missing

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.inference.serving.packages import need

need()

from tests.inference.serving.stubs import StubModel
from textbox_elmer.inference.serving.batching import Batcher, ClosedError, FullError, Job
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.metrics import Metrics
from textbox_elmer.inference.serving.model import Asked

SLOW = 10_000  # milliseconds that nothing here waits for


@pytest.fixture
def stub() -> StubModel:
    return StubModel()


@pytest.fixture
def make(stub: StubModel) -> Iterator[Callable[..., Batcher]]:
    """Return warm batchers, which are closed after the test."""
    made = []

    def start(**limits: float) -> Batcher:
        warm = threading.Event()
        batcher = Batcher([stub], Limits(**limits), Metrics(), lambda _: warm.set())
        batcher.start()
        assert warm.wait(10)
        stub.batches.clear()
        stub.entered.clear()
        made.append(batcher)
        return batcher

    yield start
    stub.open.set()
    for batcher in made:
        batcher.close()


def submit(batcher: Batcher, stub: StubModel, *texts: str, count: int = 1) -> list[Job]:
    jobs = [Job(stub, Asked(source, count)) for source in stub.read(texts)]
    batcher.submit(jobs)
    return jobs


def texts_of(jobs: list[Job]) -> list[str]:
    return [job.answer.result(10)[0].text for job in jobs]


def test_texts_that_come_together_are_written_together(make: Callable, stub: StubModel) -> None:
    batcher = make(max_wait_ms=100)
    first, second = submit(batcher, stub, "one"), submit(batcher, stub, "two")
    assert texts_of(first + second) == ["ONE", "TWO"]
    assert stub.batches == [["one", "two"]]


def test_a_batch_has_no_more_tokens_than_it_may(make: Callable, stub: StubModel) -> None:
    batcher = make(max_wait_ms=SLOW, max_batch_tokens=20)
    jobs = submit(batcher, stub, "a", "b", "c", "d")  # does not wait: both batches are full
    assert texts_of(jobs) == ["A", "B", "C", "D"]
    assert stub.batches == [["a", "b"], ["c", "d"]]
    assert texts_of(submit(batcher, stub, "x" * 50)) == ["X" * 50]  # longer than all of a batch


def test_only_what_is_alike_is_written_together_and_the_oldest_first(make: Callable, stub: StubModel) -> None:
    batcher = make(max_wait_ms=0)
    stub.open.clear()
    held = submit(batcher, stub, "held")
    assert stub.entered.wait(10)
    jobs = submit(batcher, stub, "a", "long enough to be longer", "b")
    jobs += submit(batcher, stub, "twice", count=2) + submit(batcher, stub, "c")
    stub.open.set()
    texts_of(held + jobs)
    assert stub.batches == [["held"], ["a", "b", "c"], ["long enough to be longer"], ["twice"]]


def test_a_full_queue_says_when_to_come_again(make: Callable, stub: StubModel) -> None:
    batcher = make(max_wait_ms=0, max_queue=2)
    stub.open.clear()
    held = submit(batcher, stub, "held")
    assert stub.entered.wait(10)
    waiting = submit(batcher, stub, "a", "b")
    with pytest.raises(FullError) as full:
        submit(batcher, stub, "c")
    assert 1 <= full.value.retry_after <= 60
    batcher.give_up(waiting[:1])
    taken = submit(batcher, stub, "d")
    stub.open.set()
    assert texts_of(held + waiting[1:] + taken) == ["HELD", "B", "D"]
    assert ["a"] not in stub.batches
    assert all("a" not in batch for batch in stub.batches)


def test_one_bad_text_harms_no_neighbour(make: Callable, stub: StubModel) -> None:
    batcher = make(max_wait_ms=100)
    good, bad, other = submit(batcher, stub, "good", "bad", "other")
    assert texts_of([good, other]) == ["GOOD", "OTHER"]
    with pytest.raises(RuntimeError, match="bad"):
        bad.answer.result(10)
    assert texts_of(submit(batcher, stub, "next")) == ["NEXT"]


def test_closing_finishes_what_was_taken_and_refuses_more(make: Callable, stub: StubModel) -> None:
    batcher = make(max_wait_ms=SLOW)
    jobs = submit(batcher, stub, "a", "b")
    start = time.monotonic()
    batcher.close()
    assert texts_of(jobs) == ["A", "B"]
    assert time.monotonic() - start < SLOW / 1000 / 2
    with pytest.raises(ClosedError):
        submit(batcher, stub, "c")


def test_a_largest_batch_that_cannot_be_written_is_told(stub: StubModel) -> None:
    told: list[Exception | None] = []
    stub.longest = lambda _: [Asked(source) for source in stub.read(["bad"])]
    batcher = Batcher([stub], Limits(), Metrics(), told.append)
    batcher.start()
    batcher.close()
    assert [str(fault) for fault in told] == ["bad"]
    assert not batcher.is_warm
