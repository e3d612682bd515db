"""Reading files that may hold anything: regular ones alone, and YAML and JSON of bounded size, depth and numbers.

What cannot be read is an OSError, what a file must not hold a ValueError; each says why in a few words.
"""

import errno
import json
import os
from pathlib import Path
from typing import Any

import yaml

from textbox_elmer.errors import UserError
from textbox_elmer.files import open_regular

MOST_TEXT = 1 << 31  # bytes
MOST_JSON = 1 << 28  # bytes
MOST_YAML = 1_000_000  # bytes, which take some ten seconds
MOST_NODES = 100_000  # that a YAML file stands for, an alias counted as all that it repeats
MOST_DIGITS = 100  # of a whole number as it is written, to whatever base
LARGEST = 2**63  # of whole numbers: what is larger fits no tensor, and soon no float
# What PyYAML lets through of Python's own complaints about a value, be it `!!bool x` or the date 2020-99-99.
YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class YamlError(ValueError):
    """What is wrong with YAML, in one line.

    Attributes:
        line: where, counted from 1; None if that is not known.
    """

    def __init__(self, error: Exception) -> None:
        said = str(getattr(error, "problem", None) or error).splitlines()
        super().__init__("it is nested too deeply" if isinstance(error, RecursionError) else " ".join(said[:1]))
        mark = getattr(error, "problem_mark", None)
        self.line = mark.line + 1 if mark else None


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    r"""Return the UTF-8 text that a regular file holds, its line ends as `\n`.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `most` bytes.
        UnicodeDecodeError: it is not UTF-8.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size <= most and len(content := file.read(most + 1)) <= most:
            return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    raise OSError(errno.EINVAL, f"it is larger than {most / 1e6:,.0f} MB", str(path))


def parse_json(text: str) -> Any:
    """Return a JSON value.

    Raises:
        ValueError: it is no JSON, nested too deeply, or holds a number or half a character that nothing could use.
    """
    try:
        value = json.loads(text, parse_int=_whole_number)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # fails for half a character, a lone surrogate
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read_json(path: Path) -> Any:
    """Return the JSON value that a regular file holds.

    Raises:
        OSError: as `read_text`.
        ValueError: as `parse_json`, or it is not UTF-8.
    """
    return parse_json(read_text(path, MOST_JSON))


class BoundedLoader(yaml.SafeLoader):
    """Plain values only, and no more of them, by way of aliases, than a file of that size could spell out."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the document's root, None if there is no document."""
        root = super().get_single_node()
        if root is not None:
            _size(root, {})
        return root

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return a whole number."""
        # Digits are counted first: their conversion takes a time that grows with their square.
        if len(node.value) > MOST_DIGITS or abs(number := super().construct_yaml_int(node)) >= LARGEST:
            raise yaml.constructor.ConstructorError(None, None, "a whole number is too large", node.start_mark)
        return number

    def construct_yaml_str(self, node: yaml.ScalarNode) -> str:
        """Return text that can be written to a file again."""
        text = super().construct_yaml_str(node)
        text.encode()  # fails for half a character, a lone surrogate
        return text


BoundedLoader.add_constructor("tag:yaml.org,2002:str", BoundedLoader.construct_yaml_str)
BoundedLoader.add_constructor("tag:yaml.org,2002:int", BoundedLoader.construct_yaml_int)


def parse_yaml(text: str, loader: type[BoundedLoader] = BoundedLoader) -> Any:
    """Return the value of a YAML document.

    Args:
        loader: what makes values of its nodes.

    Raises:
        YamlError: it is no YAML or holds more than plain values, too many, or too large ones.
    """
    try:
        return loader(text).get_single_data()
    except YAML_ERRORS as error:
        raise YamlError(error) from None


def read_yaml_file(path: Path, what: str, remedy: str, loader: type[BoundedLoader]) -> Any:
    """Return the value of a YAML file.

    Args:
        what: what the file is, for the sentence, e.g. "config file".
        remedy: what the user may do where it cannot be read.
        loader: what makes values of its nodes.

    Raises:
        UserError: it cannot be read, is not UTF-8, or not YAML (with the line).
    """
    file = f"The {what} {str(path)!r}"
    try:
        return parse_yaml(read_text(path, MOST_YAML), loader)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): {remedy}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text: save it as UTF-8.") from None
    except YamlError as error:
        where = f", line {error.line}" if error.line else ""
        raise UserError(f"{file}{where} is not valid YAML ({error}): correct that line.") from None


def check_yaml(text: str) -> None:
    """Make sure that reading some YAML, whatever its tags mean, takes a time that its length explains.

    Raises:
        YamlError: it is no YAML, or nested or aliased too much.
    """
    try:
        BoundedLoader(text).get_single_node()
    except YAML_ERRORS as error:
        raise YamlError(error) from None


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS or abs(number := int(digits)) >= LARGEST:
        raise ValueError("a whole number is too large")
    return number


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes a node stands for: itself, those inside, and again whatever an alias repeats.

    Raises:
        yaml.constructor.ConstructorError: they are too many, or it is inside itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # while what is inside is counted
        inside = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_size(part, known) for part in inside)
    problem = "a value holds itself" if not known[id(node)] else f"it stands for more than {MOST_NODES:,} values"
    if not 0 < known[id(node)] <= MOST_NODES:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return known[id(node)]
