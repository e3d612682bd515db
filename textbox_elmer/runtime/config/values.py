"""YAML values: reading them from files and options, and checking them against their keys."""

import math
import re
from pathlib import Path, PurePath
from typing import Any

import yaml

from textbox_elmer.errors import UserError
from textbox_elmer.reading import BoundedLoader, YamlError, parse_yaml, read_yaml_file
from textbox_elmer.runtime.config.keys import KEYS, MODEL_KEYS, REQUIRED, Key

NULLS = ("null", "Null", "NULL", "None", "~")
TEXT_TAG = "tag:yaml.org,2002:str"


class Loader(BoundedLoader):
    """YAML with `3e-5` as the number and `None` as the null that everybody means; YAML 1.1 takes both for words."""


class FileLoader(Loader):
    """Reads a key that holds text as its value is written, be it `yes` or `007`."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the document's root, None if there is no document."""
        root = super().get_single_node()
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            is_null = value.tag == "tag:yaml.org,2002:null"
            if isinstance(value, yaml.ScalarNode) and not is_null and _holds_text(key.value):
                value.tag = TEXT_TAG
        return root


class Dumper(yaml.SafeDumper):
    """Writes what `Loader` reads back as the same value: words that look like numbers or null are quoted."""


for yaml_class in (Loader, Dumper):
    yaml_class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
    yaml_class.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^None$"), ["N"])


def _represent_text(dumper: Dumper, text: str) -> yaml.Node:
    # Only double quotes keep every line break (there are ten in Unicode) as it is.
    return dumper.represent_scalar(TEXT_TAG, text, style=None if text.splitlines() == [text] else '"')


Dumper.add_representer(str, _represent_text)
Dumper.add_multi_representer(PurePath, lambda dumper, path: _represent_text(dumper, str(path)))


def to_yaml(values: dict[str, Any]) -> str:
    """Return YAML from which `read_yaml` gets the same values.

    Raises:
        yaml.representer.RepresenterError: a value that YAML has no plain form for.
    """
    return yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))


def plain_value(name: str, value: Any) -> Any:
    """Return a value given in Python as a file would give it: tuples as lists, paths as text, nothing shared.

    Raises:
        UserError: a value that no YAML file can hold, e.g. a tensor.
    """
    try:
        return parse_yaml(to_yaml({name: value}), FileLoader)[name]
    except yaml.representer.RepresenterError as error:
        raise UserError(
            f"{name} holds {error.args[-1]!r} (config_dict): give plain numbers, texts, lists and mappings."
        ) from None
    except YamlError as error:
        raise UserError(f"{name} holds what no YAML file can hold ({error}; config_dict).") from None


def _holds_text(name: Any) -> bool:
    key = (KEYS.get(name) or MODEL_KEYS.get(name)) if isinstance(name, str) else None
    return key is not None and key.kind == "str"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values, never constructing more than plain values.

    Raises:
        UserError: no such file, not UTF-8, not YAML (with the line), no mapping.
    """
    content = read_yaml_file(path, "config file", "check --config_files", FileLoader)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"The config file {str(path)!r} must hold lines of the form `key: value`.")
    return content


def read_option(name: str, text: str) -> Any:
    """Read an option's value as YAML; keys that hold text take it as it was typed.

    Raises:
        UserError: a list or mapping that is not valid YAML.
    """
    if _holds_text(name):
        return None if text in NULLS else text
    try:
        value = parse_yaml(text, Loader)
    except YamlError as error:
        if text.lstrip()[:1] not in ("[", "{"):
            return text
        raise UserError(f"The value of --{name} is not valid YAML ({error}): {text!r}.") from None
    # `Summarize: ` is meant as text, `{num_beams: 4}` as a mapping.
    openings: dict[type, str] = {dict: "{", list: "["}
    opening = openings.get(type(value))
    if opening and not text.lstrip().startswith(opening):
        return text
    return value


def format_option(name: str, value: Any) -> str:
    """Return the text that `read_option` reads as `value`."""
    if isinstance(value, str) and _holds_text(name):
        return value
    # A plain scalar gets a line that ends its document; a list or a mapping stands on one line.
    text = yaml.dump(value, Dumper=Dumper, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def check_value(name: str, value: Any, origin: str) -> Any:
    """Return the value as its key's kind has it, e.g. 3 for "3".

    Raises:
        UserError: it is of another kind, too small, none of the key's words, or a text that no file can be
            called.
    """
    key = KEYS.get(name) or MODEL_KEYS.get(name)
    if key is None or value is None:
        return value
    converted = _convert(value, key.kind)
    if converted is None:
        raise UserError(f"{name} must be {_described(key)}, not {value!r} ({origin}).")
    if isinstance(converted, str):
        _check_text(name, converted, origin)
    if key.choices:
        converted = str(converted).lower()
        if converted not in key.choices:
            raise UserError(f"{name} must be {_described(key)}, not {value!r} ({origin}).")
    if not isinstance(converted, bool) and not _in_range(converted, key):
        raise UserError(f"{name} must be {_described(key)}, not {value!r} ({origin}).")
    return converted


def _check_text(name: str, text: str, origin: str) -> None:
    if "\0" in text:
        raise UserError(f"{name} must be a text without null characters, not {text!r} ({origin}).")
    if name == "filename" and not _lies_below(text):
        raise UserError(f"filename must name a folder below saved_dir, not {text!r} ({origin}).")


def _lies_below(name: str) -> bool:
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def check_required(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Raise a UserError if a key that no run can do without is null or missing."""
    for name in REQUIRED:
        if values.get(name) is None:
            where = f"not null ({origins[name]})" if name in origins else "but no file or option sets it"
            raise UserError(f"{name} must be {_described(KEYS[name])}, {where}: give --{name}=….")


def _in_range(number: float, key: Key) -> bool:
    if key.minimum is not None and (number <= key.minimum if key.above else number < key.minimum):
        return False
    return key.maximum is None or number <= key.maximum


def _convert(value: Any, kind: str) -> Any:
    """Return the value as `kind`, or None if it is not one."""
    if kind == "bool":
        words = {"true": True, "false": False}
        return value if isinstance(value, bool) else words.get(str(value).lower())
    if kind == "count" and isinstance(value, bool):
        return value
    if kind in ("int", "count"):
        return _whole_number(value)
    if kind == "float":
        return _number(value)
    if kind == "str":
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    if kind == "list":
        items = [value] if isinstance(value, str) else value
        return list(items) if isinstance(items, list | tuple) and all(isinstance(i, str) for i in items) else None
    return dict(value) if isinstance(value, dict) else None


def _whole_number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _described(key: Key) -> str:
    if key.choices:
        return f"one of {', '.join(key.choices)}"
    noun = {
        "int": "a whole number",
        "count": "True, False or a whole number",
        "float": "a number",
        "bool": "True or False",
        "str": "a text",
        "list": "a list of names such as [rouge, bleu]",
        "dict": "a mapping such as {key: value}",
    }[key.kind]
    if key.minimum is None:
        return noun
    if key.maximum is not None:
        return f"{noun} from {key.minimum} to {key.maximum}"
    return f"{noun} above {key.minimum:g}" if key.above else f"{noun} of at least {key.minimum:g}"
