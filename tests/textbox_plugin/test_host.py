"""`--textbox_home=DIR` as it is typed: what reaches TextBox, what never does, and what goes wrong."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY_BART, options
from textbox_elmer.cli import main
from textbox_elmer.files import held

TYPED = {"model": "ELMER", "dataset": "toy", "d_model": 16, "vocab_size": 300, **TINY_BART}


@pytest.fixture
def home(stand_in: Path, workplace: Path) -> Path:
    """The stand-in, in a working directory with the dataset `toy` and an empty folder `runs`."""
    (workplace / "runs").mkdir()
    return stand_in


def run(home: Path, *typed: str, **changes: Any) -> int:
    record = Path("record.json").absolute()
    values = {"data_path": "dataset", "record": str(record)} | TYPED | changes
    return main([f"--textbox_home={home}", *options(values), *typed])


def recorded(home: Path, *typed: str, **changes: Any) -> dict[str, Any]:
    assert run(home, *typed, **changes) == 0
    return json.loads(Path("record.json").read_text())


def test_a_run(home: Path, workplace: Path) -> None:
    before = (os.getcwd(), list(sys.argv))
    record = recorded(home, epochs=3)
    assert record["folder"] == str(home), "TextBox's relative paths are the checkout's"
    assert record["values"]["epochs"] == 3
    assert record["values"]["tgt_len"] == 10
    assert (os.getcwd(), sys.argv) == before
    (command,) = record["arguments"]
    assert f"--textbox_home={home}" in command
    assert not list(workplace.glob("*.yaml"))


def test_the_variable_says_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTBOX_HOME", str(home))
    values = {"data_path": "dataset", "record": str(Path("record.json").absolute())} | TYPED
    assert main(options(values)) == 0
    assert json.loads(Path("record.json").read_text())["folder"] == str(home)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("__import__('os').mkdir('pwned')", "__import__('os').mkdir('pwned')"),
        ("1-1", "1-1"),
        ("null.txt", "null.txt"),
        ("é 'quoted' \"twice\" 😀", "é 'quoted' \"twice\" 😀"),
        ("[1, two, {three: 4}]", [1, "two", {"three": 4}]),
        ("0.5", 0.5),
        ("True", True),
    ],
)
def test_options_arrive_as_values_and_are_never_evaluated(home: Path, text: str, value: Any) -> None:
    assert recorded(home, f"--free={text}")["values"]["free"] == value
    assert not Path("pwned").exists()
    assert not (home / "pwned").exists()


def test_typed_paths_are_the_users_and_then_the_checkouts(home: Path, workplace: Path) -> None:
    (home / "dataset").mkdir()
    os.rename("dataset/toy", home / "dataset" / "toy")
    os.rmdir("dataset")
    values = recorded(home, saved_dir="runs")["values"]
    assert values["data_path"] == "dataset/toy"
    assert values["saved_dir"] == f"{workplace}/runs/"
    (workplace / "dataset").mkdir()
    os.rename(home / "dataset" / "toy", workplace / "dataset" / "toy")
    assert recorded(home)["values"]["data_path"] == f"{workplace}/dataset/toy"


def test_config_files(home: Path) -> None:
    Path("mine.yaml").write_text("epochs: 7\nstopping_steps: 8\n")
    (home / "theirs.yaml").write_text("epochs: 9\nmax_save: 1\n")
    values = recorded(home, "--config_files", "theirs.yaml", "mine.yaml", stopping_steps=5)["values"]
    assert [values[key] for key in ("epochs", "max_save", "stopping_steps")] == [7, 1, 5]


def test_wandb_runs_no_command(home: Path) -> None:
    assert recorded(home, wandb="disabled")
    assert os.environ["WANDB_MODE"] == "disabled"


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("no model", {"model": "null"}, "No model or no dataset is named: give --model=… and --dataset=…"),
    ("unknown model", {"model": "ELMR"}, "There is no model called 'ELMR' in"),
    ("unknown dataset", {"dataset": "toys"}, "toys/train.src' cannot be read (No such file or directory): put the da"),
    ("no data", {"data_path": "nowhere"}, "/nowhere/toy/train.src' cannot be read (No such file or directory)"),
    ("nothing to do", {"do_train": False, "do_test": False}, "Nothing to do"),
    ("no validation", {"do_valid": False}, "leave --do_valid=False out"),
    ("unknown task", {"pretrain_task": "mlm"}, "pretrain_task is one of disabled, lplm, not 'mlm'"),
    ("not a number", {"epochs": "many"}, "epochs must be a whole number of at least 1, not 'many'"),
    ("unknown metric", {"metrics": ["rogue"]}, "metrics is a list of bleu, rouge, not ['rogue']"),
    ("Perl's ROUGE", {"metrics": ["rouge"], "rouge_type": "files2rouge"}, "give --rouge_type=rouge-score"),
    ("another ROUGE", {"metrics": ["rouge"], "rouge_type": "py-rouge"}, "needs the package py-rouge"),
    ("no tokenizer", {"model": "BART"}, "BART has no tokenizer: give --model_path, or --tokenizer_path"),
    ("a fork's method", {"model": "BART", "efficient_methods": ["lora"]}, "efficient_methods=['lora'] is in TextBox's"),
    ("no checkpoint", {"model_path": "saved/run/checkpoint_best"}, "model_path 'saved/run/checkpoint_best' is neither"),
    ("shell in wandb", {"wandb": "disabled; mkdir pwned"}, "wandb must be one of disabled, offline, online"),
    ("sizes do not fit", {"encoder_attention_heads": 5}, "d_model 16 is not divisible by 5"),
    ("beams", {"generation_kwargs": {"num_beams": 4}}, "num_beams is for decoding=beam, not for lookahead"),
    ("n-grams", {"generation_kwargs": {"no_repeat_ngram_size": 3}}, "generate() has no option no_repeat_ngram_size"),
    ("torch gives up", {"fails": "torch"}, "stopped: it is damaged, or holds more than numbers."),
    ("too wide", {"d_model": 10**8}, "ELMER cannot be built from these sizes: its"),
    ("too deep", {"decoder_layers": 10**9}, "decoder_layers is 1000000000 in the configuration, and no model has mo"),
    ("TextBox gives up", {"fails": True}, "stopped: as asked for."),
]


@pytest.mark.parametrize(("changes", "sentence"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistakes(home: Path, capsys: pytest.CaptureFixture, changes: dict[str, Any], sentence: str) -> None:
    assert run(home, **changes) == 2
    shown = capsys.readouterr()
    (line,) = [line for line in shown.err.splitlines() if "wandb is not installed" not in line]
    assert line.startswith("Error: ")
    assert sentence in line
    assert "swallowed" not in shown.out
    assert not Path("record.json").exists()
    assert not (home / "pwned").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("valid.tgt", "one\n", "valid.src' has 10 lines but"),
        ("test.src", "", "test.src' is empty"),
        ("train.src", b"\xe9\n", "train.src' is not UTF-8 text"),
        ("test.src", "[1]\n['a', 'b']\n", "test.src', line 2, is a list of 2 texts: write one text, in quotes if"),
        ("train.tgt", "['a']\n", "train.tgt', line 1, is a list of 1 texts: write one text"),
        ("valid.tgt", "['a', 'b']\n[]\n", "valid.tgt', line 2, is a list of 0 texts: write at least one text"),
    ],
)
def test_bad_data(home: Path, capsys: pytest.CaptureFixture, name: str, content: str | bytes, sentence: str) -> None:
    Path("dataset/toy", name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(home) == 2
    assert sentence in capsys.readouterr().err


def test_pre_training_needs_no_targets(home: Path) -> None:
    for split in ("train", "valid", "test"):
        Path("dataset/toy", f"{split}.tgt").unlink()
    assert recorded(home, pretrain_task="lplm", do_test=False)["values"]["tgt_len"] == 24


def test_a_missing_config_file(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(home, "--config_files", "my.yaml") == 2
    assert f"'my.yaml' is neither in '{Path.cwd()}' nor in '{home}'" in capsys.readouterr().err


def test_one_works_in_a_run(home: Path, capsys: pytest.CaptureFixture) -> None:
    with held(Path("runs/mine"), ""):
        assert run(home, saved_dir="runs", filename="mine") == 2
        assert "Another process is at work on" in capsys.readouterr().err
        recorded(home, saved_dir="runs", filename="other")
    recorded(home, saved_dir="runs", filename="mine")
    assert os.listdir("runs") == []
    assert run(home, saved_dir="runs", filename="../mine") == 2
    assert "filename must name a folder below saved_dir" in capsys.readouterr().err


def test_a_traceback_needs_debug(home: Path) -> None:
    with pytest.raises(Exception, match="as asked for") as raised:
        run(home, "--debug", fails=True)
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_config_file_that_would_never_be_read(home: Path, capsys: pytest.CaptureFixture) -> None:
    laughs = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    Path("my.yaml").write_text("\n".join(laughs))
    assert run(home, "--config_files", "my.yaml") == 2
    assert "my.yaml' cannot be read (it stands for more than 100,000 values)" in capsys.readouterr().err
