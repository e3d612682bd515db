"""Making a TextBox checkout know ELMER: what can be extended is extended, and only the rest exchanged."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from textbox_elmer.errors import UserError
from textbox_elmer.terminal import reason_of
from textbox_elmer.textbox_plugin.checkout import find_checkout
from textbox_elmer.textbox_plugin.compat import bridge_libraries, bridge_textbox, stand_ins

# What TextBox imports only when a metric is asked for, and then with packages that have stand-ins.
LAZY = ("textbox.evaluator.nist_evaluator", "textbox.evaluator.selfbleu_evaluator")


def register(textbox_home: str | os.PathLike[str] | None = None) -> Path:
    """Make the user's TextBox run on today's libraries and know the model ELMER and the pre-training task lplm.

    To be called before anything of `textbox` is imported; a second call does nothing.

    Args:
        textbox_home: the checkout. By default the one that the process runs in, else the one that TEXTBOX_HOME names.

    Returns:
        the checkout's folder.

    Raises:
        UserError: no such checkout, none of TextBox 2.0, or one that cannot be imported.
    """
    home = find_checkout(textbox_home)
    bridge_libraries()
    try:
        _import_textbox(home)
        bridge_textbox()
        _extend()
    except (ImportError, AttributeError, NameError, SyntaxError) as error:
        reason = reason_of(error)
        raise UserError(
            f"The TextBox checkout {str(home)!r} cannot be imported ({type(error).__name__}: {reason}): undo local "
            "edits, or check out the last commit of its branch 2.0.0."
        ) from error
    return home


def _import_textbox(home: Path) -> None:
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    with stand_ins():
        textbox = import_module("textbox")
        import_module("textbox.quick_start.experiment")
        for module in filter(find_spec, LAZY):
            import_module(module)
    imported = Path(textbox.__path__[0]).resolve().parent
    if imported != home.resolve():
        raise UserError(
            f"TextBox was to be imported from {str(home)!r}, but this process has imported that of {str(imported)!r} "
            "already: use one of them per process."
        )


def _extend() -> None:
    from textbox.config.configurator import Config
    from textbox.data.abstract_dataset import AbstractDataset
    from textbox.data.utils import collate_options
    from textbox.quick_start import experiment
    from textbox.trainer import trainer
    from textbox.utils import utils

    from textbox_elmer.textbox_plugin import elmer
    from textbox_elmer.textbox_plugin.configuration import extend_config
    from textbox_elmer.textbox_plugin.lplm_collator import LplmCollate, number_samples
    from textbox_elmer.textbox_plugin.tokenizer import extend_get_tokenizer
    from textbox_elmer.textbox_plugin.trainer import ELMERTrainer

    collate_options["lplm"] = LplmCollate
    sys.modules["textbox.model.elmer"] = elmer
    trainer.ELMERTrainer = ELMERTrainer
    extend_config(Config)
    number_samples(AbstractDataset)
    utils.get_tokenizer = experiment.get_tokenizer = extend_get_tokenizer(utils.get_tokenizer)
