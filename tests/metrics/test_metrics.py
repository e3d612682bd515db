"""The metrics against TextBox's own figures, brute force, and the packages' direct results."""

import json
import random
import time
import warnings
from pathlib import Path

import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from textbox_elmer.metrics import metric_names
from textbox_elmer.runtime import evaluate

FIGURES = json.loads((Path(__file__).parents[1] / "fixtures" / "textbox" / "metrics.json").read_text())
ALL = ["bleu", "rouge", "distinct", "unique", "self_bleu", "qa", "cider", "ter", "nist", "chrf", "chrf+", "chrf++"]
TEXTS = FIGURES["references"]["single"]
# More of what TextBox 2.0's evaluators give for the same texts, for settings that metrics.json leaves out.
FURTHER_FIGURES = [
    ("single", {"metrics": ["nist", "chrf+"]}, {"nist": 6.2, "chrf+": 70.93}),
    ("multi", {"metrics": ["nist", "chrf+"]}, {"nist": 6.32, "chrf+": 76.14}),
    (
        "single",
        {"metrics": ["rouge"], "rouge_max_ngrams": 4},
        {"rouge-1": 81.81, "rouge-2": 64.22, "rouge-3": 48.71, "rouge-4": 38.07, "rouge-l": 81.62},
    ),
    (
        "multi",
        {"metrics": ["rouge"], "rouge_max_ngrams": 4},
        {"rouge-1": 48.04, "rouge-2": 31.61, "rouge-3": 19.72, "rouge-4": 12.92, "rouge-l": 48.04},
    ),
    (
        "multi",
        {"metrics": ["qa", "bleu"], "multiref_strategy": "leave_one_out", "smoothing_function": 4},
        {"em": 4.17, "f1": 60.77, "bleu-1": 79.55, "bleu-2": 72.28, "bleu-3": 63.39, "bleu-4": 53.75},
    ),
    (
        "single",
        {"metrics": ["cider", "rouge"], "rouge_type": "pycocoevalcap", "remove_punc": True},
        {"CIDEr": 49.09, "rouge-l": 78.41},
    ),
]


@pytest.mark.parametrize("with_all_defaults", [True, False])
@pytest.mark.parametrize("case", FIGURES["cases"], ids=[json.dumps(case["config"]) for case in FIGURES["cases"]])
def test_textbox_figures(case: dict, with_all_defaults: bool) -> None:
    config = FIGURES["defaults"] | case["config"] if with_all_defaults else case["config"]
    generated, references = (FIGURES[kind][case["references"]] for kind in ("generated", "references"))
    scores = evaluate(generated, references, config)
    assert set(scores) == set(case["expected"]) == set(metric_names(config))
    for name, expected in case["expected"].items():
        assert scores[name] == (expected if isinstance(expected, str) else pytest.approx(expected, abs=0.0101)), name


@pytest.mark.parametrize(("kind", "config", "expected"), FURTHER_FIGURES)
def test_further_textbox_figures(kind: str, config: dict, expected: dict) -> None:
    assert evaluate(FIGURES["generated"][kind], FIGURES["references"][kind], config) == pytest.approx(
        expected, abs=0.0101
    )


def test_nist_with_unlike_references() -> None:
    generated = ["The cat sat on the mat.", "It costs $5.50 - really", "No words shared"]
    references = [
        ["A cat sat on a mat.", "The cat was on the mat today."],
        ["It cost $5.50!", "That costs 5.50 dollars - really"],
        ["Something else entirely here"],
    ]
    assert evaluate(generated, references, {"metrics": ["nist"]}) == {"nist": 3.87}  # TextBox's figure too


def test_what_a_configuration_leaves_open_has_textbox_defaults() -> None:
    generated, references = FIGURES["generated"]["multi"], FIGURES["references"]["multi"]
    assert evaluate(generated, references) == evaluate(generated, references, FIGURES["defaults"])
    unset = dict.fromkeys([*FIGURES["defaults"], "metrics", "remove_punc"]) | {"learning_rate": 1, "dataset": "apidoc"}
    assert evaluate(generated, references, unset) == evaluate(generated, references)
    assert metric_names(unset) == ["bleu-1", "bleu-2", "bleu-3", "bleu-4"]
    one = evaluate(generated, references, {"metrics": "distinct"})
    assert list(one) == metric_names({"metrics": "distinct"}) == [f"distinct-{n}" for n in range(1, 5)]


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


def test_both_chrf_definitions_are_close_and_use_every_texts_own_references() -> None:
    for kind in ("single", "multi"):
        generated, references = FIGURES["generated"][kind], FIGURES["references"][kind]
        for name in ("chrf", "chrf+", "chrf++"):
            popovic = evaluate(generated, references, {"metrics": [name]})[name]
            sacrebleu = evaluate(generated, references, {"metrics": [name], "chrf_type": "sacrebleu"})[name]
            assert popovic == pytest.approx(sacrebleu, abs=1)


def test_chrf_by_hand() -> None:
    # Characters a, b against a, b, c: F of order 1 is 5·1·(2/3) / (4·1 + 2/3), of order 2 5·1·(1/2) / (4·1 + 1/2).
    by_hand = 100 * (5 * (2 / 3) / (4 + 2 / 3) + 5 * (1 / 2) / (4 + 1 / 2)) / 6
    assert evaluate(["ab"], ["abc"], {"metrics": ["chrf"]})["chrf"] == pytest.approx(by_hand, abs=0.006)


def test_more_references_never_hurt() -> None:
    generated, references = FIGURES["generated"]["multi"], FIGURES["references"]["multi"]
    config = {"metrics": ["bleu", "chrf", "qa", "rouge", "ter"], "rouge_type": "rouge-score", "corpus_bleu": True}
    several = evaluate(generated, references, config)
    single = evaluate(generated, [texts[0] for texts in references], config)
    for name in ("bleu-1", "chrf", "em", "f1", "rouge-1"):
        assert several[name] >= single[name], name
    assert several["ter"] <= single["ter"]


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
    text = " ".join(f"w{i}" for i in range(1200))  # the package rouge calls itself once per word
    assert evaluate([text], [text], {"metrics": ["rouge"]})["rouge-l"] == 100


def test_a_thousand_texts_take_seconds() -> None:
    draw = random.Random(0)
    generated, references = ([" ".join(draw.choices(TEXTS, k=4)) for _ in range(1000)] for _ in range(2))
    start = time.process_time()
    evaluate(generated, references, {"metrics": ["bleu", "distinct", "unique", "self_bleu", "qa"]})
    assert time.process_time() - start < 15  # one step that copies all n-grams per text takes a minute
