"""`push`: what would go to the hub, and, when told so, the upload."""

import argparse
from importlib import import_module
from typing import Any

DESCRIPTION = """\
Upload a trained model to the Hugging Face hub, with the model card that its run wrote. Without --yes nothing is sent:
it shows what would be. A token comes from HF_TOKEN or `hf auth login`; HF_ENDPOINT names another hub."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add `push` to a parser's commands (what its `add_subparsers` returned), and return its own parser."""
    parser = commands.add_parser(
        "push",
        help="upload a trained model to the Hugging Face hub",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--model_path", required=True, metavar="FOLDER", help="a run's folder, or a checkpoint's")
    add("--repo", required=True, metavar="OWNER/NAME", help="where to; it is made if it is not there")
    add("--private", action="store_true", help="make it visible to its owner alone")
    add("--yes", action="store_true", help="upload; without it, show what would be uploaded")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what a parsed command line asks for and return the exit status.

    Raises:
        UserError: whatever the user can put right.
    """
    pushing = import_module("textbox_elmer.inference.publish.pushing")  # which brings the hub's client
    pushing.push(arguments.model_path, arguments.repo, arguments.private, arguments.yes)
    return 0
