"""What users type wrong about a run, and the sentence that each mistake gets.

Every row must print exactly one line on stderr, exit with status 2, and leave nothing in `saved`.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from tests.conftest import FIXTURES, TINY_BART, full_disk, options, tiny
from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.cli import main
from textbox_elmer.files import held

REPOSITORY = Path(__file__).parents[1]
TOKENIZER = str(FIXTURES / "textbox" / "tokenizer")


def write(path: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / path).write_bytes(content)


def remove(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def checkpoint(folder: Path) -> Path:
    """Make a tiny sound checkpoint in `folder/model`."""
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    config = ElmerConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        max_position_embeddings=64,
        mask_token_id=4,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        **TINY_BART,
    )
    ElmerForConditionalGeneration(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def sound_checkpoint(folder: Path) -> None:
    checkpoint(folder)


def without_weights(folder: Path) -> None:
    path = checkpoint(folder) / "model.safetensors"
    weights = load_file(path)
    del weights["model.decoder.layers.1.fc1.weight"]
    save_file(weights, path, metadata={"format": "pt"})


def misfitting_weights(folder: Path) -> None:
    path = checkpoint(folder) / "model.safetensors"
    weights = load_file(path) | {"model.decoder.layers.0.fc1.bias": torch.zeros(7)}
    save_file(weights, path, metadata={"format": "pt"})


def truncated_weights(folder: Path) -> None:
    path = checkpoint(folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def diverged_weights(folder: Path) -> None:
    path = checkpoint(folder) / "model.safetensors"
    weights = load_file(path)
    weights["model.decoder.layers.1.fc1.weight"][3, 2] = torch.nan
    save_file(weights, path, metadata={"format": "pt"})


def vast_weights(folder: Path) -> None:
    path = checkpoint(folder) / "model.safetensors"
    save_file({name: weight * 1e30 for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})


def pickled_weights(folder: Path) -> None:
    (checkpoint(folder) / "model.safetensors").unlink()
    torch.save({"code": Path("pwned").touch}, folder / "model" / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (checkpoint(folder) / "model.safetensors").unlink()


def no_configuration(folder: Path) -> None:
    (checkpoint(folder) / "config.json").unlink()


def broken_configuration(folder: Path) -> None:
    (checkpoint(folder) / "config.json").write_text("{")


def configured(**changes: object) -> Callable[[Path], None]:
    """A checkpoint whose config.json holds something else."""

    def spoil(folder: Path) -> None:
        path = checkpoint(folder) / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def no_mapping(folder: Path) -> None:
    (checkpoint(folder) / "config.json").write_text("[]")


def other_model(folder: Path) -> None:
    path = checkpoint(folder) / "config.json"
    path.write_text(json.dumps({"model_type": "t5", "d_model": 16}))


def code_beside_the_weights(folder: Path) -> None:
    path = checkpoint(folder)
    (path / "evil.py").write_text("from pathlib import Path\n\nPath('saved').mkdir()\n")
    (path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}))


def no_mask_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint(folder))
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder / "model")


def saved_is_a_file(folder: Path) -> None:
    (folder / "file").write_text("")


def a_pipe_for_a_file(folder: Path) -> None:
    (folder / f"{TRAIN}.src").unlink()
    os.mkfifo(folder / f"{TRAIN}.src")


def empty_list_in(split: str) -> Callable[[Path], None]:
    """Make a split's third target a list without references."""

    def spoil(folder: Path) -> None:
        path = folder / "dataset" / "toy" / f"{split}.tgt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:2], "[ ]", *lines[3:], ""]))

    return spoil


def nothing(folder: Path) -> None:
    pass


def corpus_of(**files: bytes) -> Callable[[Path], None]:
    """Replace the dataset by a folder of corpus files, named suffix=content."""

    def spoil(folder: Path) -> None:
        shutil.rmtree(folder / "dataset" / "toy")
        (folder / "dataset" / "toy").mkdir()
        for number, (suffix, content) in enumerate(files.items()):
            (folder / "dataset" / "toy" / f"{number}.{suffix}").write_bytes(content)

    return spoil


