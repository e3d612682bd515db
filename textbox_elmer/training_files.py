"""What a stopped training left to go on with, and the sentences for what is wrong with it, in either host."""

from pathlib import Path
from typing import Any

import torch
from transformers.trainer_pt_utils import safe_globals

from textbox_elmer.errors import UserError

WEIGHTS_ALONE = "--resume_training=False to take the weights alone"


def load_training_file(path: Path) -> Any:
    """Load plain values and tensors, the tensors' numbers only when they are looked at.

    Raises:
        UserError: the file is missing, damaged, or holds more than that.
    """
    if not path.is_file():
        raise UserError(
            f"The training cannot be resumed, for {str(path)!r} is missing, without which it would not go on as it "
            f"was: give another checkpoint, or {WEIGHTS_ALONE}."
        )
    allowed = torch.serialization.get_safe_globals()
    try:
        with safe_globals():
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    # zip, pickle and torch each raise their own kinds; torch's words advise to load it whatever it may do.
    except Exception as error:
        raise damaged(path, "cut off, or no file of plain values and tensors") from error
    finally:
        torch.serialization.add_safe_globals(allowed)  # the block's end forgets its own, even if others allowed them


def damaged(path: Path, reason: str) -> UserError:
    """Return the sentence for a file of a checkpoint that no training can go on with."""
    return UserError(
        f"The training cannot be resumed, for {str(path)!r} is damaged ({reason}): give another checkpoint, or "
        f"{WEIGHTS_ALONE}."
    )


def check_same_optimizer(saved: str, asked: str, checkpoint: Path) -> None:
    """Raise a UserError if a training was saved under another optimizer than the one that is asked for."""
    if saved != asked:
        raise UserError(
            f"The training of {str(checkpoint)!r} cannot be resumed by another optimizer: give --optimizer={saved}, or "
            f"{WEIGHTS_ALONE}."
        )
