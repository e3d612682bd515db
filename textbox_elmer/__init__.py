"""textbox-elmer: fast, parallel text generation that people can run.

Importing it brings the model, known to transformers' Auto classes, and nothing else; the host comes with the first use
of `run_textbox`. The command line imports the model where it uses it: `--help` needs none.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from textbox_elmer.lazy import lazily

_SCRIPT = Path(*sys.argv[:1])
_AS_MODULE = sys.argv[:1] == ["-m"] and __name__ in sys.orig_argv
_AS_COMMAND = _SCRIPT.name == "textbox-elmer" or _SCRIPT.absolute() == Path(__file__).parents[1] / "run_textbox.py"

if _AS_MODULE and sys.path[:1] == [os.getcwd()]:
    # `python -m textbox_elmer` looks in the working folder first, where a yaml.py among somebody's data would be run.
    del sys.path[0]

if TYPE_CHECKING or not (_AS_MODULE or _AS_COMMAND):
    from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
if TYPE_CHECKING:
    from textbox_elmer.runtime import run_textbox

__version__ = "0.1.0"
__all__ = ["ElmerConfig", "ElmerForConditionalGeneration", "__version__", "run_textbox"]
__getattr__, __dir__ = lazily(
    __name__,
    {
        "ElmerConfig": "textbox_elmer.model",
        "ElmerForConditionalGeneration": "textbox_elmer.model",
        "run_textbox": "textbox_elmer.runtime",
    },
)
