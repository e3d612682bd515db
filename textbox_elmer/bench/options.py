"""A bench's options as a table, and as arguments of a parser."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from textbox_elmer.arguments import Parser, positive, truth, whole

# An option's default, whose type its values have, or ... where it must be given, and what it means.
Options = Mapping[str, tuple[Any, str]]


def add_options(parser: Parser, options: Options) -> None:
    """Let a parser read options, and show their meanings and defaults."""
    for name, (default, meaning) in options.items():
        kind = _device if name == "device" else KINDS.get(type(default), str)
        value = {"required": True} if default is ... else {"default": default}
        shown = "" if default in (None, "", ...) else " (default: %(default)s)"
        parser.add_argument(f"--{name}", type=kind, metavar="VALUE", help=meaning + shown, **value)


def _device(text: str) -> str:
    if text != "cpu":
        import torch

        if text != "cuda" or not torch.cuda.is_available():
            raise argparse.ArgumentTypeError(f"must be cpu, or cuda where there is one, not {text!r}")
    return text


KINDS: Mapping[type, Callable[[str], Any]] = {int: whole, float: positive, bool: truth}
