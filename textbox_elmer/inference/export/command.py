"""`export`: a trained ELMER as ONNX graphs."""

import argparse
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser, one_of, truth

DESCRIPTION = """\
Write an ELMER as ONNX graphs, one for texts of up to so many tokens each, and check them against PyTorch. A graph's or
ctc's canvas has canvas_scale positions a token. Beam search is not exported."""


def add_parser(commands: Any) -> Parser:
    """Add `export` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "export",
        help="write an ELMER as ONNX graphs",
        description=DESCRIPTION,
        example="textbox-elmer export --model_path=saved/<run>/checkpoint_best --canvas=32,64 --int8",
    )
    add = parser.add_argument
    add("--model_path", type=Path, required=True, metavar="FOLDER", help="the checkpoint's folder")
    add("--format", type=one_of("onnx"), default="onnx", metavar="onnx", help="what to write (default: %(default)s)")
    add("--out", type=Path, metavar="FOLDER", help="where the export goes (default: onnx in the checkpoint's folder)")
    add(
        "--canvas",
        type=_canvases,
        default=(),
        metavar="N[,N…]",
        help="most tokens of a text, a graph for each (default: as many as the model was trained with)",
    )
    add(
        "--int8",
        type=truth,
        nargs="?",
        const=True,
        default=False,
        metavar="True",
        help="write an int8 version beside each graph (default: %(default)s)",
    )
    add(
        "--exit_mode",
        type=one_of("soft", "last"),
        metavar="soft|last",
        help="a static graph does the same work for every text, so it is never hard (default: the checkpoint's own)",
    )
    add("--tokenizer_path", metavar="PATH", help="where the tokenizer is (default: in the checkpoint's folder)")
    add(
        "--dataset",
        metavar="NAME",
        help="whose test examples the check reads (default: apidoc where it is, else made-up sources)",
    )
    add("--data_path", default="dataset", metavar="FOLDER", help="the folder of datasets (default: %(default)s)")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what a parsed command line asks for.

    Raises:
        UserError: whatever the user can put right, or a graph that does not write the model's texts.
    """
    from textbox_elmer.inference.export.exporting import export

    export(
        arguments.model_path,
        arguments.out or arguments.model_path / "onnx",
        arguments.canvas,
        arguments.int8,
        arguments.exit_mode,
        arguments.tokenizer_path,
        arguments.dataset,
        arguments.data_path,
    )


def _canvases(text: str) -> tuple[int, ...]:
    """Read `64`, `32,64` or `[32, 64]`."""
    numbers = [word.strip() for word in text.strip("[]").split(",")]
    if not all(number.isascii() and number.isdigit() and int(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"must be whole numbers of at least 1, such as 64 or 32,64, not {text!r}")
    return tuple(dict.fromkeys(map(int, numbers)))
