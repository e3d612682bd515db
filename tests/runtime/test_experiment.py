"""Whole runs: what they leave, that they repeat, that they survive being killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import PUBLISHED, options, tiny
from textbox_elmer import run_textbox
from textbox_elmer.errors import UserError
from textbox_elmer.runtime import evaluate
from textbox_elmer.runtime.training import HostTrainer

REPOSITORY = Path(__file__).parents[2]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_a_run_leaves(workplace: Path) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny(exit_mode="hard", exit_threshold=1.0))
    (run,) = (workplace / "saved").iterdir()
    assert run.name.startswith("ELMER-toy-")
    names = {path.name for path in run.iterdir()}
    assert names == {
        *("config.yaml", "run.log", "generation.txt", "generation.jsonl", "results.json", "tensorboard"),
        *("checkpoint-20", "checkpoint_best"),
    }
    assert json.loads((run / "results.json").read_text()) == results
    assert results["versions"]["torch"] == torch.__version__
    assert (results["seed"], results["training"]["steps"]) == (2020, 20)
    assert results["decoding"]["ms_per_example"] > 0
    assert 0 <= results["mean_exit_layer"] <= 1
    assert results["parameters"] == sum(
        tensor.numel() for name, tensor in weights(run / "checkpoint_best").items() if "final_logits_bias" not in name
    )
    texts = (run / "generation.txt").read_text().splitlines()
    references = (workplace / "dataset" / "toy" / "test.tgt").read_text().splitlines()
    assert len(texts) == len(references)
    assert evaluate(texts, references, {"metrics": ["rouge"]}) == results["metrics"]
    log = (run / "run.log").read_text()
    assert "step 20/20" in log
    assert "valid loss" in log
    assert "\r" not in log, "a file holds lines, no progress bars"
    scalars = EventAccumulator(str(run / "tensorboard")).Reload().Tags()["scalars"]
    assert {"train/loss", "eval/rouge-1", "eval/loss"} <= set(scalars)
    assert not (run / "checkpoint_best" / "optimizer.pt").exists()


def test_a_test_alone_repeats_the_scores(workplace: Path) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny())
    again = run_textbox(
        "ELMER", "toy", config_dict=tiny(do_train=False, model_path=f"{results['run']}/checkpoint_best")
    )
    for key in ("metrics", "loss", "mean_exit_layer"):
        assert again[key] == results[key]
    assert "training" not in again
    texts = [(Path(run["run"]) / "generation.txt").read_text() for run in (results, again)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("model", ["ELMER", "BART"])
def test_bfloat16_is_for_the_test_alone(workplace: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation and the saved weights stay float32; what is tested is the whole model in bfloat16."""
    types = []
    generate = HostTrainer._generate

    def watched(trainer: HostTrainer, *batch: torch.Tensor) -> torch.Tensor:
        types.append({weight.dtype for weight in trainer.model.parameters()})
        return generate(trainer, *batch)

    monkeypatch.setattr(HostTrainer, "_generate", watched)
    results = run_textbox(model, "toy", config_dict=tiny(model, epochs=1, bf16_full_eval=True))
    assert types == [{torch.float32}, {torch.bfloat16}]
    assert {weight.dtype for weight in weights(Path(results["run"]) / "checkpoint_best").values()} == {torch.float32}
    changes = {"do_train": False, "model_path": f"{results['run']}/checkpoint_best", "bf16_full_eval": False}
    exact = run_textbox(model, "toy", config_dict=tiny(model, **changes))
    assert types[2:] == [{torch.float32}]
    assert results["loss"] == pytest.approx(exact["loss"], rel=0.05)
    assert results["loss"] != exact["loss"]


def test_a_saved_configuration_suits_its_checkpoint(workplace: Path) -> None:
    first = run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, vocab_size=5000))
    changes = {"model_path": f"{first['run']}/checkpoint_best", "do_train": False}
    second = run_textbox(config_file_list=[f"{first['run']}/config.yaml"], config_dict=changes)
    assert second["metrics"] == first["metrics"]


def test_the_saved_configuration_repeats_the_run(workplace: Path) -> None:
    first = run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, filename="named"))
    second = run_textbox(config_file_list=[f"{first['run']}/config.yaml"])
    assert second["run"] != first["run"]
    assert second["metrics"] == first["metrics"]
    assert same_weights(Path(first["run"]) / "checkpoint_best", Path(second["run"]) / "checkpoint_best")


@pytest.mark.parametrize("model", ["BART", "T5", "transformer"])
def test_other_models_train_and_reload(workplace: Path, model: str) -> None:
    results = run_textbox(model, "toy", config_dict=tiny(model))
    assert results["mean_exit_layer"] is None
    assert results["training"]["steps"] == 20
    again = run_textbox(
        model, "toy", config_dict=tiny(model, do_train=False, model_path=f"{results['run']}/checkpoint_best")
    )
    assert again["metrics"] == results["metrics"]


def test_elmer_learns(workplace: Path) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny(epochs=60, valid_steps=60, d_model=64, learning_rate=0.005))
    assert results["metrics"]["rouge-1"] > 80


