"""Weights spread over processes by accelerate's FSDP: what they learn, save, continue and write is what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate import DeepSpeedPlugin
from transformers import Seq2SeqTrainingArguments

from tests.conftest import PUBLISHED, options, tiny, write_toy
from tests.runtime.test_experiment import REPOSITORY, same_weights, weights
from textbox_elmer.cli import main
from textbox_elmer.errors import UserError
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.runtime.training.sharding import check_deepspeed

# Two steps an epoch; nothing is drawn at random, for two processes draw otherwise than one.
SIZES = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "dropout": 0.0, "max_save": -1}
SOFT = SIZES | PUBLISHED | {"exit_mode": "soft", "gold_mixing": 0.0}
GRAPH = SIZES | {"epochs": 1, "do_test": False, "glancing": 0.0, "glancing_end": 0.0}


def line(batch: int, **changes: Any) -> list[str]:
    return ["--model=ELMER", "--dataset=toy", *options(tiny(train_batch_size=batch, **changes))]


def launch(folder: Path, *lines: list[str], **environment: str) -> subprocess.CompletedProcess:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    return subprocess.run(
        [*launcher, str(Path(__file__).with_name("as_on_gpus.py")), *map(json.dumps, lines)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "HF_DATASETS_CACHE": str(folder / "cache")} | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory where one process has trained by twice the batch."""
    folder = tmp_path_factory.mktemp("one")
    write_toy(folder / "dataset" / "toy", {"train": 32, "valid": 4, "test": 5})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(line(16, filename="soft", **SOFT)) == 0
        assert main(line(16, filename="graph", **GRAPH)) == 0
    return folder / "saved"


def history(run: Path) -> list[dict[str, float]]:
    last = max(run.glob("checkpoint-*[0-9]"), key=lambda path: int(path.name.split("-")[1]))
    return json.loads((last / "trainer_state.json").read_text())["log_history"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_two_processes_with_parts_of_the_weights_learn_what_one_does(one: Path, tmp_path: Path, version: str) -> None:
    (tmp_path / "dataset").symlink_to(one.parent / "dataset")
    done = launch(
        tmp_path,
        line(8, filename="soft", **SOFT),
        line(8, filename="resumed", model_path="saved/soft/checkpoint-2", **SOFT),
        line(8, filename="tested", model_path="saved/soft/checkpoint_best", do_train=False, **SOFT),
        line(8, filename="graph", **GRAPH),
        ACCELERATE_USE_FSDP="true",
        FSDP_VERSION=version,
        FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP",
        FSDP_ACTIVATION_CHECKPOINTING="true",
    )
    assert done.returncode == 0, done.stderr[-5000:]
    saved = tmp_path / "saved"
    for run in ("soft", "graph"):
        for key in ("loss", "grad_norm", "eval_loss"):
            ours, theirs = ([entry[key] for entry in history(home / run) if key in entry] for home in (saved, one))
            assert ours == pytest.approx(theirs, rel=2e-4, abs=1e-4), (run, key)
    ours, theirs = (weights(home / "soft" / "checkpoint_best") for home in (saved, one))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        # A softmax does not notice what all keys have in common: there the optimizer magnifies rounding.
        assert name.endswith("k_proj.bias") or tensor.allclose(ours[name], atol=1e-3), name
    assert same_weights(saved / "resumed" / "checkpoint-4", saved / "soft" / "checkpoint-4")
    texts = {(home / "generation.txt").read_text() for home in (one / "soft", saved / "soft", saved / "tested")}
    assert len(texts) == 1
    names = {path.name for path in (saved / "soft" / "checkpoint_best").iterdir()}
    assert names == {path.name for path in (one / "soft" / "checkpoint_best").iterdir()}
    ElmerForConditionalGeneration.from_pretrained(saved / "soft" / "checkpoint-4")


@pytest.mark.parametrize("option", ["use_fsdp", "use_deepspeed"])
def test_without_gpus_nothing_is_spread(
    one: Path, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(one.parent)
    monkeypatch.setenv(f"ACCELERATE_{option.upper()}", "true")
    assert main(line(16, filename="spread", **SOFT)) == 2
    assert f"accelerate launch --{option} spreads a model over GPUs, and this run uses none" in capsys.readouterr().err
    assert not (one / "spread").exists()


def test_stage_3_of_zero_is_refused_where_exits_share_a_head() -> None:
    with pytest.raises(UserError, match=r"stage 3 gives up the head's weights .* give --zero_stage=2, or --use_fsdp"):
        check_deepspeed(DeepSpeedPlugin(zero_stage=3), exits=True)
    check_deepspeed(DeepSpeedPlugin(zero_stage=3), exits=False)
    check_deepspeed(DeepSpeedPlugin(zero_stage=2), exits=True)


def test_one_process_trains_on_one_gpu(
    one: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Trainer would use all that it sees, by copies of the model in one process."""
    monkeypatch.chdir(one.parent)
    made = Seq2SeqTrainingArguments.__post_init__

    def seeing_two(self: Seq2SeqTrainingArguments) -> None:
        made(self)
        self._n_gpu = 2

    monkeypatch.setattr(Seq2SeqTrainingArguments, "__post_init__", seeing_two)
    assert main(line(16, filename="on-two", **SOFT | {"do_test": False})) == 0
    assert same_weights(one / "on-two" / "checkpoint-4", one / "soft" / "checkpoint-4")
    said = "".join(capsys.readouterr())
    assert "Training on one of the 2 GPUs: torchrun --nproc_per_node=2 run_textbox.py … uses them all." in said
