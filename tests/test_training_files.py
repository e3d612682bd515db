"""Reading what a stopped training left."""

from pathlib import Path

import numpy as np
import torch

from textbox_elmer.training_files import load_training_file


def test_what_others_allow_stays_allowed(tmp_path: Path) -> None:
    torch.save({"step": 3}, tmp_path / "state.pt")
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([np.dtype])  # as the bridge to TextBox does
    try:
        assert load_training_file(tmp_path / "state.pt") == {"step": 3}
        assert np.dtype in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
