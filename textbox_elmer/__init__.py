"""textbox-elmer: fast, parallel text generation that people can run.

Importing it brings the model alone; the host comes with the first use of `run_textbox`.
"""

from typing import Any

from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration

__version__ = "0.1.0"
__all__ = ["ElmerConfig", "ElmerForConditionalGeneration", "__version__", "run_textbox"]


def __getattr__(name: str) -> Any:
    if name == "run_textbox":
        from textbox_elmer.runtime import run_textbox

        return run_textbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
