"""Who writes the targets: a run's checkpoint, or any other."""

import os
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.models.building import checkpoint_config
from textbox_elmer.runtime.models.registry import MODELS, ModelSpec, find_model
from textbox_elmer.runtime.trained import run_config
from textbox_elmer.runtime.training.checkpoints import BEST, SAVED_CONFIG

# What only beams have a use for.
BEAMS_ONLY = ("early_stopping", "length_penalty", "diversity_penalty", "num_beam_groups")


def teacher_config(model_path: str, model: str | None, num_beams: int, dataset: str, data_path: Path) -> Config:
    """Return the configuration that a teacher writes under.

    A run's teacher keeps its run's lengths, prompts and generation options; any other checkpoint takes those of its
    model and of the dataset. The beams are `num_beams` in either case, and nothing is drawn at random.

    Args:
        model_path: a run's folder, a checkpoint's, or a name on the hub.
        model: what `--model` calls it; by default what its run says, else what its config.json does.
        num_beams: 1 is greedy decoding.
        dataset, data_path: what it writes for.

    Raises:
        UserError: no checkpoint is there, it says not or otherwise which model it is, or that model has no beams.
    """
    checkpoint, saved = _locate(model_path)
    found = checkpoint_config(checkpoint)

    def resolve(**changes: Any) -> Config:
        if saved is not None:
            return run_config(saved, checkpoint, **changes)
        fixed = {"model_path": checkpoint, "data_path": str(data_path), "do_train": False}
        return resolve_config(model or _infer(checkpoint, found), dataset, config_dict=fixed | changes)

    config = resolve()
    spec = find_model(config.model)
    if model is not None and find_model(model) is not spec:
        raise UserError(f"{model_path!r} comes from a run of {spec.name}: leave --model={model} out.")
    if spec.parallel and num_beams > 1 and (alignment := getattr(found, "alignment", "position")) != "dag":
        raise UserError(
            f"{spec.name} writes in one way, without beams, under alignment={alignment}: leave --num_beams={num_beams} "
            "out."
        )
    return resolve(generation_kwargs=_generation(config, spec, num_beams))


def _locate(model_path: str) -> tuple[str, Path | None]:
    """Return the checkpoint's folder or name, and its run's config.yaml if it has one."""
    folder = Path(model_path).absolute()
    if os.path.isdir(folder / BEST):
        model_path, folder = str(Path(model_path) / BEST), folder / BEST
    saved = (folder.parent if folder.name == BEST else folder) / SAVED_CONFIG
    return model_path, saved if os.path.isfile(saved) else None


def _infer(checkpoint: str, found: PreTrainedConfig) -> str:
    published = [spec.name for spec in MODELS.values() if checkpoint in spec.checkpoints]
    if published:
        return published[0]
    kind = found.model_type
    half = found.encoder.model_type if kind == "encoder-decoder" else None
    names = [spec.name for spec in MODELS.values() if spec.model_type == kind and spec.half in (None, half)]
    if len(names) == 1:
        return names[0]
    if names:
        raise UserError(
            f"{checkpoint!r} holds a model of type {kind!r}, which is one of {', '.join(names)}: say by --model=… "
            "which of them."
        )
    raise UserError(f"{checkpoint!r} holds a model of type {kind!r}, which is none of {', '.join(MODELS)}.")


def _generation(config: Config, spec: ModelSpec, num_beams: int) -> dict[str, Any]:
    options = dict(config["generation_kwargs"] or {})
    if spec.parallel:
        return options if num_beams == 1 else options | {"decoding": "beam", "num_beams": num_beams}
    if num_beams == 1:
        options = {key: value for key, value in options.items() if key not in BEAMS_ONLY}
    return options | {"num_beams": num_beams, "do_sample": False}