def test_bart_weights_warm_start_elmer(workplace: Path) -> None:
    bart = run_textbox("BART", "toy", config_dict=tiny("BART", epochs=1))
    path = f"{bart['run']}/checkpoint_best"
    config = tiny(max_steps=1, learning_rate=1e-9, model_path=path, exit_mode="last")
    for size in ("d_model", "vocab_size", "encoder_layers", "decoder_layers", "encoder_ffn_dim", "decoder_ffn_dim"):
        del config[size]
    elmer = run_textbox("ELMER", "toy", config_dict=config)
    ours, theirs = weights(Path(elmer["run"]) / "checkpoint_best"), weights(Path(path))
    assert torch.allclose(ours["model.shared.weight"], theirs["model.shared.weight"], atol=1e-6)
    saved = json.loads((Path(elmer["run"]) / "checkpoint_best" / "config.json").read_text())
    assert (saved["exit_mode"], saved["canvas_length"], saved["mask_token_id"]) == ("last", 10, 4)


def test_validation_by_steps_keeps_the_best(workplace: Path) -> None:
    config = tiny(epochs=3, valid_strategy="step", valid_steps=10, max_save=3, do_test=False, filename="run")
    results = run_textbox("ELMER", "toy", config_dict=config)
    run = workplace / "saved" / "run"
    kept = sorted(path.name for path in run.glob("checkpoint*"))
    assert kept == ["checkpoint-20", "checkpoint-30", "checkpoint_best"]
    best = run / f"checkpoint-{results['training']['best_step']}"
    if best.exists():
        assert same_weights(run / "checkpoint_best", best)
    history = json.loads((run / "checkpoint-30" / "trainer_state.json").read_text())["log_history"]
    scores = {entry["step"]: entry["eval_score"] for entry in history if "eval_score" in entry}
    assert list(scores) == [10, 20, 30]
    assert scores[results["training"]["best_step"]] == max(scores.values())


