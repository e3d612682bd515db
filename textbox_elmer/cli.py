"""The command line: `run_textbox.py`, `textbox-elmer` and `python -m textbox_elmer` all end here."""

import argparse
import errno
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from textbox_elmer import __version__
from textbox_elmer.errors import UserError, is_panic
from textbox_elmer.files import FULL
from textbox_elmer.runtime.catalogue.find_model import MODELS
from textbox_elmer.runtime.catalogue.models_page import models_page, print_models
from textbox_elmer.runtime.config import parse_command_line, resolve_config
from textbox_elmer.runtime.config.command_line import TRIALS
from textbox_elmer.runtime.config.options_page import options_page, print_options
from textbox_elmer.runtime.config.values import check_value
from textbox_elmer.runtime.experiment import run_experiment
from textbox_elmer.suggest import nearest
from textbox_elmer.terminal import reason_of, shown
from textbox_elmer.termination import STATUS, Terminated, listening
from textbox_elmer.textbox_plugin.checkout import VARIABLE

USAGE = """\
Train, test and compare text-generation models, ELMER's parallel decoder first.

  {program} --model=ELMER --dataset=apidoc [--key=value …] [--config_files a.yaml b.yaml]
      run an experiment; later wins: properties/overall.yaml, model/<model>.yaml, dataset/<dataset>.yaml,
      the config files, the command line. --debug shows a traceback when something breaks.
  {program} --model=ELMER --dataset=apidoc --multi_seed=5
      the same with five random seeds: each one's validation scores, their mean and spread
  {program} --model=ELMER --dataset=apidoc --space=FILE [--algo=exhaustive|tpe|rand] [--max_evals=20]
      search for good options: FILE has lines such as `learning_rate choice [1e-3, 2e-3]`
  {program} --textbox_home=DIR --model=ELMER --dataset=samsum [--key=value …]
      the same inside your TextBox checkout: its configuration, data, trainer and metrics; also for its own models.
      {variable}=DIR in the environment says so for every run, --textbox_home=False not for this one.
  {program} generate --model_path=PATH [--input=FILE] [--output=FILE] [--column=text] [--details] [--strict]
      write a trained model's text for every text of a .txt, .jsonl, .csv, .tsv or .parquet file, a folder of such, or
      standard input; repeat it to go on with it. `generate --help` has its options.
  {program} data list | get D [--max_gb=20] | check D | apidoc   [--data_path=dataset]
      list all datasets, download one that TextBox has published, look for faults in one,
      build apidoc out of the descriptions of web services in the package botocore
  {program} data import --hub NAME[:CONFIGURATION] | --file PATH --source COLUMN --target COLUMN D
      make the dataset D out of a table of the hub, or of a CSV, TSV, JSON or Parquet file
  {program} data distill D --model_path=PATH [--num_beams=1] [--batch_size=64] [--model=NAME] NEW
      make the dataset NEW out of D, its training targets written by a trained model; repeat it to go on with it
  {program} export --model_path=saved/<run>/checkpoint_best --format=onnx [--canvas=32,64] [--int8] [--out=FOLDER]
      write an ELMER as ONNX graphs, one for texts of up to so many tokens each, and check them against PyTorch;
      a graph's or ctc's canvas has canvas_scale positions a token. Beam search is not exported.
  {program} compare --models ELMER,BART,T5 --dataset=apidoc [--seeds 3] [--out=FOLDER] [--key=value …]
      train several models alike, or go on with it, and set their scores and their speed side by side
  {program} report saved/<run> [more runs …] [--out=report.html]
      write one HTML page to look at runs: curves, scores, examples with their exit layers, side by side
  {program} models [--markdown]
      list the models and the special tokens around their texts
  {program} options [--markdown]
      list every configuration key with its default and its meaning
  {program} leaderboard [DATASET] [--saved_dir=saved] [--markdown[=FILE]]
      set your runs on a dataset among published results; without DATASET: which leaderboards there are
  {program} bench NAME [--option=value …]
      measure something beside a peer in the same run: {benches}

Models: {models}. Data: <data_path>/<dataset>/{{train,valid,test}}.{{src,tgt}}, one example a line.
"""
BENCHES = ("latency", "approximations", "training", "generate")
OFF = ("", "false", "none")  # what is typed for --textbox_home to run in no checkout
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


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        program = "python run_textbox.py" if sys.argv[0].endswith("run_textbox.py") else "textbox-elmer"
        print(USAGE.format(program=program, models=", ".join(MODELS), benches=", ".join(BENCHES), variable=VARIABLE))
        return 0
    if arguments == ["--version"]:
        print(f"textbox-elmer {__version__}")
        return 0
    if arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:]) or 0
    if not arguments[0].startswith("-") and (guess := nearest(arguments[0], COMMANDS)):
        raise UserError(f"There is no command {arguments[0]!r}: did you mean {guess}?")
    _experiment(arguments)
    return 0


