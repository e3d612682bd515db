"""TextBox's configuration, with ELMER's defaults between its own layers and without what would only fail later."""

import inspect
from collections.abc import Mapping
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.shipped import shipped_properties
from textbox_elmer.textbox_plugin.building import NAME, model_fields

# The scores of a metric beside those of its n-grams, where they are not called as it is. ter is better when lower.
SCORES = {"rouge": ["rouge-l"], "cider": ["CIDEr"], "qa": ["em", "f1"], "bert_score": ["bertscore"], "ter": []}
# Only the embedded host knows how many steps a schedule has; TextBox asks the user.
SCHEDULE = ("scheduler", "scheduler_kwargs")
TRAINING_OPTIONS = ("glancing", "glancing_end")
GENERATION_OPTIONS = frozenset(inspect.signature(ElmerForConditionalGeneration.generate).parameters)


def extend_config(config_class: Any) -> None:
    """Extend TextBox's class of configurations; a second time does nothing."""
    if hasattr(config_class._load_internal_config_dict, "__wrapped__"):
        return
    load_properties, build = config_class._load_internal_config_dict, config_class.__init__

    properties = Path(inspect.getfile(config_class)).resolve().parents[1] / "properties"

    @wraps(load_properties)
    def _load_internal_config_dict(self: Any, model: str, dataset: str) -> None:
        if find_spec("files2rouge") is None and self.overall_config_dict.get("rouge_type") == "files2rouge":
            # TextBox's default runs a Perl script that no package index has; this is our own default.
            self.overall_config_dict["rouge_type"] = "rouge"
        if model.lower() == NAME.lower():
            self.model = NAME  # as `get_model` needs it written
            self.overall_config_dict |= elmer_defaults(self.external_config_dict)
        if (properties / "dataset" / f"{dataset.lower()}.yaml").is_file():
            load_properties(self, model, dataset)
        else:
            _load_without_dataset(self, properties / "model" / f"{model.lower()}.yaml", dataset)
        if model.lower() == NAME.lower():
            known = {*model_fields(), *TRAINING_OPTIONS}
            self.parameters["Model"] += sorted(known - self.all_parameters)
            self.all_parameters |= known

    @wraps(build)
    def __init__(self: Any, *arguments: Any, **named: Any) -> None:
        build(self, *arguments, **named)
        settle_for_all(self.final_config_dict)
        if self.final_config_dict["model"] == NAME:
            settle_for_elmer(self.final_config_dict, self.external_config_dict)

    config_class._load_internal_config_dict = _load_internal_config_dict
    config_class.__init__ = __init__


def _load_without_dataset(config: Any, model_file: Path, dataset: str) -> None:
    """Do what TextBox does, but for a dataset that it has no properties for, where it gives up."""
    config.internal_config_dict = config.overall_config_dict
    config.all_parameters = set().union(*config.parameters.values())
    if model_file.is_file():
        config._update_internal_config_dict(str(model_file))
    config.internal_config_dict |= dataset_defaults(dataset)


def dataset_defaults(dataset: str) -> dict[str, Any]:
    """Return what the embedded host ships for a dataset, else the lengths that it has for any."""
    file = shipped_properties() / "dataset" / f"{dataset.lower()}.yaml"
    if file.is_file():
        return {key: value for key, value in _read(file).items() if key not in SCHEDULE}
    overall = _read(shipped_properties() / "overall.yaml")
    return {key: overall[key] for key in ("src_len", "tgt_len")}


def elmer_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `properties/model/ELMER.yaml` is in the embedded host, for a layer above TextBox's overall.yaml.

    Args:
        given: what config files, dictionary and command line set. With a checkpoint, which brings its own sizes, the
            shipped ones are left out.
    """
    defaults = _read(shipped_properties() / "model" / f"{NAME}.yaml")
    if given.get("model_path") or given.get("config_path"):
        sizes = model_fields() - ({"vocab_size"} if not given.get("model_path") else set())
        defaults = {key: value for key, value in defaults.items() if key not in sizes}
    # TextBox's dataset and tokenizer code goes by this name; ELMER is fed as BART is.
    return defaults | {"model_name": "bart"}


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def settle_for_all(values: dict[str, Any]) -> None:
    """Settle, for any model, what TextBox would stumble over."""
    if not values["saved_dir"].endswith("/"):
        values["saved_dir"] += "/"  # without it TextBox's log takes the folder above for the place
    if values.get("pretrain_task") == "disabled":
        del values["pretrain_task"]  # its datasets take any value for a task
    if values.get("metrics_for_best_model") is None:
        values["metrics_for_best_model"] = score_names(values)  # it takes the key for set
    if not values["do_train"]:
        values["do_valid"] = False  # it validates in training alone, and refuses otherwise


def score_names(values: Mapping[str, Any]) -> list[str]:
    """Return what the scores of the configured metrics are called, all of which select the best model by default."""
    names = []
    for metric in values["metrics"]:
        longest = values.get(f"{metric}_max_ngrams") or 0
        names += [f"{metric.replace('_', '-')}-{n}" for n in range(1, longest + 1)]
        names += SCORES.get(metric, [metric])
    return names


def settle_for_elmer(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Settle what follows from ELMER's writing all tokens at once.

    Args:
        given: what config files, dictionary and command line set.
    """
    if "generation_kwargs" not in given:
        # A dataset's file asks for sampling and beams, if at all, and means models that write token by token.
        options = values.get("generation_kwargs") or {}
        values["generation_kwargs"] = {key: options[key] for key in options if key in GENERATION_OPTIONS}
    if values.get("pretrain_task") is not None:
        values["tgt_len"] = values["src_len"]  # the target is the whole text
    # concat_head serves soft exit alone; with several processes torch wants to know.
    if values.get("pretrain_task") == "lplm" or values.get("exit_mode") in ("hard", "last"):
        values["find_unused_parameters"] = True
