"""What must hold in the real checkout that TEXTBOX_HOME names; without it these tests are skipped.

Every run has a process of its own, for the checkout's modules are changed in it, and writes outside the checkout.
"""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BartConfig, GPT2Config, PreTrainedTokenizerFast, T5Config

from tests.conftest import FIXTURES, PUBLISHED, TINY_BART, options
from textbox_elmer import ElmerForConditionalGeneration, run_textbox

REPOSITORY = Path(__file__).parents[2]
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "Mr. Theta.", "iota!", "kappa's", "don't"]
# A dataset that the checkout has properties for, under a prompt that is the same in both hosts.
RUN = {
    "dataset": "samsum",
    "src_len": 48,
    "tgt_len": 40,
    "use_gpu": False,
    "disable_tqdm": True,
    "train_batch_size": 8,
    "accumulation_steps": 1,
}
SIZES = {"vocab_size": 300, "d_model": 64, "encoder_attention_heads": 2, "decoder_attention_heads": 2, **TINY_BART}
METRICS = ["rouge", "bleu", "distinct", "unique", "self_bleu", "chrf", "chrf+", "chrf++", "cider", "nist", "qa"]


def fingerprints(folder: Path) -> dict[str, str]:
    """Return all files of a folder but git's own, with what they hold."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def place(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with data; afterwards the checkout must be as it was, to the letter."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "data" / "samsum").mkdir(parents=True)
    draw = random.Random(0)
    for split, size in (("train", 160), ("valid", 12), ("test", 30)):
        texts = [draw.choices(WORDS, k=draw.randint(8, 13)) for _ in range(size)]
        (folder / "data" / "samsum" / f"{split}.src").write_text("".join(" ".join(text) + "\n" for text in texts))
        (folder / "data" / "samsum" / f"{split}.tgt").write_text("".join(" ".join(text[:8]) + "\n" for text in texts))
    before = fingerprints(checkout)
    yield folder
    assert fingerprints(checkout) == before


def python(place: Path, *arguments: str, cwd: Path | None = None) -> str:
    """Run Python on this repository's code and return what was logged."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd or place, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.stderr


def textbox(checkout: Path, place: Path, filename: str, **changes: object) -> str:
    """Run ELMER in the checkout by the command line, as users type it; leaves `runs/<filename>`."""
    values = RUN | {"model": "ELMER", "data_path": "data", "saved_dir": "runs", "filename": filename} | changes
    command = [str(REPOSITORY / "run_textbox.py"), f"--textbox_home={checkout}", *options(values)]
    return python(place, *command)


def scores(log: str) -> dict[str, float]:
    """Return the scores of the test, which TextBox logs with two decimals."""
    _, _, tail = log.partition("Evaluation result:\n")
    lines = tail.partition("INFO")[0].splitlines()
    found = (re.match(r" <?([\w+-]+): (-?[\d.]+)>?,?$", line) for line in lines)
    return {match[1]: float(match[2]) for match in found if match}


@pytest.fixture(scope="module")
def trained(checkout: Path, place: Path) -> str:
    """The log of a training in the checkout, which left `runs/trained`."""
    changes = {"epochs": 60, "stopping_steps": 2, "learning_rate": 0.003, "metrics": ["rouge"]}
    return textbox(checkout, place, "trained", **SIZES, **changes)


def test_training_validation_early_stopping_test_and_save(place: Path, trained: str) -> None:
    run = place / "runs" / "trained"
    assert "Early stopped at 3 non-best validation" in trained
    validations = re.findall(r"Validation +(\d+) (\(best\) )?\[.*score: ([\d.]+)", trained)
    assert 4 <= len(validations) < 60
    best = max(validations, key=lambda row: (float(row[2]), -int(row[0])))
    assert os.readlink(run / "checkpoint_best") == str(run / f"checkpoint_epoch-{best[0]}")
    assert len((run / "generation.txt").read_text().splitlines()) == 30
    assert scores(trained)["rouge-1"] > 10
    assert (run / "project.log").is_file()
    assert not (place / "project.log").exists()
    model = ElmerForConditionalGeneration.from_pretrained(run / "checkpoint_best")
    assert (model.config.canvas_length, model.config.alignment) == (40, "dag")


