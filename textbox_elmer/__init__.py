"""textbox-elmer: fast, parallel text generation that people can run.

Importing it brings the model alone; the host comes with the first use of `run_textbox`.
"""

import os
import sys
from typing import Any

if sys.argv[:1] == ["-m"] and __name__ in sys.orig_argv and sys.path[:1] == [os.getcwd()]:
    # `python -m textbox_elmer` looks in the working folder first, where a yaml.py among somebody's data would be run.
    del sys.path[0]

from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration

__version__ = "0.1.0"
__all__ = ["ElmerConfig", "ElmerForConditionalGeneration", "__version__", "run_textbox"]


def __getattr__(name: str) -> Any:
    if name == "run_textbox":
        from textbox_elmer.runtime import run_textbox

        return run_textbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
