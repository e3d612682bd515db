"""Clients of all kinds: the official one, many at once, slow ones, ones that vanish, ones that send nonsense."""

# ruff: noqa: E402 - the server's packages may be missing

import gc
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.inference.serving.packages import need

need("openai")

import openai
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from starlette.testclient import TestClient

from tests.inference.serving.running import running
from tests.inference.serving.stubs import StubModel
from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.model import ServedModel

URL = "/v1/completions"
REQUESTS = 5000


@pytest.fixture
def stub() -> StubModel:
    return StubModel()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_official_client(served_elmer: ServedModel, texts: list[str], written: list[str]) -> None:
    with running(served_elmer, access=Access("secret", local=True)) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0)
        assert [model.id for model in client.models.list()] == ["elmer"]
        answer = client.completions.create(model="elmer", prompt=texts[:5])
        assert [choice.text for choice in answer.choices] == written[:5]
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        with pytest.raises(openai.NotFoundError, match="There is no such model here, only elmer"):
            client.completions.create(model="gpt", prompt="a")
        with pytest.raises(openai.BadRequestError, match="stream cannot be true"):
            client.completions.create(model="elmer", prompt="a", stream=True)
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="guess").models.list()
        told = client.completions.create(model="elmer", prompt="alpha", extra_body={"details": True})
        assert told.choices[0].details["ms"] > 0


def test_the_official_client_comes_again_when_the_queue_was_full(stub: StubModel) -> None:
    with running(stub, max_queue=1, max_wait_ms=0) as address, ThreadPoolExecutor(2) as threads:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="-", max_retries=5)
        stub.open.clear()
        stub.entered.clear()
        first = threads.submit(client.completions.create, model="stub", prompt="first")
        assert stub.entered.wait(10)
        second = threads.submit(client.completions.create, model="stub", prompt="second")
        until(lambda: "waiting_texts 1.0" in client.get("../metrics", cast_to=str))
        with pytest.raises(openai.RateLimitError) as full:
            client.with_options(max_retries=0).completions.create(model="stub", prompt="third")
        assert int(full.value.response.headers["Retry-After"]) >= 1
        assert full.value.code == "queue_full"
        third = threads.submit(client.completions.create, model="stub", prompt="third")
        stub.open.set()
        assert [one.result(20).choices[0].text for one in (first, second, third)] == ["FIRST", "SECOND", "THIRD"]


def test_the_same_text_alone_and_in_any_batch(
    served_elmer: ServedModel, served_bart: ServedModel, texts: list[str]
) -> None:
    """Answers of many clients at once, among neighbours of all lengths, are bit for bit those of a client alone."""
    for model in (served_elmer, served_bart):
        with running(model, max_wait_ms=20) as address, ThreadPoolExecutor(8) as threads:
            client = openai.OpenAI(base_url=f"{address}/v1", api_key="-", max_retries=0)

            def ask(*prompts: str, client: openai.OpenAI = client, name: str = model.name) -> list[str]:
                answer = client.completions.create(model=name, prompt=list(prompts))
                return [choice.text for choice in answer.choices]

            longer = [" ".join([text] * (1 + place % 4)) for place, text in enumerate(texts[:16])]
            alone = [ask(text)[0] for text in longer]
            assert len(set(alone)) > 5
            assert list(threads.map(lambda text, ask=ask: ask(text)[0], longer * 2)) == alone * 2
            assert ask(*longer) == alone
            batches = client.get("../metrics", cast_to=str)
            ones = f'batch_texts_bucket{{le="1.0",model="{model.name}"}} '
            counted = [line for line in batches.splitlines() if ones in line or "batch_texts_count" in line]
            assert float(counted[0].split()[-1]) < float(counted[1].split()[-1])  # there were batches of several


