"""`generate`: a trained model's texts for the user's own."""

import argparse
import sys
from pathlib import Path
from typing import Any

from textbox_elmer.arguments import Parser, one_of, whole
from textbox_elmer.errors import UserError
from textbox_elmer.inference.options import add_model_options, read_changes
from textbox_elmer.terminal import say

TRIAL = "a"
LOCAL, RAY = "local", "ray"
FAILED = 3  # the exit status where rows could not be done
DESCRIPTION = """\
Write a trained model's text for every text of a file, a folder of files, or standard input. What is killed goes on when
the same command is typed again. Exit status: 0 all texts are written, 3 some rows have an error in place of a text,
2 a mistake, said in one sentence."""
EXAMPLE = (
    "textbox-elmer generate --model_path=saved/<run> --input=articles.parquet --column=document "
    "--output=summaries.parquet"
)


def add_parser(commands: Any) -> Parser:
    """Add `generate` to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "generate",
        help="write a trained model's texts for your own",
        description=DESCRIPTION,
        example=EXAMPLE,
    )
    add = parser.add_argument
    add("--model_path", required=True, metavar="PATH", help="a run's folder, a checkpoint's, or a name on the hub")
    add(
        "--input",
        metavar="PATH",
        help="a .txt (a text a line), .jsonl, .csv, .tsv or .parquet file, or a folder of such; "
        "(default: standard input, a text a line)",
    )
    add(
        "--output",
        metavar="PATH",
        help="a file of the same kind, or .jsonl; for a folder a folder; by default standard output",
    )
    add("--column", default="text", metavar="NAME", help="the column of the texts (default: %(default)s)")
    add(
        "--output_column",
        default="generated",
        metavar="NAME",
        help="the column that is added for what the model writes (default: %(default)s)",
    )
    add("--details", action="store_true", help="add tokens, scores, exit layers, the path and milliseconds")
    add("--strict", action="store_true", help="refuse a text that is longer than src_len instead of cutting it")
    add("--batch_size", type=whole, default=64, metavar="N", help="texts written at once (default: %(default)s)")
    add(
        "--engine",
        type=one_of(LOCAL, RAY),
        default=LOCAL,
        metavar=f"{LOCAL}|{RAY}",
        help="what writes: this process, or all machines of a Ray cluster, from parquet files (default: %(default)s)",
    )
    add(
        "--ray_address",
        metavar="HOST:PORT",
        help="where the cluster is (default: RAY_ADDRESS, or a cluster of this machine alone)",
    )
    add_model_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what a parsed command line asks for and return the exit status.

    Raises:
        UserError: whatever the user can put right.
    """
    from textbox_elmer.inference.generate import generate_to_files, generate_to_stdout
    from textbox_elmer.inference.job import open_job
    from textbox_elmer.inference.ranks import ranks_of_environment
    from textbox_elmer.inference.tables.rows import NewColumns
    from textbox_elmer.inference.writer import TextWriter, details_of, writer_config
    from textbox_elmer.runtime.catalogue.models import find_model
    from textbox_elmer.runtime.config import Config
    from textbox_elmer.runtime.runs.logs import log_to_console
    from textbox_elmer.runtime.trained import load_trained

    log_to_console("warning")
    ranks = ranks_of_environment()
    path, output = (None if name is None else Path(name) for name in (arguments.input, arguments.output))
    if ranks.world > 1 and (path is None or output is None):
        raise UserError("Several processes need --input=… and --output=…: they cannot share standard input or output.")
    config = writer_config(arguments.model_path, arguments.model, **read_changes(arguments))
    details = details_of(find_model(config.model)) if arguments.details else ()
    new = NewColumns(arguments.output_column, details)
    on_cluster = arguments.engine == RAY
    if on_cluster:
        # What needs an extra is missed before a model is loaded.
        from textbox_elmer.inference.cluster.engine import generate_on_cluster
        from textbox_elmer.inference.cluster.job import open_cluster_job

        job = open_cluster_job(path, output, arguments.column, new)
    elif arguments.ray_address is not None:
        raise UserError(f"--ray_address is of --engine={RAY}: give both or neither.")
    else:
        job = open_job(path, output, arguments.column, new, is_first=ranks.rank == 0)
    # A cluster's workers need the GPU of this machine, if it has one.
    here = Config({**config, "use_gpu": False}) if on_cluster else config
    writer = TextWriter(load_trained(here), arguments.batch_size, arguments.details, arguments.strict)
    writer([TRIAL])  # options that do not suit the model are found before anything is written
    if not on_cluster:
        report = generate_to_stdout(job, writer) if output is None else generate_to_files(job, writer, ranks)
    else:
        report = generate_on_cluster(job, writer, config, arguments.ray_address)
    if report is None:
        return 0  # the first process tells how it went
    say(report.told(str(output or "generate"), config["src_len"]), sys.stderr)
    return FAILED if report.failed else 0
