"""Fixtures that several rooms share."""

import json
import logging
import os
import random
import resource
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import AutoTokenizer

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def bart_folder(tmp_path: Path) -> Path:
    """A folder as a BART checkpoint comes: the reference model's config.json and model.safetensors."""
    folder = tmp_path / "bart"
    folder.mkdir()
    shutil.copy(FIXTURES / "elmer" / "config.json", folder / "config.json")
    shutil.copy(FIXTURES / "elmer" / "weights.safetensors", folder / "model.safetensors")
    return folder


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file take a single byte within the block: as on a full disk, but with EFBIG for ENOSPC.

    No fixture: pytest itself writes between a test and the end of its fixtures, perhaps to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def work_in_copy(made: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy what several tests share into a test's own folder, to spoil it there, and change into that."""
    shutil.copytree(made, copy, dirs_exist_ok=True)
    monkeypatch.chdir(copy)
    return copy


WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]


def write_toy(folder: Path, sizes: dict[str, int]) -> None:
    """Write a dataset whose targets are the first three words of their sources."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    for split, size in sizes.items():
        texts = [draw.choices(WORDS, k=draw.randint(4, 9)) for _ in range(size)]
        (folder / f"{split}.src").write_text("".join(" ".join(text) + "\n" for text in texts))
        (folder / f"{split}.tgt").write_text("".join(" ".join(text[:3]) + "\n" for text in texts))


# Two runs at once, each with a thread per core, would wait for each other's threads more than they work.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test printed travel from its worker: some print what is no UTF-8, on purpose."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' tokenized data out of the user's cache."""
    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("cache")
    yield
    datasets.config.HF_DATASETS_CACHE = before


@pytest.fixture(autouse=True)
def in_no_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs out of a TextBox checkout that the user's environment names."""
    monkeypatch.delenv("TEXTBOX_HOME", raising=False)


@pytest.fixture
def our_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What this package logs, each message once, whether an earlier test has sent it to the console or not."""
    logger = logging.getLogger("textbox_elmer")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    return caplog


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the dataset `toy` in its `dataset` folder."""
    write_toy(tmp_path / "dataset" / "toy", {"train": 80, "valid": 10, "test": 13})
    monkeypatch.chdir(tmp_path)
    return tmp_path


TINY = {
    "src_len": 24,
    "tgt_len": 10,
    "epochs": 2,
    "train_batch_size": 8,
    "learning_rate": 0.003,
    "metrics": ["rouge"],
    "vocab_size": 300,
    "d_model": 32,
    "use_gpu": False,
    "stopping_steps": 0,
}
TINY_BART = {
    f"{side}_{field}": value for side in ("encoder", "decoder") for field, value in (("layers", 2), ("ffn_dim", 48))
}
TINY_T5 = {"d_ff": 48, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}


def tiny(model: str = "ELMER", **changes: Any) -> dict[str, Any]:
    """Return a configuration with which a model trains in a second."""
    sizes = TINY_T5 if model == "T5" else TINY_BART
    beams = {} if model == "ELMER" else {"generation_kwargs": {"num_beams": 2}}
    return TINY | sizes | beams | changes


# ELMER as the paper has it, where a run from scratch would take what works best.
PUBLISHED = {
    "alignment": "position",
    "canvas_scale": 1,
    "canvas_input": "mask",
    "copy_source": False,
    "normalize_before": False,
}


def save_small_elmer(folder: Path, **changes: Any) -> Path:
    """Save an ELMER with random weights, as small as `tiny`'s, and a tokenizer, as a checkpoint; return its folder."""
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    sizes = TINY_BART | {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
    torch.manual_seed(0)
    config = ElmerConfig(
        **sizes,
        d_model=32,
        vocab_size=len(tokenizer),
        mask_token_id=tokenizer.mask_token_id,
        max_position_embeddings=64,
        init_std=0.2,
        **changes,
    )
    ElmerForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def options(config: dict[str, Any]) -> list[str]:
    """Return a configuration as a command line's options."""
    return [f"--{key}={json.dumps(value) if not isinstance(value, str) else value}" for key, value in config.items()]
