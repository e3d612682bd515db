"""Fixtures that several rooms share."""

import shutil
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def bart_folder(tmp_path: Path) -> Path:
    """A folder as a BART checkpoint comes: the reference model's config.json and model.safetensors."""
    folder = tmp_path / "bart"
    folder.mkdir()
    shutil.copy(FIXTURES / "elmer" / "config.json", folder / "config.json")
    shutil.copy(FIXTURES / "elmer" / "weights.safetensors", folder / "model.safetensors")
    return folder
