"""Published results: `properties/leaderboard/<dataset>.yaml`, read strictly."""

from pathlib import Path
from typing import Any, NoReturn

from textbox_elmer.errors import UserError
from textbox_elmer.metrics import all_metric_names
from textbox_elmer.reports.leaderboard.checks import (
    Fault,
    Located,
    check_keys,
    count,
    hint,
    link,
    numbers,
    one_of,
    read_located,
    text,
)
from textbox_elmer.reports.leaderboard.rows import DECODING, Leaderboard, Row
from textbox_elmer.runtime.config.properties import find_property_file, properties_folders
from textbox_elmer.suggest import nearest

KIND = "leaderboard"
ORDERS = ("descending", "ascending")
BOARD_KEYS = ("title", "task", "metrics", "sort", "order", "scale", "rows")
BOARD_OPTIONAL = ("scale",)
ROW_KEYS = ("model", "paper", "repository", "texts", "decoding", "parameters", "metrics", "source", "protocol")
ROW_OPTIONAL = ("paper", "repository", "texts", "parameters", "protocol")
LINKS = ("paper", "repository", "texts", "source")
# What papers report and this host does not compute.
PUBLISHED_ONLY = ("perplexity", "spice")


def leaderboard_names() -> list[str]:
    """Return the datasets that have a leaderboard."""
    return sorted({path.stem for folder in properties_folders() for path in (folder / KIND).glob("*.yaml")})


def load_leaderboard(dataset: str) -> Leaderboard:
    """Read the published results on a dataset.

    Raises:
        UserError: there are none (with the nearest name and the list), or their file breaks a rule (with the line).
    """
    path = find_property_file(KIND, dataset)
    if path is None:
        names = leaderboard_names()
        guess = nearest(dataset, names)
        meant = f" Did you mean {guess}?" if guess else ""
        raise UserError(f"There is no leaderboard of {dataset!r}.{meant} There are {', '.join(names)}.")
    return read_leaderboard(path)


def read_leaderboard(path: Path) -> Leaderboard:
    """Read one file.

    Raises:
        UserError: it breaks a rule; the sentence names the file, the line and what to do.
    """

    def fault(line: int, problem: str) -> NoReturn:
        raise UserError(f"The leaderboard {str(path)!r}, line {line}: {problem}")

    content = read_located(path)
    check_keys(content, BOARD_KEYS, BOARD_OPTIONAL, fault)
    metrics = _metrics(content, fault)
    scale = numbers(content, "scale", metrics, fault) if "scale" in content else {}
    if not all(scale.values()):
        fault(content.lines["scale"], "a scale of 0 makes all scores equal: leave it out.")
    return Leaderboard(
        name=path.stem,
        title=text(content, "title", fault),
        task=text(content, "task", fault),
        metrics=metrics,
        sort=one_of(content, "sort", metrics, fault),
        ascending=one_of(content, "order", ORDERS, fault) == "ascending",
        scale=scale,
        rows=_rows(content, metrics, fault),
    )


def _metrics(content: Located, fault: Fault) -> tuple[str, ...]:
    line, names = content.lines["metrics"], content["metrics"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        fault(line, f"metrics must be a list of names such as [rouge-1, rouge-2], not {names!r}.")
    known = (*all_metric_names(), *PUBLISHED_ONLY)
    for name in names:
        if name not in known:
            fault(line, f"there is no metric {name!r}: {hint(name, known)}")
        if names.count(name) > 1:
            fault(line, f"the metric {name} is given twice: give it once.")
    return tuple(names)


def _rows(content: Located, metrics: tuple[str, ...], fault: Fault) -> tuple[Row, ...]:
    line, given = content.lines["rows"], content["rows"]
    if not isinstance(given, list):
        fault(line, f"rows must be a list of results, [] if there are none, not {given!r}.")
    rows: list[Row] = []
    for number, row in enumerate(given, start=1):
        if not isinstance(row, Located):
            fault(line, f"row {number} must hold lines of the form `key: value`, not {row!r}.")
        rows.append(_row(row, metrics, fault))
        if rows[-1] in rows[:-1]:
            fault(row.line, f"{rows[-1].model!r} is there twice: leave one out.")
    return tuple(rows)


def _row(content: Located, metrics: tuple[str, ...], fault: Fault) -> Row:
    check_keys(content, ROW_KEYS, ROW_OPTIONAL, fault)
    links: dict[str, Any] = {key: link(content, key, fault) for key in LINKS if key in content}
    return Row(
        model=text(content, "model", fault),
        metrics=numbers(content, "metrics", metrics, fault),
        decoding=one_of(content, "decoding", DECODING, fault),
        parameters=count(content, "parameters", fault) if "parameters" in content else None,
        protocol=text(content, "protocol", fault) if "protocol" in content else None,
        **links,
    )
