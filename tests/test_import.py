"""What `import textbox_elmer` brings."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import textbox_elmer

HEAVY = ("nltk", "sacrebleu", "rouge", "datasets", "textbox_elmer.runtime")


def test_it_brings_the_model_alone() -> None:
    code = f"import sys, textbox_elmer as t; print([name for name in {HEAVY} if name in sys.modules], t.run_textbox)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("[] <function run_textbox")


def test_the_auto_classes_know_elmer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "elmer"}')
    code = "import sys, textbox_elmer, transformers; print(transformers.AutoConfig.from_pretrained(sys.argv[1]))"
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("ElmerConfig")


@pytest.mark.parametrize("package", ["textbox_elmer", "textbox_elmer.inference", "textbox_elmer.runtime"])
def test_names_that_come_at_their_first_use(package: str) -> None:
    module = import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_version() -> None:
    assert textbox_elmer.__version__.count(".") == 2
