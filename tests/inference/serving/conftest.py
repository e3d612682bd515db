"""Served models, and a client of theirs that needs no network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from tests.conftest import FIXTURES
from tests.inference.conftest import SRC_LEN
from textbox_elmer.inference import load_writer
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.model import ServedModel

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def served_elmer(elmer: Path) -> ServedModel:
    """The ELMER that writes along a graph."""
    return ServedModel("elmer", load_writer(str(elmer), use_gpu=False, src_len=SRC_LEN))


@pytest.fixture(scope="session")
def served_bart(bart_run: Path) -> ServedModel:
    """The BART that writes with three beams."""
    return ServedModel("bart", load_writer(str(bart_run), use_gpu=False))


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a GPT-2 of 64 positions."""
    folder = tmp_path_factory.mktemp("causal") / "gpt2"
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    torch.manual_seed(2)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.2}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def serve(served_elmer: ServedModel) -> Iterator[Callable[..., "TestClient"]]:
    """Serve models within the test, by default the ELMER to everybody; returns a client."""
    from starlette.testclient import TestClient

    from textbox_elmer.inference.serving.access import Access
    from textbox_elmer.inference.serving.app import make_app

    clients = []

    def start(*models: Any, access: Access | None = None, **limits: Any) -> TestClient:
        faults: list[Exception] = []
        access = access or Access(None, local=False)
        app = make_app(
            models or (served_elmer,), Limits(**limits), access, lambda fault: fault and faults.append(fault)
        )
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        assert not faults
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)
