"""`report`: what the page holds, checked without a browser."""

import itertools
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.reports.conftest import BREAKOUT, ODD, SCRIPT
from tests.reports.parsed import Node, parse
from textbox_elmer.cli import main
from textbox_elmer.runtime import evaluate
from textbox_elmer.runtime.config import Config


def report(place: Path, *names: str) -> Node:
    assert main(["report", *(str(place / "saved" / name) for name in names), "--out=page.html"]) == 0
    return parse(Path("page.html"))


def section(page: Node, heading: str) -> Node:
    (found,) = [node for node in page.all("h3") if node.text == heading]
    return found.parent


def table(node: Node) -> dict[str, list[str]]:
    rows = [[cell.text for cell in row.all("td")] for row in node.all("tr")]
    return {row.all("th")[0].text.strip(): cells for row, cells in zip(node.all("tr"), rows, strict=True)}


def read(run: Path) -> tuple[dict, list[str], list[dict]]:
    traces = run / "generation.jsonl"
    return (
        json.loads((run / "results.json").read_text()),
        (run / "generation.txt").read_text().removesuffix("\n").split("\n"),
        [json.loads(line) for line in traces.read_text().splitlines()] if traces.exists() else [],
    )


def test_a_page_of_one_run(place: Path, work: Path, capsys: pytest.CaptureFixture) -> None:
    page = report(place, "hard")
    assert capsys.readouterr().out.strip() == "The report is in page.html"
    results, texts, traces = read(place / "saved" / "hard")
    scores = table(section(page, "Scores"))
    assert scores["rouge-1"] == [f"{results['metrics']['rouge-1']:.2f}"]
    assert scores["mean exit layer (from 0)"] == [f"{results['mean_exit_layer']:.2f}"]
    charts = [node.text for node in section(page, "Training").all("figcaption")]
    assert charts == ["Loss per token, in nats", *(f"Validation {name}" for name in results["metrics"])]
    assert len(section(page, "Training").all("figure")[0].all("li", cls="r0")) == 2, "training and validation"
    layers = [layer for trace in traces for layer in trace["exit_layers"]]
    assert len(set(layers)) == 2, "the fixture's run must leave at both layers"
    bars = [bar.all("title")[0].text for bar in section(page, "Exit layers").all("g", cls="exit")]
    assert [bar.split(" tokens")[0] for bar in bars] == [f"layer {n}: {layers.count(n):,}" for n in (0, 1)]
    examples = section(page, "Sample").all("article")
    assert [node.all("h4")[0].text for node in examples] == [f"Example {n}" for n in range(1, 14)]
    for example, text, trace in zip(examples, texts, traces, strict=True):
        tokens = example.all("span", cls="t")
        assert "".join(token.text for token in tokens).removesuffix("end").strip() == text
        assert [int(token.attributes["data-l"]) for token in tokens] == trace["exit_layers"]
        assert [f"{100 * score:.1f}" for score in trace["scores"]] == [t.attributes["data-c"] for t in tokens]
        for token in tokens:
            assert f"l{token.attributes['data-l']}" in token.attributes["class"].split()
            assert f"c{min(int(float(token.attributes['data-c']) / 10), 9)}" in token.attributes["class"].split()
    latency = table(section(page, "Latency"))
    (cells,) = [cells for name, cells in latency.items() if "ELMER" in name]
    assert cells[0] == f"{results['decoding']['ms_per_example']:.2f}"


