"""How commands read what is typed."""

import argparse

import pytest

from textbox_elmer.arguments import Parser, one_of, positive, truth, whole
from textbox_elmer.errors import UserError


def parsed(*words: str, **settings: object) -> argparse.Namespace:
    """Read the words of a made-up command."""
    parser = Parser(prog="made", example="made --count=1 a", **settings)
    parser.add_argument("names", nargs="+")
    parser.add_argument("-c", "--count", type=whole, required=True)
    parser.add_argument("--share", type=positive, default=0.5)
    parser.add_argument("--fast", type=truth, nargs="?", const=True, default=False)
    parser.add_argument("--kind", type=one_of("this", "that"))
    return parser.parse_args(words)


def test_values_and_defaults() -> None:
    given = vars(parsed("a", "b", "-c", "3"))
    expected = {"names": ["a", "b"], "count": 3, "share": 0.5, "fast": False, "kind": None, "debug": False}
    assert given == expected
    given = parsed("a", "--count=3", "--count=3", "--share", "1e-2", "--fast", "--kind=that", "--debug")
    assert (given.count, given.share, given.fast, given.kind, given.debug) == (3, 0.01, True, "that", True)
    assert parsed("a", "-c3", "--fast=false").fast is False


def test_plain_words_behind_options() -> None:
    assert parsed("a", "--count=1", "b", "c", many="names").names == ["a", "b", "c"]
    with pytest.raises(UserError, match="has no option --sount"):
        parsed("a", "--count=1", "b", "--sount=2", many="names")


def test_an_open_ended_command_leaves_what_it_does_not_know() -> None:
    more = ["--lr=1", "--config_files", "x", "y", "--share-d", "-1"]
    assert parsed("a", "--count=1", *more, open_ended=True).more == more
    assert parsed("a", "--lr", "2", "--count", "1", open_ended=True).more == ["--lr", "2"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a"], "`made` needs -c/--count, e.g. made --count=1 a: `made --help` shows the options."),
        (["a", "--count"], "-c/--count needs a value: `made --help` shows the options."),
        (["a", "--count=0"], "-c/--count must be a whole number above 0, not '0': "),
        (["a", "--count=²"], "-c/--count must be a whole number above 0, not '²': "),
        (["a", f"--count={'9' * 5000}"], "-c/--count invalid whole value"),
        (["a", "--count=1", "--count=2"], "--count is given twice, as 1 and as 2: give it once."),
        (["a", "--count=1", "-c=2"], "is given twice"),
        (["a", "--count=1", "--share=nan"], "--share must be a number above 0, not 'nan': "),
        (["a", "--count=1", "--share=inf"], "--share must be a number above 0, not 'inf': "),
        (["a", "--count=1", "--fast=maybe"], "--fast must be True or False, not 'maybe': "),
        (["a", "--count={x}"], "-c/--count must be a whole number above 0, not '{x}': "),
        (["a", "--count=1", "--kind=other"], "--kind must be this or that, not 'other': "),
        (["a", "--cuont=1"], "`made` has no option --cuont: did you mean --count?"),
        (["a", "--coun=1", "--count=1"], "`made` has no option --coun: did you mean --count?"),
        (["a", "--count=1", "--xyz"], "`made` has no option --xyz: `made --help` shows which there are."),
        (["a", "--count=1", "b"], "'b' is no option of `made`, which is typed, e.g., made --count=1 a."),
    ],
)
def test_mistakes(words: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as mistake:
        parsed(*words)
    assert sentence in str(mistake.value)
    assert "\n" not in str(mistake.value)
