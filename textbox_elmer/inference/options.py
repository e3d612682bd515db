"""Options of commands that put a trained model to work."""

import argparse
from typing import Any

from textbox_elmer.arguments import Parser
from textbox_elmer.runtime.config.keys import KEYS
from textbox_elmer.runtime.config.values import check_value, read_option

# Keys of the configuration that may be given in place of the run's or the model's.
CONFIGURED = ("generation_kwargs", "src_len", "tgt_len", "prefix_prompt", "src_lang", "tgt_lang")


def add_model_options(parser: Parser) -> None:
    """Add what a checkpoint may be told beside what it says itself."""
    add = parser.add_argument
    add("--model", metavar="NAME", help="which model that is, such as BART (default: what the checkpoint says)")
    for key in CONFIGURED:
        add(f"--{key}", metavar="VALUE", help=f"{KEYS[key].meaning} (default: the run's, or the model's)")
    add("--use_gpu", metavar="False", help="whether to write on a GPU where there is one (default: the run's, or True)")


def read_changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the values of the configuration that were typed.

    Raises:
        UserError: one of them does not suit its key.
    """
    typed = {key: getattr(arguments, key) for key in (*CONFIGURED, "use_gpu")}
    return {
        key: check_value(key, read_option(key, text), "command line") for key, text in typed.items() if text is not None
    }
