"""What a run leaves to read: generation.txt, results.json, and the end's table with examples."""

import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from textbox_elmer.files import write_atomically
from textbox_elmer.reading import read_json
from textbox_elmer.runtime.runs.traces import MOST_VERTICES, TRACES, Trace, format_traces
from textbox_elmer.shipped import PACKAGE
from textbox_elmer.terminal import reason_of, shown, table_console
from textbox_elmer.text.lines import references_of

GENERATION = "generation.txt"
RESULTS = "results.json"
LIBRARIES = ("textbox-elmer", "torch", "transformers", "datasets", "accelerate", "tokenizers")
SUMS = ("mean_exit_layer", "mean_settled_layer", "copied_words", "distinct_texts", "repeated_words")
EXAMPLES_SHOWN = 3
SOURCE_SHOWN = 300  # characters
GIT_ANSWERS_IN = 10  # seconds


def save_results(run: Path, results: Mapping[str, Any], texts: Sequence[str], traces: Sequence[Trace]) -> None:
    """Write results.json and, one text a line, generation.txt and generation.jsonl into a run's folder."""
    if texts:
        write_atomically(run / GENERATION, "".join(f"{text}\n" for text in texts))
    if traces:
        write_atomically(run / TRACES, format_traces(traces))
    write_atomically(run / RESULTS, json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def read_results(run: Path) -> dict[str, Any]:
    """Return what a run's results.json holds; keys may be missing, and what is there is what a run writes.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or holds what no run writes; says why in a few words.
    """
    try:
        results = read_json(run / RESULTS)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(reason_of(error)) from error
    if fault := _fault_of(results):
        raise ValueError(fault)
    return results


def _fault_of(results: Any) -> str | None:
    """Return what a run's results.json holds that no run writes, None if it is sound."""
    if not isinstance(results, dict):
        return "no mapping"
    if missing := [key for key in ("model", "dataset") if not isinstance(results.get(key), str)]:
        return f"no {missing[0]}"
    if strange := [key for key in ("command", "commit") if not isinstance(results.get(key), str | None)]:
        return f"{strange[0]} is no text"
    parts = {key: results.get(key, {}) for key in ("metrics", "decoding", "training", "versions")}
    if strange := [key for key, part in parts.items() if not isinstance(part, dict)]:
        return f"{strange[0]} is no mapping"
    decoding, training = parts["decoding"], parts["training"]
    best = training.get("best_metrics", {})
    if not isinstance(best, dict):
        return "best_metrics is no mapping"
    canvas = decoding.get("canvas_positions")
    if canvas is not None and (type(canvas) is not int or not 0 <= canvas < MOST_VERTICES):
        return "canvas_positions is no number of positions"
    numbers = {key: results.get(key) or 0 for key in SUMS}
    numbers |= {key: results.get(key, 0) for key in ("loss", "parameters")}
    numbers |= {key: decoding.get(key, 0) for key in ("ms_per_example", "examples", "batch_size")}
    numbers |= {key: training.get(key, 0) for key in ("steps", "seconds")}
    numbers |= {key: 0 if isinstance(score, str) else score for key, score in parts["metrics"].items()}
    # A training that diverged says so by what it reached.
    reached = {key: training.get(key) or 0 for key in ("best_step", "best_score")}
    reached |= {key: 0 if isinstance(score, str) else score for key, score in best.items()}
    strange = [key for key, value in (numbers | reached).items() if type(value) not in (int, float)]
    strange += [key for key, value in numbers.items() if key not in strange and not math.isfinite(value)]
    return f"{strange[0]} is no number" if strange else None


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that was never installed
            versions[name] = "not installed"
    return versions


def source_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, `-dirty` behind it if tracked files differ.

    None where the package is installed, or git cannot tell.
    """
    checkout = PACKAGE.parent
    if not (checkout / ".git").exists():  # git would go on to any repository that the environment lies in
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_ANSWERS_IN)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def show_results(
    results: Mapping[str, Any],
    source: Sequence[str],
    references: Sequence[str | list[str]],
    texts: Sequence[str],
    console: Console | None = None,
) -> None:
    """Print the scores as a table, and some examples of source, reference and output."""
    console = console or table_console()
    table = Table(title=f"{results['model']} on {results['dataset']}", title_justify="left")
    table.add_column("metric")
    table.add_column("test", justify="right")
    for name, value in results["metrics"].items():
        table.add_row(name, value if isinstance(value, str) else f"{value:.2f}")
    decoding = results["decoding"]
    table.add_row(f"ms per example (batches of {decoding['batch_size']})", f"{decoding['ms_per_example']:.2f}")
    exits, settled = results["mean_exit_layer"], results["mean_settled_layer"]
    if exits is not None:
        table.add_row("mean exit layer (from 0)", f"{exits:.2f}")
    if settled != exits:
        table.add_row("mean layer since which words stay", f"{settled:.2f}")
    if results["copied_words"] is not None:
        table.add_row("copied words", f"{results['copied_words']:.1%}")
    table.add_row("distinct texts", f"{results['distinct_texts']} of {len(texts)}")
    table.add_row("repeated words", f"{results['repeated_words']:.1%}")
    console.print(table)
    for index in range(min(EXAMPLES_SHOWN, len(texts))):
        example = {
            "source": source[index] if len(source[index]) <= SOURCE_SHOWN else source[index][:SOURCE_SHOWN] + "…",
            "reference": " | ".join(references_of(references[index])),
            "output": texts[index],
        }
        console.print()
        for name, text in example.items():
            console.print(Text.assemble((f"{name:>9}  ", "bold"), shown(text)))