def test_a_client_that_vanishes_costs_nothing(stub: StubModel, caplog: pytest.LogCaptureFixture) -> None:
    with running(stub, max_wait_ms=0) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="-", max_retries=0)
        port = int(address.rpartition(":")[2])
        stub.open.clear()
        stub.entered.clear()
        vanishing = [_send(port, {"prompt": "vanishing 0"})]
        assert stub.entered.wait(10)
        # The others come while the first is written, so that they are no part of its batch.
        vanishing += [_send(port, {"prompt": f"vanishing {place}"}) for place in (1, 2)]
        until(lambda: "waiting_texts 2.0" in client.get("../metrics", cast_to=str))
        for connection in vanishing:
            connection.close()
        until(lambda: "waiting_texts 0.0" in client.get("../metrics", cast_to=str))
        stub.open.set()
        assert client.completions.create(model="stub", prompt="staying").choices[0].text == "STAYING"
        assert [batch for batch in stub.batches if "vanishing 1" in batch or "vanishing 2" in batch] == []
        until(lambda: 'requests_total{status="499"} 3.0' in client.get("../metrics", cast_to=str))
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_a_slow_client_is_told_and_holds_up_nobody(stub: StubModel) -> None:
    with running(stub, body_seconds=0.5) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="-", max_retries=0)
        slow = _send(int(address.rpartition(":")[2]), {"prompt": "slow"}, missing=3)
        assert client.completions.create(model="stub", prompt="fast").choices[0].text == "FAST"
        slow.settimeout(20)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        slow.close()


def test_a_body_without_end_is_refused(stub: StubModel) -> None:
    with running(stub, max_body_bytes=1000) as address:
        connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"a" * 4096 + b"\r\n" + b"0\r\n\r\n"
        )
        connection.settimeout(20)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        connection.close()


def test_a_model_that_fails_is_an_error_object(stub: StubModel) -> None:
    with running(stub) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="-", max_retries=0)
        with pytest.raises(openai.InternalServerError, match="the server's log says why"):
            client.completions.create(model="stub", prompt=["bad", "good", "bad as well"])
        assert client.completions.create(model="stub", prompt="good").choices[0].text == "GOOD"


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ["model", "prompt", "max_tokens", "n", "details", "temperature", "stream", "stop", "logit_bias", "user", "x"]
TEXTS = some.text(max_size=40)
REQUEST = some.dictionaries(some.sampled_from(FIELDS), ANYTHING, max_size=6) | some.fixed_dictionaries(
    {"prompt": TEXTS | some.lists(TEXTS, max_size=4)},
    optional={
        "max_tokens": some.integers(-1, 2**70),
        "n": some.integers(-1, 4),
        "details": some.booleans(),
        "model": some.sampled_from(["stub", "other", ""]),
    },
)
BODY = (
    REQUEST.map(lambda request: json.dumps(request).encode())
    | ANYTHING.map(lambda value: json.dumps(value).encode())
    | some.binary(max_size=60)
    | REQUEST.flatmap(lambda request: some.integers(0, 60).map(lambda end: json.dumps(request).encode()[:end]))
)
HEADERS = some.fixed_dictionaries(
    {"Content-Type": some.sampled_from(["application/json"] * 8 + ["text/plain", "application/json; charset=x", ""])},
    optional={name: some.text("abc:/[]%\t ;=0", max_size=9) for name in ("Authorization", "Host", "Accept")},
)


def test_nonsense_is_refused_with_a_reason(serve: Callable[..., TestClient], stub: StubModel) -> None:
    """No request of 5,000 made up ones is a fault of the server's, and each refused one has its error object."""
    client, seen = serve(stub, access=Access(None, local=True), max_wait_ms=0), Counter()

    @settings(
        max_examples=REQUESTS, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(BODY, HEADERS)
    def post(body: bytes, headers: dict[str, str]) -> None:
        response = client.post(URL, content=body, headers={"Host": "localhost"} | headers)
        seen[response.status_code] += 1
        assert response.status_code == 200 or 400 <= response.status_code < 500, (body, headers)
        if response.status_code != 200:
            assert response.json()["error"]["message"]

    post()
    assert min(seen[status] for status in (200, 400, 403, 404, 415)) > 10, seen


def _send(port: int, request: dict, missing: int = 0) -> socket.socket:
    """Send a request, but for its last bytes, and do not wait for the answer."""
    body = json.dumps(request).encode()
    connection = socket.create_connection(("127.0.0.1", port))
    head = [f"POST {URL} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body[: len(body) - missing])
    return connection
