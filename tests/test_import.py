"""What `import textbox_elmer` brings."""

import subprocess
import sys

import textbox_elmer

HEAVY = ("nltk", "sacrebleu", "rouge", "datasets", "textbox_elmer.runtime")


def test_it_brings_the_model_alone() -> None:
    code = f"import sys, textbox_elmer as t; print([name for name in {HEAVY} if name in sys.modules], t.run_textbox)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("[] <function run_textbox")


def test_version() -> None:
    assert textbox_elmer.__version__.count(".") == 2
