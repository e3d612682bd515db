"""`models`: every model, as docs/models.md has it."""

from pathlib import Path

import pytest

from textbox_elmer.cli import main
from textbox_elmer.runtime.catalogue.models import MODELS

REPOSITORY = Path(__file__).parents[2]


def test_models_are_listed(capsys: pytest.CaptureFixture) -> None:
    assert main(["models"]) == 0
    assert "[src, <|endoftext|>]" in capsys.readouterr().out
    assert main(["models", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert page == (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8"), (
        "renew it: python -m textbox_elmer models --markdown > docs/models.md"
    )
    assert all(f"| `{model}`" in page for model in MODELS)
    assert main(["models", "--html"]) == 2
    assert "models` has no option --html" in capsys.readouterr().err
