"""The embedded host: TextBox 2.0's contract (keys, data, metrics, runs) on transformers' Trainer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textbox_elmer.errors import UserError
from textbox_elmer.lazy import lazily

if TYPE_CHECKING:
    from textbox_elmer.metrics import evaluate

__all__ = ["UserError", "evaluate", "run_textbox"]
__getattr__, __dir__ = lazily(__name__, {"evaluate": "textbox_elmer.metrics"})


def run_textbox(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str] | None = None,
    config_dict: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train and test a model on a dataset, as `run_textbox.py` does, and return the results.

    Args:
        model: TextBox's name, e.g. "ELMER"; may also stand in `config_dict` or a file.
        dataset: a folder's name below `data_path`.
        config_file_list: YAML files, later ones winning.
        config_dict: values that win over all files.

    Returns:
        what the run's results.json holds: `metrics`, `decoding`, `mean_exit_layer`, `training`, `versions`, `seed`, …

    Raises:
        UserError: whatever the user can put right, in one sentence.
    """
    from textbox_elmer.runtime.config import resolve_config
    from textbox_elmer.runtime.experiment import run_experiment

    config = resolve_config(model, dataset, config_file_list, config_dict)
    command = f"run_textbox({model!r}, {dataset!r}, {config_file_list!r}, {config_dict!r})"
    return run_experiment(config, command)
