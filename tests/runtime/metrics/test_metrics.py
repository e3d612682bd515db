"""The metrics against TextBox's own figures, brute force, and the packages' direct results."""

import json
import random
import warnings
from pathlib import Path

import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from textbox_elmer.runtime import evaluate
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.metrics import check_metrics, metric_names
from textbox_elmer.runtime.metrics.tokenization import sentence_tokenize, word_tokenize

FIGURES = json.loads((Path(__file__).parents[2] / "fixtures" / "textbox" / "metrics.json").read_text())
ALL = ["bleu", "rouge", "distinct", "unique", "self_bleu", "qa", "cider", "ter", "nist", "chrf", "chrf+", "chrf++"]
TEXTS = FIGURES["references"]["single"]


@pytest.mark.parametrize("with_all_defaults", [True, False])
@pytest.mark.parametrize("case", FIGURES["cases"], ids=[json.dumps(case["config"]) for case in FIGURES["cases"]])
def test_textbox_figures(case: dict, with_all_defaults: bool) -> None:
    config = FIGURES["defaults"] | case["config"] if with_all_defaults else case["config"]
    generated, references = (FIGURES[kind][case["references"]] for kind in ("generated", "references"))
    scores = evaluate(generated, references, config)
    assert set(scores) == set(case["expected"]) == set(metric_names(config))
    for name, expected in case["expected"].items():
        assert scores[name] == (expected if isinstance(expected, str) else pytest.approx(expected, abs=0.0101)), name


def test_identical_texts_score_highest() -> None:
    scores = evaluate(TEXTS, TEXTS, {"metrics": ALL})
    for name in ("bleu-4", "rouge-1", "rouge-l", "em", "f1", "chrf", "chrf+", "chrf++"):
        assert scores[name] == pytest.approx(100, abs=0.01), name
    assert scores["ter"] == 0
    assert evaluate(TEXTS, TEXTS, {"metrics": ["rouge"], "rouge_type": "rouge-score"})["rouge-l"] == 100
    assert set(scores) == set(metric_names({"metrics": ALL}))


