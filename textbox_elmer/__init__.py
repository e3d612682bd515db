"""textbox-elmer: fast, parallel text generation that people can run."""

from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration

__all__ = ["ElmerConfig", "ElmerForConditionalGeneration"]