def test_validation_every_second_epoch_and_at_the_end(workplace: Path) -> None:
    run_textbox("ELMER", "toy", config_dict=tiny(epochs=3, valid_steps=2, do_test=False, filename="run"))
    history = json.loads((workplace / "saved/run/checkpoint-30/trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in history if "eval_loss" in entry] == [20, 30]


def test_early_stopping(workplace: Path) -> None:
    # A learning rate this small never beats the first validation.
    config = tiny(
        epochs=9, stopping_steps=1, learning_rate=1e-12, metrics_for_best_model=["loss"], scheduler="constant"
    )
    results = run_textbox("ELMER", "toy", config_dict=config)
    assert results["training"]["steps"] < 90


def test_without_validation_the_last_weights_are_tested(workplace: Path) -> None:
    run_textbox("ELMER", "toy", config_dict=tiny(do_valid=False, filename="run"))
    run = workplace / "saved" / "run"
    assert same_weights(run / "checkpoint_best", run / "checkpoint-20")


def test_nothing_is_kept_when_asked(workplace: Path) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny(max_save=0, epochs=1))
    assert not list(Path(results["run"]).glob("checkpoint*"))
    assert results["metrics"]


@pytest.mark.parametrize(("quick_test", "examples"), [(5, 5), (True, 13)])
def test_quick_test(workplace: Path, quick_test: int, examples: int) -> None:
    results = run_textbox("ELMER", "toy", config_dict=tiny(quick_test=quick_test, epochs=1))
    assert results["decoding"]["examples"] == examples
    assert results["training"]["steps"] == (1 if quick_test == 5 else 4)


def test_gradient_accumulation_equals_a_larger_batch(workplace: Path) -> None:
    config = tiny(max_steps=3, exit_mode="last", dropout=0.0, do_test=False, optimizer="sgd", train_batch_size=16)
    one = run_textbox("ELMER", "toy", config_dict=config | {"grad_clip": None})
    parts = config | {"train_batch_size": 8, "accumulation_steps": 2, "grad_clip": None}
    two = run_textbox("ELMER", "toy", config_dict=parts)
    whole, summed = (weights(Path(run["run"]) / "checkpoint_best") for run in (one, two))
    # Equal up to the few texts that end at another token than their batch's mean.
    for name, tensor in whole.items():
        assert torch.allclose(tensor, summed[name], atol=1e-4), name


def start(arguments: list[str], folder: Path) -> subprocess.Popen:
    environment = os.environ | {"HF_DATASETS_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "run_textbox.py"), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("way", [{"glancing": 0.5}, PUBLISHED], ids=["a graph, glancing", "published"])
def test_a_killed_training_continues_to_the_same_weights(workplace: Path, way: dict[str, object]) -> None:
    arguments = ["--model=ELMER", "--dataset=toy", *options(tiny(epochs=12, max_save=-1, **way))]
    whole = start([*arguments, "--filename=whole"], workplace)
    assert whole.wait(timeout=120) == 0, whole.stderr.read()
    killed = start([*arguments, "--filename=killed"], workplace)
    folder = workplace / "saved" / "killed"
    deadline = time.monotonic() + 120
    while len(list(folder.glob("checkpoint-*0"))) < 3:
        assert killed.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    last = max(folder.glob("checkpoint-*0"), key=lambda path: int(path.name.split("-")[1]))
    resumed = start([*arguments, "--filename=resumed", f"--model_path={last}"], workplace)
    assert resumed.wait(timeout=120) == 0, resumed.stderr.read()
    results = {
        name: json.loads((workplace / "saved" / name / "results.json").read_text()) for name in ("whole", "resumed")
    }
    assert results["resumed"]["training"]["steps"] == results["whole"]["training"]["steps"] == 120
    assert same_weights(workplace / "saved/whole/checkpoint-120", workplace / "saved/resumed/checkpoint-120")
    assert results["resumed"]["metrics"] == results["whole"]["metrics"]


def test_a_kill_costs_no_long_epoch(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints between validations, here after every step: one from amid an epoch continues to the same weights."""
    monkeypatch.setattr("textbox_elmer.runtime.training.callbacks.SECONDS_BETWEEN_SAVES", 0)
    published, publish = [], HostTrainer._publish
    monkeypatch.setattr(HostTrainer, "_publish", lambda self, path: published.append(path.name) or publish(self, path))
    whole = run_textbox("ELMER", "toy", config_dict=tiny(max_save=-1, filename="whole"))
    assert len(published) == len(set(published)), "a checkpoint from before a validation would resume without it"
    saved = {path.name for path in (workplace / "saved/whole").glob("checkpoint-*")}
    assert saved == {f"checkpoint-{step}" for step in range(1, 21)}
    path = "saved/whole/checkpoint-13"
    resumed = run_textbox("ELMER", "toy", config_dict=tiny(filename="resumed", model_path=path))
    assert same_weights(workplace / "saved/whole/checkpoint-20", workplace / "saved/resumed/checkpoint-20")
    assert same_weights(workplace / "saved/whole/checkpoint_best", workplace / "saved/resumed/checkpoint_best")
    assert resumed["training"]["best_step"] == whole["training"]["best_step"]


def test_another_dataset_takes_the_weights_alone(workplace: Path) -> None:
    run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, do_test=False, filename="first"))
    (workplace / "dataset" / "toy").rename(workplace / "dataset" / "other")
    path = str(workplace / "saved/first/checkpoint-10")
    config = {
        key: value for key, value in tiny(epochs=1, model_path=path).items() if key not in ("vocab_size", "d_model")
    }
    results = run_textbox("ELMER", "other", config_dict=config)
    assert results["training"]["steps"] == 10, "a resumed training would have been over already"


def test_a_full_disk_loses_nothing(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler

    def fill(self: Trainer, folder: str) -> None:
        if self.state.global_step > 10:
            raise OSError(28, "No space left on device")
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", fill)
    with pytest.raises(UserError, match=r"Checkpoint 20 cannot be saved into 'saved/run' .*No space left.*make room"):
        run_textbox("ELMER", "toy", config_dict=tiny(filename="run"))
    run = workplace / "saved" / "run"
    assert [path.name for path in sorted(run.glob("*checkpoint*"))] == ["checkpoint-10", "checkpoint_best"]
    assert not (run / ".saving").exists()
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    resumed = run_textbox("ELMER", "toy", config_dict=tiny(filename="run", model_path="saved/run/checkpoint-10"))
    assert resumed["training"]["steps"] == 20


def test_a_finished_run_is_not_overwritten(workplace: Path) -> None:
    run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, filename="run"))
    before = (workplace / "saved/run/results.json").read_text()
    with pytest.raises(UserError, match="already holds a finished run"):
        run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, filename="run"))
    assert (workplace / "saved/run/results.json").read_text() == before


def test_configurations_are_saved_as_they_were(workplace: Path) -> None:
    run_textbox("ELMER", "toy", config_dict=tiny(epochs=1, filename="run"))
    saved = yaml.safe_load((workplace / "saved/run/config.yaml").read_text())
    assert {key: saved[key] for key in TYPED} == {key: tiny(epochs=1)[key] for key in TYPED}


TYPED = ("epochs", "d_model", "metrics", "learning_rate", "src_len")


def test_a_hub_name_loads_from_the_hubs_cache(workplace: Path, bart_folder: Path) -> None:
    """The hub's own code path, without network: what a first run would have downloaded lies in the cache."""
    fixtures = REPOSITORY / "tests" / "fixtures" / "textbox" / "tokenizer"
    snapshot = workplace / "hub" / "models--RUCAIBox--elmer" / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(snapshot.name)
    for source in (*fixtures.iterdir(), *bart_folder.iterdir()):
        (snapshot / source.name).write_bytes(source.read_bytes())
    script = (
        "from textbox_elmer import ElmerForConditionalGeneration as E;"
        "print(E.from_pretrained('RUCAIBox/elmer', exit_mode='hard').config.exit_mode)"
    )
    environment = os.environ | {
        "HF_HUB_CACHE": str(workplace / "hub"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(REPOSITORY),
    }
    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=workplace, env=environment, capture_output=True, text=True, timeout=120
    )
    assert printed.stdout.strip() == "hard", printed.stderr
