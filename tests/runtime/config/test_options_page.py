"""`options`: every key, as docs/options.md has it."""

from pathlib import Path

import pytest

from textbox_elmer.cli import main
from textbox_elmer.runtime.config.keys import KEYS, MODEL_KEYS

REPOSITORY = Path(__file__).parents[3]


def test_options_are_listed(capsys: pytest.CaptureFixture) -> None:
    assert main(["options", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert page == (REPOSITORY / "docs" / "options.md").read_text(encoding="utf-8"), (
        "renew it: python -m textbox_elmer options --markdown > docs/options.md"
    )
    assert main(["options"]) == 0
    shown = capsys.readouterr().out
    for name, key in (KEYS | MODEL_KEYS).items():
        assert f"| `{name}` | " in page
        assert key.meaning in page
        assert name in shown
    assert "| `src_len` | `512` | whole number from 1 |" in page
