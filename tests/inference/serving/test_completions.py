"""`POST /v1/completions` and its neighbours: what is asked, answered and refused."""

# ruff: noqa: E402 - the server's packages may be missing

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inference.serving.packages import need

need()

from starlette.testclient import TestClient

from tests.inference.conftest import BEAMS, SRC_LEN
from textbox_elmer.inference import load_writer
from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.model import ServedModel

URL = "/v1/completions"
Serve = Callable[..., TestClient]


def ask(client: TestClient, prompt: Any, status: int = 200, **options: Any) -> dict[str, Any]:
    """Ask for a completion and return the answer, or the error."""
    response = client.post(URL, json={"prompt": prompt, **options})
    assert response.status_code == status, response.text
    return response.json() if status == 200 else response.json()["error"]


def test_texts_are_those_of_the_model_alone(serve: Serve, texts: list[str], written: list[str]) -> None:
    client = serve()
    answer = ask(client, texts)
    assert [choice["text"] for choice in answer["choices"]] == written
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(texts)))
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    assert answer["object"] == "text_completion"
    assert answer["model"] == "elmer"
    (choice,) = ask(client, texts[3])["choices"]
    assert choice["text"] == written[3]


def test_usage_counts_tokens(serve: Serve, served_elmer: ServedModel, texts: list[str]) -> None:
    answer = ask(serve(), texts, details=True)
    usage, sources = answer["usage"], served_elmer.read(texts)
    assert usage["prompt_tokens"] == sum(len(source.ids) for source in sources)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    pieces = [piece for choice in answer["choices"] for piece in choice["details"]["tokens"]]
    assert usage["completion_tokens"] == sum(map(bool, pieces)) > 10
    assert usage["cut_tokens"] == 0


def test_a_long_text_is_cut_and_that_is_said(serve: Serve) -> None:
    assert ask(serve(), "alpha beta " * 100)["usage"]["cut_tokens"] > 100


def test_max_tokens_cuts_what_is_written(serve: Serve, served_bart: ServedModel, texts: list[str]) -> None:
    client = serve(served_bart)
    whole = ask(client, texts[0])
    (short,) = ask(client, texts[0], max_tokens=2)["choices"]
    assert whole["usage"]["completion_tokens"] > 2
    assert short["finish_reason"] == "length"
    assert whole["choices"][0]["text"].startswith(short["text"])
    assert short["text"]
    assert ask(client, texts[0], max_tokens=100)["choices"] == whole["choices"]


def test_several_texts_for_one_where_beams_allow_it(serve: Serve, served_bart: ServedModel, texts: list[str]) -> None:
    client = serve(served_bart)
    one, several = ask(client, texts[:3]), ask(client, texts[:3], n=BEAMS)
    found = [choice["text"] for choice in several["choices"]]
    assert len(found) == 3 * BEAMS
    assert found[::BEAMS] == [choice["text"] for choice in one["choices"]]
    assert all(len(set(found[first : first + BEAMS])) > 1 for first in range(0, len(found), BEAMS))
    error = ask(client, texts[0], n=BEAMS + 1, status=400)
    assert error["param"] == "n"
    assert "n can be 3 at most" in error["message"]


def test_a_model_that_goes_on_with_its_source(serve: Serve, causal: Path, texts: list[str]) -> None:
    """It is padded on the left, and that changes none of its texts."""
    writer = load_writer(str(causal), "GPT-2", use_gpu=False, src_len=SRC_LEN, tgt_len=12, generation_kwargs={})
    alone = [writer([text])[0].text for text in texts]
    answer = ask(serve(ServedModel("gpt", writer)), texts)
    assert [choice["text"] for choice in answer["choices"]] == alone
    assert len(set(alone)) > 10


def test_details_tell_how_a_text_came_about(
    serve: Serve, served_bart: ServedModel, served_elmer: ServedModel, texts: list[str]
) -> None:
    client = serve(served_elmer, served_bart)
    choices = ask(client, texts, details=True)["choices"]
    text, choice = max(zip(texts, choices, strict=True), key=lambda pair: len(pair[1]["details"]["tokens"]))
    details = choice["details"]
    assert "".join(details["tokens"]).strip() == choice["text"]
    count = len(details["tokens"])
    assert all(len(details[name]) == count for name in ("exit_layers", "settled_layers", "vertices", "copied"))
    assert details["vertices"] == sorted(details["vertices"])
    assert details["vertices"][-1] < details["canvas"] == 18
    assert max(details["exit_layers"]) < details["layers"] == 2
    assert details["ms"] > 0
    (cut,) = ask(client, text, details=True, max_tokens=1)["choices"]
    assert cut["details"]["tokens"] == details["tokens"][:1]
    (plain,) = ask(client, text, details=True, model="bart")["choices"]
    assert list(plain["details"]) == ["ms"]
    assert "details" not in ask(client, "alpha")["choices"][0]


