"""The published results that ship, and what a leaderboard file must not be."""

import re
from pathlib import Path

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.reports.leaderboard.published import leaderboard_names, load_leaderboard
from textbox_elmer.reports.leaderboard.rows import Row

NAMES = [
    *("cnndm", "xsum", "samsum", "wle", "squadqg", "coqaqg", "pc", "dd"),
    *("da", "sgd", "roc", "wp", "quora", "cg", "e2e", "webnlg"),
]
GOOD = """\
title: XSum
task: Text summarization
metrics: [rouge-1, rouge-2]
sort: rouge-2
order: descending
rows:
  - model: A
    paper: https://arxiv.org/abs/1
    decoding: AR
    parameters: 139000000
    metrics: {rouge-1: 30.1, rouge-2: 12}
    source: https://example.org/table
"""


def only(dataset: str, model: str, protocol: str = "") -> Row:
    """Return the one row of a model whose protocol holds a word."""
    rows = [row for row in load_leaderboard(dataset).rows if row.model == model and protocol in (row.protocol or "")]
    assert len(rows) == 1, rows
    return rows[0]


def test_every_dataset_of_the_list_has_a_leaderboard() -> None:
    assert sorted(NAMES) == leaderboard_names()


@pytest.mark.parametrize("name", NAMES)
def test_shipped_leaderboards_load(name: str) -> None:
    board = load_leaderboard(name)
    assert board.name == name
    assert board.sort in board.metrics
    assert board.ascending == (board.sort == "perplexity")
    assert bool(board.rows) == (name != "coqaqg")
    for row in board.rows:
        assert not row.ours
        assert set(row.metrics) <= set(board.metrics)
        assert row.paper or row.repository


@pytest.mark.parametrize(
    ("dataset", "models"),
    [
        ("xsum", {"NAT", "GLAT+CTC", "DSLP+CTC", "BANG", "MIST", "PreDAT", "ELMER"}),
        ("squadqg", {"NAT", "GLAT+CTC", "DSLP+CTC", "BANG", "MIST", "PreDAT", "ELMER"}),
        ("pc", {"NAT", "BANG", "MIST", "PreDAT", "ELMER"}),
    ],
)
def test_the_nar_literature_is_there(dataset: str, models: set[str]) -> None:
    assert models <= {row.model for row in load_leaderboard(dataset).rows if row.decoding == "NAR"}


def test_numbers_are_as_published() -> None:
    assert only("xsum", "ELMER").metrics == {"rouge-1": 38.3, "rouge-2": 14.17, "rouge-l": 29.92}
    assert only("squadqg", "GLAT+CTC").metrics == {"rouge-l": 30.31, "bleu-4": 3.21, "meteor": 10.21}
    assert only("pc", "BANG", "corpus BLEU").metrics["bleu-1"] == 17.38
    assert only("pc", "ELMER", "sentence BLEU").metrics["distinct-2"] == 24.96
    assert only("cg", "KFCNet").metrics == {"bleu-4": 43.619, "CIDEr": 18.845, "spice": 33.911}
    assert only("cnndm", "BART").parameters == 400_000_000


def test_the_canvas_that_knows_the_reference_is_marked() -> None:
    for dataset in ("xsum", "squadqg", "pc"):
        assert "canvas sized by the reference" in only(dataset, "ELMER").protocol


def own_file(folder: Path, text: str) -> None:
    (folder / "properties" / "leaderboard").mkdir(parents=True)
    (folder / "properties" / "leaderboard" / "xsum.yaml").write_bytes(text.encode("latin-1"))