def corrupt_parquet(folder: Path) -> None:
    texts = pyarrow.table({"text": ["A sound text of some words."] * 99})
    corpus_of(txt=b"Some words.\nMore words.\n")(folder)
    for name in ("1", "2", "3"):
        parquet.write_table(texts, folder / "dataset" / "toy" / f"{name}.parquet")
    path = folder / "dataset" / "toy" / "2.parquet"
    path.write_bytes(path.read_bytes()[:-40])


def other_architecture(folder: Path) -> None:
    """A checkpoint of an ELMER's training, which a BART is to go on with."""
    path = checkpoint(folder)
    (path / "trainer_state.json").write_text('{"global_step": 1}')
    (path / "config.yaml").write_text("model: BART\ndataset: toy\npretrain_task: denoising\n")


def bart_without_mask_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder / "maskless")


LPLM = "--pretrain_task=lplm"
TRAIN = "dataset/toy/train"
LONG = "n" * 300
MISTAKES: list[tuple[str, Callable[[Path], None], list[str], str]] = [
    # what is wrong, how it comes about, what is typed besides, what must be said
    ("unknown model", nothing, ["--model=ELMR"], "There is no model called 'ELMR'. Did you mean ELMER?"),
    ("a model of TextBox's fork", nothing, ["--model=unilm"], "UniLM needs TextBox's fork of transformers: run it in"),
    ("no source language", nothing, ["--model=mBART"], "src_lang is not given: give --src_lang=<code>"),
    ("unknown dataset", nothing, ["--dataset=toys"], "the folder 'dataset/toys' does not exist. Did you mean 'toy'?"),
    ("dataset not made", nothing, ["--dataset=apidoc"], "make it with `python -m textbox_elmer data apidoc`"),
    ("unknown key", nothing, ["--learning_rat=1"], "Unknown option --learning_rat (command line): did you mean"),
    ("unknown model field", nothing, ["--d_modell=8"], "did you mean --d_model?"),
    ("TextBox's key", nothing, ["--efficient_methods=[lora]"], "a TextBox key that this version does not offer"),
    ("stray word", nothing, ["toy"], "'toy' is no option"),
    ("no value", nothing, ["--seed"], "--seed needs a value"),
    ("two values", nothing, ["--seed=1", "--seed=2"], "--seed is given twice"),
    ("not a number", nothing, ["--epochs=many"], "epochs must be a whole number of at least 1, not 'many'"),
    ("zero batch", nothing, ["--train_batch_size=0"], "train_batch_size must be a whole number of at least 1, not 0"),
    ("code for a value", nothing, ["--seed=__import__('os')"], "seed must be a whole number"),
    ("unknown optimizer", nothing, ["--optimizer=adamm"], "optimizer must be one of adamw"),
    ("optimizer's argument", nothing, ["--optimizer_kwargs={bet: 1}"], "optimizer_kwargs does not suit adamw"),
    ("schedule's argument", nothing, ["--scheduler_kwargs={warm: 1}"], "scheduler_kwargs has no entry 'warm'"),
    (
        "beams unasked for",
        nothing,
        ["--generation_kwargs={num_beams: 4}"],
        "num_beams is for decoding=beam, not for l",
    ),
    ("n-grams for ELMER", nothing, ["--generation_kwargs={no_repeat_ngram_size: 3}"], "has no option no_repeat_ngram"),
    ("unknown exit mode", nothing, ["--exit_mode=early"], "exit_mode must be one of soft, hard, last, not 'early'"),
    ("unknown metric", nothing, ["--metrics=[rogue]"], "There is no metric 'rogue': did you mean 'rouge'?"),
    ("Perl's ROUGE", nothing, ["--rouge_type=files2rouge"], "give --rouge_type=rouge-score"),
    ("metric not scored", nothing, ["--metrics_for_best_model=[bleu-4]"], "which metrics=['rouge'] does not yield"),
    ("nothing to do", nothing, ["--do_train=False", "--do_test=False"], "Nothing to do"),
    ("missing config file", nothing, ["--config_files=my.yaml"], "'my.yaml' cannot be read"),
    (
        "broken config file",
        write("my.yaml", b"a: [1\nb: 2\n"),
        ["--config_files=my.yaml"],
        "'my.yaml', line 2 is not valid",
    ),
    ("missing file", remove(f"{TRAIN}.tgt"), [], "'dataset/toy/train.tgt' is missing"),
    ("empty file", write(f"{TRAIN}.src", b""), [], "'dataset/toy/train.src' is empty"),
    ("lengths differ", write(f"{TRAIN}.tgt", b"a\nb\n"), [], "has 80 lines but 'dataset/toy/train.tgt' has 2"),
    ("not UTF-8", write(f"{TRAIN}.src", b"a\n\xe9\n"), [], "'dataset/toy/train.src', line 2, is not UTF-8 text"),
    ("source too long", nothing, ["--src_len=2048"], "src_len is 2048 (set by command line), but the model has 1024"),
    (
        "target too long",
        nothing,
        ["--tgt_len=1024"],
        "a canvas of 2048 positions, but the model has 1024 (max_posi",
    ),
    (
        "target too long for one token a position",
        nothing,
        ["--tgt_len=2048", "--alignment=position", "--canvas_scale=1"],
        "tgt_len is 2048 (set by command line), but the model has 1024",
    ),
    ("no room for text", nothing, ["--src_len=4", "--prefix_prompt=Summarize this: "], "src_len=4 leaves no room"),
    ("sizes do not fit", nothing, ["--encoder_attention_heads=5"], "d_model 32 is not divisible by 5"),
    ("tiny vocabulary", nothing, ["--vocab_size=100"], "vocab_size is 100, but bytes and special tokens alone are 261"),
    (
        "vast vocabulary",
        nothing,
        ["--vocab_size=10000000000000"],
        "vocab_size is 10000000000000, and more than 1,000,000 tokens are never learnt",
    ),
    ("vast width", nothing, ["--d_model=100000000"], "parameters take"),
    ("width beyond 64 bits", nothing, ["--d_model=100000000000000000000"], "ELMER cannot be built from these sizes"),
    ("negative width", nothing, ["--d_model=-16"], "ELMER cannot be built from these sizes"),
    ("vast canvas", nothing, ["--max_position_embeddings=1000000000000"], "ELMER cannot be built from these sizes: it"),
    ("deep", nothing, ["--decoder_layers=1000000000"], "decoder_layers is 1000000000 in the configuration, and no mo"),
    ("unknown activation", nothing, ["--activation_function=gulu"], "ELMER cannot be built from these sizes"),
    ("hub without network", nothing, ["--model_path=RUCAIBox/elmer"], "No tokenizer can be read from 'RUCAIBox/elmer'"),
    ("weights missing", without_weights, ["--model_path=model"], "lacks model.decoder.layers.1.fc1.weight"),
    (
        "weights misfit",
        misfitting_weights,
        ["--model_path=model"],
        "model.decoder.layers.0.fc1.bias (7 there, 48 needed)",
    ),
    ("weights damaged", truncated_weights, ["--model_path=model"], "The weights in 'model' cannot be read"),
    (
        "weights that are no numbers",
        diverged_weights,
        ["--model_path=model"],
        "The weights in 'model' are no numbers (model.decoder.layers.1.fc1.weight): its training diverged",
    ),
    ("weights too large", vast_weights, ["--model_path=model"], "The weights in 'model' are no numbers (model."),
    ("weights with code", pickled_weights, ["--model_path=model"], "cannot be read: it is damaged, or holds more than"),
    ("no weights", no_weights, ["--model_path=model"], "The weights in 'model' cannot be read"),
    ("no configuration", no_configuration, ["--model_path=model"], "No model configuration can be read from 'model'"),
    ("broken configuration", broken_configuration, ["--model_path=model"], "'model/config.json' is damaged: Expecting"),
    ("a list for a configuration", no_mapping, ["--model_path=model"], "'model/config.json' is damaged: it is no map"),
    (
        "layers without end",
        configured(decoder_layers=10**9),
        ["--model_path=model"],
        "decoder_layers is 1000000000 in model/config.json, and no model has more than 1,000",
    ),
    ("labels without end", configured(num_labels=10**9), ["--model_path=model"], "num_labels is 1000000000 in model"),
    ("a digit too many", configured(decoder_layers=10**400), ["--model_path=model"], "decoder_layers is a number of"),
    ("a checkpoint too wide", configured(d_model=10**8), ["--model_path=model"], "cannot be loaded by its configurat"),
    ("words for sizes", configured(d_model="wide"), ["--model_path=model"], "d_model"),
    (
        "layers without end for a checkpoint",
        sound_checkpoint,
        ["--model_path=model", "--encoder_layers=1000000000"],
        "encoder_layers is 1000000000 in the configuration",
    ),
    ("another model", other_model, ["--model_path=model"], "holds a model of type 't5', but --model=ELMER loads"),
    ("a checkpoint's own code", code_beside_the_weights, ["--model_path=model"], "can be read from 'model'"),
    ("no mask token", no_mask_token, ["--model_path=model"], "has no mask token"),
    (
        "positions of a checkpoint",
        sound_checkpoint,
        ["--model_path=model", "--src_len=100"],
        "the model has 64 positions",
    ),
    ("unknown task", nothing, ["--pretrain_task=mlm"], "pretrain_task must be one of disabled, lplm, denoising, not"),
    ("LPLM for BART", nothing, [LPLM, "--model=BART"], "permutes exit layers, and BART has none"),
    ("pre-training a test", nothing, [LPLM, "--do_train=False"], "pre-training has no test, and do_train is False"),
    (
        "a target of agreement in pre-training",
        nothing,
        [LPLM, "--exit_mode=hard", "--exit_target=0.9"],
        "pre-training writes none",
    ),
    ("empty corpus", write(f"{TRAIN}.src", b"\n\n"), [LPLM], "The corpus 'dataset/toy/train.src' is empty"),
    ("empty folder", corpus_of(), [LPLM], "'dataset/toy' holds no corpus: put texts into train.src"),
    ("digits alone", write(f"{TRAIN}.src", b"1 2\n3 4\n"), [LPLM], "'dataset/toy/train.src' is empty"),
    ("one-word lines", write(f"{TRAIN}.src", b"one\ntwo\n" * 9), [LPLM], "is a single word, and hiding whole words"),
    (
        "a line of 5 MB",
        write(f"{TRAIN}.src", b"A text.\n" + b"word " * 10**6),
        [LPLM],
        "'dataset/toy/train.src', line 2",
    ),
    ("corpus not UTF-8", write(f"{TRAIN}.src", b"A text.\n\xe9 \n"), [LPLM], "train.src', line 2, is not UTF-8"),
    ("bad JSON", corpus_of(jsonl=b'{"text": "a b"}\n{"text": \n'), [LPLM], "0.jsonl', line 2, is not a JSON object"),
    ("JSON without text", corpus_of(jsonl=b'{"body": "a b"}\n'), [LPLM], "0.jsonl', line 1, is not a JSON object"),
    ("corrupt parquet", corrupt_parquet, [LPLM], "'dataset/toy/2.parquet' is damaged or no parquet file"),
    ("one text", corpus_of(txt=b"A text.\n"), [LPLM], "'toy' has one text and nothing to validate on"),
    ("hub corpus without network", nothing, [LPLM, "--dataset=a/b", "--max_steps=1"], "and the hub does not answer"),
    ("hub corpus without steps", nothing, [LPLM, "--dataset=a/b"], "no known length: give --max_steps"),
    ("nothing hidden", nothing, [LPLM, "--mask_ratio=1.5"], "mask_ratio must be a number from 0 to 1, not 1.5"),
    ("endless spans", nothing, [LPLM, "--poisson_lambda=0"], "poisson_lambda must be a number above 0"),
    (
        "no mask token to hide words with",
        bart_without_mask_token,
        ["--model=BART", "--pretrain_task=denoising", "--tokenizer_path=maskless"],
        "has no mask token, which hides words",
    ),
    (
        "going on with another architecture",
        other_architecture,
        ["--model=BART", "--pretrain_task=denoising", "--model_path=model"],
        "holds a model of type 'elmer', but --model=BART loads 'bart'",
    ),
    ("saved_dir is a file", saved_is_a_file, ["--saved_dir=file"], "'file' cannot be written (a file is in the way)"),
    *(
        (
            f"no reference in {split}",
            empty_list_in(split),
            [],
            f"'dataset/toy/{split}.tgt', line 3, is an empty list of",
        )
        for split in ("train", "valid", "test")
    ),
    ("a pipe for a file", a_pipe_for_a_file, [], "'dataset/toy/train.src' cannot be read (it is no regular file)"),
    ("out of saved_dir", nothing, ["--filename=../../x"], "filename must name a folder below saved_dir, not '../../x'"),
    ("out and in again", nothing, ["--filename=a/../../saved/x"], "filename must name a folder below saved_dir"),
    ("an absolute filename", nothing, ["--filename=/tmp/x"], "filename must name a folder below saved_dir"),
    ("an empty filename", nothing, ["--filename="], "filename must name a folder below saved_dir, not ''"),
    ("saved_dir itself", nothing, ["--filename=."], "filename must name a folder below saved_dir, not '.'"),
    ("a byte that is no text", nothing, ["--filename=a\udcff"], r"'--filename=a\udcff' is not UTF-8 text"),
    (
        "a null character",
        write("my.yaml", b'filename: "a\\0b"\n'),
        ["--config_files=my.yaml"],
        r"filename must be a text without null characters, not 'a\x00b' (my.yaml)",
    ),
    *(
        (f"a long {key}", nothing, [f"--{key}={LONG}"], "is too long for a file's name: give a shorter one")
        for key in ("dataset", "data_path")
    ),
    *((f"a long {key}", nothing, [f"--{key}={LONG}"], LONG[:20]) for key in ("model_path", "tokenizer_path")),
    ("a long config file", nothing, [f"--config_files={LONG}"], "cannot be read (File name too long)"),
]


