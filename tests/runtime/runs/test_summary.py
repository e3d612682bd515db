"""What results.json says of a test's texts, and the end's table shows of that."""

from io import StringIO

import pytest

from textbox_elmer.runtime.runs.results import show_results
from textbox_elmer.runtime.runs.summary import copied_words, summarize
from textbox_elmer.runtime.runs.traces import Trace
from textbox_elmer.terminal import table_console


def trace(pieces: list[str], copied: list[bool], settled: list[int] | None = None, exits: int = 2) -> Trace:
    layers = [exits] * len(pieces)
    return Trace(pieces, layers, None, layers if settled is None else settled, list(range(len(pieces))), copied)


def test_a_word_is_copied_if_all_its_tokens_are() -> None:
    assert copied_words(trace(["one", " tw", "o", " three", ""], [True, True, False, True, False])) == [
        True,
        False,
        True,
    ]
    assert copied_words(trace([" a", "", "b", " ", "c"], [True, False, True, False, True])) == [True, True]
    assert copied_words(trace([""], [False])) == []


def test_a_summary_counts_words_and_texts() -> None:
    texts = ["a a b", "b a", "b a", "NULL"]
    summary = summarize(texts, [])
    assert summary["distinct_texts"] == 3
    assert summary["repeated_words"] == 1 / 8, "what stands in another text, or further left, is no neighbour"
    assert summary["mean_exit_layer"] is summary["mean_settled_layer"] is summary["copied_words"] is None


def test_a_summary_of_traces_is_over_all_tokens_and_words() -> None:
    traces = [trace(["a", " b", ""], [True, False, False], [0, 1, 2]), trace([""], [False], [2])]
    summary = summarize(["a b", "NULL"], traces)
    assert summary["mean_exit_layer"] == 2
    assert summary["mean_settled_layer"] == 5 / 4
    assert summary["copied_words"] == 1 / 2


@pytest.mark.parametrize(
    ("traces", "shown", "hidden"),
    [
        ([], [], ["layer", "copied"]),
        ([trace(["a"], [True])], ["mean exit layer (from 0) │ 2.00", "copied words │ 100.0%"], ["stay"]),
        ([trace(["a"], [False], [1])], ["mean layer since which words stay │ 1.00", "copied words │ 0.0%"], []),
    ],
)
def test_the_table_shows_what_is_known(traces: list[Trace], shown: list[str], hidden: list[str]) -> None:
    results = {"model": "ELMER", "dataset": "toy", "metrics": {"rouge-1": 0.5}}
    results["decoding"] = {"batch_size": 4, "ms_per_example": 1.0}
    written = StringIO()
    texts = ["a a", "a a", "b"]
    show_results(results | summarize(texts, traces), texts, texts, texts, table_console(100, written))
    rows = [" ".join(line.split()) for line in written.getvalue().splitlines()]
    for row in ("distinct texts │ 2 of 3", "repeated words │ 40.0%", *shown):
        assert f"│ {row} │" in rows
    assert not [row for row in rows for word in hidden if row.startswith("│") and word in row]
