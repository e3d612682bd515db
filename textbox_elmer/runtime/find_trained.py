"""Finding a checkpoint that is to write, and the configuration that it writes under."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.models import MODELS, find_model
from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.runtime.models.building import checkpoint_config
from textbox_elmer.runtime.trained import run_config
from textbox_elmer.runtime.training.checkpoints import BEST, SAVED_CONFIG


@dataclass(frozen=True)
class Located:
    """A checkpoint, and what is known of it before it is loaded.

    Attributes:
        asked: what the user called it.
        path: its folder, or its name on the hub.
        saved: the config.yaml of the run that it comes from, None if it is no run's.
        found: the model's own configuration.
    """

    asked: str
    path: str
    saved: Path | None
    found: PreTrainedConfig

    def config(
        self, model: str | None, dataset: str, bare: Mapping[str, Any], changes: Mapping[str, Any] | None = None
    ) -> Config:
        """Return the configuration that it writes under: its run's, or that of its kind of model and of a dataset.

        Args:
            model: what `--model` calls it; by default what its run says, else what its config.json does.
            dataset: whose settings hold for a checkpoint that is no run's.
            bare: further values for such a checkpoint.
            changes: further values in either case.

        Raises:
            UserError: it says not or otherwise which model it is, or a value does not suit.
        """
        if self.saved is None:
            fixed = {"model_path": self.path, "do_train": False}
            return resolve_config(model or self._model(), dataset, config_dict=fixed | dict(bare) | dict(changes or {}))
        config = run_config(self.saved, self.path, **(changes or {}))
        if model is not None and find_model(model) is not (spec := find_model(config.model)):
            raise UserError(f"{self.asked!r} comes from a run of {spec.name}: leave --model={model} out.")
        return config

    def _model(self) -> str:
        published = [spec.name for spec in MODELS.values() if self.path in spec.checkpoints]
        if published:
            return published[0]
        kind = self.found.model_type
        half = self.found.encoder.model_type if kind == "encoder-decoder" else None
        names = [spec.name for spec in MODELS.values() if spec.model_type == kind and spec.half in (None, half)]
        if len(names) == 1:
            return names[0]
        if names:
            raise UserError(
                f"{self.path!r} holds a model of type {kind!r}, which is one of {', '.join(names)}: say by --model=… "
                "which of them."
            )
        raise UserError(f"{self.path!r} holds a model of type {kind!r}, which is none of {', '.join(MODELS)}.")


def locate(model_path: str) -> Located:
    """Find a checkpoint: a run's folder, a checkpoint's, or a name on the hub.

    Raises:
        UserError: no model's configuration is there.
    """
    path, folder = model_path, Path(model_path).absolute()
    if os.path.isdir(folder / BEST):
        path, folder = str(Path(model_path) / BEST), folder / BEST
    saved = (folder.parent if folder.name == BEST else folder) / SAVED_CONFIG
    return Located(model_path, path, saved if os.path.isfile(saved) else None, checkpoint_config(path))
