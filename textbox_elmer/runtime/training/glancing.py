"""How much of its texts a parallel model is shown in the course of a training (Qian et al. 2021, arXiv 2008.07905)."""

from collections.abc import Mapping
from typing import Any

# Where the configuration leaves it open: from there to there, for alignments that leave a token's place open.
START, END = 0.5, 0.1


def glancing_ratio(config: Mapping[str, Any], alignment: str, progress: float) -> float:
    """Return the share of its wrong tokens that a text shows, at a `progress` from 0 to 1 through the training.

    It falls evenly from `glancing` to `glancing_end`. A key that nothing set is 0 for one token a position, as
    published, and the usual share for the others.
    """
    usual = (0.0, 0.0) if alignment == "position" else (START, END)
    start, end = config.get("glancing"), config.get("glancing_end")
    start = usual[0] if start is None else start
    end = min(usual[1], start) if end is None else end
    return start + (end - start) * min(progress, 1.0)
