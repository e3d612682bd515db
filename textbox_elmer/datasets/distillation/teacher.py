"""Who writes the targets: a run's checkpoint, or any other."""

from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.find_trained import locate

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
    located, bare = locate(model_path), {"data_path": str(data_path)}
    config = located.config(model, dataset, bare)
    spec = find_model(config.model)
    alignment = getattr(located.found, "alignment", "position")
    if spec.parallel and num_beams > 1 and alignment != "dag":
        raise UserError(
            f"{spec.name} writes in one way, without beams, under alignment={alignment}: leave --num_beams={num_beams} "
            "out."
        )
    return located.config(model, dataset, bare, {"generation_kwargs": _generation(config, spec, num_beams)})


def _generation(config: Config, spec: ModelSpec, num_beams: int) -> dict[str, Any]:
    options = dict(config["generation_kwargs"] or {})
    if spec.parallel:
        return options if num_beams == 1 else options | {"decoding": "beam", "num_beams": num_beams}
    if num_beams == 1:
        options = {key: value for key, value in options.items() if key not in BEAMS_ONLY}
    return options | {"num_beams": num_beams, "do_sample": False}
