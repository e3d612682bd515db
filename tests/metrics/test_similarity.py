"""METEOR and BERTScore, whose data, programs and models are stood in for by small ones."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import check_metrics
from textbox_elmer.runtime import evaluate

JAVA_METEOR = {"metrics": ["meteor"], "meteor_type": "pycocoevalcap"}
# Answers METEOR's two questions: a text's statistics (here its words), then all texts' scores and the corpus's.
ANSWERS = """
import sys
if "-version" not in sys.argv:
    for line in sys.stdin:
        question, *parts = line.strip().split(" ||| ")
        if question == "SCORE":
            print(len(parts[-1].split()), flush=True)
        else:
            print(*(int(words) / 10 for words in parts), 0.5, sep="\\n", flush=True)
"""
FAILS_LATER = "import sys; sys.exit('-version' not in sys.argv)"
NOT_INSTALLED = "import sys; sys.exit(1)"


def install_java(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    java = folder / "java"
    java.write_text(f"#!{sys.executable}\n{program}\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_meteor_of_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_java(tmp_path, ANSWERS, monkeypatch)
    texts = ["one", "one two three"]
    assert evaluate(texts, texts, JAVA_METEOR) == {"meteor": 50}
    assert evaluate(texts, texts, JAVA_METEOR | {"corpus_meteor": False}) == {"meteor": 20}


def test_meteor_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="install Java 8"):
        check_metrics(JAVA_METEOR)
    install_java(tmp_path, NOT_INSTALLED, monkeypatch)
    with pytest.raises(UserError, match="install Java 8"):
        check_metrics(JAVA_METEOR)


def test_meteor_with_java_that_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_java(tmp_path, FAILS_LATER, monkeypatch)
    check_metrics(JAVA_METEOR)
    with pytest.raises(UserError, match="2 GB of free memory"):
        evaluate(["a"], ["b"], JAVA_METEOR)


def test_meteor_of_nltk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    config = {"metrics": ["meteor"]}
    with pytest.raises(UserError, match=r"nltk\.downloader wordnet"):
        check_metrics(config)
    wordnet = tmp_path / "corpora" / "wordnet"
    wordnet.mkdir(parents=True)
    for name in WordNetCorpusReader._FILES:
        (wordnet / name).touch()
    (wordnet / "data.noun").write_text("  1 WordNet 3.0 without any word\n")
    check_metrics(config)
    # All three words match (one by its stem) in one chunk: 1 - 0.5 · (1 / 3)³. Nothing matches in the second text.
    assert evaluate(["the cats sat", "a"], [["none", "the cat sat"], "b"], config) == {
        "meteor": pytest.approx(100 * (1 - 0.5 / 27) / 2, abs=0.006)
    }


@pytest.fixture
def bert_score(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A package bert_score that keeps its arguments and finds two F1 scores, or raises `error`."""
    seen = SimpleNamespace(error=None)

    def score(generated: list[str], references: list[list[str]], **options: Any) -> tuple[torch.Tensor, ...]:
        if seen.error:
            raise seen.error
        seen.generated, seen.references, seen.options = generated, references, options
        return torch.zeros(2), torch.zeros(2), torch.tensor([0.5, 1.0])

    module = ModuleType("bert_score")
    module.score, module.__spec__ = score, ModuleSpec("bert_score", None)
    monkeypatch.setitem(sys.modules, "bert_score", module)
    return seen


def test_bert_score(bert_score: SimpleNamespace) -> None:
    config = {"metrics": ["bert_score"], "tgt_lang": "de", "eval_batch_size": 3, "use_gpu": False}
    assert evaluate(["Ein Text", " "], ["ein", ["", "x"]], config) == {"bertscore": 75}
    # transformers 5 lacks what bert_score does with blank texts.
    assert (bert_score.generated, bert_score.references) == (["ein text", "UNK"], [["ein"], ["UNK", "x"]])
    assert bert_score.options == {"lang": "de", "batch_size": 3, "device": "cpu"}


def test_bert_score_without_its_model(bert_score: SimpleNamespace) -> None:
    bert_score.error = OSError("We couldn't connect to the hub")
    check_metrics({"metrics": ["bert_score"]})
    with pytest.raises(UserError, match="needs its model from the hub"):
        evaluate(["a"], ["b"], {"metrics": ["bert_score"]})


def test_bert_score_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textbox_elmer.metrics.similarity.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'textbox-elmer\[bert-score\]'"):
        check_metrics({"metrics": ["bert_score"]})