def test_a_page_shows_how_a_graph_wrote(place: Path, work: Path) -> None:
    page = report(place, "graph")
    results, _, traces = read(place / "saved" / "graph")
    canvas = results["decoding"]["canvas_positions"]
    assert canvas == 40
    settled = [layer for trace in traces for layer in trace["settled_layers"]]
    assert {layer for trace in traces for layer in trace["exit_layers"]} == {1}, "the fixture's run must exit softly"
    assert set(settled) == {0, 1}, "and settle at both layers"
    copied = [flag for trace in traces for flag in trace["copied"]]
    assert set(copied) == {True, False}, "and copy some of its words"
    bars = [bar.all("title")[0].text for bar in section(page, "Exit layers").all("g", cls="exit")]
    assert [bar.split(" tokens")[0] for bar in bars] == [f"layer {n}: {settled.count(n):,}" for n in (0, 1)]
    assert "since which they stand" in section(page, "Exit layers").all("figcaption")[0].text
    sample = section(page, "Sample")
    for example, trace in zip(sample.all("article"), traces, strict=True):
        tokens = example.all("span", cls="t")
        for token, layer in zip(tokens, trace["settled_layers"], strict=True):
            assert f"l{layer}" in token.attributes["class"].split()
        assert [token.attributes.get("data-s") for token in tokens] == [
            None if layer == 1 else str(layer) for layer in trace["settled_layers"]
        ]
        assert [token.attributes["data-l"] for token in tokens] == ["1"] * len(tokens)
        assert ["copied" in token.attributes["class"].split() for token in tokens] == trace["copied"]
        assert [int(token.attributes["data-v"]) for token in tokens] == trace["vertices"]
        (path,) = example.all("svg", cls="path")
        assert path.attributes["viewbox"] == f"0 0 {canvas} 10"
        assert path.attributes["aria-label"] == f"{len(tokens)} of {canvas} canvas positions write this text."
        assert [int(box.attributes["x"]) for box in path.all("rect")] == trace["vertices"]
    assert "copied from the source" in sample.text
    assert "its canvas" in sample.text
    scores = table(section(page, "Scores"))
    assert scores["mean layer since which words stay"] == [f"{results['mean_settled_layer']:.2f}"]
    assert scores["copied words"] == [f"{100 * results['copied_words']:.1f}%"]
    assert scores["distinct texts"] == [str(results["distinct_texts"])]
    assert scores["repeated words"] == [f"{100 * results['repeated_words']:.1f}%"]


def test_a_run_of_an_older_version_shows_where_its_tokens_left(place: Path, work: Path) -> None:
    copy = work / "saved" / "old"
    shutil.copytree(place / "saved" / "graph", copy)
    results, _, traces = read(copy)
    for key in ("mean_settled_layer", "copied_words", "distinct_texts", "repeated_words"):
        del results[key]
    del results["decoding"]["canvas_positions"]
    (copy / "results.json").write_text(json.dumps(results))
    old = [{key: trace[key] for key in ("pieces", "exit_layers", "scores")} for trace in traces]
    (copy / "generation.jsonl").write_text("".join(f"{json.dumps(trace)}\n" for trace in old))
    page = report(work, "old")
    sample = section(page, "Sample")
    tokens = sample.all("span", cls="t")
    assert len(tokens) == sum(len(trace["pieces"]) for trace in traces)
    for token in tokens:
        assert "l1" in token.attributes["class"].split()
        assert not {"data-s", "data-v"} & set(token.attributes)
    assert not page.all("svg", cls="path")
    assert not page.all(cls="copied")
    assert "by exit layer" in section(page, "Exit layers").all("figcaption")[0].text
    assert "copied words" not in table(section(page, "Scores"))


def test_a_canvas_is_as_long_as_its_texts_need(place: Path, work: Path) -> None:
    """Where nobody recorded its length, or a file from elsewhere contradicts what is recorded."""
    copy = work / "saved" / "run"
    shutil.copytree(place / "saved" / "graph", copy)
    results, _, traces = read(copy)
    results["decoding"]["canvas_positions"] = 2
    (copy / "results.json").write_text(json.dumps(results))
    page = report(work, "run")
    longest = 1 + max(trace["vertices"][-1] for trace in traces)
    assert {path.attributes["viewbox"] for path in page.all("svg", cls="path")} == {f"0 0 {longest} 10"}


def test_longest_worst_and_most_repetitive(place: Path, work: Path) -> None:
    copy = work / "saved" / "run"
    shutil.copytree(place / "saved" / "hard", copy)
    (copy / "generation.jsonl").unlink()
    _, texts, _ = read(copy)
    texts[3], texts[6], texts[9] = "to be or not to be or", " ".join(f"w{n}" for n in range(40)), "one two one"
    rescored(copy, texts)
    page = report(work, "run")

    def shown(heading: str) -> list[str]:
        return [node.text.removeprefix("Example ") for node in section(page, heading).all("h4")]

    assert shown("Longest outputs")[0] == "7 40 words"
    assert shown("Most repetitive outputs") == ["4 33 % repeated"]
    references = list((place / "dataset/toy/test.tgt").read_text().splitlines())
    scored = {
        number: sum(evaluate([texts[number]], [references[number]], {"metrics": ["rouge"]}).values()) / 3
        for number in range(10)
    }
    worst = min(scored.values())
    assert float(re.search(r"score ([\d.]+)$", shown("Worst outputs")[0]).group(1)) == pytest.approx(worst, abs=0.01)
    assert len(shown("Worst outputs")) == 5
    assert "No exits are known" in section(page, "Exit layers").text


