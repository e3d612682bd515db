"""What can be found wrong with an experiment before TextBox begins, each in one sentence that names what to change."""

import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.text.lines import NO_LITERAL, literal
from textbox_elmer.textbox_plugin.building import NAME

# Efficient methods whose code is in TextBox's fork of transformers.
FORKED = frozenset({"adapter", "lora", "p-tuning-v2", "prefix-tuning"})
HARMONIC_MEAN = "hm"  # of two other metrics, so no metric in TextBox's list


def check_experiment(config: Any, home: Path) -> None:
    """Raise a UserError for what is missing or contradictory in a TextBox configuration.

    Args:
        config: TextBox's own, resolved.
        home: the checkout, which is also the working directory.
    """
    from textbox import PLM_MODELS
    from textbox.data.utils import collate_options
    from textbox.evaluator.base_evaluator import evaluator_list
    from textbox.utils.utils import get_model

    if not config["do_train"] and not config["do_test"]:
        raise UserError("Nothing to do: neither do_train nor do_test is True.")
    if config["do_train"] and not config["do_valid"]:
        raise UserError("TextBox saves models when it validates, and at no other time: leave --do_valid=False out.")
    if forked := FORKED.intersection(config["efficient_methods"] or ()):
        raise UserError(
            f"efficient_methods={sorted(forked)} is in TextBox's own fork of transformers alone: leave it out."
        )
    task = config["pretrain_task"]
    if task is not None and task not in collate_options:
        raise UserError(f"pretrain_task is one of {', '.join(collate_options)}, not {task!r}.")
    try:
        get_model(config["model"])
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"There is no model called {config['model']!r} in {str(home)!r}: the models are {NAME}, "
            f"{', '.join(PLM_MODELS)} and those in its textbox/model."
        ) from error
    if config["model"].lower() in PLM_MODELS and not (config["tokenizer_path"] or config["model_path"]):
        raise UserError(
            f"{config['model']} has no tokenizer: give --model_path, or --tokenizer_path and --config_path to train "
            "from scratch."
        )
    for key in ("src_len", "tgt_len"):
        if isinstance(config[key], bool) or not isinstance(config[key], int) or config[key] < 1:
            raise UserError(f"{key} must be a whole number of at least 1, not {config[key]!r}: give --{key}=….")
    _check_paths(config, home)
    _check_data(config)
    metrics = config["metrics"]
    unknown = [name for name in metrics if name not in (*evaluator_list, HARMONIC_MEAN)]
    if not isinstance(metrics, list) or unknown:
        raise UserError(f"metrics is a list of {', '.join(sorted(evaluator_list))}, not {metrics!r}.")
    for complaint in _missing_for_metrics(config):
        raise UserError(complaint)


def _check_paths(config: Any, home: Path) -> None:
    for key in ("model_path", "tokenizer_path", "config_path"):
        path = config[key]
        # Names on the hub have at most one stroke, and begin with a letter or a digit.
        if path and not Path(path).exists() and (path.count("/") > 1 or path[0] in "./~"):
            raise UserError(f"{key} {path!r} is neither where you are nor in {str(home)!r}: give --{key}=….")


def _check_data(config: Any) -> None:
    kinds = ("src",) if config["pretrain_task"] is not None else ("src", "tgt")
    for split, needed in (("train", "do_train"), ("valid", "do_valid"), ("test", "do_test")):
        if not config[needed]:
            continue
        lines = {}
        for kind in kinds:
            path = Path(config["data_path"], f"{split}.{kind}")
            try:
                with path.open(encoding="utf-8") as file:
                    lines[path] = _check_lines(file, path, one_each=kind == "src" or split == "train")
            except OSError as error:
                raise UserError(
                    f"{str(path.absolute())!r} cannot be read ({error.strerror}): put the dataset there, or give "
                    "--data_path."
                ) from None
            except UnicodeDecodeError:
                raise UserError(f"{str(path.absolute())!r} is not UTF-8 text: save the file as UTF-8.") from None
            if not lines[path]:
                raise UserError(f"{str(path.absolute())!r} is empty: write one example a line into it.")
        if len(set(lines.values())) > 1:
            counts = " but ".join(f"{str(path.absolute())!r} has {count} lines" for path, count in lines.items())
            raise UserError(f"{counts}: line n of one must belong to line n of the other.")


def _check_lines(lines: Iterable[str], path: Path, one_each: bool) -> int:
    """Count a data file's lines; raise a UserError where TextBox, which reads lists, would find no text in one.

    Args:
        one_each: whether several texts are none either.
    """
    number = 0
    for number, line in enumerate(lines, start=1):
        if not line.lstrip().startswith("["):
            continue
        try:
            texts = literal(line.strip())
        except NO_LITERAL:
            continue  # it stays the text that it is
        if isinstance(texts, list) and (one_each or not texts):
            wanted = "one text, in quotes if it begins with a bracket" if one_each else "at least one text"
            raise UserError(
                f"{str(path.absolute())!r}, line {number}, is a list of {len(texts)} texts: write {wanted}."
            )
    return number


def _missing_for_metrics(config: Any) -> Iterator[str]:
    """Yield sentences about what the configured metrics need and this machine lacks."""
    if not config["do_test"] and config["metrics_for_best_model"] == ["loss"]:
        return
    metrics = config["metrics"]
    if "bert_score" in metrics and find_spec("bert_score") is None:
        yield "The metric bert_score needs the package bert-score: pip install bert-score, or give other --metrics."
    for metric, kind, package in (
        ("rouge", "files2rouge", "files2rouge"),
        ("rouge", "py-rouge", "py-rouge"),
        ("bleu", "fast-bleu", "fast_bleu"),
    ):
        if metric in metrics and config[f"{metric}_type"] == kind and not _installed(package):
            yield f"{metric}_type={kind} needs the package {package}: give --{metric}_type={OTHERS[metric]}."
    for metric, kind, program in (("meteor", "pycocoevalcap", "java"), ("bleu", "multi-bleu", "perl")):
        if metric in metrics and config[f"{metric}_type"] == kind and shutil.which(program) is None:
            yield f"{metric}_type={kind} needs {program}: install it, or give --{metric}_type={OTHERS[metric]}."


OTHERS = {"rouge": "rouge-score", "bleu": "nltk", "meteor": "nltk"}


def _installed(package: str) -> bool:
    if package == "py-rouge":  # its module has the name of the package rouge's
        return package in packages_distributions().get("rouge", ())
    return find_spec(package) is not None