def test_both_hosts_write_and_score_alike(
    checkout: Path, place: Path, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    shared = RUN | {"data_path": "data", "saved_dir": "runs", "prefix_prompt": "Summarize: "}
    learnt = {"epochs": 40, "stopping_steps": 0, "valid_steps": 40, "learning_rate": 0.005, "metrics": ["rouge"]}
    run_textbox("ELMER", config_dict=shared | SIZES | learnt | {"filename": "embedded"})
    published = PUBLISHED | {"exit_mode": "soft"}
    run_textbox("ELMER", config_dict=shared | SIZES | learnt | published | {"filename": "published"})
    beam = {"generation_kwargs": {"decoding": "beam", "num_beams": 3}}
    for name, maker, changes in (
        ("trained", "trained", {}),
        ("embedded", "embedded", {}),
        ("beam", "embedded", beam),
        ("published", "published", {}),
    ):
        test = {"model_path": f"runs/{maker}/checkpoint_best", "do_train": False, "metrics": METRICS} | changes
        ours = run_textbox("ELMER", config_dict=shared | test | {"filename": f"{name}-ours"})
        theirs = scores(textbox(checkout, place, f"{name}-theirs", **test))
        texts = [(place / "runs" / f"{name}-{host}" / "generation.txt").read_text() for host in ("ours", "theirs")]
        assert texts[0] == texts[1]
        assert len(set(texts[0].splitlines())) > 5, "texts that are all alike would agree too easily"
        assert len(ours["metrics"]) >= 20
        for name, value in ours["metrics"].items():
            assert theirs[name] == pytest.approx(value, abs=0.011), name  # 0.01, and the log's own rounding


def test_resuming(checkout: Path, place: Path, trained: str) -> None:
    best = Path(os.readlink(place / "runs" / "trained" / "checkpoint_best"))
    epoch = int(best.name.partition("-")[2])
    log = textbox(
        checkout, place, "resumed", model_path=str(best), epochs=epoch + 1, metrics=["rouge"], stopping_steps=0
    )
    assert f"Resume training from epoch {epoch + 1}" in log
    assert re.findall(r"Train epoch +(\d+)", log) == [str(epoch + 1)]
    assert scores(log), "there is a best checkpoint to test, even if the new epoch is none"
    same = textbox(checkout, place, "same", model_path=str(best), epochs=epoch, metrics=["rouge"])
    assert "Train epoch" not in same
    assert scores(same) == scores(trained)
    assert (place / "runs/same/generation.txt").read_text() == (place / "runs/trained/generation.txt").read_text()


def test_pre_training_and_fine_tuning(checkout: Path, place: Path) -> None:
    log = textbox(checkout, place, "lplm", **SIZES, pretrain_task="lplm", epochs=6, learning_rate=0.005)
    losses = [float(loss) for loss in re.findall(r"Validation.*<loss: ([\d.]+)>", log)]
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.1
    assert not (place / "runs" / "lplm" / "generation.txt").exists()
    tuned = textbox(
        checkout, place, "tuned", model_path="runs/lplm/checkpoint_best", epochs=1, metrics=["rouge"], dropout=0.0
    )
    assert "is of another training: taking its weights alone" in tuned
    assert re.findall(r"Train epoch +(\d+)", tuned) == ["1"]
    denoised = textbox(checkout, place, "denoised", **SIZES, pretrain_task="denoising", epochs=1)
    assert "Pretrain type: denoising" in denoised


def test_the_printed_command_needs_nothing_else(checkout: Path, place: Path) -> None:
    """`--model=ELMER --dataset=samsum` alone: its own tokenizer, sizes and metrics, whose packages may be missing."""
    log = textbox(checkout, place, "plain", quick_test=8, epochs=1, src_len=1024, tgt_len=128)
    assert {"rouge-1", "rouge-2", "rouge-l"} <= set(scores(log))


def test_a_dataset_that_the_checkout_has_no_properties_for(checkout: Path, place: Path) -> None:
    (place / "data" / "mine").symlink_to(place / "data" / "samsum")
    log = textbox(checkout, place, "mine", **SIZES, dataset="mine", quick_test=8, epochs=1, metrics=["rouge", "cider"])
    assert {"rouge-1", "CIDEr"} <= set(scores(log))


OTHERS = """
import sys

import textbox_elmer.textbox_plugin as p

p.register()
from textbox import run_textbox

place = sys.argv.pop()
common = {"data_path": f"{place}/data/", "saved_dir": f"{place}/runs/", "use_gpu": False, "disable_tqdm": True}
common |= {"src_len": 48, "tgt_len": 12, "train_batch_size": 8, "accumulation_steps": 1, "epochs": 1}
common |= {"metrics": "['rouge', 'bleu']", "generation_kwargs": "{'num_beams': 2}", "wandb": "disabled"}
sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
sizes |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
for model in ("BART", "T5", "GPT2"):
    path = f"{place}/models/{model}"
    run_textbox(model, "samsum", [], common | {"config_path": path, "tokenizer_path": path, "filename": model})
bart = {"tokenizer_path": f"{place}/models/BART"}
run_textbox("transformer", "samsum", [], common | sizes | bart | {"filename": "transformer"})
run_textbox("transformer", "samsum", [], common | sizes | bart | {"filename": "noise", "pretrain_task": "denoising"})
elmer = {"d_model": 16, "vocab_size": 300, "generation_kwargs": {}, "filename": "elmer-beside"}
run_textbox("ELMER", "samsum", [], common | elmer)
best = {"model_path": f"{place}/runs/BART/checkpoint_best"}
run_textbox("BART", "samsum", [], common | best | {"do_train": False, "filename": "BART-test"})
run_textbox("BART", "samsum", [], common | best | {"epochs": 2, "filename": "BART-on"})
"""


def make_models(place: Path) -> None:
    """Make folders with a configuration and a tokenizer from which TextBox's models start from scratch."""
    texts = (place / "data" / "samsum" / "train.src").read_text().splitlines()
    bart = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
    sizes = {"d_model": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, **TINY_BART}
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer, unigram.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    unigram.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=80, special_tokens=specials, unk_token="<unk>", show_progress=False)
    )
    unigram.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    t5 = PreTrainedTokenizerFast(tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False)
    )
    gpt2 = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<|end|>", eos_token="<|end|>")
    for name, tokenizer, config in (
        ("BART", bart, BartConfig(vocab_size=len(bart), max_position_embeddings=64, **sizes)),
        ("T5", t5, T5Config(vocab_size=len(t5), d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2)),
        ("GPT2", gpt2, GPT2Config(vocab_size=len(gpt2), n_embd=16, n_layer=1, n_head=2, n_positions=128)),
    ):
        if name == "T5":
            config.decoder_start_token_id = 0
        config.save_pretrained(place / "models" / name)
        tokenizer.save_pretrained(place / "models" / name)


def test_its_own_models_in_a_script_inside_the_tree(checkout: Path, place: Path) -> None:
    make_models(place)
    script = place / "script.py"
    script.write_text(OTHERS)
    log = python(place, str(script), str(place), cwd=checkout)
    for name in ("BART", "T5", "GPT2", "transformer", "elmer-beside", "BART-test", "BART-on"):
        assert len((place / "runs" / name / "generation.txt").read_text().splitlines()) == 30, name
    texts = [(place / "runs" / name / "generation.txt").read_text() for name in ("BART", "BART-test")]
    assert texts[0] == texts[1]
    assert (place / "runs" / "noise" / "checkpoint_best" / "pytorch_model.bin").is_file()
    assert "Resume training from epoch 2" in log


def test_what_is_left_can_be_read_as_values(place: Path, trained: str) -> None:
    saved = place / "runs" / "trained" / "checkpoint_best"
    assert json.loads((saved / "config.json").read_text())["model_type"] == "elmer"
    assert AutoTokenizer.from_pretrained(saved).mask_token == "<mask>"
