"""YAML whose mappings know the lines that they stand on, so that a mistake in a file can be pointed at."""

from pathlib import Path
from typing import Any

import yaml

from textbox_elmer.errors import UserError
from textbox_elmer.reading import MOST_YAML, BoundedLoader, YamlError, parse_yaml, read_text

MAPPING = "tag:yaml.org,2002:map"


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
    try:
        content = parse_yaml(read_text(path, MOST_YAML), _Loader)
    except OSError as error:
        raise UserError(f"The leaderboard {str(path)!r} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise UserError(f"The leaderboard {str(path)!r} is not UTF-8 text: save it as UTF-8.") from None
    except YamlError as error:
        where = f", line {error.line}," if error.line else ""
        raise UserError(
            f"The leaderboard {str(path)!r}{where} is not valid YAML ({error}): correct that line."
        ) from None
    if not isinstance(content, Located):
        raise UserError(f"The leaderboard {str(path)!r} must hold lines of the form `key: value`.")
    return content
