"""Markdown that we write: text from elsewhere stands there as text, whoever renders it."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import markdown
import pytest
from markdown_it import MarkdownIt

from textbox_elmer.cli import main
from textbox_elmer.reports.compare.document import markdown as comparison
from textbox_elmer.reports.markdown import code, plain_text

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "](javascript:alert(1))",
    "[a](javascript:alert(1))",
    "![a](javascript:alert(1))",
    "<javascript:alert(1)>",
    "a | b",
    "one\n\n<script>alert(1)</script>\n\n# two",
    "one\r\u2028\x85## two",
    "``` ` `` <b>",
    "`",
    r"\<b>\[a](javascript:b) \|",
    "&lt;b>",
    "\x1b]0;owned\x07",
]
RENDERERS: list[Callable[[str], str]] = [
    MarkdownIt("commonmark").enable("table").render,
    lambda text: markdown.markdown(text, extensions=["tables"]),
]


class Page(HTMLParser):
    """A rendered page's tags, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize("write", [plain_text, code])
def test_text_stays_text(text: str, render: Callable[[str], str], write: Callable[[str], str]) -> None:
    page = Page(render(f"before {write(text)} behind"))
    assert set(page.tags) <= {"p", "code"}
    assert page.links == []
    assert page.text.strip().startswith("before ")
    assert page.text.strip().endswith(" behind")
    assert "\x1b" not in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_whole(text: str) -> None:
    if text.isprintable():
        for written in (plain_text(text), code(text)):
            assert Page(RENDERERS[0](f"before {written} behind")).text.strip() == f"before {text} behind"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_leaderboard_holds_no_page_of_others(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "properties" / "leaderboard").mkdir(parents=True)
    line = text if len(text.splitlines()) == 1 else "x"
    row = {"model": line, "decoding": "AR", "metrics": {"bleu": 1}, "source": "https://a.org", "protocol": line}
    board = {"title": "t", "task": "t", "metrics": ["bleu"], "sort": "bleu", "order": "descending", "rows": [row]}
    (tmp_path / "properties" / "leaderboard" / "toy.yaml").write_text(json.dumps(board))
    run = tmp_path / "saved" / "javascript:alert(1)>"
    run.mkdir(parents=True)
    results = {"model": text, "dataset": "toy", "metrics": {"bleu": 2}, "command": text, "commit": text}
    (run / "results.json").write_text(json.dumps(results))
    (run / "generation.txt").write_text("A text.\n")
    assert main(["leaderboard", "toy", "--saved_dir=saved", "--markdown=out.md"]) == 0
    written = (tmp_path / "out.md").read_text()
    for render in RENDERERS:
        page = Page(render(written))
        assert set(page.tags) <= {*("h2", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "a", "code")}
        assert page.tags.count("tr") == 3
        assert page.tags.count("td") == 8
        assert set(page.links) <= {"https://a.org", "", "saved/javascript%3Aalert%281%29%3E/generation.txt"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_comparison_holds_no_page_of_others(text: str) -> None:
    number = {"mean": 1.0, "deviation": None}
    row = {"model": "ELMER", "parameters": 1, "training_seconds": number, "ms_per_example": number, "speed": 1.0}
    report = {"dataset": text, "command": text, "rows": [row | {"metrics": {"bleu": number}}]}
    written = comparison(report | {"seeds": [1], "examples": 1, "batch_size": 1, "resamples": 1})
    for render in RENDERERS:
        page = Page(render(written))
        assert set(page.tags) <= {*("h1", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "img")}
        assert page.tags.count("td") == 6
        assert set(page.links) == {"compare.svg"}
