"""Whole pre-training runs: what they leave, what comes after, and that they go on exactly where they were killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pytest
import transformers
from pyarrow import parquet

from tests.conftest import options, tiny
from tests.runtime.test_experiment import REPOSITORY, same_weights, weights
from textbox_elmer import run_textbox
from textbox_elmer.errors import UserError

SENTENCES = ["The cat sat on the mat.", "A dog came home early!", "It rained all day.", "Nobody saw Mr. Brown."]


@pytest.fixture
def corpus(workplace: Path) -> Path:
    """A corpus `raw` of 83 texts beside the dataset `toy`."""
    folder = workplace / "dataset" / "raw"
    folder.mkdir()
    draw = random.Random(1)
    texts = [" ".join(draw.choices(SENTENCES, k=draw.randint(1, 4))) for _ in range(93)]
    (folder / "train.src").write_text("".join(f"{text}\n" for text in texts[:83]))
    (folder / "valid.src").write_text("".join(f"{text}\n" for text in texts[83:]))
    return folder


def lplm(**changes: object) -> dict[str, object]:
    return tiny(**{"pretrain_task": "lplm", "src_len": 32, "epochs": 2, "dropout": 0.0} | changes)


def history(run: Path) -> list[dict[str, float]]:
    last = max(run.glob("checkpoint-*[0-9]"), key=lambda path: int(path.name.split("-")[1]))
    return json.loads((last / "trainer_state.json").read_text())["log_history"]


def test_pretraining_then_fine_tuning(corpus: Path, workplace: Path) -> None:
    results = run_textbox("ELMER", "raw", config_dict=lplm(epochs=3))
    run = Path(results["run"])
    names = {path.name for path in run.iterdir()}
    assert names == {"config.yaml", "run.log", "results.json", "tensorboard", "checkpoint-33", "checkpoint_best"}
    assert results["pretrain_task"] == "lplm"
    assert "metrics" not in results
    losses = {entry["step"]: entry["eval_loss"] for entry in history(run) if "eval_loss" in entry}
    assert list(losses) == [11, 22, 33]
    assert losses[results["training"]["best_step"]] == results["training"]["best_score"] == min(losses.values())
    saved = json.loads((run / "checkpoint_best" / "config.json").read_text())
    assert (saved["canvas_length"], saved["mask_token_id"]) == (32, 4)

    config = {key: value for key, value in tiny(epochs=1).items() if key not in saved}
    tuned = run_textbox("ELMER", "toy", config_dict=config | {"model_path": f"{run}/checkpoint_best"})
    assert tuned["metrics"]
    assert tuned["training"]["steps"] == 10


def test_a_pretraining_learns(corpus: Path) -> None:
    transformers.logging.set_verbosity_info()
    transformers.logging.enable_progress_bar()
    results = run_textbox("ELMER", "raw", config_dict=lplm(epochs=20, valid_steps=20, learning_rate=0.01))
    assert results["training"]["best_score"] < 3.2, "the texts are made of four sentences; at random it is 5.7 nats"
    assert transformers.logging.get_verbosity() == transformers.logging.INFO, "the program's own is left alone"
    assert transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()


@pytest.mark.parametrize("model", ["BART", "transformer", "ELMER"])
def test_denoising_suits_any_model(corpus: Path, model: str) -> None:
    config = lplm(pretrain_task="denoising", epochs=12, valid_steps=12, learning_rate=0.01)
    config["generation_kwargs"] = {}
    results = run_textbox(model, "raw", config_dict=config)
    assert results["training"]["best_score"] < 3.5


def test_the_noise_is_fresh_every_epoch_but_not_in_validation(corpus: Path) -> None:
    """With a learning rate of nearly nothing, losses tell noise from noise."""
    results = run_textbox("ELMER", "raw", config_dict=lplm(learning_rate=1e-12, train_batch_size=83, max_save=-1))
    first, second = [entry["loss"] for entry in history(Path(results["run"])) if "loss" in entry]
    assert first != second
    valid = [entry["eval_loss"] for entry in history(Path(results["run"])) if "eval_loss" in entry]
    assert valid[0] == pytest.approx(valid[1], abs=1e-6)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(corpus: Path, workers: int) -> None:
    plain = run_textbox("ELMER", "raw", config_dict=lplm(filename="plain"))
    helped = run_textbox("ELMER", "raw", config_dict=lplm(filename="helped", dataloader_num_workers=workers))
    assert same_weights(Path(plain["run"]) / "checkpoint_best", Path(helped["run"]) / "checkpoint_best")


def test_accumulated_batches_equal_one_large_batch(corpus: Path) -> None:
    whole = run_textbox("ELMER", "raw", config_dict=lplm(filename="whole", max_save=-1))
    parts = lplm(filename="parts", max_save=-1, train_batch_size=2, accumulation_steps=4)
    run_textbox("ELMER", "raw", config_dict=parts)
    whole_losses, part_losses = (
        [entry["loss"] for entry in history(Path("saved") / name) if "loss" in entry] for name in ("whole", "parts")
    )
    assert part_losses == pytest.approx(whole_losses, abs=1e-4)
    assert whole["training"]["steps"] == 22


def test_packed_texts_take_fewer_steps(corpus: Path) -> None:
    plain = run_textbox("ELMER", "raw", config_dict=lplm(src_len=64, epochs=1))
    packed = run_textbox("ELMER", "raw", config_dict=lplm(src_len=64, epochs=1, pack_texts=True))
    assert packed["training"]["steps"] < plain["training"]["steps"] == 11


def test_a_folder_of_files(workplace: Path) -> None:
    folder = workplace / "dataset" / "files"
    (folder / "more").mkdir(parents=True)
    (folder / "a.txt").write_text("".join(f"{text}\n" for text in SENTENCES * 5))
    (folder / "b.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES * 5))
    parquet.write_table(pyarrow.table({"text": SENTENCES * 5}), folder / "more" / "c.parquet")
    results = run_textbox("ELMER", "files", config_dict=lplm(epochs=1))
    # One text in a hundred is held out where no file is for validation.
    assert results["training"]["steps"] == -(-(60 - 1) // 8)
    assert results["training"]["best_score"] > 0


def test_a_stream_from_the_hub(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.pretraining.corpus.stream.hub_arguments", lambda name: {})
    hub = corpus.parents[1] / "owner" / "texts"
    hub.mkdir(parents=True)
    parquet.write_table(pyarrow.table({"text": SENTENCES * 20}), hub / "train.parquet")
    parquet.write_table(pyarrow.table({"text": SENTENCES}), hub / "validation.parquet")
    with pytest.raises(UserError, match="streamed from the hub and has no known length: give --max_steps"):
        run_textbox("ELMER", "owner/texts", config_dict=lplm())
    config = lplm(max_steps=13, valid_strategy="step", valid_steps=5, max_save=-1)
    results = run_textbox("ELMER", "owner/texts", config_dict=config | {"filename": "whole"})
    assert results["training"]["steps"] == 13
    assert 0 < results["training"]["best_score"] < 6
    path = f"{results['run']}/checkpoint-10"
    resumed = run_textbox("ELMER", "owner/texts", config_dict=config | {"model_path": path, "filename": "resumed"})
    assert same_weights(Path(resumed["run"]) / "checkpoint-13", Path(results["run"]) / "checkpoint-13")


def test_another_task_takes_the_weights_alone(corpus: Path) -> None:
    run_textbox("ELMER", "raw", config_dict=lplm(epochs=1, filename="first"))
    config = {key: value for key, value in lplm(epochs=1).items() if key not in ("vocab_size", "d_model")}
    config |= {"pretrain_task": "denoising", "model_path": "saved/first/checkpoint-11"}
    assert run_textbox("ELMER", "raw", config_dict=config)["training"]["steps"] == 11


def test_texts_without_letters_are_left_out_and_named(corpus: Path, capsys: pytest.CaptureFixture) -> None:
    lines = (corpus / "train.src").read_text().splitlines()
    (corpus / "train.src").write_text("\n".join([*lines[:2], "12 / 34", *lines[2:], "-----"]))
    results = run_textbox("ELMER", "raw", config_dict=lplm(epochs=1))
    assert "'dataset/raw/train.src', line 3, and 1 more left out" in capsys.readouterr().err
    assert results["training"]["steps"] == 11


# Kills: a training of 44 steps that saves a checkpoint at every step.

SAVING = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from textbox_elmer.runtime.training import callbacks
callbacks.SECONDS_BETWEEN_SAVES = 0
from textbox_elmer.cli import main
sys.exit(main())
"""


