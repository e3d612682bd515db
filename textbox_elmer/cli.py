"""The command line: `run_textbox.py`, `textbox-elmer` and `python -m textbox_elmer` all end here."""

import argparse
import errno
import os
import shlex
import sys
import textwrap
from collections.abc import Iterable, Sequence
from importlib import import_module

from textbox_elmer import __version__
from textbox_elmer.arguments import Parser
from textbox_elmer.errors import UserError, is_panic
from textbox_elmer.files import FULL
from textbox_elmer.runtime.catalogue.models import MODELS
from textbox_elmer.suggest import nearest
from textbox_elmer.terminal import reason_of, shown
from textbox_elmer.termination import STATUS, Terminated, listening
from textbox_elmer.textbox_plugin.checkout import VARIABLE
from textbox_elmer.typed_run import run_typed

# Modules with `add_parser` and `run`, in the order in which help names them.
COMMANDS = (
    "textbox_elmer.inference.command",
    "textbox_elmer.inference.serving.command",
    "textbox_elmer.datasets.command",
    "textbox_elmer.inference.export.command",
    "textbox_elmer.inference.publish.command",
    "textbox_elmer.reports.compare.command",
    "textbox_elmer.reports.html.command",
    "textbox_elmer.reports.leaderboard.command",
    "textbox_elmer.runtime.catalogue.models_page",
    "textbox_elmer.runtime.config.options_page",
    "textbox_elmer.bench.command",
)
USAGE = """\
{program} --model=MODEL --dataset=DATASET [--key=value …] [--config_files a.yaml b.yaml]
       {program} COMMAND …, of which `{program} COMMAND --help` tells more"""
EPILOG = """\
runs:
  {program} --model=ELMER --dataset=apidoc [--key=value …] [--config_files a.yaml b.yaml]
      run an experiment; later wins: properties/overall.yaml, model/<model>.yaml, dataset/<dataset>.yaml,
      the config files, the command line; `{program} options` lists the keys
  {program} --model=ELMER --dataset=apidoc --multi_seed=5
      the same with five random seeds: each one's validation scores, their mean and spread
  {program} --model=ELMER --dataset=apidoc --space=FILE [--algo=exhaustive|tpe|rand] [--max_evals=20]
      search for good options: FILE has lines such as `learning_rate choice [1e-3, 2e-3]`
  {program} --textbox_home=DIR --model=ELMER --dataset=samsum [--key=value …]
      the same inside your TextBox checkout: its configuration, data, trainer and metrics; also for its own models.
      {variable}=DIR in the environment says so for every run, --textbox_home=False not for this one.

data:
  <data_path>/<dataset>/{{train,valid,test}}.{{src,tgt}}, one example a line

models:
{models}
"""
# What a typed path may be to the system, wherever it is first touched.
UNUSABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
INTERRUPTED = (
    "Interrupted. Continue a training with --model_path=<its last checkpoint>, anything else by the same command."
)
NAME_SHOWN = 60  # characters of one that is too long


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default) and return the exit status.

    0: done. 1: a fault of ours. 2: something that the user can put right, said in one sentence on stderr.
    3: done, but for rows of `generate` that could not be. 130: interrupted. 143: asked to end by SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        _check_unicode(arguments)
        with listening():
            return _dispatch([argument for argument in arguments if argument != "--debug"])
    except Terminated as terminated:
        message, status = f"Terminated: {terminated}", STATUS
    except BrokenPipeError:  # what reads us, `head` say, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        message, status = INTERRUPTED, 130
    except BaseException as error:
        if debug or not (isinstance(error, Exception) or is_panic(error)):
            raise
        message, status = _explain(error)
    print(shown(message), file=sys.stderr)
    return status


def _explain(error: BaseException) -> tuple[str, int]:
    if isinstance(error, UserError):
        return f"Error: {error}", 2
    if isinstance(error, OSError) and error.errno in FULL:
        return f"Error: {error.filename or 'A file'} cannot be written ({error.strerror}): make room and repeat.", 2
    if is_panic(error):  # the tokenizers' library alone does, over patterns that need too long for a text
        return f"Error: The tokenizer stops over a text ({reason_of(error)}): give another by --tokenizer_path.", 2
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        longest = max(os.fsdecode(error.filename or "A path").split(os.sep), key=len)
        return f"Error: {longest[:NAME_SHOWN]!r}… is too long for a file's name: give a shorter one.", 2
    if isinstance(error, OSError) and error.errno in UNUSABLE and error.filename:
        name = os.fsdecode(error.filename)
        return f"Error: {name!r} cannot be read or written ({error.strerror}): name another, or mend it.", 2
    fault = f"{type(error).__name__}: {reason_of(error)}"
    return f"Unexpected fault ({fault}): repeat with --debug for the traceback and report it.", 1


def _check_unicode(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:  # Python's stand-ins for bytes that are no text
            raise UserError(f"{argument!r} is not UTF-8 text: write, or rename, it so that it is.") from None


def _dispatch(words: list[str]) -> int:
    parser = _parser()
    if not words or words[0] == "help" or (words[0].startswith("-") and {"-h", "--help"} & {*words}):
        parser.print_help()
        return 0
    if words[0] not in parser.commands and words != ["--version"]:
        if not words[0].startswith("-") and (guess := nearest(words[0], parser.commands)):
            raise UserError(f"There is no command {words[0]!r}: did you mean {guess}?")
        run_typed(words)
        return 0
    try:
        arguments = parser.parse_args(words, argparse.Namespace(typed=shlex.join(["textbox-elmer", *words])))
    except SystemExit:  # after --help and --version
        return 0
    return arguments.run(arguments) or 0


def _listed(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(names), 118, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _parser() -> Parser:
    program = "python run_textbox.py" if sys.argv[0].endswith("run_textbox.py") else "textbox-elmer"
    parser = Parser(
        prog=program,
        usage=USAGE.format(program=program),
        description="Train, test and compare text-generation models, ELMER's parallel decoder first.",
        epilog=EPILOG.format(program=program, models=_listed(MODELS), variable=VARIABLE),
    )
    parser.add_argument("--version", action="version", version=f"textbox-elmer {__version__}")
    commands = parser.add_commands(prog=program)
    for name in COMMANDS:
        module = import_module(name)
        module.add_parser(commands).set_defaults(run=module.run)
    return parser
