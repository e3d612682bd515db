"""The tokenization against nltk's own, given the same model in nltk's own format."""

from pathlib import Path

import nltk
import pytest
from nltk.tokenize.punkt import PunktParameters, save_punkt_params
from punkt import load_model
from rouge_score.rouge_scorer import RougeScorer

from textbox_elmer.metrics.corpus import word_tokenize
from textbox_elmer.runtime import evaluate
from textbox_elmer.text.sentences import sentence_tokenize

TEXTS = [
    "Dr. Lee can't pay $5.50 at 5 p.m. today. The U.S. team won (again)!",
    "Wow!!! Really?? ... Yes.... No. 5 is \"cheap.\" He said 'no!!'",
    "Return x, e.g. f(x).\n\nSee fig. 3. Also:\n - one.\n - two...",
    "end ...",
    "What?!!!",
    ". . .",
    " \t\n",
    "",
]


@pytest.fixture
def nltk_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nltk find the English Punkt model where a download would have put it."""
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    model, parameters = load_model("english"), PunktParameters()
    parameters.abbrev_types = model.abbrev_types
    parameters.collocations = model.collocations
    parameters.sent_starters = model.sent_starters
    parameters.ortho_context = model.ortho_context
    save_punkt_params(parameters, str(folder))


def test_sentences_and_words() -> None:
    assert sentence_tokenize(TEXTS[0]) == ["Dr. Lee can't pay $5.50 at 5 p.m. today.", "The U.S. team won (again)!"]
    words = "Dr. Lee ca n't pay $ 5.50 at 5 p.m. today . The U.S. team won ( again ) !"
    assert word_tokenize(TEXTS[0]) == words.split()


@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize("text", TEXTS)
def test_equals_nltk(text: str) -> None:
    assert sentence_tokenize(text) == nltk.sent_tokenize(text)
    assert word_tokenize(text) == nltk.word_tokenize(text)


@pytest.mark.usefixtures("nltk_data")
def test_rouge_score_splits_summaries_as_it_would_itself() -> None:
    generated = "The team won. Dr. Lee lost\nthe song, e.g. at noon! It rained."
    reference = "It rained. Dr. Lee lost the song at 5 p.m. today. The U.S. team won."
    theirs = RougeScorer(["rougeLsum"], use_stemmer=True, split_summaries=True).score(reference, generated)
    config = {"metrics": ["rouge"], "rouge_type": "rouge-score", "lower_evaluation": False}
    ours = evaluate([generated], [reference], config)["rouge-l"]
    assert ours == pytest.approx(100 * theirs["rougeLsum"].fmeasure, abs=0.006)
    unsplit = RougeScorer(["rougeL"], use_stemmer=True).score(reference, generated)
    assert ours > 100 * unsplit["rougeL"].fmeasure + 1
