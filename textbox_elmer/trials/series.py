"""What several trials of one command line have in common: their folder, their options, the spread of their scores."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.trials.trial import held_settings, run_trial


@dataclass(frozen=True)
class Several:
    """Trials of one command line.

    Attributes:
        folder: `<saved_dir>/<filename>`, where they lie.
        config: what all have in common, resolved.
        options: what was typed, less what names the folder.
        config_files: as typed.
    """

    folder: Path
    config: Config
    options: Mapping[str, Any]
    config_files: tuple[str, ...]

    @classmethod
    @contextmanager
    def of(cls, kind: str, options: Mapping[str, Any], config_files: Sequence[str], **own: Any) -> Iterator["Several"]:
        """Resolve and check what was typed, keep it in the folder, and hold that until the block is left.

        Args:
            kind: the folder's name ends in it, unless `filename` is given.
            own: further settings that a continuation must repeat.

        Raises:
            UserError: whatever a run's configuration can have wrong; a folder with trials under other options, or in
                which another process is at work.
        """
        given = dict(options)
        config = resolve_config(None, None, config_files, None, given)
        if not config["do_train"] or not config["do_valid"]:
            raise UserError("Trials train and validate: leave --do_train=False and --do_valid=False out.")
        name = given.pop("filename", None) or f"{config.model}-{config.dataset.replace('/', '-')}-{kind}"
        given.pop("saved_dir", None)
        several = cls(Path(config["saved_dir"]) / name, config, given, tuple(config_files))
        settings = {"options": given, "config_files": list(config_files), **own}
        with held_settings(several.folder, settings, "--filename or --saved_dir"):
            yield several

    def run(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Run one trial with some options changed, unless it is done, and return its results."""
        # As in TextBox a trial is validated and leaves no weights, unless they are asked for.
        options = {"do_test": False, "max_save": 0, **self.options, **changes}
        return run_trial(self.folder / name, options, self.config_files)


def spread(values: list[float]) -> dict[str, float | None]:
    """Return some values' mean, and the sample's standard deviation, None of one value alone."""
    with np.errstate(invalid="ignore"):  # of a loss that has diverged
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return {"mean": float(np.mean(values)), "deviation": deviation}
