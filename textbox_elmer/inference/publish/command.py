"""`push`: what would go to the hub, and, when told so, the upload."""

import argparse
from typing import Any

from textbox_elmer.arguments import Parser

DESCRIPTION = """\
Upload a trained model to the Hugging Face hub, with the model card that its run wrote. Without --yes nothing is sent:
it shows what would be. A token comes from HF_TOKEN or `hf auth login`; HF_ENDPOINT names another hub."""


def add_parser(commands: Any) -> Parser:
    """Add `push` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "push",
        help="upload a trained model to the Hugging Face hub",
        description=DESCRIPTION,
        example="textbox-elmer push --model_path=saved/<run> --repo=OWNER/NAME",
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
    from textbox_elmer.inference.publish.pushing import push

    push(arguments.model_path, arguments.repo, arguments.private, arguments.yes)
    return 0
