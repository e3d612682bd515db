"""textbox-elmer: fast, parallel text generation that people can run."""

from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.runtime import run_textbox

__all__ = ["ElmerConfig", "ElmerForConditionalGeneration", "run_textbox"]