def training(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", SAVING, str(REPOSITORY), "--model=ELMER", "--dataset=raw", *arguments]
    environment = os.environ | {"HF_DATASETS_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture
def config() -> list[str]:
    return options(lplm(epochs=4, dropout=0.1, max_save=3))


def kill_at(process: subprocess.Popen, folder: Path, step: int, while_saving: bool) -> int:
    """Kill a training once it has saved a step, if asked while it writes another; return its last saved step."""
    deadline = time.monotonic() + 120
    while latest(folder) < step or (while_saving and not (folder / ".saving").exists()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return latest(folder)


def test_killed_at_random_steps_it_ends_in_the_same_weights(corpus: Path, workplace: Path, config: list[str]) -> None:
    """Killed six times, each time going on in a new folder, twice while a checkpoint is being written."""
    saved = workplace / "saved"
    whole = training(workplace, *config, "--filename=whole")
    assert whole.wait(timeout=180) == 0, whole.stderr.read()
    step, resume = 0, []
    for kill in range(6):
        process = training(workplace, *config, f"--filename=part-{kill}", *resume)
        wanted = max(step + 1, random.randint(6 * kill + 1, 6 * kill + 6))
        step = kill_at(process, saved / f"part-{kill}", wanted, while_saving=kill in (1, 4))
        resume = [f"--model_path={saved / f'part-{kill}' / f'checkpoint-{step}'}"]
    last = training(workplace, *config, "--filename=last", *resume)
    assert last.wait(timeout=180) == 0, last.stderr.read()
    for name in ("checkpoint-44", "checkpoint_best"):
        assert same_weights(saved / "last" / name, saved / "whole" / name)


def latest(folder: Path) -> int:
    return max((int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*[0-9]")), default=0)


TORCHRUN = ("torch.distributed.run", "--nproc_per_node=2", "--standalone")
# Without a GPU, accelerate starts one process only unless it is told otherwise.
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0")


def distributed(launcher: tuple[str, ...], folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(REPOSITORY / "run_textbox.py"), *arguments],
        cwd=folder,
        env=os.environ | {"HF_DATASETS_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_learn_what_one_with_twice_the_batch_does(corpus: Path, workplace: Path) -> None:
    """Of 81 texts the last step of an epoch has one, which leaves the second process without any."""
    lines = (corpus / "train.src").read_text().splitlines()
    (corpus / "train.src").write_text("\n".join(lines[:81]))
    config = lplm(max_save=-1)
    typed = ["--model=ELMER", "--dataset=raw", *options(config)]
    run_textbox("ELMER", "raw", config_dict=config | {"filename": "one"})
    typed = [word for word in typed if "train_batch_size" not in word]
    distributed(TORCHRUN, workplace, *typed, "--train_batch_size=4", "--filename=two")
    for key in ("loss", "eval_loss", "grad_norm"):
        one, two = (
            [entry[key] for entry in history(workplace / "saved" / name) if key in entry] for name in ("one", "two")
        )
        assert len(one) > 1
        assert two == pytest.approx(one, abs=1e-4), key
    ours, theirs = (weights(workplace / "saved" / name / "checkpoint_best") for name in ("one", "two"))
    for name, tensor in ours.items():
        # A softmax does not notice what all keys have in common: there the optimizer magnifies rounding.
        assert name.endswith("k_proj.bias") or tensor.allclose(theirs[name], atol=1e-4), name
    assert (workplace / "saved" / "two" / "run.log").read_text().count("step 22/22") == 1


def test_two_processes_fine_tune_and_test(workplace: Path) -> None:
    config = tiny(epochs=1)
    run_textbox("ELMER", "toy", config_dict=config | {"filename": "one"})
    distributed(ACCELERATE, workplace, "--model=ELMER", "--dataset=toy", *options(config), "--filename=two")
    results = json.loads((workplace / "saved" / "two" / "results.json").read_text())
    assert results["training"]["steps"] == 5
    assert len((workplace / "saved" / "two" / "generation.txt").read_text().splitlines()) == 13
    assert sorted(path.name for path in (workplace / "saved").iterdir()) == ["one", "two"]
