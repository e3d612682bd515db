"""Which packages the docstrings of the dataset pydoc come from."""

from pathlib import Path

import pytest

from textbox_elmer.runtime.data import pydoc_sources
from textbox_elmer.runtime.data.pydoc_sources import project_requirements, requirement_names
from textbox_elmer.runtime.errors import UserError


def test_requirement_lines_become_names() -> None:
    lines = [
        "# a comment",
        "",
        "torch==2.13.0",
        "rouge_score>=0.1.2,<0.2  # a comment",
        "PyYAML",
        "transformers[torch]==5.23.0; python_version >= '3.9'",
        "transformers==5.0; python_version < '3.9'",
        'wandb; extra == "wandb"',
        "numpy==2.4.6 --hash=sha256:00",
        "rich==15 \\",
        "    --hash=sha256:00",
        "--index-url https://example.org/simple",
        "-r more.txt",
        "local @ file:///tmp/local-1.0.tar.gz",
        "Torch",
    ]
    assert requirement_names(lines) == ["torch", "rouge-score", "pyyaml", "transformers", "numpy", "rich", "local"]


def test_a_malformed_requirement_is_named() -> None:
    with pytest.raises(UserError, match=r"'torch=2' is not a requirement"):
        requirement_names(["numpy", "torch=2"])


def test_requirements_come_from_the_checkout_or_from_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pydoc_sources, "REPOSITORY", tmp_path)
    (tmp_path / "requirements.txt").write_text("# pinned\nalpha==1\n", encoding="utf-8")
    monkeypatch.setattr(pydoc_sources.metadata, "requires", {"textbox-elmer": ["beta>=2"]}.get)
    assert project_requirements() == ["beta>=2"]  # no checkout: somebody else's requirements.txt in site-packages
    (tmp_path / "pyproject.toml").touch()
    assert project_requirements() == ["# pinned", "alpha==1"]


def test_unknown_requirements_are_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise pydoc_sources.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pydoc_sources, "REPOSITORY", tmp_path)
    monkeypatch.setattr(pydoc_sources.metadata, "requires", requires)
    with pytest.raises(UserError, match=r"requirements.txt is missing"):
        project_requirements()
