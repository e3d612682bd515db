"""The queue before the models, and the one thread that works on it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.metrics import Metrics
from textbox_elmer.inference.serving.model import Asked, ServedModel, Written

SHORTEST_RETRY, LONGEST_RETRY = 1, 60  # seconds
REMEMBERED = 0.9  # how much of what a text took on average stays with each batch

log = logging.getLogger(__name__)


class FullError(Exception):
    """There is no room for a request's texts.

    Attributes:
        retry_after: in how many seconds there may be.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class ClosedError(Exception):
    """No more work is taken."""


@dataclass
class Job:
    """A text in the queue.

    Attributes:
        model, asked: who shall write what.
        answer: the texts, when they are written.
        arrived: when it came, by the monotonic clock.
    """

    model: ServedModel
    asked: Asked
    answer: "Future[list[Written]]" = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.length = self.model.padded_length(self.asked.source)
        # Only what is alike in all of these is written together.
        self.kind = (self.model.name, self.length, self.asked.count)


class Batcher:
    """Answers texts in batches, the oldest first, on a thread of its own.

    Args:
        models: those that may be asked.
        limits: how long a text waits, how large a batch is, how many texts wait.
        metrics: told of every batch.
        tried: told, from that thread, when the models have written their largest batches at the beginning, by None, or
            why they cannot.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        limits: Limits,
        metrics: Metrics,
        tried: Callable[[Exception | None], object],
    ) -> None:
        self._models, self._limits, self._metrics, self._tried = models, limits, metrics, tried
        self._waiting: list[Job] = []
        self._changed = threading.Condition()
        self._closed, self._warm, self._seconds = False, False, 0.0
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        metrics.waiting.set_function(lambda: len(self._waiting))

    @property
    def is_warm(self) -> bool:
        """Whether all models have written their largest batches and work is taken."""
        return self._warm and not self._closed

    def start(self) -> None:
        """Begin: with the largest batch of every model, so that what does not fit shows at once."""
        self._thread.start()

    def close(self) -> None:
        """Take no more work, and wait until what was taken is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue a request's texts.

        Raises:
            FullError: there is no room for them.
            ClosedError: no more work is taken.
        """
        with self._changed:
            if self._closed:
                raise ClosedError
            if len(self._waiting) + len(jobs) > self._limits.max_queue:
                ahead = math.ceil(len(self._waiting) * self._seconds)
                raise FullError(min(max(ahead, SHORTEST_RETRY), LONGEST_RETRY))
            self._waiting += jobs
            self._changed.notify()

    def give_up(self, jobs: Sequence[Job]) -> None:
        """Take a request's texts out of the queue again; what is being written already is written in vain."""
        with self._changed:
            for job in jobs:
                job.answer.cancel()
            self._waiting = [job for job in self._waiting if not job.answer.cancelled()]

    def _work(self) -> None:
        try:
            for model in self._models:
                model.write(model.longest(self._limits.max_batch_tokens))
            self._warm = True
            self._tried(None)
        except Exception as error:
            self._tried(error)
        while batch := self._next():
            taken = [job for job in batch if job.answer.set_running_or_notify_cancel()]
            if taken:
                self._answer(taken)

    def _next(self) -> list[Job]:
        """Wait for texts that are written together; none if there will be no more."""
        with self._changed:
            while True:
                if not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                    continue
                oldest = self._waiting[0]
                most = max(1, self._limits.max_batch_tokens // oldest.length)
                batch = [job for job in self._waiting if job.kind == oldest.kind][:most]
                left = oldest.arrived + self._limits.max_wait_ms / 1000 - time.monotonic()
                if len(batch) == most or left <= 0 or self._closed:
                    taken = set(map(id, batch))
                    self._waiting = [job for job in self._waiting if id(job) not in taken]
                    return batch
                self._changed.wait(left)

    def _answer(self, batch: Sequence[Job]) -> None:
        start = time.monotonic()
        try:
            answers = batch[0].model.write([job.asked for job in batch])
        except Exception as error:
            if len(batch) > 1:  # whose fault it was shows when each is alone
                for job in batch:
                    self._answer([job])
                return
            log.exception("%s cannot write a text.", batch[0].model.name)
            batch[0].answer.set_exception(error)
            return
        took = time.monotonic() - start
        self._seconds = REMEMBERED * self._seconds + (1 - REMEMBERED) * took / len(batch)
        self._metrics.count_batch(batch[0].model.name, len(batch), took)
        for job, answer in zip(batch, answers, strict=True):
            job.answer.set_result(answer)
