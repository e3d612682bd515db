"""The models that the embedded host can train, found by TextBox's names."""

import re

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.model_spec import ModelSpec
from textbox_elmer.runtime.catalogue.models import ELSEWHERE, MODELS
from textbox_elmer.suggest import nearest

__all__ = ["MODELS", "ModelSpec", "find_model"]


def find_model(name: str) -> ModelSpec:
    """Return the registered model called `name`, whatever its case, hyphens and underscores.

    Raises:
        UserError: no such model, or one that runs in TextBox alone.
    """
    wanted = _plain(name)
    for spec in MODELS.values():
        if wanted in map(_plain, spec.names):
            return spec
    for other, reason in ELSEWHERE.items():
        if wanted == _plain(other):
            raise UserError(
                f"{other} {reason}: run it in TextBox itself, by --textbox_home=<the folder of a TextBox checkout>."
            )
    guess = nearest(name, [*(known for spec in MODELS.values() for known in spec.names), *ELSEWHERE])
    hint = f" Did you mean {guess}?" if guess else ""
    raise UserError(f"There is no model called {name!r}.{hint} The models are {', '.join(MODELS)}.")


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name.lower())
