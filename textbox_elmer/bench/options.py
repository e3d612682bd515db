"""The options of a bench: its defaults, changed by what was typed."""

from typing import Any

import torch

from textbox_elmer.errors import UserError


def read_options(bench: str, typed: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults with what was typed in their place; numbers have their defaults' types.

    Raises:
        UserError: an option that the bench does not have, a number that is none or not above 0, a missing device.
    """
    if unknown := sorted(typed.keys() - defaults.keys()):
        raise UserError(f"The bench {bench} has no option --{unknown[0]}: it has {', '.join(defaults)}.")
    settings = defaults | typed
    for name, default in defaults.items():
        if type(default) in (int, float):
            settings[name] = number(name, settings[name], type(default))
    if settings.get("device", "cpu") != "cpu" and not (settings["device"] == "cuda" and torch.cuda.is_available()):
        raise UserError(f"The option --device is cpu, or cuda where there is one, not {settings['device']!r}.")
    return settings


def number(name: str, value: Any, kind: type) -> int | float:
    """Return an option's value as an int or a float above 0.

    Raises:
        UserError: it is none.
    """
    try:
        found = kind(str(value))
    except ValueError:
        found = 0
    if found <= 0:
        whole = "whole " if kind is int else ""
        raise UserError(f"The option --{name} is a {whole}number above 0, not {value!r}.")
    return found