@pytest.fixture(autouse=True)
def hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.hub._hub_answers", lambda: False)


def test_the_table_is_long_enough() -> None:
    assert len({name for name, *_ in MISTAKES}) == len(MISTAKES) >= 25


@pytest.mark.parametrize(
    ("spoil", "typed", "sentence"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_mistakes(
    workplace: Path,
    capsys: pytest.CaptureFixture,
    spoil: Callable[[Path], None],
    typed: list[str],
    sentence: str,
) -> None:
    spoil(workplace)
    config = {"model": "ELMER", "dataset": "toy", **tiny(epochs=1)}
    names = [word.lstrip("-").partition("=")[0] for word in typed]
    if "model_path" in names:  # a checkpoint brings its own sizes
        for size in ("d_model", "vocab_size", *TINY_BART):
            del config[size]
    if names.count("seed") < 2:
        config = {key: value for key, value in config.items() if key not in names}
    assert main([*options(config), *typed]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    lines = [line for line in errors if "INFO" not in line]
    assert len(lines) == 1, errors
    assert lines[0].startswith("Error: ")
    assert sentence in lines[0]
    assert not (workplace / "saved").exists()


def test_a_disk_that_is_full_from_the_start(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    with full_disk():
        assert main(["--model=ELMER", "--dataset=toy", *options(tiny(filename="run", tokenizer_path=TOKENIZER))]) == 2
    errors = capsys.readouterr().err
    assert "Error: saved/run/config.yaml cannot be written (File too large): make room and repeat." in errors
    assert "Traceback" not in errors
    assert "logging" not in errors.lower()


def test_one_works_in_a_run(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    typed = ["--model=ELMER", "--dataset=toy", *options(tiny(filename="run", tokenizer_path=TOKENIZER, quick_test=8))]
    with held(Path("saved/run"), ""):
        assert main(typed) == 2
    assert "Error: Another process is at work on 'saved/run': wait until it has ended, or give another --filename." in (
        capsys.readouterr().err
    )
    assert os.listdir("saved") == []


def test_planted_links_are_not_followed(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    run, victim = workplace / "saved" / "run", workplace / "victim"
    run.mkdir(parents=True)
    victim.write_text("precious")
    names = ("config.yaml", "results.json", "generation.txt", "generation.jsonl", "run.log")
    for name in (*names, *(f".{name}.new" for name in names)):
        (run / name).symlink_to(victim)
    config = tiny(filename="run", tokenizer_path=TOKENIZER, quick_test=8, epochs=1)
    (run / "results.json").unlink()  # else the run would be a finished one
    assert main(["--model=ELMER", "--dataset=toy", *options(config)]) == 2
    assert "Error: 'saved/run/run.log' is a link or no regular file, so nothing is written there" in (
        capsys.readouterr().err
    )
    (run / "run.log").unlink()
    assert main(["--model=ELMER", "--dataset=toy", *options(config)]) == 0
    assert victim.read_text() == "precious"
    assert not (run / "config.yaml").is_symlink()
    assert main(["report", "saved/run", "--out=saved/run/generation.html"]) == 0
    assert victim.read_text() == "precious"