def _experiment(arguments: list[str]) -> None:
    options = parse_command_line(arguments)
    files = options.pop("config_files", [])
    command = shlex.join([sys.argv[0], *arguments])
    home = options.pop("textbox_home", os.environ.get(VARIABLE, ""))
    asked = {key: options.pop(key, None) for key in TRIALS}
    trials = {key: value for key, value in asked.items() if value is not None and value is not False}
    if trials and home.lower() not in OFF:
        raise UserError(f"--{next(iter(trials))} is not for a checkout: its run_multi_seed.py and run_hyper.py are.")
    if trials:
        _trials(trials, options, files)
    elif home.lower() in OFF:
        run_experiment(resolve_config(None, None, files, None, options), command)
    else:
        checked = {key: _checked(key, value) for key, value in options.items()}
        import_module("textbox_elmer.textbox_plugin.host").run(home, checked, files, command)


def _trials(trials: dict[str, object], options: dict[str, object], files: list[str]) -> None:
    if "multi_seed" in trials and len(trials) == 1:
        module = import_module("textbox_elmer.trials.multi_seed")
        module.run_multi_seed(trials["multi_seed"], options, files)
    elif "space" in trials and "multi_seed" not in trials:
        module = import_module("textbox_elmer.trials.hyper")
        module.run_hyper(trials["space"], trials.get("algo", "exhaustive"), trials.get("max_evals"), options, files)
    else:
        raise UserError("Give either --multi_seed, or --space with --algo and --max_evals if you like.")


def _checked(key: str, value: object) -> object:
    # A checkout has tasks of its own.
    return value if key == "pretrain_task" else check_value(key, value, "command line")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}: `{self.prog} --help` shows the options.")


def _generate(arguments: list[str]) -> int:
    command = import_module("textbox_elmer.inference.command")
    parser = command.add_parser(_Parser(prog="textbox-elmer").add_subparsers())
    return command.run(parser.parse_args(arguments))


def _bench(arguments: list[str]) -> None:
    if not arguments or arguments[0] not in BENCHES:
        guess = nearest(arguments[0], BENCHES) if arguments else None
        raise UserError(f"The command `bench` needs one of {', '.join(BENCHES)}, e.g. bench {guess or BENCHES[0]}.")
    module = import_module(f"textbox_elmer.bench.{arguments[0]}")
    module.main(parse_command_line(arguments[1:]))


def _export(arguments: list[str]) -> None:
    command = import_module("textbox_elmer.inference.export.command")
    words = ["--int8=True" if argument == "--int8" else argument for argument in arguments]
    command.export(command.read_options(parse_command_line(words)))


def _models(arguments: list[str]) -> None:
    _print_or_page("models", arguments, print_models, models_page)


def _options(arguments: list[str]) -> None:
    _print_or_page("options", arguments, print_options, options_page)


def _print_or_page(name: str, arguments: list[str], show: Callable[[], None], page: Callable[[], str]) -> None:
    if arguments not in ([], ["--markdown"]):
        raise UserError(f"`{name}` has no option {shlex.join(arguments)}; its one option is --markdown.")
    if arguments:
        print(page(), end="")
    else:
        show()


def _compare(arguments: list[str]) -> None:
    command = shlex.join(["textbox-elmer", "compare", *arguments])
    import_module("textbox_elmer.reports.compare.command").compare(parse_command_line(arguments), command)


def _report(arguments: list[str]) -> None:
    import_module("textbox_elmer.reports.html.command").report(arguments)


def _data(arguments: list[str]) -> None:
    import_module("textbox_elmer.datasets.command").run(arguments)


def _leaderboard(arguments: list[str]) -> None:
    import_module("textbox_elmer.reports.leaderboard.command").main(arguments)


COMMANDS = {
    "generate": _generate,
    "data": _data,
    "bench": _bench,
    "export": _export,
    "models": _models,
    "options": _options,
    "compare": _compare,
    "report": _report,
    "leaderboard": _leaderboard,
}
