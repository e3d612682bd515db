"""What `/metrics` tells, in Prometheus's words."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PREFIX = "textbox_elmer"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """One server's counts.

    Attributes:
        waiting: texts in the queue.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        common: dict[str, Any] = {"namespace": PREFIX, "registry": self._registry}
        self._requests = Counter("requests", "Requests for completions, by status.", ["status"], **common)
        self._request = Histogram("request_seconds", "From a request's head to its answer.", buckets=SECONDS, **common)
        self._tokens = Counter("tokens", "Tokens read and written.", ["model", "kind"], **common)
        self._texts = Histogram("batch_texts", "Texts written at once.", ["model"], buckets=TEXTS, **common)
        self._batch = Histogram("batch_seconds", "What a batch took.", ["model"], buckets=SECONDS, **common)
        self.waiting = Gauge("waiting_texts", "Texts in the queue.", **common)

    def count_request(self, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(status).inc()
        self._request.observe(seconds)

    def count_tokens(self, model: str, read: int, written: int) -> None:
        """Count an answered request's tokens."""
        self._tokens.labels(model, "read").inc(read)
        self._tokens.labels(model, "written").inc(written)

    def count_batch(self, model: str, texts: int, seconds: float) -> None:
        """Count a batch that was written."""
        self._texts.labels(model).observe(texts)
        self._batch.labels(model).observe(seconds)

    def page(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        return generate_latest(self._registry)
