"""The optimizers by TextBox's names."""

from typing import Any

import torch
from torch import optim
from transformers import Adafactor

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import Config

OPTIMIZERS = {
    "adamw": optim.AdamW,
    "adam": optim.Adam,
    "sgd": optim.SGD,
    "adagrad": optim.Adagrad,
    "rmsprop": optim.RMSprop,
    "adafactor": Adafactor,
}
ADAMW_WEIGHT_DECAY = 0.01  # torch's own default, which TextBox relies on


def optimizer_and_arguments(config: Config) -> tuple[type[optim.Optimizer], dict[str, Any]]:
    """Return the optimizer's class and its keyword arguments, learning rate and weight decay included.

    Adafactor gets `adafactor_kwargs` over the rest.

    Raises:
        UserError: an argument that the optimizer does not take.
    """
    name = config["optimizer"]
    arguments = {"lr": config["learning_rate"], **(config["optimizer_kwargs"] or {})}
    if name == "adafactor":
        # The configuration's learning rate is Adafactor's own unless the user set another one.
        arguments |= (config["adafactor_kwargs"] or {}) | {"lr": config["learning_rate"]}
    if config["weight_decay"] is not None:
        arguments["weight_decay"] = config["weight_decay"]
    arguments.setdefault("weight_decay", ADAMW_WEIGHT_DECAY if name == "adamw" else 0.0)
    try:
        OPTIMIZERS[name]([torch.nn.Parameter(torch.zeros(1))], **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer_kwargs does not suit {name}: {error}.") from error
    return OPTIMIZERS[name], arguments
