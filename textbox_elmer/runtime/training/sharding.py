"""Weights of which each process holds a part (FSDP, by `accelerate launch --use_fsdp`), whole where they must be."""

from typing import Any

import torch
from accelerate import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from textbox_elmer.errors import UserError


def check_deepspeed(plugin: DeepSpeedPlugin, exits: bool) -> None:
    """Raise a UserError if a model whose exits share a head is to be trained under ZeRO stage 3."""
    if exits and plugin.hf_ds_config.is_zero3():
        raise UserError(
            "DeepSpeed's ZeRO stage 3 gives up the head's weights while exits still read them: give --zero_stage=2, or "
            "--use_fsdp in place of --use_deepspeed to hold a part of the weights alone."
        )


def is_sharded(model: nn.Module) -> bool:
    """Tell whether a process holds a part of a model's weights alone."""
    return isinstance(model, FSDPModule | FullyShardedDataParallel)


def own_part(weight: Tensor) -> Tensor:
    """Return the part of a weight that this process holds."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def save_whole(plugin: FullyShardedDataParallelPlugin) -> None:
    """Let checkpoints hold whole weights, which load anywhere, whatever the launcher was told."""
    plugin.state_dict_config = plugin.optim_state_dict_config = None
    plugin.set_state_dict_type("FULL_STATE_DICT")


def load_whole(sharded: nn.Module, weights: dict[str, Any]) -> None:
    """Load whole weights, known to every process, into a sharded model."""
    # Not strictly: of a weight that has several names, one is saved.
    set_model_state_dict(sharded, weights, options=StateDictOptions(full_state_dict=True, strict=False))


def whole_copy(sharded: nn.Module, like: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """Return a model with all the weights of a sharded one; every process must call this.

    A model that writes reads its weights in an order of its own, which may differ between processes; gathering them
    bit by bit, processes would wait for each other forever.

    Args:
        like: a model of the same class and configuration, whose weights may be missing.
        device: where the copy is to be.
    """
    weights: dict[str, Any] = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))
    whole = unlearnt(like).to(device)  # type: ignore[arg-type]
    whole.load_state_dict(weights)
    return whole


def unlearnt(like: PreTrainedModel) -> PreTrainedModel:
    """Return a model of the same class, configuration and ways of generating, with weights that mean nothing."""
    with torch.random.fork_rng(devices=[]):  # the training draws what it would have drawn without
        model = type(like)(like.config)
    if like.can_generate():
        model.generation_config = like.generation_config
    return model