def test_the_working_directory_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_file(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    (row,) = load_leaderboard("XSUM").rows
    assert (row.model, row.decoding, row.parameters) == ("A", "AR", 139_000_000)
    assert row.metrics == {"rouge-1": 30.1, "rouge-2": 12.0}
    assert load_leaderboard("samsum").rows


MISTAKES = [
    ("misspelt metric", "[rouge-1, rouge-2]", "[rouge-1, ruoge-2]", 3, "no metric 'ruoge-2': did you mean 'rouge-2'?"),
    ("metric of no kind", "[rouge-1, rouge-2]", "[rouge-1, qqq]", 3, "there is no metric 'qqq': take one of bleu-1,"),
    ("metric twice", "[rouge-1, rouge-2]", "[rouge-1, rouge-2, rouge-2]", 3, "the metric rouge-2 is given twice"),
    ("metrics no list", "[rouge-1, rouge-2]", "rouge-2", 3, "metrics must be a list of names"),
    ("no metrics", "metrics: [rouge-1, rouge-2]\n", "", 1, "metrics is missing: add it"),
    ("misspelt metric in a row", "rouge-2: 12}", "rouge_2: 12}", 11, "'rouge_2' is none of the leaderboard's metrics"),
    ("other metric in a row", "rouge-2: 12}", "bleu-1: 12}", 11, "'bleu-1' is none of the leaderboard's metrics"),
    ("no number", "rouge-2: 12}", "rouge-2: high}", 11, "rouge-2 must be a number of at least 0, not 'high'"),
    ("quoted number", "rouge-2: 12}", "rouge-2: '12'}", 11, "rouge-2 must be a number of at least 0, not '12'"),
    ("truth value", "rouge-2: 12}", "rouge-2: true}", 11, "rouge-2 must be a number of at least 0, not True"),
    ("not a number", "rouge-2: 12}", "rouge-2: .nan}", 11, "rouge-2 must be a number of at least 0, not nan"),
    ("infinite", "rouge-2: 12}", "rouge-2: .inf}", 11, "rouge-2 must be a number of at least 0, not inf"),
    ("huge", "rouge-2: 12}", f"rouge-2: {10**400}}}", 11, "is not valid YAML (a whole number is too large)"),
    ("negative", "rouge-2: 12}", "rouge-2: -1}", 11, "rouge-2 must be a number of at least 0, not -1"),
    ("missing number", "rouge-2: 12}", "rouge-2: }", 11, "rouge-2 must be a number of at least 0, not None"),
    ("scores no mapping", "{rouge-1: 30.1, rouge-2: 12}", "30.1", 11, "metrics must be a mapping such as {rouge-1:"),
    ("no score", "{rouge-1: 30.1, rouge-2: 12}", "{}", 11, "metrics must be a mapping such as {rouge-1: 12.3}"),
    ("missing source", "    source: https://example.org/table\n", "", 7, "source of 'A' is missing: add it"),
    ("source no address", "https://example.org/table", "the paper", 12, "source must be an address such as https"),
    ("paper no address", "https://arxiv.org/abs/1", "arxiv 1", 8, "paper must be an address such as https"),
    ("empty source", "https://example.org/table", "", 12, "source must be an address such as https"),
    ("unknown key", "paper:", "papr:", 8, "there is no key 'papr': did you mean 'paper'?"),
    ("unknown key above", "title:", "titel:", 1, "there is no key 'titel': did you mean 'title'?"),
    ("key twice", "task:", "title:", 2, "is not valid YAML (title is given twice)"),
    ("key twice in a row", "decoding:", "model:", 9, "is not valid YAML (model is given twice)"),
    ("key no name", "task:", "1:", 2, "is not valid YAML (the key 1 is no name)"),
    ("list as a key", "task:", "[a]:", 2, "is not valid YAML (the key ['a'] is no name)"),
    ("decoding unknown", "decoding: AR", "decoding: nar", 9, "decoding must be one of AR, NAR, semi-NAR, diffusion"),
    ("decoding a list", "decoding: AR", "decoding: [AR]", 9, "decoding must be one of AR, NAR, semi-NAR, diffusion"),
    ("parameters in words", "139000000", "139M", 10, "parameters must be a whole number such as 139000000, not '139M'"),
    ("half a parameter", "139000000", "0.5", 10, "parameters must be a whole number such as 139000000, not 0.5"),
    ("sort by no column", "sort: rouge-2", "sort: rouge-l", 4, "sort must be one of rouge-1, rouge-2, not 'rouge-l'"),
    ("order unknown", "order: descending", "order: down", 5, "order must be one of descending, ascending, not 'down'"),
    ("title a number", "title: XSum", "title: 7", 1, "title must be one line of text, not 7"),
    ("model empty", "model: A", "model: ''", 7, "model must be one line of text, not ''"),
    ("scale of nothing", "sort:", "scale: {rouge-1: 0}\nsort:", 4, "a scale of 0 makes all scores equal"),
    ("scale misspelt", "sort:", "scale: {rouge-3: 2}\nsort:", 4, "'rouge-3' is none of the leaderboard's metrics"),
    ("rows no list", GOOD[GOOD.index("rows:") :], "rows: none\n", 6, "rows must be a list of results, [] if there are"),
    ("row no mapping", GOOD[GOOD.index("  - model") :], "  - A\n", 6, "row 1 must hold lines of the form"),
    ("the same row twice", GOOD, GOOD + GOOD[GOOD.index("  - model") :], 13, "'A' is there twice: leave one out"),
    ("broken YAML", "metrics: {rouge-1", "metrics: {{rouge-1", 12, "is not valid YAML (expected ',' or '}'"),
    ("a tag", "model: A", "model: !!python/object/apply:os.getcwd []", 7, "is not valid YAML (could not determine"),
    ("itself", "title: XSum", "title: &a [*a]", 1, "is not valid YAML (a value holds itself)"),
]


@pytest.mark.parametrize(("old", "new", "line", "sentence"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    line: int,
    sentence: str,
) -> None:
    assert old in GOOD
    own_file(tmp_path, GOOD.replace(old, new, 1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_leaderboard("xsum")
    said = str(caught.value)
    assert said.startswith(f"The leaderboard 'properties/leaderboard/xsum.yaml', line {line}")
    assert sentence in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must hold lines of the form `key: value`"),
        ("- a\n", "must hold lines of the form `key: value`"),
        (GOOD + "# \xe9", "is not UTF-8 text: save it as UTF-8"),
        (GOOD + "extra: 2020-99-99\n", "is not valid YAML (month must be in 1..12)"),
    ],
)
def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str) -> None:
    own_file(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(sentence)):
        load_leaderboard("xsum")


def test_unknown_datasets_get_a_guess_and_the_list() -> None:
    with pytest.raises(
        UserError, match=r"no leaderboard of 'xsun'\. Did you mean xsum\? There are cg, cnndm, .*, xsum\."
    ):
        load_leaderboard("xsun")
    with pytest.raises(UserError, match=r"no leaderboard of 'qqqqq'\. There are cg"):
        load_leaderboard("qqqqq")
