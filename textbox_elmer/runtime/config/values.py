"""YAML values: reading them from files and options, and checking them against their keys."""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from textbox_elmer.runtime.config.keys import KEYS, MODEL_KEYS, Key
from textbox_elmer.runtime.errors import UserError

NULLS = ("null", "none", "~")


class Loader(yaml.SafeLoader):
    """YAML with `3e-5` as the number that everybody means by it; YAML 1.1 takes it for a word."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values, never constructing more than plain values.

    Raises:
        UserError: no such file, not UTF-8, not YAML (with the line), no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except OSError as error:
        raise UserError(
            f"The config file {str(path)!r} cannot be read ({error.strerror}): check --config_files."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"The config file {str(path)!r} is not UTF-8 text: save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"The config file {str(path)!r}{where} is not valid YAML ({_problem(error)}): correct that line."
        ) from None
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
    key = KEYS.get(name)
    if key is not None and key.kind == "str" and not key.choices:
        return None if text.strip().lower() in NULLS else text
    if text.strip() == "None":  # as Python spells null
        return None
    try:
        value = yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        if text.lstrip()[:1] not in ("[", "{"):
            return text
        raise UserError(f"The value of --{name} is not valid YAML ({_problem(error)}): {text!r}.") from None
    # `Summarize: ` is meant as text, `{num_beams: 4}` as a mapping.
    opening = {dict: "{", list: "["}.get(type(value))
    if opening and not text.lstrip().startswith(opening):
        return text
    return value


def check_value(name: str, value: Any, origin: str) -> Any:
    """Return the value as its key's kind has it, e.g. 3 for "3".

    Raises:
        UserError: it is of another kind, too small, or none of the key's words.
    """
    key = KEYS.get(name) or MODEL_KEYS.get(name)
    if key is None or value is None:
        return value
    converted = _convert(value, key.kind)
    if converted is None:
        raise UserError(f"{name} must be {_described(key)}, not {value!r} ({origin}).")
    if key.choices:
        converted = str(converted).lower()
        if converted not in key.choices:
            raise UserError(f"{name} must be one of {', '.join(key.choices)}, not {value!r} ({origin}).")
    if key.minimum is not None and not isinstance(converted, bool):
        too_small = converted <= key.minimum if key.above else converted < key.minimum
        if too_small:
            raise UserError(f"{name} must be {_described(key)}, not {value!r} ({origin}).")
    return converted


def _convert(value: Any, kind: str) -> Any:
    """Return the value as `kind`, or None if it is not one."""
    if kind == "bool":
        words = {"true": True, "false": False}
        return value if isinstance(value, bool) else words.get(str(value).lower())
    if kind == "count" and isinstance(value, bool):
        return value
    if kind in ("int", "count"):
        number = _number(value)
        return int(number) if number is not None and number.is_integer() else None
    if kind == "float":
        return _number(value)
    if kind == "str":
        return str(value) if isinstance(value, str | int | float) else None
    if kind == "list":
        items = [value] if isinstance(value, str) else value
        return list(items) if isinstance(items, list | tuple) and all(isinstance(i, str) for i in items) else None
    return dict(value) if isinstance(value, dict) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _described(key: Key) -> str:
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
    return f"{noun} above {key.minimum:g}" if key.above else f"{noun} of at least {key.minimum:g}"


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