def test_models(serve: Serve, served_bart: ServedModel, served_elmer: ServedModel) -> None:
    client = serve(served_elmer, served_bart)
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["elmer", "bart"]
    assert ask(client, "alpha")["model"] == "elmer"
    assert ask(client, "alpha", model="bart")["model"] == "bart"
    error = ask(client, "alpha", model="gpt", status=404)
    assert error["code"] == "model_not_found"
    assert "only elmer, bart" in error["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is no JSON object"),
        (b"[1]", "The body is no JSON object"),
        (b'{"prompt": "\\ud800"}', "The body is no JSON object"),
        (b'{"prompt": "\xff"}', "The body is no JSON object"),
        (b"[" * 100_000, "The body is no JSON object"),
        ({}, "prompt is missing"),
        ({"prompt": [1, 2]}, "neither a text nor a list of texts"),
        ({"prompt": " \n"}, "prompt holds an empty text."),
        ({"prompt": ["alpha", ""]}, "prompt holds an empty text."),
        ({"prompt": []}, "prompt holds 0 texts: give 1 to 256 at a time."),
        ({"prompt": ["alpha"] * 300}, "prompt holds 300 texts: give 1 to 256 at a time."),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens: input should be greater than or equal to 1."),
        ({"prompt": "a", "n": "2"}, "n: input should be a valid integer."),
        ({"prompt": "a", "n": 2}, "n can be 1 at most: elmer writes no more texts for one."),
        ({"prompt": "a", "stream": True}, "stream cannot be true"),
        ({"prompt": "a", "temperature": 0.7}, "temperature cannot be 0.7"),
        ({"prompt": "a", "tempreature": 1}, "A completion has no option tempreature: leave it out."),
    ],
)
def test_malformed_requests(serve: Serve, body: Any, said: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body)
    response = serve().post(URL, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    error = response.json()["error"]
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"


def test_neutral_options_ask_for_nothing(serve: Serve) -> None:
    neutral = {"temperature": 0.0, "top_p": 1, "stream": False, "stop": None, "user": "me", "seed": 1, "best_of": 1}
    assert ask(serve(), "alpha", **neutral)["choices"] == ask(serve(), "alpha")["choices"]


def test_only_json_is_read(serve: Serve) -> None:
    assert serve().post(URL, content=b'{"prompt": "a"}', headers={"Content-Type": "text/plain"}).status_code == 415


def test_a_body_that_is_too_large(serve: Serve) -> None:
    error = ask(serve(max_body_bytes=1000), "a" * 1000, status=413)
    assert error["message"] == "The request has more than 1,000 bytes: send fewer or shorter texts at a time."


def test_unknown_paths_and_methods(serve: Serve) -> None:
    client = serve()
    assert client.get("/v1/chat/completions").json()["error"]["message"] == "GET /v1/chat/completions: Not Found."
    response = client.get(URL)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert client.get("/docs").status_code == 404


def test_a_key(serve: Serve) -> None:
    client = serve(access=Access("secret", local=True))
    for headers in ({}, {"Authorization": "Bearer secre"}, {"Authorization": "Basic secret"}):
        for method, path in (("POST", URL), ("GET", "/v1/models"), ("GET", "/metrics")):
            response = client.request(method, path, headers=headers)
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "invalid_api_key"
    client.headers["Authorization"] = "Bearer secret"
    assert ask(client, "alpha")["choices"]
    assert client.get("/health").status_code in (200, 503)


def test_without_a_key_other_sites_pages_are_kept_out(serve: Serve) -> None:
    client = serve(access=Access(None, local=True))
    for host, status in (
        ("localhost", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example:8000", 403),
        ("::::", 403),
        ("[", 403),
    ):
        assert client.get("/v1/models", headers={"Host": host}).status_code == status, host


def test_metrics(serve: Serve) -> None:
    client = serve()
    ask(client, ["alpha", "beta"])
    ask(client, "", status=400)
    told = client.get("/metrics").text
    for line in (
        'textbox_elmer_requests_total{status="200"} 1.0',
        'textbox_elmer_requests_total{status="400"} 1.0',
        'textbox_elmer_batch_texts_sum{model="elmer"} 2.0',
        "textbox_elmer_waiting_texts 0.0",
    ):
        assert line in told.splitlines()