def rescored(run: Path, texts: list[str]) -> None:
    """Put other texts into a run's folder, as if it had written them."""
    (run / "generation.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    config = Config.load(run / "config.yaml")
    results = json.loads((run / "results.json").read_text())
    targets = (Path(config["data_path"]) / "toy" / "test.tgt").read_text().splitlines()
    firsts = [line if not line.startswith("[") else line.split("'")[1] for line in targets]
    results["metrics"] = evaluate(texts, firsts, {"metrics": ["rouge"]})
    (run / "results.json").write_text(json.dumps(results))


def test_runs_side_by_side(place: Path, work: Path) -> None:
    page = report(place, "hard", "soft", "bart")
    runs = [read(place / "saved" / name) for name in ("hard", "soft", "bart")]
    scores = table(section(page, "Scores"))
    values = [results["metrics"]["rouge-1"] for results, _, _ in runs]
    assert [float(cell.split()[0]) for cell in scores["rouge-1"]] == values
    assert ["best" in cell for cell in scores["rouge-1"]] == [value == max(values) for value in values]
    assert len(section(page, "Exit layers").all("figure")) == 2, "BART has no exits"
    assert len(section(page, "Lengths").all("figure")) == 3
    for example in section(page, "Sample").all("article"):
        number = int(example.all("h4")[0].text.split()[1]) - 1
        outputs = example.all("div", cls="output")
        assert [len(output.all("span", cls="t")) > 0 for output in outputs] == [True, True, False]
        assert outputs[2].all("p", cls="text")[0].text == runs[2][1][number]
    same = sum(len({texts[n] for _, texts, _ in runs}) == 1 for n in range(13))
    apart = section(page, "Where the texts differ most")
    assert f"All runs write the same text for {same} of 13 examples." in apart.text
    assert len(apart.all("article")) == 5
    gaps = [float(node.text.split()[2]) for node in section(page, "Where the scores differ most").all("h4")]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0


def test_runs_on_different_datasets_keep_to_themselves(place: Path, work: Path) -> None:
    copy = work / "saved" / "other"
    shutil.copytree(place / "saved" / "soft", copy)
    shutil.copytree(place / "dataset" / "toy", work / "dataset" / "else")
    for file in ("config.yaml", "results.json"):
        text = (copy / file).read_text().replace(str(place / "dataset"), str(work / "dataset"))
        (copy / file).write_text(text.replace("dataset: toy", "dataset: else").replace('"toy"', '"else"'))
    assert main(["report", str(place / "saved/hard"), str(copy), "--out=page.html"]) == 0
    page = parse(Path("page.html"))
    assert [node.text for node in page.all("h2")] == ["toy: A · ELMER", "else: B · ELMER"]
    assert "differ" not in "".join(node.text for node in page.all("h3"))


def test_hostile_texts_are_only_texts(place: Path, work: Path) -> None:
    copy = work / "saved" / "<b>&"
    shutil.copytree(place / "saved" / "hard", copy)
    results, texts, traces = read(copy)
    texts[0], traces[0] = SCRIPT, {"pieces": [SCRIPT[:9], SCRIPT[9:]], "exit_layers": [0, 1], "scores": [1, 0.5]}
    (copy / "generation.jsonl").write_text("".join(f"{json.dumps(trace)}\n" for trace in traces))
    rescored(copy, texts)
    results = json.loads((copy / "results.json").read_text()) | {"command": BREAKOUT, "model": SCRIPT}
    (copy / "results.json").write_text(json.dumps(results))
    page = report(work, "<b>&")
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert page.all("title")[0].text == f"{SCRIPT} on toy"
    assert BREAKOUT in page.all("code")[0].text
    sources = "".join(node.text for node in page.all("p", cls="text"))
    for text in (SCRIPT, BREAKOUT, ODD.replace("\x07", "␇"), "<b>first</b> 0", "second & last"):
        assert text in sources
    assert not page.all("img") and not page.all("b", cls="x")  # noqa: PT018
    tokens = section(page, "Sample").all("article")[0].all("span", cls="t")
    assert [token.text for token in tokens] == [SCRIPT[:9], SCRIPT[9:]]
    assert tokens[1].attributes["data-c"] == "50.0"


def test_the_page_needs_nothing_else(place: Path, work: Path) -> None:
    page = report(place, "hard", "bart")
    for node in page.all():
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            assert (node.attributes.get(name) or "#").startswith(("#", "data:")), node
        assert not [name for name in node.attributes if name.startswith("on")]
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [node.attributes["content"] for node in page.all("meta") if "http-equiv" in node.attributes]
    assert policy.startswith("default-src 'none';")
    headings = [int(node.tag[1]) for node in page.all() if re.fullmatch("h[1-6]", node.tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    for head in page.all("th"):
        assert head.attributes["scope"] in ("col", "row")
    assert all(node.attributes.get("aria-label") for node in page.all("svg"))
    targets = {node.attributes.get("id") for node in page.all()}
    assert {node.attributes["href"][1:] for node in page.all("a")} <= targets


def spoilt(place: Path, work: Path, name: str, content: str | bytes | None) -> Path:
    copy = work / "saved" / "run"
    shutil.copytree(place / "saved" / "hard", copy)
    if content is None and (copy / name).is_dir():
        shutil.rmtree(copy / name)
    elif content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return copy


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("results.json", None, r"results.json' is missing, so the run has not ended: .*--model_path=.*/checkpoint-"),
        ("results.json", "", r"results.json' is damaged \(.*\): test again with --do_train=False --model_path="),
        ("results.json", '{"model": "ELMER",', r"results.json' is damaged"),
        ("results.json", "[" * 99999, r"results.json' is damaged"),
        ("results.json", b"\xff\xfe", r"results.json' is damaged"),
        ("results.json", r'{"model": "\ud800", "dataset": "toy"}', r"results.json' is damaged"),
        ("results.json", "[1]", r"results.json' is damaged \(no mapping\)"),
        ("results.json", '{"model": "ELMER", "dataset": "toy", "metrics": [1]}', "metrics is no mapping"),
        ("results.json", '{"model": "M", "dataset": "d", "metrics": {"a": null}}', "a is no number"),
        (
            "results.json",
            '{"model": "M", "dataset": "d", "decoding": {"ms_per_example": "1"}}',
            "ms_per_example is no num",
        ),
        (
            "results.json",
            '{"model": "M", "dataset": "d", "decoding": {"canvas_positions": 0.5}}',
            "canvas_positions is n",
        ),
        ("results.json", '{"model": "M", "dataset": "d", "copied_words": "all"}', "copied_words is no number"),
        ("results.json", '{"model": "M", "dataset": "d", "loss": NaN}', "loss is no number"),
        ("config.yaml", None, "config.yaml' is missing, which says how the run was made: copy it from one of the run"),
        ("config.yaml", "decoder_layers: 1000000000", "decoder_layers is 1000000000 in"),
        ("config.yaml", "a: [", "config.yaml', line 1 is not valid YAML"),
        (
            "config.yaml",
            "quick_test: some",
            "quick_test must be True, False or a whole number of at least 0, not 'some'",
        ),
    ],
)
def test_what_no_report_can_be_made_of(
    place: Path,
    work: Path,
    capsys: pytest.CaptureFixture,
    name: str,
    content: str | bytes | None,
    sentence: str,
) -> None:
    run = spoilt(place, work, name, content)
    assert main(["report", str(run), "--out=page.html"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert re.search(sentence, line), line
    assert not Path("page.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "heading", "sentence"),
    [
        ("tensorboard", None, "Training", "holds no event files"),
        ("tensorboard/events.out.tfevents.0.x", b"\0garbage" * 999, "Training", ""),
        ("generation.jsonl", None, "Exit layers", ""),
        ("generation.jsonl", "{}\n", "Exit layers", "generation.jsonl', line 1, is damaged"),
        (
            "generation.jsonl",
            '{"pieces": [], "exit_layers": [], "scores": []}\n',
            "Exit layers",
            "has 1 lines for 13 texts",
        ),
        (
            "generation.jsonl",
            '{"pieces": ["else"], "exit_layers": [0], "scores": null}\n' * 13,
            "Exit layers",
            "generation.jsonl', line 1, is not that of generation.txt",
        ),
        ("generation.txt", None, "Lengths", "generation.txt' cannot be read"),
        ("generation.txt", b"\xff", "Lengths", "generation.txt' cannot be read"),
        ("generation.txt", "one\n", "Lengths", "has 13 examples, but the run wrote 1 texts"),
        ("generation.txt", "other\n" * 13, "Lengths", "is no longer the one that this run wrote for"),
    ],
)
def test_what_a_report_can_do_without(
    place: Path,
    work: Path,
    capsys: pytest.CaptureFixture,
    name: str,
    content: str | bytes | None,
    heading: str,
    sentence: str,
) -> None:
    run = spoilt(place, work, name, content)
    assert main(["report", str(run)]) == 0
    printed = capsys.readouterr().out
    page = parse(Path("report.html"))
    assert sentence in printed
    assert sentence in "".join(node.text for node in page.all("p", cls="missing"))
    if b"garbage" not in (content if isinstance(content, bytes) else b""):
        assert section(page, heading).all("p", cls="missing")
    assert table(section(page, "Scores"))["rouge-1"]


def test_a_dataset_that_is_gone(place: Path, work: Path, capsys: pytest.CaptureFixture) -> None:
    runs = []
    for name in ("hard", "bart"):
        shutil.copytree(place / "saved" / name, work / name)
        config = (work / name / "config.yaml").read_text()
        (work / name / "config.yaml").write_text(config.replace(str(place / "dataset"), "elsewhere"))
        runs.append(str(work / name))
    assert main(["report", *runs]) == 0
    assert "the folder 'elsewhere/toy' does not exist" in capsys.readouterr().out
    page = parse(Path("report.html"))
    _, texts, _ = read(work / "bart")
    outputs = [node.all("p", cls="text")[0].text for node in section(page, "Sample").all("div", cls="output")]
    assert outputs[1::2] == texts
    assert "Without references" in section(page, "Worst outputs").text
    assert "Without references" in section(page, "Where the scores differ most").text
    assert section(page, "Where the texts differ most").all("article")


def test_a_test_alone_and_a_training_alone(place: Path, work: Path) -> None:
    copy = work / "saved" / "run"
    shutil.copytree(place / "saved" / "hard", copy)
    results = json.loads((copy / "results.json").read_text())
    for key in ("metrics", "decoding", "loss", "mean_exit_layer"):
        del results[key]
    (copy / "results.json").write_text(json.dumps(results))
    page = report(work, "run")
    assert section(page, "Training").all("svg")
    assert "No test texts are kept here" in section(page, "Scores").text
    assert "No generation was timed" in section(page, "Latency").text
    assert "Sample" not in [node.text for node in page.all("h3")]


def test_results_with_the_names_alone(place: Path, work: Path) -> None:
    spoilt(place, work, "results.json", '{"model": "M", "dataset": "toy"}')
    page = report(work, "run")
    assert page.all("h1")[0].text == "M on toy"
    assert section(page, "Training").all("svg")


def test_a_text_without_confidences_shows_its_layers(place: Path, work: Path) -> None:
    run = spoilt(place, work, "report.html", "")
    traces = read(run)[2]
    for trace in traces[::2]:
        trace["scores"] = None
    (run / "generation.jsonl").write_text("".join(f"{json.dumps(trace)}\n" for trace in traces))
    page = report(work, "run")
    sampled = [node.text for node in section(page, "Sample").all("h4")]
    assert sampled == [f"Example {number}" for number in range(2, 14, 2)], "those whose confidences are known"
    shown = [token for node in section(page, "Worst outputs").all("article") for token in node.all("span", cls="t")]
    assert all("data-l" in token.attributes for token in shown)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ([], "`textbox-elmer report` needs RUN, e.g. textbox-elmer report saved/<run>"),
        (["{run}", "--into=x.html"], "has no option --into"),
        (["{run}", "--out"], "--out needs a value"),
        (["{run}", "{run}/"], "is named twice"),
        (["{run}", "--out=results.json"], "must end in .html"),
        (["{run}", "--out=folder.html"], "is a folder: give a file, such as folder.html/report.html"),
        (["{run}", "--out=file/page.html"], "'file/page.html' cannot be written"),
        (["{place}/saved/hrd"], "/saved/hard'?"),
        (["nowhere"], "There is no folder 'nowhere'. Give one that a run left"),
        (["{place}/dataset"], "is no run's folder, for it has no results.json: give one that a run left"),
        (["{run}/checkpoint_best"], "is no run's folder, for it has no results.json: give '{run}'"),
        (["{run}/results.json"], "There is no folder"),
    ],
)
def test_mistyped_commands(
    place: Path, work: Path, capsys: pytest.CaptureFixture, typed: list[str], sentence: str
) -> None:
    (work / "folder.html").mkdir()
    (work / "file").write_text("")
    names = {"run": str(place / "saved" / "hard"), "place": str(place)}
    assert main(["report", *(word.format(**names) for word in typed)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert sentence.format(**names) in line
