"""The layers of a configuration, and what they add up to."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.runtime.catalogue.distilled import names_of_settings
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config.command_line import DEBUG, FILES, HOME, TRIALS
from textbox_elmer.runtime.config.keys import GROUPS, KEYS, NOT_OFFERED
from textbox_elmer.runtime.config.properties import find_property_file
from textbox_elmer.runtime.config.values import check_required, check_value, plain_value, read_yaml, to_yaml
from textbox_elmer.suggest import nearest

COMMAND_LINE = "command line"
CONFIG_DICT = "config_dict"


class Config(Mapping[str, Any]):
    """A resolved configuration. A key that nothing set is None, as in TextBox."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> None:
        self._values = dict(values)
        self._origins = dict(origins or {})

    def __getitem__(self, key: str) -> Any:
        return self._values.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def model(self) -> str:
        """The model's name, as the registry spells it."""
        return self._values["model"]

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self._values["dataset"]

    @property
    def pretrains(self) -> bool:
        """Whether this is a run on raw text."""
        return self["pretrain_task"] not in (None, "disabled")

    def origin(self, key: str) -> str | None:
        """Return what set a key: a file's path, "config_dict" or "command line"."""
        return self._origins.get(key)

    def model_fields(self) -> dict[str, Any]:
        """Return the values that are fields of the model's own configuration, e.g. `d_model`."""
        fields = find_model(self.model).config_fields()
        return {key: value for key, value in self._values.items() if key in fields and key not in KEYS}

    def save(self, path: Path) -> None:
        """Write YAML from which `load` and `--config_files` restore this configuration; never half of it.

        All but `filename`: a run that is repeated gets a folder of its own.
        """
        values = {key: value for key, value in self._values.items() if key != "filename"}
        write_atomically(path, to_yaml(values))

    @classmethod
    def load(cls, path: Path) -> "Config":
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or no such configuration.
        """
        return cls(read_yaml(path))


def resolve_config(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    command_line: Mapping[str, Any] | None = None,
) -> Config:
    """Merge all layers; later wins.

    overall.yaml, model/M.yaml, dataset/D.yaml, config files in their order, config_dict, command line. A distilled
    dataset that has no file of its own takes that of the dataset that it was distilled from.

    Args:
        model, dataset: names; the command line wins over them, and they over the files.
        config_file_list: YAML files, later ones winning.
        config_dict: values given in Python.
        command_line: what `parse_command_line` returned; its `config_files` are read after `config_file_list`.

    Raises:
        UserError: no model or dataset named, an unreadable file, an unknown key, a value of the wrong kind.
    """
    options = {key: value for key, value in (command_line or {}).items() if key not in (FILES, DEBUG)}
    paths = [*(config_file_list or ()), *(command_line or {}).get(FILES, ())]
    files = [(str(path), read_yaml(Path(path))) for path in paths]
    given = {key: value for key, value in (("model", model), ("dataset", dataset)) if value is not None}
    in_python = {key: plain_value(key, value) for key, value in {**(config_dict or {}), **given}.items()}
    typed = [(CONFIG_DICT, in_python), (COMMAND_LINE, options)]
    named = {key: value for _, layer in (*files, *typed) for key, value in layer.items() if value is not None}
    for key in ("model", "dataset"):
        if not isinstance(named.get(key), str):
            slip = nearest(key, [typo for typo in named if typo not in KEYS])
            hint = f"did you mean --{key} by --{slip}?" if slip else "e.g. --model=ELMER --dataset=apidoc."
            raise UserError(f"No {key} is named: give --{key}=…, {hint}")
    spec = find_model(named["model"])
    found = (find_property_file("", "overall"), find_property_file("model", *spec.names))
    shipped = [(str(path), read_yaml(path)) for path in found if path]
    placed = {key: value for _, layer in shipped for key, value in layer.items()} | named
    datasets = names_of_settings(Path(str(placed.get("data_path", ""))), named["dataset"])
    if path := find_property_file("dataset", *datasets):
        shipped.append((str(path), read_yaml(path)))
    _check_known([*shipped, *files], typed, spec)
    values: dict[str, Any] = {"model": None, "dataset": None}
    origins: dict[str, str] = {}
    for origin, layer in (*shipped, *files, *typed):
        for key, value in layer.items():
            values[key] = check_value(key, value, origin)
            origins[key] = origin
    values["model"], values["dataset"] = spec.name, named["dataset"]
    check_required(values, origins)
    if values["pretrain_task"] != "disabled":
        _set_for_pretraining(values, origins)
    _show_adafactor_rate(values, origins)
    if values.get("model_path") is not None and found[1]:
        _drop_scratch_sizes(values, origins, spec, str(found[1]))
    return Config(values, origins)


def _check_known(
    files: Sequence[tuple[str, Mapping[str, Any]]], typed: Sequence[tuple[str, Mapping[str, Any]]], spec: ModelSpec
) -> None:
    for origin, layer in (*files, *typed):
        for key, value in layer.items():
            _refuse_not_offered(key, value, origin)
    known = {*KEYS, *NOT_OFFERED, *TRIALS, *spec.config_fields(), *(key for _, layer in files for key in layer)}
    for origin, layer in typed:
        for key in layer:
            if key in known:
                continue
            dashes = "--" if origin == COMMAND_LINE else ""
            guess = nearest(str(key), known)
            hint = f"did you mean {dashes}{guess}?" if guess else "`textbox-elmer options` lists them."
            raise UserError(f"Unknown option {dashes}{key} ({origin}): {hint}")


def _refuse_not_offered(key: str, value: Any, origin: str) -> None:
    """Refuse what would be ignored; a TextBox key that asks for nothing may stay in a user's file."""
    if key in (FILES, DEBUG, HOME) or (key in TRIALS and value):
        raise UserError(f"{key} ({origin}) is an option of the command line alone: leave it out.")
    if key in NOT_OFFERED and value and value != "disabled":
        raise UserError(f"{key} ({origin}) is a TextBox key that this version does not offer: leave it out.")


def _drop_scratch_sizes(values: dict[str, Any], origins: dict[str, str], spec: ModelSpec, model_file: str) -> None:
    """Forget the model file's sizes, which are for training from scratch: a checkpoint brings its own."""
    for key in spec.config_fields() - set(KEYS):
        if origins.get(key) == model_file:
            del values[key], origins[key]


def _set_for_pretraining(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Set what TextBox's pre-training implies: no test, the validation loss selects, targets as long as sources."""
    implied = {"do_test": False, "metrics_for_best_model": ["loss"], "tgt_len": values["src_len"]}
    values |= implied
    origins |= dict.fromkeys(implied, "pretrain_task")


def _show_adafactor_rate(values: dict[str, Any], origins: Mapping[str, str]) -> None:
    """Set `learning_rate` to Adafactor's own where only overall.yaml sets it, so that a saved file repeats the rate."""
    rate = (values.get("adafactor_kwargs") or {}).get("lr")
    default = (origins.get("learning_rate") or "").endswith("overall.yaml")
    if values["optimizer"] == "adafactor" and default and rate is not None:
        values["learning_rate"] = check_value(
            "learning_rate", rate, f"lr of adafactor_kwargs, {origins['adafactor_kwargs']}"
        )


def format_config(config: Config) -> str:
    """Return the configuration as lines of text under TextBox's headings."""
    lines = []
    for group in GROUPS:
        keys = [key for key in config if (KEYS[key].group if key in KEYS else "Model") == group]
        lines += [f"{group}:", *(f"  {key} = {config[key]!r}" for key in keys)]
    return "\n".join(lines)
