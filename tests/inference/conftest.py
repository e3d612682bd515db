"""Small models to write with, and the command at work."""

import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BartConfig, BartForConditionalGeneration

from tests.conftest import FIXTURES, TINY_BART, WORDS, save_small_elmer, tiny
from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.cli import main
from textbox_elmer.inference.tables import columnar, rows
from textbox_elmer.runtime.config import resolve_config

SRC_LEN, BEAMS = 40, 3


@pytest.fixture(scope="session")
def elmer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an ELMER that writes along a graph; no run's."""
    folder = tmp_path_factory.mktemp("models") / "elmer"
    return save_small_elmer(folder, alignment="dag", canvas_scale=2, copy_source=True, canvas_length=9)


@pytest.fixture(scope="session")
def bart_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder: a BART that writes with three beams."""
    run = tmp_path_factory.mktemp("runs") / "bart"
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    heads = {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
    torch.manual_seed(1)
    model = BartForConditionalGeneration(
        BartConfig(
            **TINY_BART, **heads, d_model=32, vocab_size=len(tokenizer), max_position_embeddings=64, init_std=0.2
        )
    )
    model.save_pretrained(run / "checkpoint_best")
    tokenizer.save_pretrained(run / "checkpoint_best")
    settings = tiny(
        "BART", src_len=SRC_LEN, max_position_embeddings=64, generation_kwargs={"num_beams": BEAMS, "max_length": 8}
    )
    resolve_config("BART", "toy", config_dict=settings).save(run / "config.yaml")
    return run


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Thirty texts of different lengths, none of which has to be cut."""
    draw = random.Random(3)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 4))) for _ in range(30)]


@pytest.fixture(scope="session")
def written(elmer: Path, texts: list[str]) -> list[str]:
    """What the ELMER writes for each of them, alone."""
    tokenizer = AutoTokenizer.from_pretrained(elmer)
    model = ElmerForConditionalGeneration.from_pretrained(elmer)
    found = [model.generate(tokenizer(text, return_tensors="pt")["input_ids"])[0] for text in texts]
    assert len({tuple(ids.tolist()) for ids in found}) > 10
    return [
        " ".join(
            tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False).splitlines()
        ).strip()
        for ids in found
    ]


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of four rows."""
    for module in (rows, columnar):
        monkeypatch.setattr(module, "ROWS", 4)


@pytest.fixture
def generate(
    elmer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture
) -> Callable[..., tuple[bytes, str]]:
    """Run `generate` in an empty folder, by default with the ELMER: returns what it prints and what it tells."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0, model: Path = elmer, piped: bytes | None = None) -> tuple[bytes, str]:
        if piped is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(piped))))
        lengths = [f"--src_len={SRC_LEN}"] if model == elmer else []
        common = [f"--model_path={model}", "--use_gpu=False", "--batch_size=3", *lengths]
        typed = {word.partition("=")[0] for word in arguments}
        common = [word for word in common if word.partition("=")[0] not in typed]
        capsysbinary.readouterr()
        found = main(["generate", *common, *arguments])
        shown = capsysbinary.readouterr()
        told = shown.err.decode()
        assert (found, told.count("\n")) == (status, 1), told
        return shown.out, told

    return run


def write_lines(path: Path, texts: list[str]) -> Path:
    """Write a text a line."""
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def read_objects(content: bytes) -> list[dict]:
    """Return the objects of JSON lines."""
    return [json.loads(line) for line in content.decode().splitlines()]
