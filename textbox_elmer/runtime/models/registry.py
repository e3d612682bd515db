"""The models that the embedded host can train, by TextBox's names."""

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import AutoConfig

from textbox_elmer.runtime.errors import UserError
from textbox_elmer.runtime.suggest import nearest


@dataclass(frozen=True)
class ModelSpec:
    """How the host builds one model.

    Attributes:
        name: TextBox's name, as in `--model=NAME`.
        model_type: the `model_type` that transformers' Auto classes know it by.
        parallel: whether it fills a fixed canvas at once (NAR) instead of decoding token by token.
    """

    name: str
    model_type: str
    parallel: bool = False

    def config_fields(self) -> frozenset[str]:
        """Return the names of the model's own configuration fields, e.g. `d_model`."""
        return frozenset(AutoConfig.for_model(self.model_type).to_dict()) - {"model_type", "transformers_version"}


MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec("ELMER", "elmer", parallel=True),
        ModelSpec("BART", "bart"),
        ModelSpec("T5", "t5"),
        ModelSpec("transformer", "bart"),
    )
}


def find_model(name: str) -> ModelSpec:
    """Return the registered model called `name`, whatever the case of its letters.

    Raises:
        UserError: no such model.
    """
    for spec in MODELS.values():
        if spec.name.lower() == name.lower():
            return spec
    guess = nearest(name, MODELS)
    hint = f" Did you mean {guess}?" if guess else ""
    raise UserError(f"There is no model called {name!r}.{hint} The models are {', '.join(MODELS)}.")
