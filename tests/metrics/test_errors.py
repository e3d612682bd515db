"""Every sentence that a wrong configuration or an unusable corpus gets."""

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import check_metrics, metric_names
from textbox_elmer.runtime import evaluate

WRONG_SETTINGS = [
    ({"metrics": ["rogue"]}, "no metric 'rogue': did you mean 'rouge'"),
    ({"metrics": ["zzz"]}, "no metric 'zzz': the metrics are bleu, rouge"),
    ({"metrics": ["rouge", 5]}, "no metric 5"),
    ({"metrics": [["rouge"]]}, r"no metric \['rouge'\]"),
    ({"metrics": 5}, "metrics must be a list of names, not 5"),
    *(
        ({"metrics": [name]}, f"does not offer TextBox's metric '{name}': use '{instead}' instead")
        for name, instead in (("spice", "cider"), ("style", "bleu"), ("multiwoz", "bleu"), ("hm", "bleu"))
    ),
    *(
        (
            {"metrics": [family], f"{family}_type": name},
            f"does not offer TextBox's {family}_type={name}: give --{family}_type={instead}",
        )
        for family, name, instead in (
            ("rouge", "files2rouge", "rouge-score"),
            ("rouge", "py-rouge", "rouge"),
            ("bleu", "fast-bleu", "nltk"),
            ("bleu", "multi-bleu", "sacrebleu"),
            ("bleu", "mt-eval", "sacrebleu"),
            ("bleu", "sacrebleu-romanian", "sacrebleu"),
        )
    ),
    ({"bleu_type": "zzz"}, r"bleu_type must be one of nltk, sacrebleu, pycocoevalcap, not 'zzz'\."),
    ({"bleu_type": "sacreblue"}, "not 'sacreblue': did you mean 'sacrebleu'"),
    ({"metrics": ["rouge"], "rouge_type": "rouge_score"}, "did you mean 'rouge-score'"),
    ({"metrics": ["rouge"], "rouge_type": "fast-bleu"}, "rouge_type must be one of rouge, rouge-score"),
    ({"metrics": ["meteor"], "meteor_type": "java"}, "meteor_type must be one of nltk, pycocoevalcap"),
    ({"metrics": ["chrf++"], "chrf_type": "popovic"}, "did you mean 'm-popovic'"),
    ({"smoothing_function": 9}, "smoothing_function must be 0 to 7"),
    ({"smoothing_function": True}, "smoothing_function must be 0 to 7"),
    ({"smoothing_function": "1"}, "smoothing_function must be 0 to 7"),
    ({"smoothing_function": 6, "bleu_max_ngrams": 2}, "give --bleu_max_ngrams=3"),
    ({"bleu_type": "pycocoevalcap", "bleu_max_ngrams": 5}, "bleu_max_ngrams=5 is too long .* up to 4"),
    ({"metrics": ["rouge"], "rouge_max_ngrams": 6}, "rouge_max_ngrams=6 is too long .* give --rouge_type=rouge-score"),
    *(
        ({"metrics": [name], f"{name}_max_ngrams": value}, f"{name}_max_ngrams must be a whole number from 1, not")
        for name in ("bleu", "rouge", "distinct", "unique", "self_bleu")
        for value in (0, "4")
    ),
    ({"metrics": ["qa"], "multiref_strategy": "mean"}, "multiref_strategy must be max or leave_one_out"),
]


@pytest.mark.parametrize(("config", "message"), WRONG_SETTINGS)
def test_wrong_settings(config: dict, message: str) -> None:
    for call in (check_metrics, metric_names, lambda config: evaluate(["a"], ["b"], config)):
        with pytest.raises(UserError, match=message):
            call(config)


def test_settings_of_metrics_that_are_not_wanted_are_not_judged() -> None:
    config = {"metrics": ["distinct"], "bleu_type": "multi-bleu", "rouge_max_ngrams": 6, "smoothing_function": 9}
    check_metrics(config)
    assert metric_names(config | {"distinct_max_ngrams": 2}) == ["distinct-1", "distinct-2"]


def test_smoothing_that_some_texts_do_not_allow() -> None:
    config = {"smoothing_function": 6}
    assert evaluate(["a b c d e"], ["a b c d x"], config)["bleu-4"] > 0
    with pytest.raises(UserError, match=r"smoothing_function=6 is undefined .* give another"):
        evaluate(["a b c d e", "a x b y c"], ["a b c d x", "a b c d e"], config)


@pytest.mark.parametrize(
    ("generated", "references", "message"),
    [
        ([], [], "no generated text"),
        (["a"], ["b", "c"], "1 generated texts but 2 references"),
        (["a", "b"], ["b", []], "Example 2 has an empty list of references"),
    ],
)
def test_unusable_texts(generated: list, references: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(generated, references)