def test_self_bleu_is_bleu_against_all_others() -> None:
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcdef", k=draw.randint(1, 9))) for _ in range(25)] + ["unseen", "a b"]
    scores = evaluate(texts, texts, {"metrics": ["self_bleu"], "self_bleu_max_ngrams": 3})
    tokens = [text.split() for text in texts]
    smoothing = SmoothingFunction().method1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n, weights in enumerate(([1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3), start=1):
            each = [
                sentence_bleu(tokens[:i] + tokens[i + 1 :], tokens[i], weights, smoothing) for i in range(len(tokens))
            ]
            assert scores[f"self-bleu-{n}"] == pytest.approx(100 * sum(each) / len(each), abs=0.006)


def test_both_chrf_implementations_agree() -> None:
    generated, references = FIGURES["generated"]["single"], FIGURES["references"]["single"]
    ours = evaluate(generated, references, {"metrics": ["chrf"]})["chrf"]
    theirs = evaluate(generated, references, {"metrics": ["chrf"], "chrf_type": "sacrebleu"})["chrf"]
    assert ours == pytest.approx(theirs, abs=1)


def test_more_references_never_hurt() -> None:
    generated, references = FIGURES["generated"]["multi"], FIGURES["references"]["multi"]
    config = {"metrics": ["bleu", "chrf", "qa", "rouge"], "rouge_type": "rouge-score", "corpus_bleu": True}
    several = evaluate(generated, references, config)
    single = evaluate(generated, [texts[0] for texts in references], config)
    for name in ("bleu-1", "chrf", "em", "f1", "rouge-1"):
        assert several[name] >= single[name], name


def test_leave_one_out_by_hand() -> None:
    config = {"metrics": ["qa"], "multiref_strategy": "leave_one_out"}
    # Against "one two" F1 is 1, against the others 0.8 and 0: (1 + 1 + 0.8) / 3.
    scores = evaluate(["one two"], [["one two", "one two three", "four"]], config)
    assert scores["f1"] == pytest.approx(93.33)


def test_means_over_texts_instead_of_the_corpus() -> None:
    scores = evaluate(["a a b", "c"], ["x", "y"], {"metrics": ["distinct"], "inter_distinct": False})
    assert scores["distinct-1"] == pytest.approx((200 / 3 + 100) / 2, abs=0.01)


def test_case_and_punctuation() -> None:
    assert evaluate(["A Cat"], ["a cat"], {"metrics": ["rouge"]})["rouge-1"] == 100
    assert evaluate(["A Cat"], ["a cat"], {"metrics": ["rouge"], "lower_evaluation": False})["rouge-1"] == 0
    with_marks = {"metrics": ["rouge"], "rouge_type": "pycocoevalcap"}
    assert evaluate(["a cat ;"], ["a cat"], with_marks)["rouge-l"] < 100
    assert evaluate(["a cat ;"], ["a cat"], with_marks | {"remove_punc": True})["rouge-l"] == 100


@pytest.mark.parametrize("text", ["", " ", ".", "...", "!?", "\n", "word", "a . b", "\u2028", "[1] :-) ``''"])
@pytest.mark.parametrize("types", ["rouge", "rouge-score", "pycocoevalcap"])
def test_odd_texts_are_scored(text: str, types: str) -> None:
    names = {"rouge_type": types, "bleu_type": "pycocoevalcap" if types == "pycocoevalcap" else "nltk", "metrics": ALL}
    scores = evaluate([text, "a word"], ["a reference", text], names)
    assert set(scores) == set(metric_names(names))


def test_long_texts_are_scored() -> None:
    text = " ".join(f"w{i}" for i in range(3000))
    assert evaluate([text], [text], {"metrics": ["rouge"]})["rouge-l"] == 100


def test_sentences_and_words() -> None:
    text = "Dr. Lee can't pay $5.50 at 5 p.m. today. The U.S. team won (again)!"
    assert sentence_tokenize(text) == ["Dr. Lee can't pay $5.50 at 5 p.m. today.", "The U.S. team won (again)!"]
    words = "Dr. Lee ca n't pay $ 5.50 at 5 p.m. today . The U.S. team won ( again ) !"
    assert word_tokenize(text) == words.split()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"metrics": ["rogue"]}, "no metric 'rogue': did you mean 'rouge'"),
        ({"metrics": ["spice"]}, "TextBox's alone"),
        ({"metrics": ["rouge"], "rouge_type": "files2rouge"}, "give --rouge_type=rouge-score"),
        ({"metrics": ["bleu"], "bleu_type": "multi-bleu"}, "give --bleu_type=sacrebleu"),
        ({"metrics": ["bleu"], "bleu_type": "blue"}, "bleu_type must be one of nltk, sacrebleu, pycocoevalcap"),
        ({"metrics": ["bleu"], "smoothing_function": 9}, "smoothing_function must be 0 to 7"),
        ({"metrics": ["qa"], "multiref_strategy": "mean"}, "multiref_strategy must be max or leave_one_out"),
    ],
)
def test_unknown_names(config: dict, message: str) -> None:
    for call in (check_metrics, metric_names, lambda config: evaluate(["a"], ["b"], config)):
        with pytest.raises(UserError, match=message):
            call(config)


def test_what_is_not_installed_is_said_beforehand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    monkeypatch.setattr("textbox_elmer.runtime.metrics.similarity.find_spec", lambda name: None)
    for config, message in (
        ({"metrics": ["meteor"], "meteor_type": "pycocoevalcap"}, "install Java"),
        ({"metrics": ["meteor"]}, "WordNet"),
        ({"metrics": ["bert_score"]}, "pip install"),
    ):
        with pytest.raises(UserError, match=message):
            check_metrics(config)


@pytest.mark.parametrize(
    ("generated", "references", "message"),
    [([], [], "no generated text"), (["a"], ["b", "c"], "1 generated texts but 2"), (["a"], [[]], "Example 1")],
)
def test_unusable_texts(generated: list, references: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(generated, references)
