"""A leaderboard file read strictly: its lines, and what its values must be; `fault` is told of one that is not."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from textbox_elmer.errors import UserError
from textbox_elmer.reading import BoundedLoader, read_yaml_file
from textbox_elmer.suggest import nearest

MAPPING = "tag:yaml.org,2002:map"
LINK = re.compile(r"https?://[^\s\x00-\x20\x7f-\xa0<>()|\\]+")

Fault = Callable[[int, str], NoReturn]


class Located(dict[str, Any]):
    """A mapping with the line of its beginning and of each of its keys, counted from 1."""

    line: int
    lines: dict[str, int]


class _Loader(BoundedLoader):
    """Plain values only; a key that is given twice is a mistake and not the later one's victory."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Located:
    located = Located()
    located.line, located.lines = node.start_mark.line + 1, {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is no name", key_node.start_mark)
        if key in located:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
        located.lines[key] = key_node.start_mark.line + 1
        located[key] = loader.construct_object(value_node, deep=True)
    return located


_Loader.add_constructor(MAPPING, _mapping)


def read_located(path: Path) -> Located:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: it cannot be read, is not UTF-8, not YAML (with the line), or no mapping.
    """
    content = read_yaml_file(path, "leaderboard", "make it a readable file", _Loader)
    if not isinstance(content, Located):
        raise UserError(f"The leaderboard {str(path)!r} must hold lines of the form `key: value`.")
    return content


def check_keys(content: Located, known: Sequence[str], optional: Sequence[str], fault: Fault) -> None:
    """Refuse unknown keys, and missing ones that are not optional."""
    for key in content:
        if key not in known:
            fault(content.lines[key], f"there is no key {key!r}: {hint(key, known)}")
    missing = [key for key in known if key not in content and key not in optional]
    if missing:
        of_model = f" of {content['model']!r}" if isinstance(content.get("model"), str) else ""
        fault(content.line, f"{missing[0]}{of_model} is missing: add it.")


def text(content: Located, key: str, fault: Fault) -> str:
    """Return a line of text."""
    value = content[key]
    if not isinstance(value, str) or not value.strip() or len(value.splitlines()) > 1:
        fault(content.lines[key], f"{key} must be one line of text, not {value!r}.")
    return value


def link(content: Located, key: str, fault: Fault) -> str:
    """Return an address that Markdown can hold as it is."""
    value = content[key]
    if not isinstance(value, str) or not LINK.fullmatch(value):
        fault(content.lines[key], f"{key} must be an address such as https://arxiv.org/abs/2210.13304, not {value!r}.")
    return value


def one_of(content: Located, key: str, choices: Sequence[str], fault: Fault) -> str:
    """Return one of some words."""
    value = content[key]
    if value not in choices:
        fault(content.lines[key], f"{key} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def count(content: Located, key: str, fault: Fault) -> int:
    """Return a whole number from 1."""
    value = content[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        fault(content.lines[key], f"{key} must be a whole number such as 139000000, not {value!r}.")
    return value


def numbers(content: Located, key: str, metrics: Sequence[str], fault: Fault) -> dict[str, float]:
    """Return a mapping of some of the metrics to numbers of at least 0."""
    values = content[key]
    if not isinstance(values, Located) or not values:
        fault(content.lines[key], f"{key} must be a mapping such as {{{metrics[0]}: 12.3}}, not {values!r}.")
    for name, value in values.items():
        if name not in metrics:
            fault(values.lines[name], f"{name!r} is none of the leaderboard's metrics: {hint(name, metrics)}")
        if not _is_score(value):
            fault(values.lines[name], f"{name} must be a number of at least 0, not {value!r}.")
    return {name: float(value) for name, value in values.items()}


def hint(name: str, known: Iterable[str]) -> str:
    """Return what somebody who wrote an unknown name may have meant."""
    guess = nearest(name, known)
    return f"did you mean {guess!r}?" if guess else f"take one of {', '.join(known)}."


def _is_score(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    except OverflowError:  # a whole number beyond all floats
        return False
